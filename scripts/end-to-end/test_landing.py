"""Rules 1 to 3 and 7 of docs/contract.md, on disk and on MinIO: what lands, what is late, what the provisional rows hold.

One topic of three partitions in use and an idle fourth, with late events, duplicates and bad records, is landed once
per store; the tests look at the tables.
"""

import pytest

from harness import checks, oracle
from harness.data import at, event, traffic
from harness.lakehouse import free_port, until

DAY = checks.day("2025-04-05")


@pytest.fixture(scope="module", params=["disk", "minio"])
def landed(request, workspaces):
    """A workspace with everything landed, and what the oracle expects."""
    limits = {"speed_limits__default_kmh": 70, "speed_limits__cameras.KV00001": 62.5}
    with workspaces.make("landing", store=request.param, partitions=4, **limits) as workspace:
        workspace.topic.send(traffic(1, DAY, days=2, events=6000))
        workspace.land()
        yield workspace, workspace.expected()


def test_events_land_once_each_with_their_late_flag(landed):
    workspace, expected = landed
    assert len({e.late for e in expected.events}) == 2, "the traffic must hold late events and others"
    checks.events(workspace, expected.events)


def test_dead_letters_are_kept_whole_with_their_reason(landed):
    workspace, expected = landed
    assert len({reason for reason, _ in expected.letters}) >= 9
    checks.letters(workspace, expected.letters)


def test_provisional_rows_count_exactly_what_was_not_late(landed):
    workspace, expected = landed
    rows = checks.provisional(workspace, expected.events)
    spread = {key[:3] for key in rows if key[3] == 1} & {key[:3] for key in rows if key[3] == 2}
    assert spread, "the traffic must spread a camera over partitions"


def test_both_tables_say_how_far_they_are(landed):
    workspace, expected = landed
    ends = workspace.topic.ends()
    for table in ("events", "avg_speed"):
        assert workspace.next_offsets(table) == {**ends, 3: 0}
        delta = workspace.lake.delta(table)
        times = {p: delta.transaction_version(workspace.app_id(p, ":max_event_time")) for p in range(3)}
        assert times == expected.max_event_time_us


def test_every_offset_is_covered_once(landed):
    workspace, _ = landed
    checks.coverage(workspace, gaps={})


def test_the_audit_finds_nothing(landed):
    workspace, _ = landed
    workspace.batch("audit")


def test_running_again_commits_nothing(landed):
    workspace, _ = landed
    before = workspace.lake.versions()
    workspace.land()
    assert workspace.lake.versions() == before


def test_an_idle_speed_layer_commits_nothing_new(landed):
    """It is idle for ten times the interval at which it would commit offsets or averages."""
    workspace, _ = landed
    port = free_port()
    variables = {"LAKEHOUSE__SPEED__METRICS_LISTEN": f"127.0.0.1:{port}"}
    before = workspace.lake.versions()
    speed = workspace.speed(
        **variables, LAKEHOUSE__SPEED__POSITION_INTERVAL="100ms", LAKEHOUSE__SPEED__COMMIT_INTERVAL="100ms"
    )
    until(lambda: workspace.topic.shares(workspace.settings["kafka.group"]) == [4], "all partitions are assigned")
    ends = iter(range(10))
    until(lambda: next(ends, None) is None, "ten looks at an idle speed layer", pause_s=0.1)
    assert speed.is_running() and workspace.lake.versions() == before
    assert speed.terminate() == 0
    assert workspace.lake.versions() == before


def test_a_restart_goes_on_where_it_stopped(workspaces):
    """The second part of a topic meets windows that are open in the table, and watermarks that were stored."""
    messages = traffic(2, DAY, events=3000)
    with workspaces.make("restart") as workspace:
        for part in (messages[:1000], messages[1000:1001], messages[1001:]):
            workspace.topic.send(part)
            workspace.land()
            expected = checks.landed(workspace)
            checks.provisional(workspace, expected.events)


def test_a_topic_without_records_ends_at_once(workspaces):
    with workspaces.make("nothing") as workspace:
        workspace.land()
        assert checks.landed(workspace).events == []


def test_sigterm_commits_what_is_held_and_leaves_the_group(workspaces):
    """Rows would wait an hour to land. Averages are committed, so the records have been consumed."""
    with workspaces.make("sigterm", speed__landing_interval="30m", speed__position_interval="30m") as workspace:
        workspace.topic.send(traffic(3, DAY, events=1500, bad=0))
        speed = workspace.speed()
        ends = workspace.topic.ends()
        until(lambda: workspace.next_offsets("avg_speed") == ends, "averages reach the end of the topic")
        assert workspace.next_offsets("events") != ends, "rows must still be waiting for this test to mean something"
        assert speed.terminate() == 0, speed.tail()
        assert workspace.next_offsets("events") == ends
        assert workspace.topic.assignments(workspace.settings["kafka.group"]) == {}
        expected = checks.landed(workspace)
        checks.provisional(workspace, expected.events)


def test_sigterm_during_the_start_ends_it_in_good_order(workspaces):
    """The store does not respond, so the speed layer is still opening its tables when it is asked to stop."""
    with workspaces.make("sigterm", store="minio", partitions=1) as workspace:
        workspace.configure(**{"lake__storage.endpoint": "http://127.0.0.1:1"})
        speed = workspace.speed()
        until(lambda: "retry" in speed.err, "the store is tried again")
        assert speed.terminate() == 0, speed.tail()


def test_group_offsets_reach_the_end_for_lag_tools(landed):
    workspace, _ = landed
    wanted = {p: end for p, end in workspace.topic.ends().items() if end}
    assert workspace.topic.committed(workspace.settings["kafka.group"]) == wanted


def test_the_simulators_records_land_too(workspaces):
    """camera-simulator as a second, independent source of traffic."""
    with workspaces.make("simulated", partitions=2) as workspace:
        shares = ["--late", "0.05", "--duplicates", "0.02", "--bad", "0.02"]
        simulate = ["--cameras", "20", "--events", "4000", "--date", "2025-04-05", "--seed", "7", "--quiet", *shares]
        workspace.start("camera-simulator", *simulate).expect(0)
        workspace.land()
        expected = checks.landed(workspace)
        assert any(e.late for e in expected.events) and expected.letters
        assert len(oracle.distinct(expected.events)) == 4000
        checks.provisional(workspace, expected.events)


def test_events_of_one_camera_in_two_zones_are_one_instant(workspaces):
    """The day of an event follows the pipeline's zone, not the offset on the wire."""
    evening = at("2025-04-05T23:00:00+00:00")  # the 6th in Moscow
    with workspaces.make("zone", partitions=1, pipeline__timezone="Europe/Moscow") as workspace:
        workspace.topic.send([event("KV1", evening), event("KV1", evening + oracle.HOUR_US)])
        workspace.land()
        expected = checks.landed(workspace)
        assert checks.days_of(expected.events, "Europe/Moscow") == [checks.day("2025-04-06")]
        checks.provisional(workspace, expected.events)


@pytest.mark.parametrize("timestamps, warned", [("CreateTime", True), ("LogAppendTime", False)])
def test_producers_timestamps_are_warned_about(workspaces, timestamps, warned):
    """With a producer's timestamp a future event is accepted; with the broker's timestamp it is not."""
    with workspaces.make("timestamps", partitions=1) as workspace:
        workspace.topic.alter({"message.timestamp.type": timestamps})
        workspace.topic.send([event("KV1", at("2025-04-05T12:00:00+00:00"))])
        assert ("LogAppendTime" in workspace.land().err) == warned
        checks.landed(workspace)


def test_producers_timestamps_are_warned_about_before_the_first_record(workspaces):
    with workspaces.make("timestamps", partitions=1) as workspace:
        speed = workspace.speed()
        until(lambda: "LogAppendTime" in speed.err, "the topic's settings are read")
        assert speed.terminate() == 0, speed.tail()
