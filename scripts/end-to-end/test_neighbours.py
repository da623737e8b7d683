"""Lakes side by side whose names are easily confused: no command touches a neighbour of the lake that it is given."""

import contextlib

import pytest

from harness.data import FIRST, traffic

# Encoded or decoded once more, as a URL or a form would, each is the name of another one.
NAMES = ["a b", "a%20b", "a%2520b", "a+b"]


def files(folder):
    """The size and the time of every file below a folder, by its path."""
    found = {path: path.stat() for path in folder.rglob("*") if path.is_file()}
    return {path.relative_to(folder): (stat.st_size, stat.st_mtime_ns) for path, stat in found.items()}


@pytest.fixture
def neighbours(workspaces, tmp_path):
    """A pipeline for each name, of a topic of its own."""
    with contextlib.ExitStack() as open_workspaces:
        pipelines = {}
        for number, name in enumerate(NAMES):
            workspace = open_workspaces.enter_context(workspaces.make("neighbour"))
            workspace.configure(lake__uri=str(tmp_path / name), lake__checkpoint_interval=2)
            workspace.topic.send(traffic(90 + number, FIRST, events=60))
            pipelines[name] = workspace
        yield pipelines


def test_no_command_touches_a_neighbour_whose_name_is_easily_confused(neighbours, tmp_path):
    commands = [("speed-layer", "run", "--until-end")]
    commands += [("batch-layer", command) for command in ("nightly", "maintain", "audit")]
    changing = set()
    for program, *arguments in commands:
        for name, workspace in neighbours.items():
            before = files(tmp_path)
            workspace.start(program, *arguments).expect(0)
            changed = {path.parts[0] for path, _ in before.items() ^ files(tmp_path).items()}
            assert changed <= {name}, f"{program} {arguments} of {name!r} changed {changed}"
            changing |= {(name, arguments[0])} if changed else set()
    assert changing >= {(name, command) for name in NAMES for command in ("run", "nightly")}


def test_a_prefix_that_programs_read_differently_is_refused(workspaces):
    with workspaces.make("neighbour", store="minio", partitions=1) as workspace:
        workspace.configure(lake__uri=f"{workspace.lake.uri}/a%20b")
        for program, arguments in (("speed-layer", ["run"]), ("batch-layer", ["nightly"]), ("serving", ["run"])):
            refused = workspace.start(program, *arguments).expect(2)
            assert "lake.uri" in refused.err and "'%'" in refused.err, refused.tail()
