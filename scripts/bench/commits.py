"""Measures the duration of a commit as the number of commits to a table grows. Started by scripts/bench.sh.

The program bench-commits makes one commit after another, as one partition of the speed layer does over days. Retention
is set to seconds, so that checkpoints, removed files and log entries reach their steady state early. It prints the
duration of each span of commits; this script also samples the size of the log and the program's memory.
"""

import json
import os
import statistics
import subprocess

from bench import process
from bench.bed import a_folder, binary, fail, tell
from bench.command_line import options
from bench.commits_figure import draw
from bench.report import Steps, publish
from harness.machine import described, machine

POINTS = 200
SETTINGS = {
    "LAKE__RETRY_TIMEOUT": "5s",
    "LAKE__DELETED_FILE_RETENTION": "10s",
    "LAKE__LOG_RETENTION": "20s",
}
# A commit with its share of other work; a run that takes much longer on average is stopped.
LONGEST_COMMIT_S = 0.05
# The limit for the median commit of the last third, as a multiple of that of the middle third.
FLAT = 1.15
MEBIBYTE = 2**20


def main():
    arguments = parse()
    steps, on = Steps(arguments.docs, "commits"), machine()
    with a_folder() as folder:
        points = measure(arguments.commits, folder, steps)
    thirds = [third(points, number) for number in range(3)]
    report = {"machine": on, "commits": arguments.commits, "thirds": thirds, "points": points}
    publish(arguments.docs, "commits", report, text(report))
    draw(points, arguments.docs / "benchmarks" / "commits.svg")
    if thirds[2]["commit_ms"] > FLAT * thirds[1]["commit_ms"]:
        fail("commits grow slower: {:.2f} ms in the middle, {:.2f} ms in the last third".format(
            thirds[1]["commit_ms"], thirds[2]["commit_ms"]), code=1)


def parse():
    arguments = options(__doc__, "commits").parse_args()
    if arguments.commits < 3:
        fail(f"--commits {arguments.commits}: expected at least 3, of which thirds are compared", code=2)
    return arguments


def measure(commits, folder, steps):
    """The points of a run, one for each span of commits."""
    lake = folder / "lake"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LAKEHOUSE__", "AWS_"))}
    settings = {f"LAKEHOUSE__{name}": value for name, value in (SETTINGS | {"LAKE__URI": str(lake)}).items()}
    command = [binary("bench-commits"), "--commits", str(commits), "--every", str(max(commits // POINTS, 1))]
    limit_s = process.LIMIT_S + commits * LONGEST_COMMIT_S
    measured = process.start(command, inherited | settings, folder / "log", stdout=subprocess.PIPE, limit_s=limit_s)
    points = []
    for line in measured.process.stdout:
        points.append(json.loads(line) | look(measured.process.pid, lake))
        steps.add(**points[-1])
        if len(points) % 20 == 0:
            told(points[-1])
    measured.wait()
    return points


def look(pid, lake):
    """The program's memory, unless it has just ended, and the table's log. Entries are added and deleted meanwhile."""
    entries = sizes = 0
    checkpoint = 0
    for entry in os.scandir(lake / "avg_speed" / "_delta_log"):
        try:
            size = entry.stat().st_size
        except FileNotFoundError:
            continue
        entries += entry.name.endswith(".json")
        sizes += size
        if entry.name.endswith(".checkpoint.parquet"):
            checkpoint = max(checkpoint, size)
    return {
        "resident_mib": process.memory_mib(pid).get("VmRSS"),
        "log_entries": entries,
        "log_mib": sizes / MEBIBYTE,
        "checkpoint_mib": checkpoint / MEBIBYTE,
    }


def third(points, number):
    """The medians of a third of the points."""
    length = len(points) // 3
    part = points[number * length : (number + 1) * length]
    names = [name for name in part[0] if name != "commits"]
    known = {name: [point[name] for point in part if point[name] is not None] for name in names}
    return {name: statistics.median(values) for name, values in known.items() if values}


def told(point):
    tell("{commits:9,} commits: {commit_ms:.2f} ms, {log_entries:,} entries in the log".format(**point))


ROWS = [
    ("Commit, median", "commit_ms", "{:.2f} ms"),
    ("Commit, 99 %", "commit_p99_ms", "{:.2f} ms"),
    ("Writing its two files", "write_ms", "{:.2f} ms"),
    ("Checkpoint and clean-up, every 100 commits", "checkpoint_ms", "{:.0f} ms"),
    ("Opening the table again", "open_ms", "{:.1f} ms"),
    ("Entries in the log", "log_entries", "{:,.0f}"),
    ("Size of the log", "log_mib", "{:.1f} MiB"),
    ("Largest checkpoint in it", "checkpoint_mib", "{:.2f} MiB"),
    ("Resident memory", "resident_mib", "{:.0f} MiB"),
]


def text(report):
    """The report for people."""
    lines = [
        f"{report['commits']:,} commits, one after the other, on local disk; medians of each third.",
        "",
        described(report["machine"]),
        "",
        "| | first third | middle third | last third |",
        "|---|---:|---:|---:|",
    ]
    for name, key, form in ROWS:
        cells = [form.format(third[key]) if key in third else "–" for third in report["thirds"]]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "![The time of a commit over many commits](benchmarks/commits.svg)"])


if __name__ == "__main__":
    main()
