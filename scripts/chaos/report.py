"""What a run says: lines while it runs, a few at its end, and a report as Markdown."""

import datetime as dt
import os
import re
import sys
from collections import Counter
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent.parent


def say(text):
    """A line on standard error."""
    print(f"chaos: {text}", file=sys.stderr, flush=True)


def tell(run, failure, wall_s):
    """The verdict, on standard error."""
    verdict = f"FAILED in cycle {run.cycle}" if failure else "every row is correct"
    say(
        f"{verdict}: seed {run.arguments.seed}, {run.cycle} cycles, {sum(run.faults.values())} faults of "
        f"{len(run.faults)} kinds, {wall_s:.0f} s"
    )


HEAD = """# Chaos report

A real Kafka, MinIO and lambdalake run under faults; then every row is compared with what was produced. Written by
`{command}`.
The same seed gives the same schedule of faults and the same records; their timing depends on the machine and is not
reproducible.

**Verdict: {verdict}**
"""

PROOF = """
Python `deltalake` and an oracle that shares no code with the product compared row by row: Kafka with what it had
acknowledged, less what a fault made it lose; `events`, `dead_letters` and `offset_gaps` with Kafka, and with what Kafka
had before a loss; provisional rows before, and final rows after the nightly run. Then `batch-layer audit`, and
`batch-layer verify` of every final day, succeeded. Running `nightly` and `speed-layer run --until-end` again changed
nothing.
"""


def markdown(run, failure, wall_s):
    """The whole report."""
    lost = "nothing lost silently" if run.world and run.world.main.losses else "nothing lost"
    verdict = f"FAILED in cycle {run.cycle}" if failure else f"{lost}, nothing repeated, every row correct."
    parts = [
        HEAD.format(command=run.command, verdict=verdict),
        *([f"```\n{failure}\n```\n"] if failure else []),
        *(table(("", ""), overview(run, wall_s)) if run.world else []),
    ]
    if run.found:
        parts += [
            "\n## Produced records and their results\n",
            *table(("", *run.found), what_was_found(run)),
            PROOF,
        ]
    if run.world:
        parts += ["## What happened during the run\n", *table(("", "MinIO", "disk"), happenings(run))]
    struck = ((f"`{kind}`", run.faults[kind], what) for kind, (_, what) in run.kinds.items())
    parts += ["\n## Faults\n", *table(("kind", "times", "what"), struck), ""]
    return "\n".join(parts)


def table(head, rows):
    """A table of Markdown."""
    return [
        f"| {' | '.join(head)} |",
        "|" + "---|" * len(head),
        *(f"| {' | '.join(map(figure, row))} |" for row in rows),
    ]


def figure(value):
    return f"{value:,}" if isinstance(value, int) else str(value)


def overview(run, wall_s):
    """What ran where."""
    world = run.world
    kafka = pinned("stack/pom.xml", r"kafka.version>([^<]+)<")
    minio = pinned("stack/cache.sh", r"minio/minio@v0\.0\.0-(\d{8})")
    toxiproxy = pinned("stack/cache.sh", r"toxiproxy\S*@v([\d.]+)")
    disk = "a tmpfs that was filled up" if run.was_small else "a folder, never full: no right to mount a small disk"
    return [
        ("seed, cycles", f"{run.arguments.seed}, {run.cycle}"),
        ("finished", dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("wall time", f"{wall_s / 60:.1f} min, {wall_s / max(run.cycle, 1):.1f} s a cycle with the inspections"),
        ("faults", sum(run.faults.values())),
        ("servers", f"{run.arguments.brokers} x Kafka {kafka}, MinIO {minio}, Toxiproxy {toxiproxy}"),
        ("machine", f"{os.cpu_count()} cores, load {os.getloadavg()[2]:.1f} in the last quarter of an hour"),
        ("time zone, assignment", f"{run.zone}, {run.strategy}"),
        ("instances", f"{len(world.main.instances)} on MinIO, {len(world.small.instances)} on a disk"),
        ("the disk", disk),
        ("longest time without a commit on MinIO", f"{run.watch.longest_stall_s:.1f} s"),
    ]


def pinned(file, pattern):
    return re.search(pattern, (SCRIPTS / file).read_text())[1]


def what_was_found(run):
    """Rows of figures, a column for each lake."""
    for name in dict.fromkeys(name for found in run.found.values() for name in found):
        yield name, *(found.get(name, 0) for found in run.found.values())


def happenings(run):
    """What the harness counted, in the logs of the product and on its own."""
    tallies = [run.world.main.tally, run.world.small.tally]
    for name in sorted(set().union(*tallies)):
        yield name, *(tally[name] for tally in tallies)
    for name, count in sorted(Counter(run.world.proxies.counts).items()):
        yield f"requests to the store: {ANSWERS[name]}", count, 0
    if run.world.cluster:
        counts = run.world.proxies.wire.counts()
        yield "responses of brokers with a flipped bit", sum(counts["altered"]), 0
        for broker in range(run.arguments.brokers):
            yield f"bytes fetched from broker {broker + 1}", sum(counts["fetched_bytes"][broker :: run.arguments.brokers]), 0
    for name in ("aborted", "committed", "abandoned", "hanging", "unknown"):
        yield f"transactions {name}", *(pipeline.feed.transactions[name] for pipeline in run.pipelines)


ANSWERS = {
    "pass": "answered",
    "refuse": "refused with 503",
    "lose": "executed, but the response lost",
    "late": "refused with 503, but executed later",
}
