"""Measures `speed-layer run --until-end` and writes the figures down. Started by scripts/bench.sh, which has filled the topic.

Every run has a fresh lake and consumer group, so it starts at the earliest offset with nothing cached in the process. CPU
time and peak resident memory are what the kernel counted for that process (wait4). That every record was landed is checked
from the tables' logs before a run counts.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from report import described, machine, peak_resident_mib, publish

# Name of the figure in the table, key, format, unit.
FIGURES = [
    ("CPU seconds (user + system)", "cpu_seconds", "{:.2f}", "s"),
    ("CPU seconds per million records", "cpu_seconds_per_million", "{:.3f}", "s"),
    ("Records per CPU second", "records_per_cpu_second", "{:,.0f}", ""),
    ("Wall time", "wall_seconds", "{:.2f}", "s"),
    ("Peak resident memory", "peak_resident_mib", "{:.0f}", "MiB"),
    ("Commits, all tables", "commits", "{:.0f}", ""),
    ("Data files written", "files", "{:.0f}", ""),
    ("Bytes of data files written", "mebibytes", "{:.0f}", "MiB"),
    ("Load average of the machine before the run", "load_before", "{:.1f}", ""),
]


def main():
    arguments = parse()
    summary = json.loads(arguments.summary.read_text().splitlines()[-1])
    runs = []
    for number in range(1, arguments.runs + 1):
        run = measure(arguments, number, summary["produced"])
        runs.append(run)
        print("run {}: {:,.0f} records per CPU second, {:.2f} s, {:.0f} MiB, load {:.1f} before".format(
            number, run["records_per_cpu_second"], run["wall_seconds"], run["peak_resident_mib"], run["load_before"]))
    report = {"machine": machine(), "topic": topic(summary), "runs": runs}
    publish(arguments.docs, "speed", report, table(report))


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--summary", type=Path, required=True, help="the simulator's last line")
    parser.add_argument("--work", type=Path, required=True, help="a folder for lakes")
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--docs", type=Path, required=True)
    return parser.parse_args()


def measure(arguments, number, records):
    """One run, as its figures."""
    lake = arguments.work / f"lake-{number}"
    environment = os.environ | {
        "LAKEHOUSE__LAKE__URI": str(lake),
        "LAKEHOUSE__KAFKA__GROUP": f"bench-{number}",
        "LAKEHOUSE__SPEED__METRICS_LISTEN": "",
    }
    command = [arguments.program, "run", "--until-end", "--config", "/dev/null"]
    load = os.getloadavg()[0]
    started = time.monotonic()
    with open(arguments.work / f"log-{number}", "wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    if status != 0:
        sys.exit(f"the speed layer failed (status {status}):\n" + Path(log.name).read_text()[-3000:])
    written = what_was_written(lake)
    if written.pop("landed") != records:
        sys.exit(f"run {number} did not land the {records} records of the topic once each")
    shutil.rmtree(lake)
    cpu = usage.ru_utime + usage.ru_stime
    return {
        "wall_seconds": wall,
        "user_seconds": usage.ru_utime,
        "system_seconds": usage.ru_stime,
        "cpu_seconds": cpu,
        "cpu_seconds_per_million": cpu / records * 1e6,
        "records_per_cpu_second": records / cpu,
        "peak_resident_mib": peak_resident_mib(usage),
        "load_before": load,
    } | written


def what_was_written(lake):
    """What the logs of the tables say: commits, files, bytes, and rows landed."""
    written = {"commits": 0, "files": 0, "mebibytes": 0.0, "landed": 0}
    for entry in lake.glob("*/_delta_log/*.json"):
        written["commits"] += 1
        for line in entry.read_text().splitlines():
            add = json.loads(line).get("add")
            if add is None:
                continue
            written["files"] += 1
            written["mebibytes"] += add["size"] / 2**20
            if entry.parts[-3] in ("events", "dead_letters"):
                written["landed"] += json.loads(add["stats"])["numRecords"]
    return written


def topic(summary):
    """What was consumed."""
    names = ("produced", "events", "late", "duplicates", "bad", "cameras")
    return {name: summary[name] for name in names} | {"partitions": 12}


def table(report):
    """The report for people: the median of every figure, with its spread."""
    topic = report["topic"]
    lines = [
        f"{topic['produced']:,} records ({topic['events']:,} events of {topic['cameras']:,} cameras, {topic['late']:,} held up on "
        f"their way, {topic['duplicates']:,} sent twice, {topic['bad']:,} bad) in {topic['partitions']} partitions of a real Kafka "
        f"on the same machine, to tables on local disk; {len(report['runs'])} runs.",
        "",
        described(report["machine"]),
        "",
        "| | median | least | greatest |",
        "|---|---:|---:|---:|",
    ]
    for name, key, form, unit in FIGURES:
        values = [run[key] for run in report["runs"]]
        cells = [form.format(f(values)) + (f" {unit}" if unit else "") for f in (statistics.median, min, max)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
