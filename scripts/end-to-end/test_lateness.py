"""Rule 2 of docs/contract.md: when an event is late, to the microsecond, and what moves a watermark.

Each scenario is the log of one partition: times after 2025-04-05T00:00:00Z, and whether each event must be late.
"""

import json
from dataclasses import replace

import pytest
from deltalake.exceptions import DeltaError

from harness import checks, oracle
from harness.data import Message, at, event, rfc3339
from harness.lakehouse import until
from harness.oracle import HOUR_US, MINUTE_US, SECOND_US
from harness.readers import read

MIDNIGHT = at("2025-04-05T00:00:00+00:00")
LATENESS, DISORDER = 3 * HOUR_US, 30 * SECOND_US
WINDOW_END = 8 * HOUR_US
# An event of this time makes the watermark exactly the lateness later than the end of the window.
EDGE = WINDOW_END + LATENESS + DISORDER
WITHIN, LAST = WINDOW_END - 2 * MINUTE_US, WINDOW_END - 1

SCENARIOS = {
    "by_exactly_the_allowed_lateness": [
        (EDGE, False),
        (WITHIN, False),
        (LAST, False),
        (WINDOW_END - 5 * MINUTE_US, False),
    ],
    "a_microsecond_less": [(EDGE - 1, False), (WITHIN, False)],
    "a_microsecond_more": [(EDGE + 1, False), (WITHIN, True), (LAST, True), (WINDOW_END, False)],
    "the_first_event_never": [(0, False)],
    "an_event_does_not_judge_itself": [(0, False), (23 * HOUR_US, False), (0, True)],
    "the_greatest_counts_not_the_last": [(EDGE + 1, False), (EDGE - HOUR_US, False), (LAST, True)],
    "a_late_event_does_not_move_it_back": [(EDGE + 1, False), (LAST, True), (LAST, True)],
    "days_later": [(0, False), (72 * HOUR_US, False), (10 * HOUR_US, True), (71 * HOUR_US, False)],
    "another_partition_is_another_clock": [(LAST, False)],
}


@pytest.mark.parametrize("restart", [False, True], ids=["at_once", "with_a_restart_after_each_first_event"])
def test_lateness_is_decided_by_the_log_of_the_partition(workspaces, restart):
    messages = [
        event(f"KV{partition}", MIDNIGHT + time, partition=partition)
        for partition, scenario in enumerate(SCENARIOS.values())
        for time, _ in scenario
    ]
    firsts = [
        place
        for place, message in enumerate(messages)
        if place == 0 or messages[place - 1].partition != message.partition
    ]
    restarted = [[messages[place] for place in firsts], [m for place, m in enumerate(messages) if place not in firsts]]
    with workspaces.make("lateness", partitions=len(SCENARIOS)) as workspace:
        for part in restarted if restart else [messages]:
            workspace.topic.send(part)
            workspace.land()
        late = {(row["kafka_partition"], row["kafka_offset"]): row["late"] for row in read(workspace.lake, "events")}
        named = dict(enumerate(SCENARIOS))
        got = {named[p]: [late[p, offset] for offset in range(len(SCENARIOS[named[p]]))] for p in named}
        assert got == {name: [is_late for _, is_late in scenario] for name, scenario in SCENARIOS.items()}
        checks.provisional(workspace, checks.landed(workspace).events)


def test_dead_letters_move_no_watermark(workspaces):
    """Not even one whose only error is an event time too far ahead of its record."""
    ahead = event("KV1", MIDNIGHT + EDGE + 1, arrival_us=MIDNIGHT + EDGE + 1 - 11 * MINUTE_US)
    wrong = Message(
        0,
        ahead.timestamp_ms,
        None,
        b'{"kvfv_id":"","timestamp":"%s","vehicle_speed":1}' % rfc3339(MIDNIGHT + EDGE + 1).encode(),
    )
    with workspaces.make("unmoved", partitions=1) as workspace:
        workspace.topic.send([event("KV1", MIDNIGHT), ahead, wrong, event("KV1", MIDNIGHT + LAST)])
        workspace.land()
        assert [row["late"] for row in read(workspace.lake, "events")] == [False, False]
        assert sorted(row["reason"] for row in read(workspace.lake, "dead_letters")) == [
            "bad_camera_id",
            "future_event_time",
        ]


@pytest.mark.parametrize("late", [False, True])
def test_lateness_and_disorder_are_settings(workspaces, late):
    greatest = MIDNIGHT + WINDOW_END + 10 * MINUTE_US + 5 * SECOND_US + late
    settings = {"speed__allowed_lateness": "10m", "speed__out_of_orderness": "5s"}
    with workspaces.make("settings", partitions=1, **settings) as workspace:
        workspace.topic.send([event("KV1", greatest), event("KV1", MIDNIGHT + LAST)])
        workspace.land()
        rows = {row["kafka_offset"]: row["late"] for row in read(workspace.lake, "events")}
        assert rows == {0: False, 1: late}


def test_the_last_window_of_a_short_hour_ends_with_its_day(workspaces):
    """On Lord Howe Island a day of 24.5 hours ends with an hour of 30 minutes; lateness counts from the window's end."""
    last = at("2025-04-06T23:58:00+10:30")
    midnight = at("2025-04-07T00:00:00+10:30")
    settings = {
        "pipeline__timezone": "Australia/Lord_Howe",
        "speed__allowed_lateness": "0s",
        "speed__out_of_orderness": "0s",
    }
    with workspaces.make("lordhowe", partitions=2, **settings) as workspace:
        sent = [event("KV1", last), event("KV1", midnight), event("KV1", last)]
        sent += [event("KV2", midnight + 1, partition=1), event("KV2", last, partition=1)]
        workspace.topic.send(sent)
        workspace.land()
        expected = checks.landed(workspace)
        assert [e.late for e in expected.events] == [False, False, False, False, True]
        rows = checks.provisional(workspace, expected.events)
        hours = {(key[2], row.window_end_us) for key, row in rows.items() if key[1] == "1h"}
        assert (midnight - 30 * MINUTE_US, midnight) in hours


def test_a_watermark_advanced_by_a_faulty_clock_can_be_reset(workspaces):
    """From then on events are in time again, in that partition only; the windows continue as before."""
    mad, in_time = MIDNIGHT + 720 * HOUR_US, MIDNIGHT + MINUTE_US
    with workspaces.make("reset", partitions=2) as workspace:
        for partition in (0, 1):
            times = (MIDNIGHT, mad, in_time)
            workspace.topic.send([event(f"KV{partition}", time, partition=partition) for time in times])
        workspace.land()
        before = workspace.lake.versions()
        workspace.start(
            "speed-layer", "reset-watermark", "--partition", "0", "--to", rfc3339(MIDNIGHT + 2 * MINUTE_US)
        ).expect(0)
        for table in ("events", "avg_speed"):
            assert workspace.lake.version(table) == before[table] + 1
            assert "watermarkReset" in str(workspace.lake.delta(table).history(1)), "the reset is recorded"
        assert_told_by_audit(workspace, [(0, 3, mad, MIDNIGHT + 2 * MINUTE_US)])
        workspace.topic.send([event(f"KV{partition}", in_time, partition=partition) for partition in (0, 1)])
        workspace.land()
        rows = sorted(read(workspace.lake, "events"), key=lambda row: (row["kafka_partition"], row["kafka_offset"]))
        assert [row["late"] for row in rows] == [False, False, True, False, False, False, True, True]
        landed = oracle.land(workspace.topic.records()).events
        checks.provisional(workspace, [replace(e, late=row["late"]) for e, row in zip(landed, rows, strict=True)])
        workspace.batch("audit")
        workspace.batch("nightly")
        checks.final(workspace, landed, {checks.day("2025-04-05"), checks.day("2025-05-05")})


def test_a_reset_is_on_record_when_the_log_entries_are_gone(workspaces):
    """The speed layer runs meanwhile: its next commit finds the reset."""
    mad, in_time = MIDNIGHT + 720 * HOUR_US, MIDNIGHT + MINUTE_US
    retention = {"lake__deleted_file_retention": "1s", "lake__log_retention": "1s", "lake__retry_timeout": "250ms"}
    with workspaces.make("reset", partitions=1, lake__checkpoint_interval=1, **retention) as workspace:
        workspace.topic.send([event("KV1", time) for time in (MIDNIGHT, mad)])
        speed = workspace.speed()
        until(lambda: has_landed_all(workspace), "both landed")
        reset = ("speed-layer", "reset-watermark", "--partition", "0", "--to", rfc3339(in_time))
        workspace.start(*reset).expect(0)
        workspace.start(*reset).expect(0)
        workspace.topic.send([event("KV1", in_time)])
        until(lambda: has_landed_all(workspace), "the third landed")
        assert speed.terminate() == 0, speed.tail()
        assert [row["late"] for row in read(workspace.lake, "events")] == [False, False, False]

        def is_gone():
            workspace.topic.send([event("KV1", in_time)])
            workspace.land()
            workspace.batch("maintain")
            return "watermarkReset" not in str(workspace.lake.delta("events").history())

        until(is_gone, "the entry of the reset is deleted", pause_s=0.3)
        assert_told_by_audit(workspace, [(0, 2, mad, in_time)])


def has_landed_all(workspace):
    """Whether everything landed. A reader may find the checkpoint deleted that it has begun to read: retention is so short."""
    try:
        return workspace.has_landed_all()
    except DeltaError:
        return False


def assert_told_by_audit(workspace, resets):
    """Partition, first offset, and the greatest event times before and after, in text and in JSON."""
    told = json.loads(workspace.batch("audit", "--json").out)["watermark_resets"]
    wanted = [(p, offset, *(rfc3339(t).replace(".000000", "") for t in times)) for p, offset, *times in resets]
    assert [(r["partition"], r["offset"], r["from"], r["to"]) for r in told] == wanted
    text = workspace.batch("audit").out
    for partition, offset, before, after in wanted:
        assert f"partition {partition}: watermark reset at offset {offset} from {before} to {after}" in text
