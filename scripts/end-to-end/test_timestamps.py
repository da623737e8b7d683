"""Records with timestamps that no clock shows: absent, in microseconds or nanoseconds, at the ends of what a number holds.

Each of them once ended the program at every start. Now such a timestamp counts as absent, the event or the dead letter is
landed like any other, the other partitions are unharmed, and every program reads the tables.
"""

import dataclasses

import pytest
from ending import assert_everything_final

from harness import checks, oracle, readers
from harness.data import Message, event, traffic
from harness.rest import serving

DAY = checks.day("2025-04-05")
NOON_US = 1_743_854_400 * 10**6
LAST_MS = oracle.LATEST_US // 1000

# In milliseconds, as Kafka means them. Clients write 0 and -1 as "now" and "none"; brokers store what they are given.
STAMPS = {
    "none": -1,
    "before 1970": -86_400_000,
    "before year 0": -62_167_219_200_001,
    "the least": -(2**63) + 1,
    "first": 1,
    "seconds": NOON_US // 10**6,
    "last usable": LAST_MS,
    "beyond": LAST_MS + 1,
    "year 10000": 253_402_300_800_000,
    "microseconds": NOON_US,
    "nanoseconds": NOON_US * 1000,
    "the greatest": 2**63 - 1,
}


# With these an event of noon is one from the future.
FUTURE = ("first", "seconds")


def odd():
    """For each timestamp an event and a record that is none."""
    messages = []
    for number, stamp in enumerate(STAMPS.values()):
        seen = event(f"ODD{number}", NOON_US + number)
        messages.append(dataclasses.replace(seen, partition=1, timestamp_ms=stamp))
        messages.append(Message(1, stamp, b"key", b"no event"))
    return messages


def far(time):
    """An event of the far future, which its Kafka timestamp bears out."""
    payload = f'{{"kvfv_id":"FAR","timestamp":"{time}","vehicle_speed":50}}'
    return Message(1, LAST_MS, b"FAR", payload.encode())


def usual():
    return sorted(traffic(17, DAY, events=400, partitions=2), key=lambda message: message.timestamp_ms)


def assert_readable(workspace):
    for reader in readers.READERS.values():
        for table in ("events", "dead_letters", "avg_speed"):
            assert readers.rows(reader(workspace.lake, table)), table
    with serving(workspace) as client:
        assert client.get("/kvfv").status_code == 200


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/New_York"])
def test_records_with_impossible_timestamps_are_landed_like_any_other(workspaces, zone):
    with workspaces.make("timestamps", partitions=2, pipeline__timezone=zone) as workspace:
        messages = usual()
        workspace.topic.send([*messages[:200], *odd(), far("9999-12-31T23:59:59-12:00"), *messages[200:]])
        workspace.land()
        expected = checks.landed(workspace)
        checks.coverage(workspace)
        stored = {record.timestamp_ms for record in workspace.topic.records()}
        assert stored >= {STAMPS[name] for name in ("before 1970", "microseconds", "nanoseconds", "the greatest")}
        wanted = {f"ODD{number}" for number, name in enumerate(STAMPS) if name not in FUTURE}
        assert {e.camera for e in expected.events} >= wanted
        assert_everything_final(workspace, expected)
        assert_readable(workspace)


def test_an_event_of_the_last_years_is_an_event_of_a_day_that_stays_open(workspaces):
    with workspaces.make("far", partitions=2, pipeline__timezone="Pacific/Kiritimati") as workspace:
        workspace.topic.send([*usual(), far("9998-12-31T23:59:59Z"), far("9999-01-01T00:00:00Z")])
        workspace.land()
        expected = checks.landed(workspace)
        checks.coverage(workspace)
        assert sum(e.camera == "FAR" for e in expected.events) == 2
        workspace.batch("nightly", "--date", str(DAY))
        workspace.batch("audit")
        workspace.batch("maintain")
        checks.landed(workspace, expected)
        assert_readable(workspace)
