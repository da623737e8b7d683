"""`batch-layer audit` and `verify`: they pass where all is well, and find what other programs have tampered with."""

import datetime as dt
import json

import pytest
from deltalake import write_deltalake

import checks
import oracle
from data import DAYS, FIRST


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
        row
        for row in checks.status_rows(workspace, "final")
        if row["camera_id"] == "KV00001" and row["event_date"] == FIRST
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
