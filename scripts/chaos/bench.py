"""What a drill works with: a topic on a cluster, instances of the speed layer, and a list of what must hold."""

import contextlib
import re
from dataclasses import dataclass, field

from chaos.history import History
from harness import checks, data, oracle
from harness.cluster import Cluster, WireProxy
from harness.lakehouse import Workspace, until

PARTITIONS = 3
STRUCK = 1  # the partition that faults of one partition strike
RECORDS = 1500
LANDING_S = 120
ENDING_S = 120  # whoever takes over from one that has given up tries for as long as that one did


@dataclass
class Bench:
    """What a drill works with: a topic that holds records that have landed, and instances of the speed layer."""

    cluster: Cluster
    workspace: Workspace
    wire: WireProxy
    seed: int
    instances: list = field(default_factory=list)
    met: list = field(default_factory=list)
    unmet: list = field(default_factory=list)
    days: int = 0

    @property
    def topic(self):
        return self.workspace.topic

    def must(self, holds, what):
        """An expectation of the product."""
        (self.met if holds else self.unmet).append(what)

    def must_pass(self, check, what):
        """An expectation that a check of the harness fulfils, or fails with an AssertionError that says why."""
        try:
            check()
        except AssertionError as error:
            self.unmet.append(f"{what}: {error}")
        else:
            self.met.append(what)

    # -- records

    def records(self, count=RECORDS):
        """The messages of the next simulated day."""
        self.days += 1
        day = data.FIRST + data.dt.timedelta(days=self.days)
        return data.traffic(self.seed * 1000 + self.days, day, events=count, partitions=PARTITIONS)

    def records_of_struck(self, count=RECORDS):
        """Messages of the partition that is struck."""
        return [message for message in self.records(count * PARTITIONS) if message.partition == STRUCK]

    # -- instances

    def start(self, count=2, **settings):
        """Starts instances, whose connections to the brokers go through the proxy."""
        brokers = ",".join(f"127.0.0.1:{port}" for port in self.wire.ports)
        for _ in range(count):
            variables = {"LAKEHOUSE__KAFKA__BROKERS": brokers, "RUST_LOG": "info"} | settings
            self.instances.append(self.workspace.speed(**variables))

    def stop(self):
        """The instances end; those that still ran must end with 0."""
        for program in self.instances:
            if program.is_running():
                program.terminate()
        codes = [program.process.returncode for program in self.instances]
        self.instances = []
        return codes

    def wait_until_landed(self, limit_s=LANDING_S):
        """Whether all that Kafka has is in the tables, within a time in which that is certain."""
        with contextlib.suppress(AssertionError):
            return until(self.workspace.has_landed_all, "everything landed", limit_s, 0.2)
        return False

    def ended(self, limit_s=ENDING_S):
        """The programs that ended by themselves, once all of them have, or the time is over."""
        with contextlib.suppress(AssertionError):
            until(lambda: not any(p.is_running() for p in self.instances), "instances end", limit_s, 0.1)
        return [program for program in self.instances if not program.is_running()]

    def must_run_on(self):
        self.must(all(p.is_running() for p in self.instances), "the instances run on")

    def must_give_up(self, codes, *words):
        """Every instance ends by itself with one of these codes, and its last error has all of these words."""
        ended, names = self.ended(), ", ".join(words)
        self.must(len(ended) == len(self.instances), "every instance stops by itself")
        for program in ended:
            code, error = program.process.returncode, last_error(program)
            self.must(code in codes, f"an instance ends with one of {sorted(codes)} (it was {code}: {error})")
            named = all(re.search(rf"\b{re.escape(word)}\b", error) for word in words)
            self.must(named, f"its last error names {names} (it was {error!r})")

    # -- tables

    def must_be_right(self):
        """Everything that Kafka delivers is in the tables once, and nothing else."""
        records, ends = self.topic.records(), self.topic.ends()
        expected = oracle.land(records, self.workspace.rules)
        gaps = History().gaps(records, ends)
        self.must_pass(lambda: checks.landed(self.workspace, expected), "every record is in the tables as it was sent")
        self.must_pass(lambda: checks.coverage(self.workspace, gaps), "every offset is covered once")
        self.must_pass(lambda: checks.provisional(self.workspace, expected.events), "provisional rows are right")
        self.must_pass(lambda: self.workspace.batch("audit"), "the audit succeeds")

    def must_hold(self, records):
        """The tables hold these records up to their offsets, and nothing else."""
        reached = self.workspace.next_offsets("events")
        held = [record for record in records if record.offset < reached[record.partition]]
        expected = oracle.land(held, self.workspace.rules)
        self.must_pass(
            lambda: checks.landed(self.workspace, expected), "the tables hold what Kafka had delivered, and nothing else"
        )


def last_error(program):
    """The last error in its log; empty if it logged none."""
    errors = [line for line in program.err.splitlines() if "ERROR" in line]
    return errors[-1] if errors else ""
