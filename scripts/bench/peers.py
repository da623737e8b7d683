"""Measures Apache Flink and Apache Spark on the speed layer's job, beside it, on the same topic. Started by scripts/bench.sh.

Every engine starts cold at the earliest offset and stops at the end of the topic. Then its results are compared with
those of the speed layer: row counts and every window. The topic has no bad records, because the peers do not store
them, and no event that is late for any engine. A JVM needs seconds to warm up, so the cost of a peer on a topic of a
thousand events is subtracted (steady); the figures of the speed layer include its start. A peer that fails, or has
other results, is left out, and the command fails at the end.
"""

import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

from bench import process
from bench.bed import LATE, PARTITIONS, Bed, Filled, a_bed, fail, going_on, tell
from bench.command_line import options
from bench.engines import FLINK, SPARK
from bench.report import Steps, publish, spread
from bench.results import Results
from bench.speed import floor
from bench.written import what_was_written
from harness.machine import described, machine

SHARES = ("--late", str(LATE), "--late-max", "2h", "--bad", "0")
FEW_EVENTS = 1000
PEERS = (FLINK, SPARK)
OURS, FLOOR = "ours", "floor"
TITLES = {FLOOR: "consume only (librdkafka)", OURS: "speed-layer"} | {peer.name: peer.title for peer in PEERS}
SEMANTICS = {
    FLOOR: "nothing",
    OURS: "events with all their fields and dead letters, windows with quantiles, in Delta",
    FLINK.name: "four columns in Parquet, windows with sum and count",
    SPARK.name: "four columns in Delta, windows with sum and count",
}


def main():
    arguments = options(__doc__, "events", "runs").parse_args()
    for peer in PEERS:
        peer.home()
    steps, failures, on = Steps(arguments.docs, "peers"), [], machine()
    with a_bed() as bed:
        with bed.filled(FEW_EVENTS, shares=SHARES, compression="none") as few:
            starts = {peer.name: run_peer(bed, few, peer, bed.folder / bed.new_name("start")) for peer in PEERS}
        runs = {name: [] for name in TITLES}
        with bed.filled(arguments.events, shares=SHARES, compression="none") as filled:
            for _ in range(arguments.runs):
                equal = one_round(Round(bed, filled, runs, steps), starts, failures)
    report = {"machine": on, "topic": filled.described(), "starts": starts, "runs": runs, "results": equal}
    publish(arguments.docs, "peers", report, text(report))
    sys.exit(max(failures, default=0))


@dataclass
class Round:
    """A run of each on a topic."""

    bed: Bed
    filled: Filled
    runs: dict
    steps: Steps
    results: Results = field(default_factory=Results)

    def keep(self, name, run):
        """Adds a run whose results are correct."""
        self.runs[name].append(run)
        self.steps.add(engine=name, **run)
        tell(
            f"{TITLES[name]:26}{run['cpu_seconds_per_million']:.3f} CPU s per million, {run['records_per_second']:9,.0f} records/s, "
            f"{run['peak_resident_mib']:.0f} MiB at most, load {run['load_before']:.1f} before"
        )

    def ours(self):
        """The speed layer."""
        with self.bed.lake("disk") as lake:
            command, environment = self.bed.speed_layer(self.filled.topic, lake, "--until-end")
            found = process.start(command, environment, self.bed.folder / self.bed.new_name("speed")).wait()
            landed = what_was_written(lake)["landed"]
            if landed != self.filled.records:
                fail(f"the speed layer landed {landed:,} rows of {self.filled.records:,} records", code=1)
            self.results.add_ours(OURS, lake)
        self.keep(OURS, process.per_record(found, self.filled.records))

    def peer(self, peer, start):
        """A peer, with the cost of its start; its results must equal those of the speed layer."""
        folder = self.bed.folder / self.bed.new_name(peer.name)
        found = run_peer(self.bed, self.filled, peer, folder)
        if peer is SPARK:
            close_windows(self.bed, self.filled, folder)
        self.results.add_peer(peer.name, folder)
        differing = self.results.differences(OURS, peer.name)
        if differing:
            fail(f"{peer.title} has other results than the speed layer: {'; '.join(differing)}", code=1)
        shutil.rmtree(folder)
        self.keep(peer.name, steady(found, start, self.filled.records))


def one_round(this, starts, failures):
    """A run of each, those of peers as far as they succeed. Returns the speed layer's results."""
    this.keep(FLOOR, floor(this.bed, this.filled))
    this.ours()
    for peer in PEERS:
        with going_on(failures):
            this.peer(peer, starts[peer.name])
    return this.results.figures(OURS)


def run_peer(bed, filled, peer, folder):
    """A peer's job on a topic, as its figures."""
    where = (bed.stack.brokers, filled.topic.name, folder)
    arguments = where if peer is FLINK else ("run", *where, PARTITIONS)
    return run_job(peer.command(bed.folder, *arguments), bed.folder / bed.new_name("log"))


def close_windows(bed, filled, folder):
    """Makes Spark close the windows that are still open; that is not measured."""
    command = SPARK.command(bed.folder, "close", folder, PARTITIONS, filled.summary["last_event_time"])
    run_job(command, bed.folder / bed.new_name("log"))


def run_job(command, log):
    """A job that prints when it starts and ends: figures of the whole process, and of the time in between."""
    measured = process.start(command, None, log, stdout=subprocess.PIPE)
    marks = {}
    for line in measured.process.stdout:
        marks[line.decode().strip()] = (time.monotonic(), process.cpu_seconds(measured.process.pid))
    figures = measured.wait()
    if not {"start", "end"} <= marks.keys():
        fail(f"the job in {command[-1]} did not come to its end:\n{measured.tail()}")
    (begun, cpu_before), (ended, cpu_after) = marks["start"], marks["end"]
    return figures | {"job_seconds": ended - begun, "job_cpu_seconds": cpu_after - cpu_before}


def steady(found, start, records):
    """The figures of a job minus those of its start."""
    seconds = found["job_seconds"] - start["job_seconds"]
    cpu = found["job_cpu_seconds"] - start["job_cpu_seconds"]
    if min(seconds, cpu) <= 0:
        fail("a job on the whole topic takes no longer than its start does: give more --events", code=2)
    whole = {"whole_cpu_seconds_per_million": found["cpu_seconds"] / records * 1e6}
    return found | whole | {"records_per_second": records / seconds, "cpu_seconds_per_million": cpu / records * 1e6}


def text(report):
    """The report for people."""
    topic, results = report["topic"], report["results"]
    runs = {name: found for name, found in report["runs"].items() if found}
    heaps = " and ".join(f"{peer.heap_gib} GiB for {peer.title}" for peer in PEERS)
    ours = statistics.median(run["cpu_seconds_per_million"] for run in runs[OURS])
    lines = [
        f"{topic['produced']:,} records ({topic['late']:,} of them delayed by up to two hours, {topic['duplicates']:,} sent "
        f"twice, none bad) of {topic['cameras']:,} cameras, not compressed, in {topic['partitions']} partitions of a real Kafka "
        f"on the same machine; runs of each: {len(runs[OURS])}. Heaps are of {heaps}.",
        "",
        described(report["machine"]),
        "",
        "| | CPU seconds per million | times ours | with the start | records a second | peak memory | what it does |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for name, found in runs.items():
        figure = {key: [run.get(key) for run in found] for key in found[0]}
        cost = figure["cpu_seconds_per_million"]
        whole = figure.get("whole_cpu_seconds_per_million", cost)
        lines.append(
            f"| {TITLES[name]} | {spread(cost, '{:.2f}', ' s')} | {statistics.median(cost) / ours:.2f} | "
            f"{spread(whole, '{:.2f}', ' s')} | {spread(figure['records_per_second'], '{:,.0f}')} | "
            f"{spread(figure['peak_resident_mib'], '{:,.0f}', ' MiB')} | {SEMANTICS[name]} |"
        )
    windows = ", ".join(f"{results[f'windows_{size}']:,} of {size}" for size in ("5m", "1h", "24h"))
    compared = " and ".join(TITLES[name] for name in runs if name not in (FLOOR, OURS))
    equal = f"{results['rows']:,} rows in all four columns, and windows ({windows}), each in count and sum"
    return "\n".join([*lines, "", f"Results equal to the speed layer's: {compared or 'none'}. They are {equal}."])


if __name__ == "__main__":
    main()
