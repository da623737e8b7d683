"""Runs real Kafka, MinIO and the product under faults, and proves afterwards that every row is correct.

Started by scripts/chaos.sh. A cycle causes the faults that the schedule says, lets time pass, and removes them. If
nothing was committed for a while, it waits for a commit. From time to time, and at the end, all faults are removed, the
remaining records are processed, and the tables are inspected (inspection.py).

    feed.py ─▶ Kafka ─▶ 3 instances ─▶ the lake on MinIO          schedule.py ─▶ faults.py ─▶ all of it
            ─▶ Kafka ─▶ 1 instance  ─▶ the lake on a small disk   pipeline.py supervises, proxies.py is between

In a cluster, Kafka loses records, too: losses.py. drills.py has such faults one at a time.
"""

import argparse
import contextlib
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

from chaos import report
from chaos.disk import Disk
from chaos.faults import UNDER_FIRE, World, strike
from chaos.feed import Feed
from chaos.inspection import inspect
from chaos.pipeline import Pipeline, Watch
from chaos.proxies import Proxies
from chaos.report import say
from chaos.schedule import LOSS_KINDS, SLOTS, kinds, plan
from harness.cluster import Cluster
from harness.lakehouse import Workspaces, a_stack, until
from harness.readers import Lake

INSPECT_EVERY = 100
STALE_CYCLES = 2  # after so many cycles without a commit, the next commit is awaited
RECOVERY_S = 300
RATE = 80  # records a second
CYCLE_S = 3  # the approximate duration of a cycle
ZONES = ["UTC", "Europe/Moscow", "America/St_Johns", "Pacific/Auckland"]
STRATEGIES = ["cooperative-sticky", "range"]

# Time-outs and retries are short, so that much happens within a cycle.
SETTINGS = {
    "speed__commit_interval": "500ms",
    "speed__landing_interval": "700ms",
    "speed__position_interval": "1s",
    "speed_limits__default_kmh": 70,
    "lake__checkpoint_interval": 15,
    "lake__deleted_file_retention": "40s",
    "lake__log_retention": "60s",
    "lake__request_timeout": "2s",
    "lake__retry_timeout": "3s",
    "kafka__request_timeout": "3s",
    "kafka__properties.session.timeout.ms": "2000",
    "kafka__properties.heartbeat.interval.ms": "300",
    "kafka__properties.max.poll.interval.ms": "8000",
    "kafka__properties.socket.timeout.ms": "3000",
    "kafka__properties.socket.connection.setup.timeout.ms": "2000",
    "kafka__properties.reconnect.backoff.max.ms": "500",
}
# The small disk has less to do: what it shows does not depend on how much.
SMALL = SETTINGS | {"speed__commit_interval": "2s", "speed__landing_interval": "2s", "speed__position_interval": "3s"}


def main():
    arguments = parse()
    started = time.monotonic()
    run = Run(arguments)
    failure = None
    try:
        run.go()
    except AssertionError as error:
        if run.world is None:
            give_up(run)
        failure = error
        say(f"{error}")
    except Exception:  # what is not a finding is an external failure
        give_up(run)
    wall_s = time.monotonic() - started
    report.tell(run, failure, wall_s)
    if arguments.report:
        arguments.report.write_text(report.markdown(run, failure, wall_s))
    if failure:
        say(f"logs and tables: {arguments.work}")
        say("the same faults again, at other moments:")
        say(f"    {run.command}")
        sys.exit(1)


def give_up(run):
    """Ends with 3: something outside failed, which says nothing about the product."""
    traceback.print_exc()
    say(f"something outside failed in cycle {run.cycle}; logs: {run.arguments.work}")
    sys.exit(3)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--brokers", type=int, default=1)
    parser.add_argument("--report", type=Path, help="a file for the report, as Markdown")
    parser.add_argument("--work", type=Path, required=True, help="a folder for logs and for the small disk")
    parser.add_argument("--toxiproxy", type=Path, required=True, help="the program")
    return parser.parse_args()


class Run:
    """One run, with the data for its report."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.cycle = 0
        self.faults = Counter()
        self.found = {}
        self.stalls = []
        self.watch = None
        self.world = None
        self.was_small = False
        self.lifts = []  # (cycle in which it ends, the function that ends it)
        self.zone = ZONES[arguments.seed % len(ZONES)]
        self.strategy = STRATEGIES[arguments.seed % len(STRATEGIES)]
        self.kinds = kinds(arguments.brokers)
        self.command = f"scripts/chaos.sh --cycles {arguments.cycles} --seed {arguments.seed}"
        self.command += f" --brokers {arguments.brokers}" * (arguments.brokers > 1)

    def go(self):
        """All cycles, and the inspection after them."""
        with contextlib.ExitStack() as stack:
            self.world = self._build(stack)
            for cycle in plan(self.arguments.seed, self.arguments.cycles, self.kinds):
                self.cycle = cycle.number
                self._turn(cycle)
                if cycle.number % INSPECT_EVERY == 0 and cycle.number < self.arguments.cycles:
                    self._inspect(to_the_end=False)
                    self._resume()
            self._inspect(to_the_end=True)

    # -- servers and pipelines

    def _build(self, stack):
        """Servers, proxies, both pipelines and their cameras, all of it ended with `stack`."""
        arguments, folder, brokers = self.arguments, self.arguments.work, self.arguments.brokers
        servers = stack.enter_context(a_stack(brokers, proxies=SLOTS + 1))
        stack.push(lambda kind, *_: keep(servers, folder) if kind and issubclass(kind, AssertionError) else None)
        proxies = Proxies(arguments.toxiproxy, servers.folder, SLOTS + 1, arguments.seed, folder, brokers)
        stack.callback(proxies.close)
        disk = Disk(folder / "disk")
        stack.callback(disk.close)
        common = {"pipeline__timezone": self.zone, "kafka__properties.partition.assignment.strategy": self.strategy}
        spaces = Workspaces(servers, folder)
        common |= {"replicas": brokers}
        main = stack.enter_context(spaces.make("main", store="minio", partitions=6, **SETTINGS, **common))
        small = stack.enter_context(spaces.make("small", partitions=2, **SMALL, **common))
        small.use_lake(Lake(str(disk.folder / "lake")))
        if brokers > 1:
            for workspace in (main, small):
                workspace.topic.alter({"min.insync.replicas": "2"})
        seed, a_day = arguments.seed, RATE * CYCLE_S * arguments.cycles // simulated_days(arguments.cycles)
        feeds = [
            Feed(main.topic, seed, self.zone, rate=RATE, day_records=a_day),
            Feed(small.topic, seed + 1, self.zone, rate=RATE // 5, day_records=a_day // 5),
        ]
        pipelines = [
            Pipeline(main, feeds[0], SLOTS, proxies.ways[:SLOTS], proxies.ways[SLOTS]),
            Pipeline(small, feeds[1], 1),
        ]
        for feed in feeds:
            stack.callback(feed.close)
            feed.start()
        world = World(servers, proxies, *pipelines, disk, Cluster(servers) if brokers > 1 else None)
        stack.callback(world.wait_for_restarts)
        self.watch = Watch(on_server(servers, main.lake))
        self.world, self.was_small = world, disk.is_small
        self._resume()
        self._wait_for_commits(3, "the first commits")
        return world

    @property
    def pipelines(self):
        return [self.world.main, self.world.small]

    # -- a cycle

    def _turn(self, cycle):
        """Causes faults, waits, removes them."""
        begun, before = time.monotonic(), self.watch.look()
        for pipeline in self.pipelines:
            pipeline.supervise()
            pipeline.feed.allow(pipeline.feed.rate * CYCLE_S)
        for fault in cycle.faults:
            self.faults[fault.kind] += 1
            if fault.kind in LOSS_KINDS:
                self._lose(fault)
                continue
            lift = strike(self.world, fault)
            self.lifts.append((cycle.number + fault.cycles, lift or (lambda: None)))
        self._pass_time(cycle.hold_s)
        self._lift(cycle.number)
        self._look_after_the_disk()
        commits = self.watch.look() - before
        self.stalls = [*self.stalls, commits][-STALE_CYCLES:]
        if len(self.stalls) == STALE_CYCLES and not any(self.stalls):
            self._recover()
        say(f"{cycle}: {commits} commits, {time.monotonic() - begun:.1f} s")

    def _lose(self, fault):
        """Lets Kafka lose records once all other faults are over; then the cameras continue."""
        self._heal()
        strike(self.world, fault)
        self.watch.follow(on_server(self.world.stack, self.world.main.workspace.lake))
        self._resume()

    def _pass_time(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for pipeline in self.pipelines:
                pipeline.supervise()
                pipeline.feed.check()
            self.watch.look()
            time.sleep(0.1)

    def _lift(self, number):
        due = [lift for when, lift in self.lifts if when <= number]
        self.lifts = [entry for entry in self.lifts if entry[0] > number]
        for lift in reversed(due):
            lift()

    def _look_after_the_disk(self):
        """The small disk is for faults: without faults it must not fill up with files that no table needs."""
        if self.world.disk.is_small and self.world.disk.used_share() > 0.5 and not self.world.small.jobs:
            self.world.small.begin("maintain", codes=UNDER_FIRE)

    def _recover(self):
        """Nothing was committed for some cycles: paused instances are continued, and a commit must follow."""
        self._lift(sys.maxsize)
        self._wait_for_commits(1, f"a commit within {RECOVERY_S} s once every fault was lifted")
        self.stalls = []

    def _wait_for_commits(self, more, what):
        enough = self.watch.look() + more

        def enough_came():
            for pipeline in self.pipelines:
                pipeline.supervise()
                pipeline.feed.check()
            return self.watch.look() >= enough

        until(enough_came, what, RECOVERY_S, 0.1)

    # -- the proof

    def _inspect(self, *, to_the_end):
        """Removes all faults, and compares both lakes with what was produced."""
        begun = time.monotonic()
        self._heal()
        for name, pipeline in (("MinIO", self.world.main), ("disk", self.world.small)):
            self.found[name] = inspect(pipeline, to_the_end=to_the_end)
            self.found[name]["commits"] = sum(version + 1 for version in pipeline.workspace.lake.versions().values())
        say(f"inspected after cycle {self.cycle}: every row is correct, {time.monotonic() - begun:.1f} s; {self.found}")

    def _heal(self):
        """Removes all faults."""
        self._lift(sys.maxsize)
        self.world.heal()
        for pipeline in self.pipelines:
            pipeline.wake_all()

    def _resume(self):
        for pipeline in self.pipelines:
            pipeline.feed.resume()
            pipeline.wake_all()
        self.watch.rest()


def simulated_days(cycles):
    """How many days of the cameras a run covers: a few, whatever its length, so that some of them end."""
    return 3 + cycles // 60


def on_server(servers, lake):
    """The folder of a lake on MinIO's disk."""
    return Path(servers.folder) / "minio" / "data" / lake.uri.removeprefix("s3://")


def keep(servers, folder):
    """After a finding: the server's logs and MinIO's data, to find the cause."""
    subprocess.run(["scripts/stack.sh", "down", "--dir", servers.folder], check=False, capture_output=True)
    kept = [path for kafka in Path(servers.folder).glob("kafka*") for path in (kafka / "log", kafka / "data")]
    for source in (*kept, Path(servers.folder) / "minio"):
        target = folder / "servers" / source.relative_to(servers.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
