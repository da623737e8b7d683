"""Outputs that cannot be written: a full disk under standard output or the logs, a reader of either that is gone.

The work is done all the same, and the exit code is one of those that are documented: 3 where a report could not be
delivered, never that of a panic.
"""

import os
import subprocess

import pytest

from harness import checks
from harness.data import traffic
from harness.lakehouse import binary, clean_environment

DAY = checks.day("2025-04-05")
WORK = {
    "camera-simulator": ["--events", "50", "--cameras", "3", "--date", str(DAY)],
    "speed-layer": ["run", "--until-end"],
    "batch-layer": ["nightly"],
    "audit": ["audit"],
    "maintain": ["maintain"],
    "help": ["--help"],
    "usage": ["--no-such-option"],
}


def gone():
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def full():
    return os.open("/dev/full", os.O_WRONLY)


@pytest.fixture(scope="module", params=[full, gone])
def outputs(request, workspaces):
    """For each way of losing standard output, the logs or both: exit codes of the programs in turn, and the lake."""
    found = {}
    for lost in ("stdout", "stderr", "both"):
        with workspaces.make("outputs", partitions=1) as workspace:
            workspace.topic.send(traffic(5, DAY, events=200, partitions=1))
            for name, arguments in WORK.items():
                program = binary(name if name in ("camera-simulator", "speed-layer") else "batch-layer")
                sink = request.param()
                streams = {
                    "stdout": subprocess.DEVNULL if lost == "stderr" else sink,
                    "stderr": subprocess.DEVNULL if lost == "stdout" else sink,
                }
                command = [program, *arguments]
                if name not in ("help", "usage"):
                    command += ["--config", str(workspace.config)]
                ended = subprocess.run(command, **streams, env=clean_environment(), timeout=60, check=False)
                os.close(sink)
                found[lost, name] = ended.returncode
            expected = checks.landed(workspace)
            checks.final(workspace, expected.events, checks.days_of(expected.events, workspace.rules.zone))
    return found


def test_the_work_is_done_and_exit_codes_stay_those_that_are_documented(outputs):
    for (lost, name), code in outputs.items():
        if name == "usage":
            assert code == 2, (lost, name)
        elif lost == "stderr":
            assert code == 0, (lost, name)
        else:
            assert code in (0, 3), (lost, name)
