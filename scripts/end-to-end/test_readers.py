"""The tables as other programs see them: Python deltalake, DuckDB's delta extension, Polars; on disk and on MinIO.

One lake with rows of every kind (events, dead letters, gaps, provisional and final averages, runs) is read before and
after `maintain`, which leaves checkpoints in the logs; every reader must return the same rows, which were compared with
the oracle.
"""

import json

import polars
import pytest

from harness import checks, readers
from harness.data import event, traffic

FIRST = checks.day("2025-04-05")


@pytest.fixture(scope="module", params=["disk", "minio"])
def lake(request, workspaces):
    """A lake with rows of every kind, and the rows of its tables before maintenance, by table."""
    with workspaces.make("readers", store=request.param, lake__checkpoint_interval=3) as workspace:
        messages = traffic(51, FIRST, days=2, events=2000)
        workspace.topic.send(messages[:700])
        with workspace.topic.transaction(abort=True) as send:
            send(messages[:10])
        workspace.land()
        workspace.topic.send(messages[700:1900])
        workspace.land()
        workspace.batch("nightly", "--date", str(FIRST))
        workspace.topic.send([*messages[1900:], event("KV00001", 1743840000 * 10**6)])
        workspace.land()
        workspace.batch("nightly", "--date", str(FIRST))
        expected = checks.landed(workspace)
        checks.final(workspace, expected.events, {FIRST})
        checks.provisional(workspace, expected.events, final_days={FIRST})
        before = {table: everything(readers.with_deltalake(workspace.lake, table)) for table in readers.TABLES}
        yield workspace, before, expected


def everything(table):
    """All rows with all columns, in an order that depends on the rows alone."""
    return sorted((tuple(row.items()) for row in readers.rows(table)), key=repr)


@pytest.mark.parametrize("table", readers.TABLES)
@pytest.mark.parametrize("reader", readers.READERS)
def test_readers_see_the_same_rows(lake, reader, table):
    workspace, before, _ = lake
    assert before[table], "the table must hold something"
    assert everything(readers.READERS[reader](workspace.lake, table)) == before[table]


@pytest.mark.parametrize("table", readers.TABLES)
def test_columns_are_those_of_the_contract_in_its_order(lake, table):
    workspace, _, _ = lake
    fields = json.loads(workspace.lake.delta(table).schema().to_json())["fields"]
    contract = readers.COLUMNS[table]
    columns = [(field["name"], field["type"], field["nullable"]) for field in fields]
    assert columns[: len(contract)] == contract
    assert table == "avg_speed" or columns == contract, "only avg_speed may have more"
    assert all(name == name.lower() for name, _, _ in columns)


@pytest.mark.parametrize("table", readers.TABLES)
def test_types_arrive_in_duckdb_and_polars(lake, table):
    workspace, _, _ = lake
    wanted = readers.COLUMNS[table]
    with readers.duckdb_connection(workspace.lake) as connection:
        described = connection.execute(f"DESCRIBE SELECT * FROM delta_scan('{workspace.lake.path(table)}')").fetchall()
    types = {row[0]: row[1] for row in described}
    assert {name: types[name] for name, _, _ in wanted} == {
        name: readers.DUCKDB_TYPES[kind] for name, kind, _ in wanted
    }
    schema = polars.scan_delta(
        workspace.lake.path(table), storage_options=workspace.lake.options() or None
    ).collect_schema()
    assert {name: schema[name] for name, _, _ in wanted} == {
        name: readers.POLARS_TYPES[kind] for name, kind, _ in wanted
    }


@pytest.mark.parametrize("table", readers.TABLES)
def test_the_protocol_is_1_and_2_and_partitions_are_dates(lake, table):
    workspace, _, _ = lake
    delta = workspace.lake.delta(table)
    protocol = delta.protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)
    assert delta.metadata().partition_columns == readers.PARTITIONED_BY[table]


@pytest.mark.parametrize("table", ["events", "dead_letters", "avg_speed"])
def test_files_carry_statistics_for_skipping(lake, table):
    """Row counts, and bounds of camera and time where there are such columns."""
    workspace, before, _ = lake
    adds = readers.pa.table(workspace.lake.delta(table).get_add_actions(flatten=True)).to_pylist()
    assert sum(add["num_records"] for add in adds) == len(before[table])
    columns = {
        "events": ["camera_id", "event_time"],
        "dead_letters": ["kafka_offset"],
        "avg_speed": ["camera_id", "window_start", "status"],
    }
    for column in columns[table]:
        assert all(add[f"min.{column}"] is not None and add[f"max.{column}"] is not None for add in adds), column


@pytest.mark.parametrize("reader", readers.READERS)
def test_a_filter_on_day_and_camera_finds_its_rows(lake, reader):
    """With wrong statistics or partition values, rows would be missing here."""
    workspace, before, _ = lake
    wanted = [
        row for row in map(dict, before["avg_speed"]) if row["event_date"] == FIRST and row["camera_id"] == "KV00001"
    ]
    assert wanted and len(filtered(reader, workspace.lake)) == len(wanted)


def filtered(reader, lake):
    if reader == "duckdb":
        with readers.duckdb_connection(lake) as connection:
            where = f"event_date = DATE '{FIRST}' AND camera_id = 'KV00001'"
            return connection.execute(f"SELECT * FROM delta_scan('{lake.path('avg_speed')}') WHERE {where}").fetchall()
    if reader == "polars":
        rows = polars.scan_delta(lake.path("avg_speed"), storage_options=lake.options() or None)
        return rows.filter((polars.col("event_date") == FIRST) & (polars.col("camera_id") == "KV00001")).collect()
    where = [("event_date", "=", FIRST), ("camera_id", "=", "KV00001")]
    return lake.delta("avg_speed").to_pyarrow_table(filters=where)


def test_sums_over_rows_stay_exact(lake):
    """speed_sum_kmh is a decimal: a BI tool's average over any rows is right."""
    workspace, _, expected = lake
    with readers.duckdb_connection(workspace.lake) as connection:
        query = f"SELECT sum(speed_sum_kmh) FROM delta_scan('{workspace.lake.path('avg_speed')}') WHERE window_size = '5m' AND status = 'final'"
        [(total,)] = connection.execute(query).fetchall()
    final = checks.oracle.final([e for e in expected.events if checks.oracle.day_of(e.time_us, "UTC") == FIRST])
    assert total * 1000 == sum(row.total for key, row in final.items() if key[1] == "5m")


def test_maintenance_changes_no_row_for_any_reader(lake):
    """It runs last: fewer files, the same rows, nothing to do for the next nightly run, time travel still works."""
    workspace, before, _ = lake
    published = {table: workspace.lake.version(table) for table in readers.TABLES}
    files = len(workspace.lake.delta("events").file_uris())
    workspace.batch("maintain")
    if not workspace.lake.storage:  # a folder is easier to inspect, and the code is the same
        assert all(workspace.has_checkpoint(table) for table in ("events", "avg_speed", "dead_letters"))
    assert len(workspace.lake.delta("events").file_uris()) < files, "closed days are compacted"
    for name, reader in readers.READERS.items():
        for table in readers.TABLES:
            assert everything(reader(workspace.lake, table)) == before[table], (name, table)
    for table, version in published.items():
        assert everything(workspace.lake.delta(table, version).to_pyarrow_table()) == before[table], "time travel"
    workspace.batch("audit")
    workspace.batch("verify", "--date", str(FIRST))
    after = workspace.lake.versions()
    workspace.batch("nightly", "--date", str(FIRST))
    assert workspace.lake.versions() == after
    workspace.land()
    assert workspace.lake.versions() == after
