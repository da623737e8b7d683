"""Contract rules 4 to 7: what the nightly run makes final, when, and that nothing else changes it.

Three closed days with late events, duplicates and bad records are landed once; each test works on a copy of that
lake, or on a topic of its own where it sends more.
"""

import datetime as dt
import json
import time
from collections import Counter

import pytest
from deltalake import write_deltalake

import checks
import oracle
import readers
from data import at, event, traffic
from lakehouse import until
from test_crashes import QUICK

FIRST = checks.day("2025-04-05")
DAYS = [FIRST + dt.timedelta(days=n) for n in range(3)]


@pytest.fixture(scope="module")
def closed(workspaces):
    """The landed days, and what the oracle expects."""
    limits = {"speed_limits__default_kmh": 70, "speed_limits__cameras.KV00001": 62.5}
    with workspaces.make("nightly", **limits) as workspace:
        workspace.topic.send(traffic(31, FIRST, days=3, events=6000))
        workspace.land()
        expected = checks.landed(workspace)
        assert checks.days_of(expected.events, "UTC") == DAYS
        yield workspace, expected


@pytest.fixture(scope="module")
def finished(closed):
    """A copy after its first nightly run, with the versions of the tables before it."""
    workspace, expected = closed
    copy = workspace.fork("finished")
    before = copy.lake.versions()
    copy.batch("nightly")
    return copy, expected, before


def replaced(workspace, expected, day):
    """The provisional rows of a day, merged per window."""
    open_events = [e for e in expected.events if not e.late and oracle.day_of(e.time_us, workspace.rules.zone) == day]
    return {key: (row.count, row.total) for key, row in oracle.per_window(open_events, workspace.rules).items()}


def avg_speed_by_day(workspace, version=None):
    """What `avg_speed` holds, but for when it was computed."""
    table = readers.rows(workspace.lake.delta("avg_speed", version).to_pyarrow_table())
    days = {}
    for row in table:
        row.pop("computed_at")
        days.setdefault(row["event_date"], []).append(tuple(row.values()))
    return {day: sorted(rows, key=repr) for day, rows in days.items()}


# ---- what a run does ---------------------------------------------------------------------------------------------


def test_final_rows_equal_the_oracle_bit_for_bit(finished):
    workspace, expected, _ = finished
    rows = checks.final(workspace, expected.events, set(DAYS))
    assert {row["events_version"] for row in rows.values()} == {workspace.lake.version("events")}


def test_each_run_is_told_in_batch_runs(finished):
    workspace, expected, before = finished
    rows = checks.by_key(checks.runs(workspace), lambda row: row["event_date"])
    assert sorted(rows) == DAYS and len({row["run_id"] for row in rows.values()}) == 1
    ends = {str(p): end for p, end in workspace.topic.ends().items()}
    for day, row in rows.items():
        wanted = oracle.batch_run(expected.events, replaced(workspace, expected, day), day, workspace.rules)
        assert wanted.late_rows and wanted.duplicates_dropped and wanted.drift_windows, (
            "the day must hold late events and duplicates"
        )
        got = {name: row[name] for name in vars(wanted) if name != "drift_max_kmh"}
        assert got == {name: value for name, value in vars(wanted).items() if name != "drift_max_kmh"}
        assert row["drift_max_kmh"] == pytest.approx(wanted.drift_max_kmh, abs=1e-9)
        assert row["events_version"] == before["events"] and json.loads(row["kafka_offsets"]) == ends
        assert row["started_at"] <= row["finished_at"]


def test_the_run_is_named_in_the_files_and_touches_no_other_table(finished):
    workspace, _, before = finished
    [run_id] = {row["run_id"] for row in checks.runs(workspace)}
    assert all(run_id in uri for uri in workspace.lake.delta("avg_speed").file_uris())
    after = workspace.lake.versions()
    assert {table: after[table] for table in ("events", "dead_letters", "offset_gaps")} == {
        table: before[table] for table in ("events", "dead_letters", "offset_gaps")
    }
    assert after["avg_speed"] == before["avg_speed"] + len(DAYS), "one commit a day"


def test_a_day_is_replaced_in_one_commit(finished, closed):
    """At every version of `avg_speed` a day is wholly provisional or wholly final."""
    workspace, _, before = finished
    provisional, final = avg_speed_by_day(closed[0]), avg_speed_by_day(workspace)
    for version in range(before["avg_speed"], workspace.lake.version("avg_speed") + 1):
        for day, rows in avg_speed_by_day(workspace, version).items():
            assert rows in (provisional[day], final[day]), f"{day} at version {version} is a mixture"


def test_a_second_run_commits_nothing(finished):
    workspace, _, _ = finished
    before = workspace.lake.versions()
    for arguments in ([], ["--date", "2025-04-05"], ["--from", "2025-04-01", "--to", "2025-04-30"], ["--dry-run"]):
        workspace.batch("nightly", *arguments)
        assert workspace.lake.versions() == before, arguments
    workspace.batch("audit")
    workspace.land()
    assert workspace.lake.versions() == before


def test_force_recomputes_the_days_named_to_the_same_rows(finished):
    workspace, _, _ = finished
    copy = workspace.fork("forced")
    before = avg_speed_by_day(copy)
    copy.batch("nightly", "--force", "--date", "2025-04-06")
    assert avg_speed_by_day(copy) == before
    assert Counter(row["event_date"] for row in checks.runs(copy)) == {DAYS[0]: 1, DAYS[1]: 2, DAYS[2]: 1}
    again = checks.runs(copy)[-1]
    assert (again["event_date"], again["drift_windows"], again["drift_max_kmh"]) == (DAYS[1], 0, 0.0)


def test_a_dry_run_names_the_days_and_changes_nothing(closed):
    workspace = closed[0].fork("dry")
    before = workspace.lake.versions()
    told = workspace.batch("nightly", "--dry-run")
    assert workspace.lake.versions() == before
    for day in DAYS:
        assert str(day) in told.out + told.err


def test_only_the_days_asked_for_are_made_final(closed):
    workspace, expected = closed[0].fork("asked"), closed[1]
    workspace.batch("nightly", "--date", "2025-04-06")
    checks.final(workspace, expected.events, {DAYS[1]})
    checks.provisional(workspace, expected.events, final_days={DAYS[1]})
    workspace.batch("nightly", "--from", "2025-04-06", "--to", "2025-04-07")
    assert Counter(row["event_date"] for row in checks.runs(workspace)) == {DAYS[1]: 1, DAYS[2]: 1}
    workspace.batch("audit")


def test_without_late_events_and_duplicates_final_equals_the_merge_of_provisional(workspaces):
    """Rule 5, from the tables alone."""
    with workspaces.make("clean") as workspace:
        workspace.topic.send(traffic(32, FIRST, events=3000, late=0, duplicates=0))
        workspace.land()
        merge = {}
        for row in checks.read(workspace.lake, "avg_speed"):
            key = (row["camera_id"], row["window_size"], row["window_start"])
            count, total, least, most = merge.get(key, (0, 0, 400, 0))
            merge[key] = (
                count + row["vehicle_count"],
                total + row["speed_sum_kmh"],
                min(least, row["min_speed_kmh"]),
                max(most, row["max_speed_kmh"]),
            )
        workspace.batch("nightly")
        final = {}
        for row in checks.read(workspace.lake, "avg_speed"):
            assert row["status"] == "final"
            figures = (row["vehicle_count"], row["speed_sum_kmh"], row["min_speed_kmh"], row["max_speed_kmh"])
            final[row["camera_id"], row["window_size"], row["window_start"]] = figures
            average = int(row["speed_sum_kmh"] * 1000) / (1000 * row["vehicle_count"])
            assert checks.bits(row["avg_speed_kmh"]) == checks.bits(average)
        checks.same("final rows", final, merge)
        assert {(row["drift_windows"], row["drift_max_kmh"]) for row in checks.runs(workspace)} == {(0, 0.0)}


# ---- days that change, and days that are not over ------------------------------------------------------------------


def test_an_event_after_final_makes_exactly_its_day_run_again(workspaces):
    """Late events, and one that is not late since its partition was empty: both land, neither makes provisional rows."""
    noon = at("2025-04-06T12:00:00+00:00")
    with workspaces.make("dirty", partitions=4) as workspace:
        workspace.topic.send(traffic(33, FIRST, days=3, events=2000))
        workspace.land()
        workspace.batch("nightly")
        first = avg_speed_by_day(workspace)

        workspace.topic.send([event("KV00001", noon), event("NEW", noon, partition=3)])
        workspace.land()
        expected = checks.landed(workspace)
        assert [e.late for e in expected.events if e.time_us == noon] == [True, False]
        assert avg_speed_by_day(workspace) == first, "a final day is the batch's alone"
        told = workspace.batch("nightly", "--dry-run")
        assert "2025-04-06" in told.out + told.err and "2025-04-05" not in told.out

        workspace.batch("nightly")
        second = avg_speed_by_day(workspace)
        assert {day for day in DAYS if first[day] != second[day]} == {DAYS[1]}
        checks.final(workspace, expected.events, set(DAYS))
        runs = checks.runs(workspace)
        assert Counter(row["event_date"] for row in runs) == {DAYS[0]: 1, DAYS[1]: 2, DAYS[2]: 1}
        again = [row for row in runs if row["event_date"] == DAYS[1]][-1]
        assert again["drift_windows"] == 6 and again["rows_written"] == len(second[DAYS[1]])
        before = workspace.lake.versions()
        workspace.batch("nightly")
        assert workspace.lake.versions() == before
        workspace.batch("audit")


def test_a_day_of_late_events_alone_is_made_final_too(workspaces):
    """It has no provisional rows."""
    old = at("2025-03-01T12:00:00+00:00")
    with workspaces.make("late", partitions=1) as workspace:
        workspace.topic.send([event("KV1", at("2025-04-05T12:00:00+00:00")), event("KV1", old), event("KV2", old)])
        workspace.land()
        workspace.batch("nightly")
        expected = checks.landed(workspace)
        checks.final(workspace, expected.events, {checks.day("2025-03-01"), FIRST})
        row = next(row for row in checks.runs(workspace) if row["event_date"] == checks.day("2025-03-01"))
        assert (row["rows_read"], row["late_rows"], row["cameras"], row["drift_windows"], row["drift_max_kmh"]) == (
            2,
            2,
            2,
            6,
            0.0,
        )
        workspace.batch("audit")


def test_an_open_day_is_never_made_final(workspaces):
    """Whatever is asked for. Events of this moment and of a closed day; the clock is the real one."""
    now = time.time_ns() // 1000
    today = str(oracle.day_of(now, "UTC"))
    with workspaces.make("open", partitions=2) as workspace:
        workspace.topic.send([event("KV1", now), event("KV1", at("2025-04-05T12:00:00+00:00"), partition=1)])
        workspace.land()
        for arguments in (
            ["--date", today, "--force"],
            ["--from", "2025-04-01", "--to", "2100-01-01", "--force"],
            ["--force"],
            [],
        ):
            workspace.start("batch-layer", "nightly", *arguments).wait()
            statuses = {row["event_date"]: row["status"] for row in checks.read(workspace.lake, "avg_speed")}
            assert statuses[oracle.day_of(now, "UTC")] == "provisional", arguments
        assert statuses[FIRST] == "final"


def test_a_day_is_closed_only_some_time_after_its_end(workspaces):
    """batch.close_after, by the clock: days that ended less long ago stay open."""
    ago = [time.time_ns() // 1000 - days * 24 * oracle.HOUR_US for days in (3, 12)]
    with workspaces.make("closing", partitions=2, batch__close_after="168h") as workspace:
        workspace.topic.send([event("KV1", moment, partition=p) for p, moment in enumerate(ago)])
        workspace.land()
        workspace.batch("nightly")
        statuses = {row["event_date"]: row["status"] for row in checks.read(workspace.lake, "avg_speed")}
        assert [statuses[oracle.day_of(moment, "UTC")] for moment in ago] == ["provisional", "final"]


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


def test_an_open_transaction_does_not_hold_the_run_up(workspaces):
    """Kafka's end is the last stable offset."""
    with workspaces.make("unstable", partitions=1) as workspace:
        workspace.topic.send([event("KV1", at("2025-04-05T12:00:00+00:00"))])
        with workspace.topic.transaction(abort=True) as send:
            send([event("KV1", at("2025-04-05T13:00:00+00:00"))])
            workspace.land()
            workspace.batch("nightly", "--wait", "1s")
            checks.final(workspace, workspace.expected().events, {FIRST})


# ---- runs that are killed, runs that race ------------------------------------------------------------------------


def final_files(workspace):
    return sum(1 for _ in (workspace.folder / "lake" / "avg_speed").glob("*/final-*"))


KILL_POINTS = {
    "while_it_starts": lambda workspace: True,
    "after_the_first_file": lambda workspace: final_files(workspace) >= 1,
    "after_the_first_commit": lambda workspace: (
        len({row["event_date"] for row in status_rows(workspace, "final")}) >= 1
    ),
    "within_the_second_day": lambda workspace: final_files(workspace) >= 4,
    "after_the_second_commit": lambda workspace: (
        len({row["event_date"] for row in status_rows(workspace, "final")}) >= 2
    ),
}


def status_rows(workspace, status):
    return [row for row in checks.read(workspace.lake, "avg_speed") if row["status"] == status]


@pytest.mark.parametrize("point", KILL_POINTS)
def test_a_killed_run_leaves_whole_days_and_the_next_one_completes(closed, finished, point):
    origin, expected = closed
    workspace = origin.fork(f"killed-{point}")
    old, new = avg_speed_by_day(workspace), avg_speed_by_day(finished[0])
    run = workspace.start("batch-layer", "nightly")
    until(lambda: KILL_POINTS[point](workspace), f"the moment to kill: {point}", pause_s=0.001)
    run.kill()
    assert run.wait() == -9, f"the run was over too soon to be killed {point}"
    left = avg_speed_by_day(workspace)
    for day in DAYS:
        assert left[day] in (old[day], new[day]), f"{day} is neither as before nor final"

    workspace.batch("nightly")
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
        with workspace.topic.feeding(traffic(35, FIRST, days=2, events=6000), portion=40) as fed:
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


# ---- audit and verify --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("day", map(str, DAYS))
def test_verify_confirms_a_final_day_and_tells_the_drift(finished, day):
    workspace, _, _ = finished
    told = workspace.batch("verify", "--date", day)
    assert "drift" in (told.out + told.err).lower()


def test_verify_finds_a_figure_that_was_changed(finished):
    workspace = finished[0].fork("figure")
    change_one_row(workspace, "p85_speed_kmh = p85_speed_kmh + 0.001")
    refused = workspace.batch("verify", "--date", "2025-04-05", code=1)
    assert "KV00001" in refused.out + refused.err
    workspace.batch("verify", "--date", "2025-04-06")


def change_one_row(workspace, change):
    """Changes one final row of 2025-04-05 in `avg_speed`, as some other program might."""
    column, _, value = change.partition(" = ")
    rows = [
        row for row in status_rows(workspace, "final") if row["camera_id"] == "KV00001" and row["event_date"] == FIRST
    ]
    start = min(row["window_start"] for row in rows if row["window_size"] == "1h")
    moment = (oracle.EPOCH + dt.timedelta(microseconds=start)).isoformat()
    where = f"camera_id = 'KV00001' AND window_size = '1h' AND window_start = TIMESTAMP '{moment}' AND event_date = DATE '2025-04-05'"
    assert workspace.lake.delta("avg_speed").update({column: value}, predicate=where)["num_updated_rows"] == 1


def test_verify_of_a_day_that_is_not_final_fails_and_says_so(closed):
    workspace = closed[0].fork("unverified")
    refused = workspace.start("batch-layer", "verify", "--date", "2025-04-05")
    assert refused.wait() in (1, 2), refused.tail()
    assert "2025-04-05" in refused.out + refused.err


def test_the_audit_passes_before_and_after_and_speaks_json(closed, finished):
    for workspace in (closed[0], finished[0]):
        workspace.batch("audit")
        verdict = json.loads(workspace.batch("audit", "--json").out)
        assert isinstance(verdict, dict)


TAMPERED = {
    "rows_of_a_partition_gone": lambda lake: lake.delta("events").delete("kafka_partition = 1"),
    "one_event_gone": lambda lake: lake.delta("events").delete(one_of(lake, "events")),
    "one_dead_letter_gone": lambda lake: lake.delta("dead_letters").delete(one_of(lake, "dead_letters")),
    "one_event_twice": lambda lake: repeat_one(lake),
}


def one_of(lake, table):
    row = checks.read(lake, table)[0]
    return f"kafka_partition = {row['kafka_partition']} AND kafka_offset = {row['kafka_offset']}"


def repeat_one(lake):
    delta = lake.delta("events")
    row = delta.to_pyarrow_table().slice(0, 1)
    write_deltalake(delta, row, mode="append")


@pytest.mark.parametrize("name", TAMPERED)
def test_the_audit_finds_what_is_missing_or_there_twice(closed, name):
    """Tampering by another Delta program."""
    workspace = closed[0].fork(f"tampered-{name}")
    before = workspace.lake.version("events"), workspace.lake.version("dead_letters")
    TAMPERED[name](workspace.lake)
    assert (workspace.lake.version("events"), workspace.lake.version("dead_letters")) != before
    refused = workspace.batch("audit", code=1)
    assert "partition" in (refused.out + refused.err).lower()
    verdict = json.loads(workspace.batch("audit", "--json", code=1).out)
    assert verdict


def test_the_audit_finds_final_counts_that_are_wrong(finished):
    workspace = finished[0].fork("counts")
    change_one_row(workspace, "vehicle_count = vehicle_count + 1")
    refused = workspace.batch("audit", code=1)
    assert "2025-04-05" in refused.out + refused.err


def test_an_audit_of_an_empty_lake_passes(workspaces):
    with workspaces.make("hollow", partitions=1) as workspace:
        workspace.batch("audit")
        workspace.batch("nightly", "--wait", "1s")
        workspace.land()
        workspace.batch("audit")
        workspace.batch("nightly")
