"""Rules 4 to 7 of docs/contract.md: what the nightly run makes final, when, and that nothing else changes it.

Three closed days with late events, duplicates and bad records are landed once; each test works on a copy of that
lake, or on a separate topic if it sends more records.
"""

import json
import time
from collections import Counter

import pytest

from harness import checks, oracle
from harness.data import DAYS, FIRST, at, event, traffic


def replaced(workspace, expected, day):
    """The provisional rows of a day, merged per window."""
    open_events = [e for e in expected.events if not e.late and oracle.day_of(e.time_us, workspace.rules.zone) == day]
    return {key: (row.count, row.total) for key, row in oracle.per_window(open_events, workspace.rules).items()}


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
        assert row["drift_max_kmh"] == round(row["drift_max_kmh"], 3) == pytest.approx(wanted.drift_max_kmh, abs=0.000501)
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
    provisional, final = checks.avg_speed_by_day(closed[0]), checks.avg_speed_by_day(workspace)
    for version in range(before["avg_speed"], workspace.lake.version("avg_speed") + 1):
        rows = checks.avg_speed_by_day(workspace, version)
        for day in DAYS:
            assert rows.get(day) in (provisional[day], final[day]), f"{day} at version {version} is neither whole"


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
    before = checks.avg_speed_by_day(copy)
    copy.batch("nightly", "--force", "--date", "2025-04-06")
    assert checks.avg_speed_by_day(copy) == before
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
    """Late events, and one that is not late because its partition was empty: both land, neither creates provisional rows."""
    noon = at("2025-04-06T12:00:00+00:00")
    with workspaces.make("dirty", partitions=4) as workspace:
        workspace.topic.send(traffic(33, FIRST, days=3, events=2000))
        workspace.land()
        workspace.batch("nightly")
        first = checks.avg_speed_by_day(workspace)

        workspace.topic.send([event("KV00001", noon), event("NEW", noon, partition=3)])
        workspace.land()
        expected = checks.landed(workspace)
        assert [e.late for e in expected.events if e.time_us == noon] == [True, False]
        assert checks.avg_speed_by_day(workspace) == first, "a final day is the batch's alone"
        told = workspace.batch("nightly", "--dry-run")
        dirty = [line for line in told.out.splitlines() if "dirty" in line]
        assert len(dirty) == 1 and "2025-04-06" in dirty[0], told.out

        workspace.batch("nightly")
        second = checks.avg_speed_by_day(workspace)
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
    """With every option. There are events of this moment and of a closed day; the clock is the real one."""
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
