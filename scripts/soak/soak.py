"""Runs the speed layer under load for a long time and reports whether it grew. Started by scripts/soak.sh.

It starts a real Kafka and MinIO (or uses those that STACK_DIR names), cameras that report present times at a steady
rate, one speed layer, and the nightly run and the maintenance as an operator would run them, but more often. The speed
layer is sampled during the whole run (sampler.py). At the end the simulator stops, the remaining records land, the
speed layer is asked to stop, and the tables are audited. Then the samples are evaluated (verdicts.py), drawn
(figures.py) and reported (pages.py).

With --outage the store stops responding in the middle, for longer than any time-out, while the cameras continue.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.lakehouse import Workspaces, a_stack, free_port
from harness.memory import MIB, bound_mib
from soak import pages, verdicts
from soak.sampler import Sampler, StoreWatch

PARTITIONS = 12
SAMPLE_EVERY_S = 5
# Some records have not arrived yet when the cameras stop.
SURPLUS = 1.03
# Segments that Kafka has to keep at least, and how large they are.
KEPT_BYTES, SEGMENT_BYTES = 3 << 30, 32 << 20
# The approximate size of a record in Kafka, compressed; rather too high.
RECORD_BYTES = 200
# Before the outage, and after the speed layer has caught up again.
BEFORE_OUTAGE_S, AFTER_OUTAGE_S = 180, 120
# The time limit for catching up, as a multiple of the outage.
CATCHING_UP = 6

# As in production, except for times: minutes here in place of hours, so that windows close, files and log entries are
# deleted, and events are late.
SETTINGS = {
    "speed__commit_interval": "5s",
    "speed__landing_interval": "30s",
    "speed__position_interval": "60s",
    "speed__allowed_lateness": "10m",
    "lake__deleted_file_retention": "5m",
    "lake__log_retention": "15m",
}
MAINTAIN_EVERY_S = 300


@dataclass
class Run:
    """The parameters of a run, and its results."""

    rate: int
    cameras: int
    samples: list
    # The span of seconds in which the store did not answer.
    away: tuple | None = None
    seconds: float = 0.0
    summary: dict | None = None
    audit: dict | None = None
    maintained: int = 0


def main():
    arguments = parse()
    run = Run(arguments.rate, arguments.cameras, [])
    with tempfile.TemporaryDirectory(prefix="lambdalake-soak.") as folder, a_stack() as stack:
        workspaces = Workspaces(stack, Path(folder))
        port = free_port()
        with workspaces.make(
            "soak", store="minio", partitions=PARTITIONS, speed__metrics_listen=f"127.0.0.1:{port}", **SETTINGS
        ) as workspace:
            prepare(workspace.topic, arguments)
            try:
                soak(arguments, run, workspace, port)
            finally:
                keep(arguments, run, workspace)
    judged = judge(arguments, run)
    pages.write(arguments.docs, arguments.name, run, judged)
    for verdict in judged:
        print(f"{'ok' if verdict.holds else 'FAILED':7}{verdict.name}: {verdict.found} (expected: {verdict.wanted})")
    sys.exit(0 if all(verdict.holds for verdict in judged) else 1)


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, required=True, help="how long the cameras report, without an outage")
    parser.add_argument("--outage-minutes", type=float, default=0, help="how long the store does not respond; 0 for never")
    parser.add_argument("--rate", type=int, required=True, help="events per second, of all cameras")
    parser.add_argument("--cameras", type=int, required=True)
    parser.add_argument("--docs", type=Path, required=True, help="where soak.md and soak/ are")
    arguments = parser.parse_args()
    arguments.name = "outage" if arguments.outage_minutes else "steady"
    arguments.outage_s = arguments.outage_minutes * 60
    return arguments


def prepare(topic, arguments):
    """A topic whose old records Kafka deletes, so that its disk does not fill; the broker sets the timestamps of records."""
    kept = KEPT_BYTES + int(arguments.outage_s * arguments.rate * RECORD_BYTES)
    topic.alter(
        {
            "message.timestamp.type": "LogAppendTime",
            "retention.bytes": str(kept // PARTITIONS),
            "segment.bytes": str(SEGMENT_BYTES),
        }
    )


def soak(arguments, run, workspace, port):
    """The run itself, from the first record to the audit."""
    speed = workspace.speed()
    with StoreWatch(workspace.lake) as store, ThreadPoolExecutor(1) as pool:
        watch = Watch(run, workspace, speed, Sampler(speed.process.pid, port, store), pool)
        cameras = start_cameras(workspace, arguments)
        if arguments.outage_s:
            outage(arguments, run, workspace, watch)
        else:
            watch.go_on_for(arguments.hours * 3600)
        run.seconds = watch.sampler.seconds()
        assert cameras.terminate() == 0, cameras.tail()
        run.summary = json.loads(cameras.out.splitlines()[-1])
        watch.go_on_until(workspace.has_landed_all, arguments.outage_s + 300, "everything landed")
        watch.maintenance_ended()
    assert speed.terminate(limit_s=300) == 0, speed.tail()
    audit = workspace.start("batch-layer", "audit", "--json")
    audit.wait(limit_s=1800)
    run.audit = json.loads(audit.out)


def start_cameras(workspace, arguments):
    shares = ["--late", "0.02", "--late-max", "30m", "--duplicates", "0.005", "--bad", "0.001"]
    rate = ["--live", "--rate", str(arguments.rate * SURPLUS), "--cameras", str(arguments.cameras)]
    return workspace.start("camera-simulator", *rate, *shares, "--quiet")


def outage(arguments, run, workspace, watch):
    """The store is paused and does not respond; then it continues, and the speed layer must catch up."""
    watch.go_on_for(BEFORE_OUTAGE_S)
    watch.maintenance_ended()
    watch.maintains = False
    begun = watch.sampler.seconds()
    with workspace.stack.silenced("minio"):
        watch.go_on_for(arguments.outage_s)
    run.away = (begun, watch.sampler.seconds())
    watch.maintains = True
    few = arguments.rate * 2 * SAMPLE_EVERY_S
    # librdkafka reports the lag every 5 s: a low figure just after the outage may be an old one.
    watch.go_on_for(4 * SAMPLE_EVERY_S)
    limit = CATCHING_UP * arguments.outage_s + 300
    watch.go_on_until(lambda: watch.last.get("lag_records", few) < few, limit, "the speed layer has caught up")
    watch.go_on_for(AFTER_OUTAGE_S)


class Watch:
    """Samples the speed layer and does the operator's work, for the requested time."""

    def __init__(self, run, workspace, speed, sampler, pool):
        self.run, self.workspace, self.speed, self.sampler, self.pool = run, workspace, speed, sampler, pool
        self.last, self.maintains, self.maintenance, self.maintain_at = {}, True, None, MAINTAIN_EVERY_S

    def go_on_for(self, seconds):
        """Samples for this time."""
        end = self.sampler.seconds() + seconds
        while self.sampler.seconds() < end:
            self.sample()
            time.sleep(max(0, min(SAMPLE_EVERY_S, end - self.sampler.seconds())))

    def go_on_until(self, condition, limit_s, what):
        """Samples until the condition holds."""
        end = self.sampler.seconds() + limit_s
        while not condition():
            assert self.sampler.seconds() < end, f"not within {limit_s:.0f} s: {what}"
            self.go_on_for(SAMPLE_EVERY_S)

    def sample(self):
        assert self.speed.is_running(), f"the speed layer ended:\n{self.speed.tail()}"
        self.last = self.sampler.sample()
        self.run.samples.append(self.last)
        if self.maintains and self.sampler.seconds() >= self.maintain_at:
            self.maintenance_ended()
            self.maintain_at = self.sampler.seconds() + MAINTAIN_EVERY_S
            self.maintenance = self.pool.submit(self.maintain)
        if len(self.run.samples) % 12 == 0:
            self.tell()

    def maintain(self):
        """The nightly run, which has work to do after midnight, and the maintenance."""
        for arguments in (("nightly", "--wait", "10m"), ("maintain",)):
            self.workspace.start("batch-layer", *arguments).expect(0, limit_s=1800)
        self.run.maintained += 1

    def maintenance_ended(self):
        """Waits for the running maintenance, which must succeed."""
        if self.maintenance:
            self.maintenance.result()
            self.maintenance = None

    def tell(self):
        found = self.last
        print(
            "{:7.0f} s: {:5.0f} MiB resident, {:9,.0f} records behind, {:5.1f} s fresh, {:4.0f} MiB wait, load {:.1f}".format(
                found["seconds"],
                found["resident_mib"],
                found.get("lag_records", 0),
                found.get("freshness_s", 0),
                found.get("waiting_bytes", 0) / MIB,
                found["load"],
            ),
            flush=True,
        )


def keep(arguments, run, workspace):
    """The remains of a failed or successful run: samples and the logs of the programs."""
    folder = arguments.docs / "soak"
    folder.mkdir(parents=True, exist_ok=True)
    pages.write_samples(folder / f"{arguments.name}.csv", run.samples)
    failed = run.audit is None
    for program in workspace.programs if failed else ():
        print(f"--- {program.name}\n{program.tail(8)}", file=sys.stderr)


def judge(arguments, run):
    """The verdicts on a run."""
    judged = [verdicts.nothing_lost(run.summary["produced"] - run.summary["not_delivered"], run.audit)]
    judged.append(verdicts.held_rate(run.summary["produced"], run.seconds, arguments.rate))
    bound = bound_mib(PARTITIONS, verdicts.greatest(run.samples, "window_bytes"))
    judged.append(verdicts.bounded_memory(run.samples, bound))
    if run.away:
        at_end = [sample for sample in run.samples if sample["seconds"] <= run.away[1]][-1]
        return [*judged, verdicts.resumed(at_end, run.samples[-1])]
    steady = [sample for sample in run.samples if sample["seconds"] <= run.seconds]
    return [
        *judged,
        verdicts.flat_memory(steady),
        *(verdicts.steady_commits(steady, table) for table in ("events", "dead_letters", "avg_speed")),
        verdicts.flat_descriptors(steady),
        verdicts.bounded_lag(steady, arguments.rate),
    ]


if __name__ == "__main__":
    # As an exception, so that all started processes end too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
