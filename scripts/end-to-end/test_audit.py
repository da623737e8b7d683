"""`batch-layer audit` and `verify`: they succeed on correct tables, and find changes by other programs."""

import json
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from harness import checks
from harness.data import DAYS, FIRST


@pytest.mark.parametrize("day", [str(day) for day in DAYS])
def test_verify_confirms_a_final_day_and_tells_the_drift(finished, day):
    workspace, _, _ = finished
    told = workspace.batch("verify", "--date", day)
    assert "drift" in (told.out + told.err).lower()


def test_verify_finds_a_figure_that_was_changed(finished):
    workspace = finished[0].fork("figure")
    change_one_row(workspace, "p85_speed_kmh", lambda kmh: math.nextafter(kmh, 1000))
    refused = workspace.batch("verify", "--date", "2025-04-05", code=1)
    assert "KV00001" in refused.out + refused.err
    workspace.batch("verify", "--date", "2025-04-06")


def change_one_row(workspace, column, change):
    """Changes a figure of KV00001 for the whole of 2025-04-05 in `avg_speed`, by a commit made by hand."""
    root = workspace.folder / "lake" / "avg_speed"
    log = sorted((root / "_delta_log").glob("*.json"))
    actions = [json.loads(line) for entry in log for line in entry.read_text().splitlines()]
    named = {uri.rpartition("/avg_speed/")[2] for uri in workspace.lake.delta("avg_speed").file_uris()}
    [add] = [
        a["add"]
        for a in actions
        if "add" in a and a["add"]["path"] in named and f"{FIRST}/" in a["add"]["path"] and "-24h-" in a["add"]["path"]
    ]
    table = pq.ParquetFile(root / add["path"]).read()
    at = table["camera_id"].to_pylist().index("KV00001")
    values = table[column].to_pylist()
    values[at] = change(values[at])
    place = table.column_names.index(column)
    changed = table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))
    path = add["path"].replace("-24h-", "-24h-f")  # a name of the same form
    pq.write_table(changed, root / path)
    remove = {"path": add["path"], "deletionTimestamp": add["modificationTime"], "dataChange": True}
    commit = [{"remove": remove}, {"add": add | {"path": path, "size": (root / path).stat().st_size}}]
    (root / "_delta_log" / f"{len(log):020}.json").write_text("\n".join(map(json.dumps, commit)))


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
    change_one_row(workspace, "vehicle_count", lambda count: count + 1)
    refused = workspace.batch("audit", code=1)
    assert "2025-04-05" in refused.out + refused.err


def test_a_lake_without_tables_is_a_mistake_and_empty_tables_are_not(workspaces):
    with workspaces.make("hollow", partitions=1) as workspace:
        for command in (["audit"], ["nightly"], ["verify", "--date", "2025-04-05"], ["maintain"]):
            refused = workspace.batch(*command, code=2)
            assert "lake.uri" in refused.err, refused.tail()
        workspace.land()
        for command in (["audit"], ["nightly"], ["maintain"]):
            workspace.batch(*command)
