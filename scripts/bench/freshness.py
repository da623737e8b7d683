"""Measures the time from an event's production until it is seen in avg_speed. Started by scripts/bench.sh.

kafka-feed writes everything to the topic beforehand, and commits it in steps, at a steady rate. A reader polls the log
of avg_speed continuously and notes when each entry appeared. An entry's transactions say up to which offset of each
partition it counts, and kafka-feed reports when records were produced up to which offset. So every record is timed
without being read. A load that fails is left out, and the command fails at the end.
"""

import itertools
import json
import re
import resource
import subprocess
import sys

from bench import process
from bench.bed import a_bed, binary, fail, going_on, tell
from bench.command_line import options
from bench.distribution import Distribution
from bench.follow import Follower
from bench.report import Steps, publish
from harness.lakehouse import REPOSITORY
from harness.machine import described, machine

STEADY_EVENTS_PER_SECOND = 12_000
# The first seconds of a load are not counted, because buffers and caches fill.
WARM_UP_S = 20
# Seconds that the 99th percentile may be above the commit interval.
ABOVE_INTERVAL_S = 1.0
# The share of a load that must have been produced.
REACHED = 0.99


def main():
    arguments = parse()
    interval_s = commit_interval_s()
    # kafka-feed has a client for each step.
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files(),) * 2)
    rates = [arguments.rate] if arguments.rate else [STEADY_EVENTS_PER_SECOND, half_of_capacity(arguments.docs)]
    loads, failures = [], []
    steps, on = Steps(arguments.docs, "freshness"), machine()
    with a_bed() as bed:
        for rate, store in itertools.product(rates, arguments.store):
            with going_on(failures):
                loads.append(measure(bed, store, rate, arguments.seconds))
                told(loads[-1])
                steps.add(**loads[-1])
    if loads:
        report = {"machine": on, "commit_interval_seconds": interval_s, "loads": loads}
        publish(arguments.docs, "freshness", report, text(report))
    judge(loads, interval_s)
    sys.exit(max(failures, default=0))


def most_files():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def judge(loads, interval_s):
    """Fails if a load was too stale, or was not produced at its rate."""
    slow = [load for load in loads if load["p99_seconds"] > interval_s + ABOVE_INTERVAL_S]
    if slow:
        fail(f"{len(slow)} of {len(loads)} loads are staler than the commit interval + {ABOVE_INTERVAL_S:.0f} s at p99", code=1)
    short = [load for load in loads if load["produced_per_second"] < REACHED * load["events_per_second"]]
    if short:
        fail(f"{len(short)} of {len(loads)} loads were not reached: Kafka has other work on this machine")


def parse():
    parser = options(__doc__, "seconds", "store")
    parser.add_argument("--rate", type=int, help="events per second, the only load then")
    arguments = parser.parse_args()
    if arguments.seconds <= WARM_UP_S:
        fail(f"--seconds {arguments.seconds}: expected more than {WARM_UP_S}, which are not counted", code=2)
    return arguments


def commit_interval_s():
    """The default of speed.commit_interval."""
    found = re.search(r'^#commit_interval = "(\d+)s"$', (REPOSITORY / "lakehouse.toml").read_text(), re.MULTILINE)
    return int(found[1])


def half_of_capacity(docs):
    """Half of the records per second of the last measurement of `speed` on local disk."""
    path = docs / "benchmarks" / "speed.json"
    if not path.exists():
        fail(f"{path} is missing: run `scripts/bench.sh speed` first, or give --rate", code=2)
    runs = json.loads(path.read_text())["runs"].get("disk")
    if not runs:
        fail(f"{path} has no run on local disk: run `scripts/bench.sh speed` first, or give --rate", code=2)
    return round(sorted(run["records_per_second"] for run in runs)[len(runs) // 2] / 2)


def measure(bed, store, rate, seconds):
    """One load, as its figures."""
    with bed.topic() as topic, bed.lake(store) as lake:
        command, environment = bed.speed_layer(topic, lake)
        # Everything is produced beforehand, which may take longer than the load itself.
        limit_s = 3 * seconds + process.LIMIT_S
        speed = process.start(command, environment, bed.folder / bed.new_name("speed"), limit_s=limit_s)
        with Follower(lake, "avg_speed") as follower:
            fed, cpu = feed(bed, topic, rate, seconds, speed, limit_s)
            follower.wait_for(dict(enumerate(fed["steps"][-1][1])), speed)
        speed.stop()
        used = speed.wait()
    began, ended = fed["steps"][0][0], fed["steps"][-1][0]
    lasted = (ended - began) * len(fed["steps"]) / (len(fed["steps"]) - 1)
    ages = Distribution()
    for partition, steps in by_partition(fed["steps"]).items():
        ages.add_partition(steps, follower.covered(partition), began + WARM_UP_S)
    return {
        "store": store,
        "events_per_second": rate,
        "produced_per_second": fed["produced"] / lasted,
        "seconds": seconds,
        "records": int(ages.records()),
        "p50_seconds": ages.quantile(0.5),
        "p99_seconds": ages.quantile(0.99),
        "greatest_seconds": ages.quantile(1.0),
        "commits": sum(seen >= began for seen, _ in follower.entries),
        "cores": cpu / lasted,
        **{name: used[name] for name in ("peak_resident_mib", "steady_resident_mib", "load_before")},
    }


def feed(bed, topic, rate, seconds, speed, limit_s):
    """Produces for this time. Returns what was produced when, and the CPU seconds of the speed layer in this time."""
    arguments = {"--brokers": bed.stack.brokers, "--topic": topic.name, "--rate": rate, "--seconds": seconds}
    command = [binary("kafka-feed"), *(part for pair in arguments.items() for part in pair)]
    log = bed.folder / bed.new_name("feed")
    feeding = process.start(command, None, log, stdout=subprocess.PIPE, limit_s=limit_s)
    lines = []
    for line in feeding.process.stdout:
        lines.append((line, process.cpu_seconds(speed.process.pid) if speed.is_running() else 0))
        if len(lines) == 1:
            speed.forget_samples()
    feeding.wait()
    if not speed.is_running():
        fail(f"the speed layer ended:\n{speed.tail()}")
    (_, before), (found, after) = lines
    return json.loads(found), after - before


def by_partition(steps):
    """By partition, when records were produced: (instant, first offset, next offset)."""
    found = {partition: [] for partition in range(len(steps[0][1]))}
    for (_, before), (instant, ends) in itertools.pairwise([(0, [0] * len(found)), *steps]):
        for partition, produced in found.items():
            produced.append((instant, before[partition], ends[partition]))
    return found


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
        f"{report['loads'][0]['seconds']} s, of which the first {WARM_UP_S} are not counted in the times.",
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
