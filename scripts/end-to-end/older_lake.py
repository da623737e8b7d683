"""The lake of an older release: how it was made, and how a test gets it back together with its topic.

The release did not yet write into the log what a data file holds (the tags of its `add`), so whoever goes on with this
lake has to recognise its files by their statistics. fixtures/older-lake/README.md says what is in it. To make it anew,
with the programs of that release in LAMBDALAKE_BIN:

    LAMBDALAKE_BIN=… PYTHONPATH=scripts python scripts/end-to-end/older_lake.py
"""

import base64
import contextlib
import gzip
import itertools
import json
import tarfile
import tempfile
from pathlib import Path

from harness import checks, lakehouse
from harness.data import Message, at, event, traffic
from harness.oracle import Record

FOLDER = Path(__file__).resolve().parent / "fixtures" / "older-lake"
LAKE, RECORDS = FOLDER / "lake.tar.gz", FOLDER / "records.jsonl.gz"

ZONE = "Europe/Moscow"
FINAL_DAY, OPEN_DAY = checks.day("2025-04-05"), checks.day("2025-04-06")
PARTITIONS = 2
# The lake knows the name of its topic.
HOW = {"topic": "older-lake", "partitions": PARTITIONS}
SETTINGS = {"pipeline__timezone": ZONE, "speed_limits__default_kmh": 70, "lake__checkpoint_interval": 5}


# ---- getting it back ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def unpacked(workspaces, **settings):
    """A workspace with the lake, and a topic that holds its records under their offsets."""
    with workspaces.make("older-lake", **HOW, **SETTINGS, **settings) as workspace:
        unpack(workspace.folder)
        send_again(workspace.topic, saved_records())
        yield workspace


def unpack(folder):
    """Puts the lake into a folder, as `lake`."""
    with tarfile.open(LAKE) as archive:
        archive.extractall(folder, filter="data")


def saved_records():
    """The topic's records."""
    with gzip.open(RECORDS, "rt") as lines:
        return [record_of(json.loads(line)) for line in lines]


def record_of(saved):
    key, payload = (None if saved[name] is None else base64.b64decode(saved[name]) for name in ("key", "payload"))
    return Record(saved["partition"], saved["offset"], saved["timestamp_ms"], key, payload)


def send_again(topic, records):
    """Sends the records to a new topic, where they get the offsets that they had."""
    for partition, of_partition in itertools.groupby(records, key=lambda record: record.partition):
        next_offset, run = 0, []
        for record in of_partition:
            if record.offset > next_offset:
                topic.send(run)
                skip(topic, partition, record.offset - next_offset)
                run = []
            run.append(Message(partition, record.timestamp_ms, record.key, record.payload))
            next_offset = record.offset + 1
        topic.send(run)
    assert topic.records() == records


def skip(topic, partition, offsets):
    """Uses up so many offsets, two at least, by an aborted transaction: its records, and its marker."""
    with topic.transaction(abort=True) as send:
        send([event("ABORTED", 0, partition=partition)] * (offsets - 1))


# ---- making it ---------------------------------------------------------------------------------------------------


def make(workspaces):
    """Lands two days. The first is made final once its late events have come."""
    sent = traffic(90, FINAL_DAY, days=2, zone=ZONE, cameras=5, events=900, partitions=PARTITIONS)
    night, morning, end = (at(f"2025-04-06T{time}+03:00") // 1000 for time in ("00:00", "11:00", "20:30"))
    with workspaces.make("older-lake", **HOW, **SETTINGS) as workspace:
        abort_some(workspace.topic)
        for part in parts([m for m in sent if m.timestamp_ms < night], 3):
            land(workspace, part)
        land(workspace, [m for m in sent if night <= m.timestamp_ms < morning])
        workspace.batch("nightly", "--date", str(FINAL_DAY))
        workspace.batch("maintain")
        abort_some(workspace.topic)
        for part in parts([m for m in sent if morning <= m.timestamp_ms < end], 4):
            land(workspace, part)
        save(workspace)


def abort_some(topic):
    for partition in range(PARTITIONS):
        skip(topic, partition, 3 + partition)


def parts(messages, count):
    size = -(-len(messages) // count)
    return [messages[start : start + size] for start in range(0, len(messages), size)]


def land(workspace, messages):
    workspace.topic.send(messages)
    workspace.land()


def save(workspace):
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tarfile.open(LAKE, "w:gz") as archive:
        archive.add(workspace.lake.uri, arcname="lake", filter=without_owner)
    with gzip.open(RECORDS, "wt") as lines:
        for record in workspace.topic.records():
            texts = {name: encoded(getattr(record, name)) for name in ("key", "payload")}
            places = {name: getattr(record, name) for name in ("partition", "offset", "timestamp_ms")}
            lines.write(json.dumps(places | texts) + "\n")


def without_owner(member):
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def encoded(content):
    return None if content is None else base64.b64encode(content).decode()


if __name__ == "__main__":
    with lakehouse.a_stack() as stack, tempfile.TemporaryDirectory() as folder:
        make(lakehouse.Workspaces(stack, Path(folder)))
