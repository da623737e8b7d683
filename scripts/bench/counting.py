"""An S3 store in memory that counts the requests of each program. A program is known by its access key, which is its name."""

import contextlib
import re
import threading
from collections import Counter

from bench.prices import CHARGES, Requests
from harness.fake_store import fake_store
from harness.readers import Lake

BUCKET, PREFIX = "sizing", "lake"
VERSION = re.compile(rf"{PREFIX}/(?P<table>\w+)/_delta_log/\d{{20}}\.json")


class Counting:
    """Counts by program, table, what is asked for, and whether S3 charges a write or a read."""

    def __init__(self):
        self.counts, self.lock, self.store = Counter(), threading.Lock(), None
        self.entries = set()

    def __call__(self, request):
        """A fault of the fake store that does nothing but count."""
        found = (program_of(request), *place_of(request), charge_of(request))
        with self.lock:
            self.counts[found] += 1
            if request.command == "PUT" and VERSION.fullmatch(request.key):
                self.entries.add(request.key)

    def so_far(self):
        with self.lock:
            return Counter(self.counts)

    def versions(self):
        """The number of log entries by table, cleaned ones too."""
        with self.lock:
            return Counter(VERSION.fullmatch(key)["table"] for key in self.entries)

    def sizes(self, table):
        """The sizes of a table's data files."""
        folder = f"{PREFIX}/{table}/"
        with self.store.lock:
            objects = list(self.store.objects.items())
        return [len(data) for key, data in objects if key.startswith(folder) and key.endswith(".parquet") and "_delta_log" not in key]


@contextlib.contextmanager
def counting_store():
    """A running store that counts, and a lake in it."""
    counting = Counting()
    with fake_store(counting) as store:
        counting.store = store
        storage = {
            "endpoint": store.endpoint,
            "allow_http": "true",
            "region": "us-east-1",
            "access_key_id": "unknown",
            "secret_access_key": "secret",
        }
        yield counting, Lake(f"s3://{BUCKET}/{PREFIX}", storage)


def program_of(request):
    found = re.search(r"Credential=([^/]+)/", request.headers["Authorization"] or "")
    return found[1] if found else "unknown"


def place_of(request):
    """The table, and what of it: log, checkpoint (with everything that lists or deletes) or data."""
    key = request.key or request.query.get("prefix", "")
    _, _, rest = key.partition(f"{PREFIX}/")
    table, _, path = rest.partition("/")
    if not request.key or "delete" in request.query or request.command == "DELETE" or "checkpoint" in path:
        return table, "checkpoint"
    return table, "log" if "_delta_log" in path else "data"


def charge_of(request):
    if "delete" in request.query:
        return CHARGES["DELETE"]
    return CHARGES["LIST" if request.command == "GET" and not request.key else request.command]


def total(counts, program=None, table=None, what=None):
    """The requests that fit; None fits all."""
    wanted = (program, table, what)
    fits = [(found, number) for found, number in counts.items() if all(w in (None, f) for w, f in zip(wanted, found))]
    return Requests(*(float(sum(number for found, number in fits if found[3] == charge)) for charge in ("write", "read")))
