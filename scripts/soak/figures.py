"""The curves of a run, as SVG and PNG."""

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
matplotlib.rcParams["svg.hashsalt"] = "lambdalake"  # the same samples give the same file

from matplotlib import pyplot

from harness.memory import MIB
from soak.sampler import COMMITTED

MINUTE_S = 60


def draw(samples, away, path, title):
    """Draws the samples into `path`.svg and `path`.png; `away` is the span of seconds without a store, or None."""
    figure, axes = pyplot.subplots(5, 2, figsize=(13, 15), sharex=True, layout="constrained")
    figure.suptitle(title)
    panels = iter(axes.flat)
    lines(next(panels), "Resident memory, MiB", samples, {"resident": "resident_mib", "peak so far": "peak_mib"})
    parts = {"rows waiting": "waiting_bytes", "decoded, queued": "queue_bytes", "Kafka's queue": "kafka_queue_bytes",
             "open windows": "window_bytes"}
    lines(next(panels), "Memory by its use, MiB", samples, parts, scale=1 / MIB)
    per_second(next(panels), "Processor, cores", samples, "cpu_seconds")
    per_second(next(panels), "Records taken a second", samples, "records_total")
    lines(next(panels), "Lag, records", samples, {"lag": "lag_records"})
    freshness = {"freshness when committed": "freshness_s", "age of the last commit": "commit_age_s"}
    lines(next(panels), "Averages, s", samples, freshness)
    commits(next(panels), samples)
    lines(next(panels), "Descriptors and threads", samples, {"descriptors": "descriptors", "threads": "threads"})
    tables = ("events", "avg_speed", "dead_letters")
    lines(next(panels), "Entries in the log", samples, {table: f"log_entries:{table}" for table in tables})
    lines(next(panels), "Data files in the store", samples, {table: f"files:{table}" for table in tables})
    for axis in axes.flat:
        axis.grid(alpha=0.3)
        axis.set_ylim(bottom=0)
        if away:
            axis.axvspan(away[0] / MINUTE_S, away[1] / MINUTE_S, color="tab:red", alpha=0.1)
    for axis in axes[-1]:
        axis.set_xlabel("minutes")
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"), dpi=80)
    pyplot.close(figure)


def lines(axis, title, samples, figures, scale=1.0):
    """One line for each figure, given by label."""
    axis.set_title(title, fontsize=10)
    for label, name in figures.items():
        told = [sample for sample in samples if name in sample]
        axis.plot([s["seconds"] / MINUTE_S for s in told], [s[name] * scale for s in told], label=label, linewidth=1)
    if len(figures) > 1:
        axis.legend(fontsize=8, loc="best")


def per_second(axis, title, samples, name):
    """The growth of a counter from sample to sample."""
    axis.set_title(title, fontsize=10)
    told = [sample for sample in samples if name in sample]
    pairs = list(zip(told, told[1:]))
    rates = [(b[name] - a[name]) / max(b["seconds"] - a["seconds"], 1e-9) for a, b in pairs]
    axis.plot([b["seconds"] / MINUTE_S for _, b in pairs], rates, linewidth=1)


def commits(axis, samples):
    """The mean duration of the commits between two samples."""
    axis.set_title("Time of a commit, ms", fontsize=10)
    for table in COMMITTED:
        count, total = f"commit_count:{table}", f"commit_sum:{table}"
        told = [sample for sample in samples if count in sample]
        pairs = [(a, b) for a, b in zip(told, told[1:]) if b[count] > a[count]]
        times = [(b[total] - a[total]) / (b[count] - a[count]) * 1000 for a, b in pairs]
        if times:
            axis.plot([b["seconds"] / MINUTE_S for _, b in pairs], times, label=table, linewidth=1)
    axis.legend(fontsize=8, loc="best")
