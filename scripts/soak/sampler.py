"""Samples a running speed layer: each sample is a dict of figures.

From /proc: resident memory, processor time, file descriptors, threads. From its /metrics: lag, freshness, rows and
records in memory, and the sums and counts of the commit histogram, from which the caller computes differences. From the
store, in a separate thread because a store may hang: bytes and entries of each table's log, and data files. A figure
that is unavailable is missing in the dict.
"""

import os
import threading
import time
from pathlib import Path

import pyarrow.fs
import requests

from harness.readers import TABLES
from harness.rest import metrics

# Tables that the speed layer commits to.
COMMITTED = ("events", "dead_letters", "offset_gaps", "avg_speed")
# Figures that are gauges or counters of /metrics, summed over labels.
METRICS = {
    "lag_records": "lambdalake_kafka_consumer_lag_records",
    "freshness_s": "lambdalake_speed_freshness_seconds",
    "records_total": "lambdalake_speed_records_total",
    "landed_total": "lambdalake_speed_events_landed_total",
    "late_total": "lambdalake_speed_late_events_total",
    "failures_total": "lambdalake_speed_commit_failures_total",
    "fenced_total": "lambdalake_speed_fenced_total",
    "windows": "lambdalake_speed_open_windows",
    "window_bytes": "lambdalake_speed_window_bytes",
    "waiting_bytes": "lambdalake_speed_waiting_bytes",
    "queue_bytes": "lambdalake_speed_queue_bytes",
    "kafka_queue_bytes": "lambdalake_kafka_queue_bytes",
}
COMMIT_SECONDS = "lambdalake_speed_commit_duration_seconds"
LAST_COMMIT = "lambdalake_speed_last_commit_timestamp_seconds"
STORE_EVERY_S = 30


def process_figures(pid):
    """Figures of a process, by the kernel."""
    folder = Path(f"/proc/{pid}")
    lines = (line.split(":", 1) for line in (folder / "status").read_text().splitlines())
    status = {name: value.split() for name, value in lines}
    # After the name in parentheses: user and system time are fields 14 and 15 of the whole line.
    fields = (folder / "stat").read_text().rpartition(")")[2].split()
    return {
        "resident_mib": int(status["VmRSS"][0]) / 1024,
        "peak_mib": int(status["VmHWM"][0]) / 1024,
        "threads": int(status["Threads"][0]),
        "descriptors": len(os.listdir(folder / "fd")),
        "cpu_seconds": (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
    }


def page_figures(page):
    """Figures of a Prometheus page."""
    values = metrics(page)
    figures = {}
    for figure, name in METRICS.items():
        found = [value for key, value in values.items() if key.partition("{")[0] == name]
        if found:
            figures[figure] = sum(found)
    last_commit = of_table(values, LAST_COMMIT, "avg_speed")
    if last_commit is not None:
        figures["commit_age_s"] = time.time() - last_commit
    for table in COMMITTED:
        for part in ("sum", "count"):
            value = of_table(values, f"{COMMIT_SECONDS}_{part}", table)
            if value is not None:
                figures[f"commit_{part}:{table}"] = value
    return figures


def of_table(values, name, table):
    """The value of a metric for a table, whatever its other labels; None if it has none."""
    keys = (key for key in values if key.partition("{")[0] == name and f'table="{table}"' in key)
    return next((values[key] for key in keys), None)


class StoreWatch:
    """Lists the lake repeatedly in a thread; `figures` are those of the last listing."""

    def __init__(self, lake):
        self.root = lake.uri.removeprefix("s3://")
        options = lake.storage
        self.files = pyarrow.fs.S3FileSystem(
            access_key=options["access_key_id"],
            secret_key=options["secret_access_key"],
            region=options["region"],
            endpoint_override=options["endpoint"].removeprefix("http://"),
            scheme="http",
            connect_timeout=5,
            request_timeout=20,
        )
        self.figures = {}
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.stop.wait(STORE_EVERY_S):
            try:
                self.figures = self.look()
            except OSError:
                self.figures = {}  # the store is unavailable

    def look(self):
        """Figures of one listing."""
        figures = {f"{what}:{table}": 0 for table in TABLES for what in ("log_bytes", "log_entries", "files")}
        found = self.files.get_file_info(pyarrow.fs.FileSelector(self.root, recursive=True))
        for info in found:
            if not info.is_file:
                continue
            table, _, rest = info.path.removeprefix(f"{self.root}/").partition("/")
            if not rest.startswith("_delta_log/"):
                figures[f"files:{table}"] += 1
                continue
            figures[f"log_bytes:{table}"] += info.size
            figures[f"log_entries:{table}"] += rest.endswith(".json")
        return figures

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()


class Sampler:
    """Samples of one process."""

    def __init__(self, pid, metrics_port, store):
        self.pid, self.store = pid, store
        self.page = f"http://127.0.0.1:{metrics_port}/metrics"
        self.started = time.monotonic()

    def seconds(self):
        """Seconds since the start."""
        return time.monotonic() - self.started

    def sample(self):
        """All present figures."""
        figures = {"seconds": round(self.seconds(), 1), "load": os.getloadavg()[0], **process_figures(self.pid)}
        try:
            figures |= page_figures(requests.get(self.page, timeout=5).text)
        except requests.RequestException:
            pass  # it is starting
        return figures | self.store.figures
