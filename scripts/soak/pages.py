"""Writes the report of a run: docs/soak.md for people, docs/soak/ for its samples and curves.

soak.md is written by hand, except for the text between two markers for each kind of run. If there is no soak.md, a
short one is created.
"""

import csv

from harness.machine import described, machine
from harness.memory import MIB
from soak import figures, verdicts
from soak.sampler import COMMITTED

TITLES = {"steady": "Soak", "outage": "Outage of the store"}
MARKERS = ("<!-- soak: {} -->", "<!-- end of soak: {} -->")


def write(docs, name, run, judged):
    """Puts the report of a run and its curves into the folder of documents."""
    title = f"{TITLES[name]}: {run.rate:,} events a second for {run.seconds / 60:.0f} minutes"
    figures.draw(run.samples, run.away, docs / "soak" / name, title)
    page = docs / "soak.md"
    if not page.exists():
        page.write_text("\n\n".join(f"# {TITLES[kind]}\n\n" + "\n".join(m.format(kind) for m in MARKERS) for kind in TITLES))
    text = "\n\n".join([introduction(run), table_of_verdicts(judged), table_of_figures(run), picture(name, title)])
    insert(page, *(marker.format(name) for marker in MARKERS), text)


def insert(path, begin, end, text):
    """Puts the text between the markers."""
    before, rest = path.read_text().split(begin, 1)
    after = rest.split(end, 1)[1]
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def write_samples(path, samples):
    """The samples as CSV, a row each."""
    columns = list(dict.fromkeys(column for sample in samples for column in sample))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.10g}" for k, v in sample.items()} for sample in samples)


def introduction(run):
    found = run.summary
    text = (
        f"{found['produced']:,} records ({found['events']:,} events of {found['cameras']:,} cameras, {found['late']:,} delayed, "
        f"{found['duplicates']:,} sent twice, {found['bad']:,} bad) in {run.seconds / 60:.0f} minutes; "
        f"the nightly run and the maintenance ran {run.maintained} times meanwhile."
    )
    if run.away:
        text += f" The store did not answer for {(run.away[1] - run.away[0]) / 60:.1f} minutes."
    loads = sorted(sample["load"] for sample in run.samples)
    return (
        f"{text}\n\n{described(machine())} Kafka, MinIO and the cameras run on it too; its load was {loads[0]:.1f} to {loads[-1]:.1f}, "
        f"{loads[len(loads) // 2]:.1f} at the median."
    )


def table_of_verdicts(judged):
    rows = [f"| {v.name} | {v.found} | {v.wanted} | {'yes' if v.holds else '**no**'} |" for v in judged]
    return "\n".join(["| | found | expected | holds |", "|---|---|---|---|", *rows])


def table_of_figures(run):
    """The figures of a run by thirds, or before, during and after an outage."""
    if run.away:
        end = run.samples[-1]["seconds"]
        spans = {"before": (0, run.away[0]), "without a store": run.away, "after": (run.away[1], end)}
        parts = {
            name: [s for s in run.samples if low <= s["seconds"] <= high] for name, (low, high) in spans.items()
        }
    else:
        steady = [sample for sample in run.samples if sample["seconds"] <= run.seconds]
        parts = {name: verdicts.third(steady, n) for n, name in enumerate(("first third", "middle third", "last third"))}
    rows = [[name, *(cell(part) for part in parts.values())] for name, cell in cells()]
    lines = [f"| | {' | '.join(parts)} |", f"|---|{'---:|' * len(parts)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def cells():
    """The rows of the table: a name, and a function from samples to a cell."""

    def average(figure, form, scale=1.0):
        return lambda samples: told(verdicts.mean(samples, figure), form, scale)

    def most(figure, form, scale=1.0):
        return lambda samples: told(verdicts.greatest(samples, figure), form, scale)

    def last(figure):
        return lambda samples: told(next((s[figure] for s in reversed(samples) if figure in s), None), "{:,.0f}")

    rows = [
        ("Resident memory, mean", average("resident_mib", "{:.0f} MiB")),
        ("Resident memory, greatest", most("resident_mib", "{:.0f} MiB")),
        ("Rows waiting to land, greatest", most("waiting_bytes", "{:.1f} MiB", 1 / MIB)),
        ("Decoded records in the queue, greatest", most("queue_bytes", "{:.1f} MiB", 1 / MIB)),
        ("Records in Kafka's queue, greatest", most("kafka_queue_bytes", "{:.1f} MiB", 1 / MIB)),
        ("Open windows, mean", average("windows", "{:,.0f}")),
        ("Memory of open windows, mean", average("window_bytes", "{:.1f} MiB", 1 / MIB)),
        ("Processor", lambda samples: told(growth(samples, "cpu_seconds"), "{:.2f} cores")),
        ("Records taken a second", lambda samples: told(growth(samples, "records_total"), "{:,.0f}")),
        ("Freshness, median", lambda samples: told(verdicts.quantile(samples, "freshness_s", 0.5), "{:.1f} s")),
        ("Freshness, 95 % of the samples", lambda samples: told(verdicts.quantile(samples, "freshness_s", 0.95), "{:.1f} s")),
        ("Age of the last commit of averages, greatest", most("commit_age_s", "{:.1f} s")),
        ("Lag, greatest", most("lag_records", "{:,.0f} records")),
        ("File descriptors, median", lambda samples: told(verdicts.quantile(samples, "descriptors", 0.5), "{:.0f}")),
        ("Threads, mean", average("threads", "{:.0f}")),
        ("Commits that failed and were made later", lambda samples: told(difference(samples, "failures_total"), "{:.0f}")),
    ]
    for table in COMMITTED:
        rows.append((f"Commit to `{table}`, mean", commit_cell(table)))
    for table in ("events", "avg_speed"):
        rows.append((f"Log of `{table}` at the end, entries", last(f"log_entries:{table}")))
        rows.append((f"Log of `{table}`, greatest", most(f"log_bytes:{table}", "{:.1f} MiB", 1 / MIB)))
        rows.append((f"Data files of `{table}` at the end", last(f"files:{table}")))
    return rows


def commit_cell(table):
    return lambda samples: told(verdicts.commit_mean_s(samples, table), "{:.1f} ms", 1000)


def told(value, form, scale=1.0):
    return "–" if value is None else form.format(value * scale)


def difference(samples, figure):
    values = [sample[figure] for sample in samples if figure in sample]
    return values[-1] - values[0] if values else None


def growth(samples, figure):
    """The growth of a counter in a second."""
    points = [(sample["seconds"], sample[figure]) for sample in samples if figure in sample]
    if len(points) < 2:
        return None
    (begun, before), (ended, after) = points[0], points[-1]
    return (after - before) / (ended - begun)


def picture(name, title):
    return f"![{title}](soak/{name}.svg)\n\nThe samples are in [soak/{name}.csv](soak/{name}.csv), the picture also as [PNG](soak/{name}.png)."
