"""The environment of a measurement: the servers, topics filled by the simulator, new lakes, and the product's programs.

A program gets only the addresses of Kafka and of its lake, and the settings that are measured. Everything else is the
product's default. scripts/harness starts the servers and reads the tables.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import KafkaException

from harness.lakehouse import Stack, a_stack, binary, until
from harness.readers import Lake
from harness.topics import Topic

# As for one worker among those for a country's cameras.
CAMERAS, PARTITIONS, LATE = 1000, 12, 0.02
# The time limit for filling a topic.
FILLING_LIMIT_S = 1200
# Processes that process.py has started. They must not outlive the servers and the folder that they use.
STARTED = []


class Failed(SystemExit):
    """Raised by `fail`; its code is the program's exit code unless a caller continues."""


@dataclass(frozen=True)
class Filled:
    """A topic with records, and the simulator's summary of them."""

    topic: Topic
    summary: dict

    @property
    def records(self):
        return self.summary["produced"]

    def described(self):
        """What the topic holds, for a report."""
        names = ("produced", "events", "late", "duplicates", "bad", "cameras")
        return {name: self.summary[name] for name in names} | {"partitions": self.topic.partitions}


@dataclass
class Bed:
    """The servers, and a folder for lakes and logs."""

    stack: Stack
    folder: Path
    made: int = field(default=0)

    def new_name(self, what):
        """A name that is unique on these servers."""
        self.made += 1
        return f"{what}-{self.folder.name}-{self.made}"

    # -- topics and lakes

    @contextlib.contextmanager
    def topic(self, partitions=PARTITIONS):
        """An empty topic, deleted afterwards."""
        made = Topic.create(self.stack.brokers, self.new_name("bench"), partitions)
        try:
            until(lambda: has_leaders(made), "every partition has a leader")
            yield made
        finally:
            made.delete()

    @contextlib.contextmanager
    def filled(
        self, events, *, cameras=CAMERAS, partitions=PARTITIONS, shares=("--late", str(LATE)), compression="lz4"
    ):
        """A topic with the events of one past day, deleted afterwards."""
        config = self.folder / f"{compression}.toml"
        config.write_text(f'[kafka.properties]\n"compression.type" = "{compression}"\n')
        with self.topic(partitions) as topic:
            started = time.monotonic()
            what = ("--cameras", cameras, "--events", events, *shares)
            command, environment = self.simulator(topic, *what, config=config)
            found = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=FILLING_LIMIT_S)
            if found.returncode != 0:
                fail(f"the simulator failed with {found.returncode}")
            filled = Filled(topic, json.loads(found.stdout.splitlines()[-1]))
            tell(f"{filled.records:,} records in {partitions} partitions after {time.monotonic() - started:.0f} s")
            yield filled

    @contextlib.contextmanager
    def lake(self, store):
        """A new lake on disk or on MinIO, deleted afterwards if that is cheap."""
        name = self.new_name("lake")
        lake = Lake(str(self.folder / name)) if store == "disk" else Lake(f"s3://lake/{name}", self.stack.storage)
        yield lake
        if store == "disk":
            shutil.rmtree(lake.uri, ignore_errors=True)

    # -- programs: commands with their environments

    def simulator(self, topic, *arguments, config="/dev/null"):
        """The simulator, sending to a topic."""
        return self._program("camera-simulator", "--quiet", *arguments, topic=topic, config=config)

    def speed_layer(self, topic, lake, *arguments, **settings):
        """The speed layer, from a topic to a lake; `settings` as in `speed__commit_interval="1s"`."""
        return self.program_between("speed-layer", "run", *arguments, topic=topic, lake=lake, **settings)

    def stages(self, topic, lake, *arguments):
        """The speed layer's stages one after another, from a topic to a lake."""
        return self.program_between("bench-stages", *arguments, topic=topic, lake=lake)

    def program_between(self, name, *arguments, topic, lake, **settings):
        """A program with the addresses of a topic and a lake."""
        storage = {f"lake__storage__{option}": value for option, value in lake.storage.items()}
        where = {"lake__uri": lake.uri, "kafka__group": self.new_name("bench"), "speed__metrics_listen": ""}
        return self._program(name, *arguments, topic=topic, **(where | storage | settings))

    def _program(self, name, *arguments, topic, config="/dev/null", **settings):
        settings |= {"kafka__brokers": self.stack.brokers, "kafka__topic": topic.name}
        variables = {f"LAKEHOUSE__{key.upper()}": str(value) for key, value in settings.items()}
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEHOUSE__", "AWS_", "RUST_LOG"))}
        command = [binary(name), *map(str, arguments), "--config", str(config)]
        return command, inherited | variables


@contextlib.contextmanager
def a_bed():
    """The servers that STACK_DIR names, or new ones, and a folder that is deleted afterwards."""
    with a_folder() as folder, a_stack() as stack:
        try:
            yield Bed(stack, folder)
        finally:
            end_started()


@contextlib.contextmanager
def a_folder():
    """A folder that is deleted afterwards, when no started process writes to it any more."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, terminated)
    with tempfile.TemporaryDirectory(prefix="lambdalake-bench.") as folder:
        try:
            yield Path(folder)
        finally:
            end_started()


def terminated(number, _):
    """Ends the program by an exception, so that all that it has created is deleted; once, so that nothing interrupts that."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.exit(128 + number)


def end_started():
    """Kills the started processes that still run."""
    while STARTED:
        STARTED.pop().kill()


@contextlib.contextmanager
def going_on(failures):
    """Keeps the exit code of a step that fails, so that the other steps are still measured and reported."""
    try:
        yield
    except Failed as failed:
        failures.append(failed.code)
    except Exception:
        traceback.print_exc()
        failures.append(3)
    else:
        return
    end_started()


def has_leaders(topic):
    """Whether Kafka answers for every partition, which takes a moment after a topic is created."""
    try:
        return len(topic.ends()) == topic.partitions
    except KafkaException:
        return False


def tell(text):
    print(text, flush=True)


def fail(text, code=3):
    """Ends the program with a message."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
    raise Failed(code)
