"""Measures `speed-layer run --until-end` beside a consumer that does nothing. Started by scripts/bench.sh.

For each compression a topic is filled with records. Then each run reads it from a cold start at the earliest offset to
its end: by kafka-floor, and by the speed layer into a new lake on each store. A run counts only if the tables' logs
show as many landed rows as there are records. A run that fails is left out, and the command fails at the end.
"""

import json
import statistics
import sys

from bench import process
from bench.bed import a_bed, binary, fail, going_on, tell
from bench.command_line import options
from bench.report import Steps, publish, spread
from bench.written import what_was_written
from harness.machine import described, machine

# Consuming alone, with each way in which librdkafka delivers records.
FLOORS = ("callback", "polling")
# Name of the figure in the table, key, format, unit.
FIGURES = [
    ("**CPU seconds per million records**", "cpu_seconds_per_million", "{:.3f}", " s"),
    ("Times the CPU of consuming by callback", "times_callback", "{:.2f}", ""),
    ("Times the CPU of consuming by polling", "times_polling", "{:.2f}", ""),
    ("CPU seconds, user", "user_seconds", "{:.2f}", " s"),
    ("CPU seconds, system", "system_seconds", "{:.2f}", " s"),
    ("Wall time", "wall_seconds", "{:.2f}", " s"),
    ("Records per second", "records_per_second", "{:,.0f}", ""),
    ("Peak resident memory", "peak_resident_mib", "{:.0f}", " MiB"),
    ("Steady resident memory", "steady_resident_mib", "{:.0f}", " MiB"),
    ("Commits, all tables", "commits", "{:.0f}", ""),
    ("Data files written", "files", "{:.0f}", ""),
    ("Bytes of data files written", "mebibytes", "{:.0f}", " MiB"),
    ("Load average of the machine before the run", "load_before", "{:.1f}", ""),
]
# The name of the report for each compression.
REPORTS = {"lz4": "speed", "none": "speed-uncompressed"}
COMPRESSED = {"lz4": "compressed with lz4", "none": "not compressed"}
HEADINGS = {
    "callback": "consume only, by callback",
    "polling": "consume only, by polling",
    "disk": "local disk",
    "minio": "MinIO",
}


def main():
    arguments = options(__doc__, "events", "runs", "store", "compression").parse_args()
    failures = []
    with a_bed() as bed:
        for compression in arguments.compression:
            tell(f"records {COMPRESSED[compression]}")
            with going_on(failures):
                measure(bed, arguments, compression, failures)
    sys.exit(max(failures, default=0))


def measure(bed, arguments, compression, failures):
    """All runs on a topic of records of that compression, and their report."""
    name, on = REPORTS[compression], machine()
    runs = {kind: [] for kind in (*FLOORS, *arguments.store)}
    steps = Steps(arguments.docs, name)
    with bed.filled(arguments.events, compression=compression) as filled:
        for kind in arguments.runs * list(runs):
            with going_on(failures):
                runs[kind].append(floor(bed, filled, kind) if kind in FLOORS else landing(bed, filled, kind))
                told(kind, runs[kind][-1])
                steps.add(kind=kind, **runs[kind][-1])
    if all(runs.values()):
        compare_with_floors(runs)
        topic = filled.described() | {"compression": compression}
        report = {"machine": on, "topic": topic, "runs": runs}
        publish(arguments.docs, name, report, text(report))


def compare_with_floors(runs):
    """Adds to each run its cost as a multiple of each floor's median."""
    for way in FLOORS:
        least = statistics.median(run["cpu_seconds_per_million"] for run in runs[way])
        for run in (run for found in runs.values() for run in found):
            run[f"times_{way}"] = run["cpu_seconds_per_million"] / least


def floor(bed, filled, way="callback"):
    """The topic read by librdkafka with this kind of delivery, without further processing."""
    command = [binary("kafka-floor"), "--brokers", bed.stack.brokers, "--topic", filled.topic.name, "--by", way]
    log = bed.folder / bed.new_name("floor")
    run = process.per_record(process.start(command, None, log).wait(), filled.records)
    read = json.loads(log.read_text().splitlines()[-1])["records"]
    if read != filled.records:
        fail(f"kafka-floor read {read:,} of {filled.records:,} records")
    return run


def landing(bed, filled, store, *, cores=None, **settings):
    """The topic landed by the speed layer in a new lake."""
    with bed.lake(store) as lake:
        command, environment = bed.speed_layer(filled.topic, lake, "--until-end", **settings)
        measured = process.start(command, environment, bed.folder / bed.new_name("speed"), cores=cores)
        run = process.per_record(measured.wait(), filled.records)
        written = what_was_written(lake)
    landed = written.pop("landed")
    if landed != filled.records:
        fail(f"the speed layer landed {landed:,} rows of {filled.records:,} records", code=1)
    return run | written


def told(kind, run):
    tell(
        "{:26}{:.3f} CPU s per million, {:9,.0f} records/s, {:.0f} MiB at most, load {:.1f} before".format(
            HEADINGS[kind],
            run["cpu_seconds_per_million"],
            run["records_per_second"],
            run["peak_resident_mib"],
            run["load_before"],
        )
    )


def text(report):
    """The report for people: the median of every figure, with its spread."""
    topic, runs = report["topic"], report["runs"]
    kinds = list(runs)
    counts = ", ".join(f"{len(runs[kind])} of {HEADINGS[kind]}" for kind in kinds)
    lines = [
        f"{topic['produced']:,} records ({topic['events']:,} events of {topic['cameras']:,} cameras, {topic['late']:,} delayed, "
        f"{topic['duplicates']:,} sent twice, {topic['bad']:,} bad), {COMPRESSED[topic['compression']]}, in "
        f"{topic['partitions']} partitions of a real Kafka on the same machine; alternating runs ({counts}): median (least to greatest).",
        "",
        described(report["machine"]),
        "",
        f"| | {' | '.join(HEADINGS[kind] for kind in kinds)} |",
        f"|---|{'---:|' * len(kinds)}",
    ]
    for name, key, form, unit in FIGURES:
        cells = [spread([run.get(key) for run in runs[kind]], form, unit) for kind in kinds]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
