"""Measures the cost of each stage of the speed layer, and of a whole run. Started by scripts/bench.sh.

One topic is filled. Then in each run the speed layer lands it as in speed.py, and bench-stages executes the stages one
after another, with averages committed after as many records as in the whole run. Both begin cold, in separate processes
and lakes. A run counts only if the tables' logs show as many landed rows as there are records. If one of a pair fails,
the pair is left out, and the command fails at the end.
"""

import json
import statistics
import sys

from bench import process
from bench.bed import a_bed, fail, going_on, tell
from bench.command_line import options
from bench.freshness import commit_interval_s
from bench.report import Steps, publish, spread
from bench.speed import HEADINGS, landing
from bench.written import what_was_written
from harness.machine import described, machine

# In the order of the data: the stage's name in bench-stages, its name for people, and what it includes.
STAGES = [
    ("fetch", "Fetch", "librdkafka's threads, and polling without decoding"),
    ("decode", "Decode", "payloads become batches of typed columns"),
    ("fold", "Lateness and fold", "whether events are late, windows, rows to land"),
    ("encode", "Encode events", "Parquet of `events` and `dead_letters`"),
    ("average", "Encode averages", "rows of the windows that changed, and their Parquet"),
    ("upload", "Upload", "data files into the store"),
    ("commit", "Commit", "entries of the tables' logs"),
]
# What the stages and the whole run have written, which must be similar: name, key, format.
WRITTEN = [("commits", "commits", "{:.0f}"), ("data files", "files", "{:.0f}"), ("MiB", "mebibytes", "{:.0f}")]


def main():
    arguments = options(__doc__, "events", "runs", "store").parse_args()
    runs = {store: [] for store in arguments.store}
    steps, failures, on = Steps(arguments.docs, "stages"), [], machine()
    with a_bed() as bed, bed.filled(arguments.events) as filled:
        for store in arguments.runs * arguments.store:
            with going_on(failures):
                whole = landing(bed, filled, store)
                pair = {"whole": whole, "stages": measure(bed, filled, store, whole)}
                runs[store].append(pair)
                told(store, pair)
                steps.add(store=store, **pair)
    if all(runs.values()):
        report = {"machine": on, "topic": filled.described(), "runs": runs}
        publish(arguments.docs, "stages", report, text(report))
    sys.exit(max(failures, default=0))


def measure(bed, filled, store, whole):
    """The stages of the topic into a new lake, with commits as far apart as in the whole run."""
    every = max(round(whole["records_per_second"] * commit_interval_s()), 1)
    with bed.lake(store) as lake:
        command, environment = bed.stages(filled.topic, lake, "--average-every", every)
        log = bed.folder / bed.new_name("stages")
        load = process.start(command, environment, log).wait()["load_before"]
        run = json.loads(log.read_text().splitlines()[-1])
        written = what_was_written(lake)
    landed = written.pop("landed")
    if not landed == run["records"] == filled.records:
        fail(f"bench-stages processed {run['records']:,} records, of {filled.records:,}, and landed {landed:,} rows", code=1)
    return run | written | {"average_every": every, "load_before": load, "cpu_seconds_per_million": per_million(run)}


def per_million(run):
    """CPU seconds per million records by stage."""
    if run["seconds"].keys() != {key for key, _, _ in STAGES}:
        fail(f"bench-stages reports {sorted(run['seconds'])}, not each of its stages", code=1)
    return {stage: seconds / run["records"] * 1e6 for stage, seconds in run["seconds"].items()}


def told(store, pair):
    whole, stages = pair["whole"]["cpu_seconds_per_million"], pair["stages"]["cpu_seconds_per_million"]
    parts = ", ".join(f"{key} {stages[key]:.3f}" for key, _, _ in STAGES)
    tell(
        f"{HEADINGS[store]:12}{whole:.3f} CPU s per million, stages {sum(stages.values()):.3f}: {parts}; "
        f"load {pair['whole']['load_before']:.1f} before"
    )


def table(pairs):
    """The share of each stage in the whole run, in CPU seconds per million records: the median of each with all its
    values, their sum, the whole run, and the remainder.
    """
    values = {key: [pair["stages"]["cpu_seconds_per_million"][key] for pair in pairs] for key, _, _ in STAGES}
    whole = [pair["whole"]["cpu_seconds_per_million"] for pair in pairs]
    medians = {key: statistics.median(found) for key, found in values.items()}
    total = sum(medians.values())
    left = statistics.median(whole) - total
    return {"values": values, "medians": medians, "sum": total, "whole": whole, "left": left}


def text(report):
    """The report for people: a table for each store."""
    topic, runs = report["topic"], report["runs"]
    lines = [
        f"{topic['produced']:,} records ({topic['events']:,} events of {topic['cameras']:,} cameras, {topic['late']:,} delayed, "
        f"{topic['duplicates']:,} sent twice, {topic['bad']:,} bad) in {topic['partitions']} partitions of a real "
        "Kafka on the same machine; the whole run and its stages alternately: median (least to greatest), shares of the whole.",
        "",
        described(report["machine"]),
    ]
    for store, pairs in runs.items():
        lines += ["", *table_for_people(store, pairs), "", written_for_people(pairs)]
    return "\n".join(lines)


def table_for_people(store, pairs):
    found = table(pairs)
    whole = statistics.median(found["whole"])
    counted = f"{len(pairs)} runs" if len(pairs) > 1 else "1 run"

    def row(name, middle, cell, what):
        return f"| {name} | {cell} | {1000 * middle:,.0f} ns | {middle / whole:.0%} | {what} |"

    lines = [
        f"| {HEADINGS[store]}, {counted} | CPU seconds per million records | per record | share | |",
        "|---|---:|---:|---:|---|",
    ]
    for key, name, what in STAGES:
        lines.append(row(name, found["medians"][key], spread(found["values"][key], "{:.3f}", " s"), what))
    lines.append(row("**Sum of the stages**", found["sum"], f"{found['sum']:.3f} s", ""))
    lines.append(row("**`speed-layer run`**", whole, spread(found["whole"], "{:.3f}", " s"), "the whole process"))
    lines.append(row("Not accounted for", found["left"], f"{found['left']:.3f} s", "start and end, passing records between threads"))
    return lines


def written_for_people(pairs):
    """What the stages and the whole run have written, as medians."""
    parts = []
    for name, key, form in WRITTEN:
        stages, whole = (form.format(statistics.median(pair[kind][key] for pair in pairs)) for kind in ("stages", "whole"))
        parts.append(f"{stages} {name} ({whole})")
    batches = statistics.median(pair["stages"]["records"] / pair["stages"]["batches"] for pair in pairs)
    return f"Written by the stages (by the whole run): {', '.join(parts)}; {batches:,.0f} records in a batch."


if __name__ == "__main__":
    main()
