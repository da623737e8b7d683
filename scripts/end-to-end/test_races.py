"""The nightly run with other processes: it waits for records that have not landed, may be killed at any point, and
competes with itself and the speed layer. In all cases a day is either unchanged or final as a whole.
"""

from collections import Counter

import pytest

from harness import checks
from harness.data import DAYS, FIRST, at, event, traffic
from harness.lakehouse import QUICK, until

# ---- waiting for landing -----------------------------------------------------------------------------------------


def test_records_that_have_not_landed_hold_the_run_up_and_are_named(workspaces):
    with workspaces.make("unlanded") as workspace:
        messages = traffic(34, FIRST, events=600)
        workspace.topic.send(messages[:500])
        workspace.land()
        workspace.topic.send([message for message in messages[500:] if message.partition == 1])
        before = workspace.lake.versions()
        refused = workspace.batch("nightly", "--wait", "1s", code=1)
        landed, end = workspace.next_offsets("events")[1], workspace.topic.ends()[1]
        for word in ("partition 1", str(landed), str(end)):
            assert word in refused.out + refused.err, f"{word!r} is not in {refused.tail()}"
        assert workspace.lake.versions() == before, "no day is final"

        waiting = workspace.start("batch-layer", "nightly", "--wait", "60s")
        until(
            lambda: "partition" in waiting.err + waiting.out or not waiting.is_running(),
            "the run says what it waits for",
            deadline_s=20,
        )
        assert waiting.is_running(), waiting.tail()
        workspace.land()
        waiting.expect(0)
        checks.final(workspace, workspace.expected().events, {FIRST})


def test_an_open_transaction_holds_the_run_up_and_is_named(workspaces):
    """The speed layer reads committed records, so lag is 0; still records are in Kafka that the day would lack."""
    with workspaces.make("unstable", partitions=2) as workspace:
        workspace.topic.send([event("KV1", at("2025-04-05T12:00:00+00:00"))])
        with workspace.topic.transaction() as send:
            send([event("KV1", at("2025-04-05T13:00:00+00:00"))])
            workspace.land()
            before = workspace.lake.versions()
            refused = workspace.batch("nightly", "--wait", "1s", code=1)
            for part in ("in partition 0 a transaction is open since offset 1", "kafka-transactions.sh"):
                assert part in refused.out, f"{part!r} is not in {refused.tail()}"
            assert workspace.lake.versions() == before, "no day is final"
            waiting = workspace.start("batch-layer", "nightly", "--wait", "60s")
            until(lambda: "a transaction is open" in waiting.err, "the run says what it waits for", deadline_s=20)
        workspace.land()
        waiting.expect(0)
        checks.final(workspace, workspace.expected().events, {FIRST})


# ---- runs that are killed, runs that race ------------------------------------------------------------------------


def final_files(workspace):
    return sum(1 for _ in (workspace.folder / "lake" / "avg_speed").glob("*/final-*"))


def day_files(workspace):
    """The files of `avg_speed` by day."""
    uris = workspace.lake.delta("avg_speed").file_uris()
    return {day: {uri for uri in uris if f"={day}/" in uri} for day in DAYS}


def log_entries(workspace):
    return sum(1 for _ in (workspace.folder / "lake" / "avg_speed" / "_delta_log").glob("*.json"))


# By a workspace and the entries that its log of `avg_speed` had before the run.
KILL_POINTS = {
    "while_it_starts": lambda workspace, before: True,
    "after_the_first_file": lambda workspace, before: final_files(workspace) >= 1,
    "after_the_first_commit": lambda workspace, before: log_entries(workspace) >= before + 1,
    "within_the_second_day": lambda workspace, before: final_files(workspace) >= 4,
    "after_the_second_commit": lambda workspace, before: log_entries(workspace) >= before + 2,
}


def killed_copy(origin, point):
    """A copy of the lake whose nightly run was killed at that point; tried again where the run was quicker."""
    for attempt in range(5):
        workspace = origin.fork(f"killed-{point}-{attempt}")
        before = log_entries(workspace)
        run = workspace.start("batch-layer", "nightly")
        until(lambda at=workspace, n=before: KILL_POINTS[point](at, n), f"the moment to kill: {point}", pause_s=0.0005)
        run.kill()
        if run.wait() == -9:
            return workspace
    raise AssertionError(f"the run was always over too soon to be killed {point}")


@pytest.mark.parametrize("point", KILL_POINTS)
def test_a_killed_run_leaves_whole_days_and_the_next_one_completes(closed, finished, point):
    origin, expected = closed
    old, new = checks.avg_speed_by_day(origin), checks.avg_speed_by_day(finished[0])
    workspace = killed_copy(origin, point)
    left, files = checks.avg_speed_by_day(workspace), day_files(workspace)
    for day in DAYS:
        assert left[day] in (old[day], new[day]), f"{day} is neither as before nor final"

    workspace.batch("nightly")
    for day in DAYS:
        was_final = any("/final-" in uri for uri in files[day])
        assert was_final == (files[day] == day_files(workspace)[day]), f"{day} is made final once, and recorded"
    checks.final(workspace, expected.events, set(DAYS))
    assert Counter(row["event_date"] for row in checks.runs(workspace)) == dict.fromkeys(DAYS, 1)
    workspace.batch("audit")
    before = workspace.lake.versions()
    workspace.batch("nightly")
    assert workspace.lake.versions() == before


def test_two_runs_at_once_do_not_both_win(closed):
    workspace, expected = closed[0].fork("raced"), closed[1]
    runs = [workspace.start("batch-layer", "nightly") for _ in range(3)]
    codes = [run.wait() for run in runs]
    assert 0 in codes and set(codes) <= {0, 1}, [run.tail() for run in runs]
    checks.final(workspace, expected.events, set(DAYS))
    assert Counter(row["event_date"] for row in checks.runs(workspace)) == dict.fromkeys(DAYS, 1)
    workspace.batch("audit")


def test_runs_beside_a_speed_layer_that_goes_on_landing(workspaces):
    """Days become final, dirty and final again while their events still come."""
    with workspaces.make("beside", **QUICK) as workspace:
        with workspace.topic.feeding(traffic(35, FIRST, days=2, events=6000), portion=15) as fed:
            speed = workspace.speed()
            until(lambda: workspace.lake.version("avg_speed") > 1, "averages are committed")
            for _ in range(3):
                workspace.batch("nightly", "--wait", "20s")
            assert not fed.done(), "events must still be coming during the last run"
        until(workspace.has_landed_all, "everything landed")
        assert speed.terminate() == 0
        expected = checks.landed(workspace)
        workspace.batch("nightly")
        checks.final(workspace, expected.events, set(DAYS[:2]))
        workspace.batch("audit")
        workspace.batch("verify", "--date", "2025-04-05")
