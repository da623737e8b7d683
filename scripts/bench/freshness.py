"""Measures how long it takes from an event's production to its being seen in avg_speed. Started by scripts/bench.sh.

kafka-feed produces at a steady rate; a reader looks for the next entry of avg_speed's log all the time and notes when it
was there. An entry's transactions say up to which offset of each partition it counts, and Kafka says which offset was
produced when (ListOffsets by time, step by step), so every record is timed without being read. A record counts as produced
at the beginning of its step: what is told is at most a step too long. A load that fails is left out, and makes the command
fail in the end.
"""

import argparse
import itertools
import json
import re
import sys
from pathlib import Path

import process
from bed import REPOSITORY, STORES, a_bed, binary, fail, going_on, tell
from distribution import Distribution
from follow import Follower
from produced import production_times
from report import Steps, described, machine, publish

STEADY_EVENTS_PER_SECOND = 12_000
# The first seconds of a load are not counted: the speed layer starts, its first commits are small.
WARM_UP_S = 20
# Seconds that the 99th percentile may be above the commit interval.
ABOVE_INTERVAL_S = 1.0
# The share of a load that must have been produced.
REACHED = 0.99


def main():
    arguments = parse()
    interval_s = commit_interval_s()
    rates = [arguments.rate] if arguments.rate else [STEADY_EVENTS_PER_SECOND, half_of_capacity(arguments.docs)]
    stores = STORES if arguments.store == "both" else (arguments.store,)
    loads, failures = [], []
    steps, on = Steps(arguments.docs, "freshness"), machine()
    with a_bed() as bed:
        for rate, store in itertools.product(rates, stores):
            with going_on(failures):
                loads.append(measure(bed, store, rate, arguments.seconds))
                told(loads[-1])
                steps.add(**loads[-1])
    if loads:
        report = {"machine": on, "commit_interval_seconds": interval_s, "loads": loads}
        publish(arguments.docs, "freshness", report, text(report))
    judge(loads, interval_s)
    sys.exit(max(failures, default=0))


def judge(loads, interval_s):
    """Fails if a load was too stale, or was not produced as it should be."""
    slow = [load for load in loads if load["p99_seconds"] > interval_s + ABOVE_INTERVAL_S]
    if slow:
        fail(f"{len(slow)} of {len(loads)} loads are staler than the commit interval + {ABOVE_INTERVAL_S:.0f} s at p99", code=1)
    short = [load for load in loads if load["produced_per_second"] < REACHED * load["events_per_second"]]
    if short:
        fail(f"{len(short)} of {len(loads)} loads were not reached: too many events for this machine beside the speed layer")


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, help="events per second, the only load then")
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--store", choices=(*STORES, "both"), required=True)
    parser.add_argument("--docs", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.seconds <= WARM_UP_S:
        fail(f"--seconds {arguments.seconds}: expected more than {WARM_UP_S}, which are not counted", code=2)
    return arguments


def commit_interval_s():
    """The default of speed.commit_interval."""
    found = re.search(r'^#commit_interval = "(\d+)s"$', (REPOSITORY / "lakehouse.toml").read_text(), re.MULTILINE)
    return int(found[1])


def half_of_capacity(docs):
    """Half of the records per second that `speed` has measured last."""
    path = docs / "benchmarks" / "speed.json"
    if not path.exists():
        fail(f"{path} is missing: run `scripts/bench.sh speed` first, or give --rate", code=2)
    runs = json.loads(path.read_text())["runs"]["disk"]
    return round(sorted(run["records_per_second"] for run in runs)[len(runs) // 2] / 2)


def measure(bed, store, rate, seconds):
    """One load, as its figures."""
    with bed.topic() as topic, bed.lake(store) as lake:
        command, environment = bed.speed_layer(topic, lake)
        limit_s = seconds + process.LIMIT_S
        speed = process.start(command, environment, bed.folder / bed.new_name("speed"), limit_s=limit_s)
        with Follower(lake, "avg_speed") as follower:
            fed, cpu = feed(bed, topic, rate, seconds, speed)
            follower.wait_for(topic.ends(), speed)
        speed.stop()
        used = speed.wait()
        times = production_times(topic, fed["began"], fed["ended"])
    if fed["not_delivered"]:
        fail(f"Kafka did not take {fed['not_delivered']} records")
    ages = Distribution()
    for partition, steps in times.items():
        ages.add_partition(steps, follower.covered(partition), fed["began"] + WARM_UP_S)
    return {
        "store": store,
        "events_per_second": rate,
        "produced_per_second": fed["produced"] / fed["seconds"],
        "seconds": seconds,
        "records": int(ages.records()),
        "p50_seconds": ages.quantile(0.5),
        "p99_seconds": ages.quantile(0.99),
        "greatest_seconds": ages.quantile(1.0),
        "commits": len(follower.entries),
        "cores": cpu / fed["seconds"],
        **{name: used[name] for name in ("peak_resident_mib", "steady_resident_mib", "load_before")},
    }


def feed(bed, topic, rate, seconds, speed):
    """Produces for so long. Returns what was produced, and the CPU seconds of the speed layer meanwhile."""
    arguments = {"--brokers": bed.stack.brokers, "--topic": topic.name, "--rate": rate, "--seconds": seconds}
    command = [binary("kafka-feed"), *(part for pair in arguments.items() for part in pair)]
    log = bed.folder / bed.new_name("feed")
    before = process.cpu_seconds(speed.process.pid)
    process.start(command, None, log, limit_s=seconds + process.LIMIT_S).wait()
    if not speed.is_running():
        fail(f"the speed layer ended:\n{speed.tail()}")
    used = process.cpu_seconds(speed.process.pid) - before
    return json.loads(log.read_text().splitlines()[-1]), used


def told(load):
    tell(
        "{:6}{:9,} events/s: p50 {:.2f} s, p99 {:.2f} s, {} commits, {:.2f} cores".format(
            load["store"],
            load["events_per_second"],
            load["p50_seconds"],
            load["p99_seconds"],
            load["commits"],
            load["cores"],
        )
    )


def text(report):
    """The report for people."""
    lines = [
        f"Commit interval {report['commit_interval_seconds']} s, the default; each load lasted "
        f"{report['loads'][0]['seconds']} s, of which the first {WARM_UP_S} are not counted.",
        "",
        described(report["machine"]),
        "",
        "| events a second | produced | lake | median | 99 % | greatest | commits | cores used | steady resident memory |",
        "|---:|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for load in report["loads"]:
        name = {"disk": "local disk", "minio": "MinIO"}[load["store"]]
        lines.append(
            f"| {load['events_per_second']:,} | {load['produced_per_second']:,.0f} | {name} | {load['p50_seconds']:.2f} s | "
            f"{load['p99_seconds']:.2f} s | {load['greatest_seconds']:.2f} s | {load['commits']} | {load['cores']:.2f} | "
            f"{load['steady_resident_mib']:.0f} MiB |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
