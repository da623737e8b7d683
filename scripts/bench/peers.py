"""Measures Apache Flink and Apache Spark on the speed layer's job, beside it, on the same topic. Started by scripts/bench.sh.

Every engine starts cold at the earliest offset and stops at the end of the topic; then its results are compared with the
speed layer's, row counts and every window. The topic has no bad records, since the peers keep none, and nothing that comes
later than all of them wait for. A JVM takes seconds to be warm: what a peer takes for a topic of a thousand events is
taken off (steady), while the speed layer counts with its start.
"""

import argparse
import shutil
import statistics
import subprocess
import time
from pathlib import Path

import process
from bed import LATE, PARTITIONS, a_bed, fail, tell
from engines import FLINK, SPARK
from report import described, machine, publish, spread
from results import Results
from speed import floor
from written import what_was_written

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
    arguments = parse()
    for peer in PEERS:
        peer.home()
    with a_bed() as bed:
        with bed.filled(FEW_EVENTS, shares=SHARES) as few:
            starts = {peer.name: run_peer(bed, few, peer, bed.folder / bed.new_name("start")) for peer in PEERS}
        runs = {name: [] for name in TITLES}
        with bed.filled(arguments.events, shares=SHARES) as filled:
            for _ in range(arguments.runs):
                equal = one_round(bed, filled, starts, runs)
        report = {"machine": machine(), "topic": filled.described(), "runs": runs, "results": equal}
    publish(arguments.docs, "peers", report, text(report))


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--docs", type=Path, required=True)
    return parser.parse_args()


def one_round(bed, filled, starts, runs):
    """A run of each. Returns the results, which must be equal."""
    results = Results()
    runs[FLOOR].append(floor(bed, filled))
    told(FLOOR, runs)
    with bed.lake("disk") as lake:
        command, environment = bed.speed_layer(filled.topic, lake, "--until-end")
        found = process.start(command, environment, bed.folder / bed.new_name("speed")).wait()
        runs[OURS].append(process.per_record(found, filled.records))
        told(OURS, runs)
        landed = what_was_written(lake)["landed"]
        if landed != filled.records:
            fail(f"the speed layer landed {landed:,} rows of {filled.records:,} records", code=1)
        results.add_ours(OURS, lake)
    for peer in PEERS:
        folder = bed.folder / bed.new_name(peer.name)
        found = run_peer(bed, filled, peer, folder)
        runs[peer.name].append(steady(found, starts[peer.name], filled.records))
        told(peer.name, runs)
        if peer is SPARK:
            close_windows(bed, filled, folder)
        results.add_peer(peer.name, folder)
        differing = results.differences(OURS, peer.name)
        if differing:
            fail(f"{peer.title} has other results than the speed layer: {'; '.join(differing)}", code=1)
        shutil.rmtree(folder)
    return results.figures(OURS)


def run_peer(bed, filled, peer, folder):
    """A peer's job on a topic, as its figures."""
    where = (bed.stack.brokers, filled.topic.name, folder)
    arguments = where if peer is FLINK else ("run", *where, PARTITIONS)
    return run_job(peer.command(*arguments), bed.folder / bed.new_name("log"))


def close_windows(bed, filled, folder):
    """Has Spark close the windows that it still waits for; that is not measured."""
    command = SPARK.command("close", folder, PARTITIONS, filled.summary["last_event_time"])
    run_job(command, bed.folder / bed.new_name("log"))


def run_job(command, log):
    """A job that says when it starts and ends: figures of the whole process, and of the time between."""
    measured = process.start(command, None, log, stdout=subprocess.PIPE)
    marks = {}
    for line in measured.process.stdout:
        marks[line.decode().strip()] = (time.monotonic(), process.cpu_seconds(measured.process.pid))
    figures = measured.wait()
    if not {"start", "end"} <= marks.keys():
        fail(f"{command[-1]} did not come to its end:\n{measured.tail()}")
    (begun, cpu_before), (ended, cpu_after) = marks["start"], marks["end"]
    return figures | {"job_seconds": ended - begun, "job_cpu_seconds": cpu_after - cpu_before}


def steady(found, start, records):
    """The figures of a job with what a start takes taken off."""
    seconds = found["job_seconds"] - start["job_seconds"]
    cpu = found["job_cpu_seconds"] - start["job_cpu_seconds"]
    if min(seconds, cpu) <= 0:
        fail("a job on the whole topic takes no longer than its start does: give more --events", code=2)
    whole = {"whole_cpu_seconds_per_million": found["cpu_seconds"] / records * 1e6}
    return found | whole | {"records_per_second": records / seconds, "cpu_seconds_per_million": cpu / records * 1e6}


def told(name, runs):
    run = runs[name][-1]
    tell(
        f"{TITLES[name]:26}{run['cpu_seconds_per_million']:.3f} CPU s per million, {run['records_per_second']:9,.0f} records/s, "
        f"{run['peak_resident_mib']:.0f} MiB at most, load {run['load_before']:.1f} before"
    )


def text(report):
    """The report for people."""
    topic, runs, results = report["topic"], report["runs"], report["results"]
    ours = statistics.median(run["cpu_seconds_per_million"] for run in runs[OURS])
    lines = [
        f"{topic['produced']:,} records ({topic['late']:,} of them held up for up to two hours, {topic['duplicates']:,} sent "
        f"twice, none bad) of {topic['cameras']:,} cameras in {topic['partitions']} partitions of a real Kafka on the same "
        f"machine; {len(runs[OURS])} runs of each.",
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
    return "\n".join([*lines, "", f"Results are equal: {results['rows']:,} rows, and windows ({windows}), each in count and sum."])


if __name__ == "__main__":
    main()
