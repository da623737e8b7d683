"""Runs the product: the stack, a separate workspace for each test, and the processes in it.

A Workspace is a topic, a consumer group, a lake (a folder or a prefix on MinIO) and a settings file. Its processes get
only the settings of that file, and end when the workspace closes. Nothing here sleeps to synchronise: `until` polls a
condition up to a deadline.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness import oracle
from harness.readers import Lake
from harness.topics import Topic

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
STACK_SH = REPOSITORY / "scripts" / "stack.sh"
# Downloads and builds are kept here, as by the scripts in shell.
CACHE = Path(
    os.environ.get("LAMBDALAKE_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lambdalake"
)
RUN_LIMIT_S = 100

# Settings with which much happens in a short time; the group notices a dead member soon.
QUICK = {
    "speed__commit_interval": "100ms",
    "speed__landing_interval": "150ms",
    "speed__position_interval": "200ms",
    "kafka__properties.session.timeout.ms": "1200",
    "kafka__properties.heartbeat.interval.ms": "200",
}


def clean_environment():
    """The environment without any variable that is a setting."""
    settings = ("LAKEHOUSE__", "AWS_", "RUST_LOG")
    return {name: value for name, value in os.environ.items() if not name.startswith(settings)}


def binary(program):
    """The path of a program: in LAMBDALAKE_BIN, or where cargo builds it."""
    target = os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")
    folder = Path(os.environ.get("LAMBDALAKE_BIN") or Path(target) / "debug")
    path = folder / program
    assert path.exists(), (
        f"{path} is missing: cargo build --workspace, or set LAMBDALAKE_BIN to the folder of the programs"
    )
    return path


def until(condition, what, deadline_s=40, pause_s=0.02):
    """Polls until the condition holds, and returns its result."""
    end = time.monotonic() + deadline_s
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"not within {deadline_s} s: {what}"
        time.sleep(pause_s)


def free_port():
    """A TCP port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


# ---- the stack ---------------------------------------------------------------------------------------------------


class Stack:
    """The real Kafka and MinIO of scripts/stack.sh, by the variables of its env file."""

    def __init__(self, variables):
        self.folder = variables["STACK_DIR"]
        self.brokers = variables["LAKEHOUSE__KAFKA__BROKERS"]
        self.kafka_libs = variables["STACK_KAFKA_LIBS"]
        prefix = "LAKEHOUSE__LAKE__STORAGE__"
        self.storage = {
            name.removeprefix(prefix).lower(): value for name, value in variables.items() if name.startswith(prefix)
        }

    def restart(self, service):
        """Kills a server with SIGKILL and starts it again: same port, same data."""
        self._stack_sh("restart", service, "--kill")

    def kill(self, service):
        """Kills a server with SIGKILL, for now."""
        self._stack_sh("down", service, "--kill")

    def start(self, service):
        """Starts a server that was killed; returns when it is ready."""
        self._stack_sh("up", service)

    def _stack_sh(self, *arguments):
        command = [STACK_SH, *arguments, "--dir", self.folder]
        subprocess.run(command, check=True, capture_output=True, timeout=300)

    def kafka_tool(self, main_class, *arguments):
        """Runs one of Kafka's own tools."""
        command = ["java", "-Xmx128m", "-cp", f"{self.kafka_libs}/*", main_class, *arguments]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)

    @contextlib.contextmanager
    def silenced(self, service):
        """A context in which a server accepts connections and requests, and does not respond."""
        pid = int((Path(self.folder) / service / "pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def a_stack(brokers=1, proxies=0):
    """The stack that the environment names, if it has so many brokers, or one started for this run and deleted after it.

    `proxies`: how many listeners for clients that connect through a proxy each server of a new stack has.
    """
    if "STACK_DIR" in os.environ and int(os.environ.get("STACK_BROKERS", 1)) == brokers:
        yield Stack(os.environ)
        return
    command, variables = [STACK_SH, "up", "--brokers", str(brokers)], os.environ | {"STACK_PROXIES": str(proxies)}
    env_file = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=variables).stdout.strip()
    try:
        exports = subprocess.run(
            ["bash", "-c", f". '{env_file}' && env -0"], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        yield Stack(dict(line.split("=", 1) for line in exports.split("\0") if "=" in line))
    finally:
        subprocess.run([STACK_SH, "reset", "--dir", str(Path(env_file).parent)], check=True)


# ---- processes ---------------------------------------------------------------------------------------------------


class Program:
    """A running program of the product, its output in files."""

    def __init__(self, arguments, folder, variables):
        self.name = Path(arguments[0]).name
        self.out_path = folder / f"{self.name}-{time.monotonic_ns()}.out"
        self.err_path = self.out_path.with_suffix(".err")
        with self.out_path.open("wb") as out, self.err_path.open("wb") as err:
            self.process = subprocess.Popen(
                [str(argument) for argument in arguments],
                cwd=folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def out(self):
        return self.out_path.read_text(errors="replace")

    @property
    def err(self):
        return self.err_path.read_text(errors="replace")

    def is_running(self):
        return self.process.poll() is None

    def wait(self, limit_s=RUN_LIMIT_S):
        """The exit code, negative for a signal."""
        try:
            code = self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {limit_s} s:\n{self.tail()}") from None
        # A program that leaves a dead member in the group delays the next start.
        assert "did not leave its group" not in self.err, self.tail()
        return code

    def kill(self):
        """kill -9; returns when it has ended."""
        self.process.kill()
        self.process.wait()

    def terminate(self, limit_s=RUN_LIMIT_S):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(limit_s)

    def tail(self, lines=25):
        """The end of its output, for messages."""
        text = [*self.out.splitlines()[-lines:], *self.err.splitlines()[-lines:]]
        return "\n".join(line[:1500] for line in text)

    def expect(self, code, limit_s=RUN_LIMIT_S):
        """Waits for the end, which must come with this exit code."""
        found = self.wait(limit_s)
        assert found == code, f"{self.name} ended with {found}, not {code}:\n{self.tail()}"
        return self


# ---- a workspace -------------------------------------------------------------------------------------------------


@dataclass
class Workspace:
    """A pipeline of one test: `settings` are the keys of lakehouse.toml, dotted."""

    stack: Stack
    folder: Path
    topic: Topic
    lake: Lake
    settings: dict
    programs: list = field(default_factory=list)

    # -- settings

    def configure(self, **more):
        """Writes the settings file, with `more` settings (`speed__commit_interval="1s"`) from now on."""
        self.settings |= {name.replace("__", "."): value for name, value in more.items()}
        self.config.write_text(toml(self.settings))

    def use_lake(self, lake):
        """From now on the pipeline has this lake, which is in the same store as the one before."""
        self.lake = lake
        self.configure(lake__uri=lake.uri)

    @property
    def config(self):
        return self.folder / "settings.toml"

    @property
    def rules(self):
        """The settings in the form that the oracle uses."""
        given = self.settings
        limits = {
            k.removeprefix("speed_limits.cameras."): v
            for k, v in given.items()
            if k.startswith("speed_limits.cameras.")
        }
        return oracle.Rules(
            zone=given["pipeline.timezone"],
            allowed_lateness_us=microseconds(given.get("speed.allowed_lateness", "3h")),
            out_of_orderness_us=microseconds(given.get("speed.out_of_orderness", "30s")),
            default_limit_kmh=given.get("speed_limits.default_kmh"),
            limits_kmh=tuple(limits.items()),
        )

    # -- programs

    def start(self, program, *arguments, config=None, **variables):
        """Starts a program of the product with the settings file."""
        command = [binary(program), *arguments, "--config", config or self.config]
        started = Program(command, self.folder, clean_environment() | variables)
        self.programs.append(started)
        return started

    def speed(self, **how):
        """The speed layer, until stopped."""
        return self.start("speed-layer", "run", **how)

    def land(self):
        """The speed layer up to the end of the topic."""
        return self.start("speed-layer", "run", "--until-end").expect(0)

    def batch(self, command, *arguments, code=0):
        """A command of the batch, to its end."""
        return self.start("batch-layer", command, *arguments).expect(code)

    def close(self):
        """Ends the processes that still run."""
        for program in self.programs:
            if program.is_running():
                program.kill()

    # -- contents

    def expected(self):
        """What the records that are in Kafka now must become."""
        return oracle.land(self.topic.records(), self.rules)

    def app_id(self, partition, suffix=""):
        return f"{self.settings['pipeline.name']}:{self.topic.name}:{partition}{suffix}"

    def next_offsets(self, table):
        """By partition, the next offset that a table's transactions hold; 0 before the first."""
        if not self.lake.exists(table):
            return dict.fromkeys(range(self.topic.partitions), 0)
        delta = self.lake.delta(table)
        return {p: delta.transaction_version(self.app_id(p)) or 0 for p in range(self.topic.partitions)}

    def accepted_cuts(self, partition):
        """The cuts of Kafka's log that are on record in `events`: where it was cut, and where consuming went on."""
        if not self.lake.exists("events"):
            return []
        delta = self.lake.delta("events")
        found = lambda what: delta.transaction_version(self.app_id(partition, what))  # noqa: E731
        numbers = range(1, (found(":truncations") or 0) + 1)
        return [tuple(found(f":truncation:{number}:{what}") for what in ("end", "position")) for number in numbers]

    def has_landed_all(self):
        """Whether both tables reach the end of the topic."""
        ends = self.topic.ends()
        return self.next_offsets("events") == ends and self.next_offsets("avg_speed") == ends

    def commits(self):
        """The number of commits to `events` and `avg_speed` so far."""
        return self.lake.version("events") + self.lake.version("avg_speed")

    def wait_for_commits(self, more, what):
        """Waits until there are this many more commits."""
        enough = self.commits() + more
        until(lambda: self.commits() >= enough, what)

    def has_checkpoint(self, table):
        """Whether the log of a table in a folder has a checkpoint that readers find."""
        log = self.folder / "lake" / table / "_delta_log"
        return (log / "_last_checkpoint").exists() and any(log.glob("*.checkpoint.parquet"))

    # -- copies

    def beside(self, name):
        """The same pipeline with another lake in the same store, which has no tables yet."""
        folder = self.folder.parent / f"{self.folder.name}-{name}"
        folder.mkdir()
        uri = f"{self.lake.uri}-{name}" if self.lake.storage else str(folder / "lake")
        other = replace(self, folder=folder, settings=dict(self.settings))
        other.use_lake(Lake(uri, self.lake.storage))
        return other

    def fork(self, name):
        """The same pipeline on a copy of the lake, which must be a folder."""
        copy = self.beside(name)
        shutil.copytree(self.lake.uri, copy.lake.uri)
        return copy


def toml(settings):
    """The settings as TOML, one dotted key a line; the last part of a key may hold dots itself."""
    return "".join(f"{toml_key(key)} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in settings.items())


def toml_key(key):
    family = re.match(r"(kafka\.properties|speed_limits\.cameras)\.(.+)", key)
    return f"{family[1]}.{json.dumps(family[2])}" if family else key


def microseconds(duration):
    """A duration as settings spell it (`1h30m`) in microseconds."""
    units = {"ms": 1000, "s": oracle.SECOND_US, "m": oracle.MINUTE_US, "h": oracle.HOUR_US, "d": 24 * oracle.HOUR_US}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)(ms|s|m|h|d)", duration))


@dataclass
class Workspaces:
    """Makes workspaces in a folder."""

    stack: Stack
    root: Path

    @contextlib.contextmanager
    def make(self, name, *, store="disk", partitions=3, replicas=1, topic=None, **settings):
        """A workspace with a new topic, called `topic` where its name matters; `replicas` is how many brokers have it.

        `store` is disk or minio, `settings` as in Workspace.configure.
        """
        unique = f"{name}-{time.monotonic_ns():x}"
        folder = self.root / unique
        folder.mkdir()
        lake = Lake(str(folder / "lake")) if store == "disk" else Lake(f"s3://lake/{unique}", self.stack.storage)
        topic = Topic.create(self.stack.brokers, topic or unique, partitions, replicas)
        workspace = Workspace(self.stack, folder, topic, lake, self.defaults(topic, lake, unique))
        workspace.configure(**settings)
        try:
            yield workspace
        finally:
            workspace.close()
            topic.delete()  # a broker with many topics is slow to restart

    def defaults(self, topic, lake, unique):
        """Settings that make a small pipeline fast; storage options are present for a lake on MinIO only."""
        return {
            "pipeline.name": "tested",
            "pipeline.timezone": "UTC",
            "kafka.brokers": topic.brokers,
            "kafka.topic": topic.name,
            "kafka.group": unique,
            "lake.uri": lake.uri,
            **{f"lake.storage.{name}": value for name, value in lake.storage.items()},
            "speed.commit_interval": "300ms",
            "speed.landing_interval": "500ms",
            "speed.position_interval": "500ms",
            "speed.metrics_listen": "",
            "batch.landing_poll_interval": "100ms",
        }
