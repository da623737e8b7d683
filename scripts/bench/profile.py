"""Shows where the speed layer's processor time goes: a flame graph, and shares by thread and by part. Started by
scripts/bench.sh.

A topic is landed from the earliest offset to its end, as in speed.py, while perf samples all threads. The samples are
unwound, folded and drawn by perf.py and inferno.py; stacks.py assigns each to a part. Every stored profile has a column
in the tables, in the order in which they were measured, so that they can be compared.
"""

import datetime as dt
import json
import subprocess

from bench import inferno, perf, process, stacks
from bench.bed import a_bed, fail, tell
from bench.command_line import options
from bench.report import publish
from bench.written import what_was_written
from harness.machine import described, machine

SECTION = "profile"


def main():
    arguments = parse()
    perf.require()
    inferno.require()
    with a_bed() as bed, bed.filled(arguments.events) as filled:
        found = stacks.parse(profiled(bed, filled))
        topic = filled.described()
    counted = stacks.counted(found)
    samples = sum(stacks.by_thread(counted).values())
    report = {
        "kind": SECTION,
        "taken_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "perf": subprocess.run(["perf", "--version"], capture_output=True, text=True, check=True).stdout.strip(),
        "samples_per_cpu_second": perf.FREQUENCY_HZ,
        "topic": topic,
        "samples": samples,
        "cpu_seconds_per_million": samples / perf.FREQUENCY_HZ / topic["produced"] * 1e6,
        "samples_by_thread_and_part": counted,
    }
    told(report)
    profiles = others(arguments.docs, arguments.name) | {arguments.name: report}
    publish(arguments.docs, arguments.name, report, text(profiles), section=SECTION)
    picture = arguments.docs / "benchmarks" / f"{arguments.name}.svg"
    inferno.draw(stacks.towers(found), picture, "The speed layer's processor time by thread and function", subtitle(report))


def parse():
    arguments = options(__doc__, "events", "name").parse_args()
    path = arguments.docs / "benchmarks" / f"{arguments.name}.json"
    if path.exists() and json.loads(path.read_text()).get("kind") != SECTION:
        fail(f"--name {arguments.name}: {path} has the figures of another command, expected another name", code=2)
    return arguments


def profiled(bed, filled):
    """The folded stacks of the speed layer as it lands the topic in a fresh lake on disk."""
    data, text = bed.folder / "perf.data", bed.folder / "perf.txt"
    with bed.lake("disk") as lake:
        command, environment = bed.speed_layer(filled.topic, lake, "--until-end")
        process.start(perf.sampled(command, data), environment, bed.folder / bed.new_name("speed")).wait()
        landed = what_was_written(lake)["landed"]
    if landed != filled.records:
        fail(f"the speed layer landed {landed:,} rows of {filled.records:,} records", code=1)
    tell(f"{data.stat().st_size / 2**20:.0f} MiB of samples: unwinding them")
    perf.unwound(data, text)
    return inferno.collapse(text)


def others(docs, name):
    """The profiles that are stored under other names, in the order in which they were measured."""
    reports = {path.stem: json.loads(path.read_text()) for path in (docs / "benchmarks").glob("*.json")}
    found = [(known, report) for known, report in reports.items() if report.get("kind") == SECTION and known != name]
    return dict(sorted(found, key=lambda entry: entry[1]["taken_at"]))


def told(report):
    counted, samples = report["samples_by_thread_and_part"], report["samples"]
    for shares in (stacks.by_thread(counted), stacks.by_part(counted)):
        for name, count in sorted(shares.items(), key=lambda entry: -entry[1]):
            tell(f"{name:40}{100 * count / samples:5.1f} %")
        tell("")


def subtitle(report):
    frequency = report["samples_per_cpu_second"]
    return f"{report['topic']['produced']:,} records, {report['samples']:,} samples, {frequency} per CPU second"


def text(profiles):
    """The profiles for people."""
    lines = []
    for name, report in profiles.items():
        topic = report["topic"]
        lines += [
            f"`{name}`: {topic['produced']:,} records of {topic['cameras']:,} cameras in {topic['partitions']} partitions, to "
            f"tables on local disk; {report['samples']:,} samples, {report['samples_per_cpu_second']} for each second of "
            f"processor time. {described(report['machine'])}",
            "",
        ]
    headings = " | ".join(f"`{name}`" for name in profiles)
    for what, sort in (("thread", stacks.by_thread), ("part", stacks.by_part)):
        shares = [(report, sort(report["samples_by_thread_and_part"])) for report in profiles.values()]
        lines += [f"| CPU seconds per million records, by {what} | {headings} |", f"|---|{'---:|' * len(profiles)}"]
        # Sorted by the time in the newest profile, then by that in the one before.
        rows = sorted({row for _, of in shares for row in of}, key=lambda row: [-of.get(row, 0) for _, of in reversed(shares)])
        lines += [f"| {row} | {' | '.join(cell(report, of.get(row, 0)) for report, of in shares)} |" for row in rows]
        lines += [f"| all | {' | '.join(cell(report, report['samples']) for report, _ in shares)} |", ""]
    pictures = (f"![`{name}`: processor time by thread and function](benchmarks/{name}.svg)" for name in profiles)
    return "\n".join([*lines, "\n\n".join(pictures)])


def cell(report, samples):
    """Processor time per million records, and its share of all."""
    share = samples / report["samples"]
    return f"{share * report['cpu_seconds_per_million']:.3f} s ({100 * share:.1f} %)" if samples else "–"


if __name__ == "__main__":
    main()
