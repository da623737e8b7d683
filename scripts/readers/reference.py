"""What the tables of a lake hold: their columns, the files of the newest version and their rows as plain values.

Rows are read from the data files one by one with pyarrow, values only, without statistics or filters. What the records
must become is computed by harness/oracle.py from Kafka; every row of `events`, `dead_letters` and `avg_speed` is compared
with that here, so that the reference does not depend on pyarrow being right. Left to pyarrow, and to the agreement of
all readers, are `detail`, the spelling of `extra`, quantiles of provisional rows, gaps, runs and times of computation.
"""

import json
import urllib.parse

import pyarrow.parquet as pq

from harness import checks, oracle
from harness.readers import TABLES
from readers import questions, values
from readers.adapters.base import arrow_rows
from readers.adapters.pyarrow import filesystem


def lake_of(state):
    """A lake as jobs describe it, and the rows of its tables."""
    lake = state.workspace.lake
    described = {"uri": lake.uri, "storage": lake.storage, "tables": {}}
    for table in TABLES:
        if lake.exists(table):
            described["tables"][table] = table_of(lake.delta(table), table)
    rows = {table: read(described, table) for table in described["tables"]}
    compare_with_oracle(state, described, rows)
    return described, rows


def table_of(delta, table):
    """The columns and files of a table's newest version."""
    fields = json.loads(delta.schema().to_json())["fields"]
    actions = delta.get_add_actions()
    files = [
        {
            "path": urllib.parse.unquote(action["path"]),
            "partition": {column: str(value) for column, value in (action.get("partition") or {}).items()},
        }
        for action in arrow_dicts(actions)
    ]
    return {
        "columns": [(field["name"], field["type"]) for field in fields],
        "measures": questions.MEASURES[table],
        "files": files,
    }


def arrow_dicts(actions):
    import pyarrow as pa

    return pa.table(actions).to_pylist()


def read(lake, table):
    """The rows of a table, by pyarrow."""
    about = lake["tables"][table]
    system, root = filesystem(lake)
    rows = []
    for file in about["files"]:
        inside = [name for name, _ in about["columns"] if name not in file["partition"]]
        with system.open_input_file(f"{root}/{table}/{file['path']}") as opened:
            found = pq.ParquetFile(opened).read(columns=inside)
        for row in map(dict, (zip(inside, row) for row in arrow_rows(found.select(inside)))):
            row |= file["partition"]
            rows.append([values.plain(row[name], kind) for name, kind in about["columns"]])
    return rows


def encodings(lake, table, column):
    """How a column is encoded in the table's files, for messages."""
    system, root = filesystem(lake)
    found = set()
    for file in lake["tables"][table]["files"]:
        with system.open_input_file(f"{root}/{table}/{file['path']}") as opened:
            metadata = pq.ParquetFile(opened).metadata
        names = [metadata.schema.column(place).path for place in range(metadata.num_columns)]
        if column in names:
            groups = range(metadata.num_row_groups)
            found.update(*(metadata.row_group(group).column(names.index(column)).encodings for group in groups))
    return ", ".join(sorted(found)) or "a partition value"


# ---- the oracle --------------------------------------------------------------------------------------------------


def compare_with_oracle(state, lake, rows):
    """Asserts that the rows are what the records must become."""
    zone = state.workspace.rules.zone
    expected = state.expected
    checks.same(
        f"events of the lake {state.name}",
        keyed(lake, rows, "events", checks.event_row),
        {checks.place(event.record): checks.wanted_event(event, zone) for event in expected.events},
    )
    wanted = {checks.place(record): checks.wanted_letter(why, record, zone) for why, record in expected.letters}
    checks.same(f"dead letters of the lake {state.name}", keyed(lake, rows, "dead_letters", letter), wanted)
    got = {checks.row_key(row): average(row) for row in (as_dict(lake, "avg_speed", row) for row in rows["avg_speed"])}
    checks.same(f"averages of the lake {state.name}", got, wanted_averages(state))


def average(row):
    """The figures of a row that are exact: with the quantiles where it is final."""
    return (
        row["status"],
        *checks.figures(row),
        *(map(checks.bits, checks.quantiles(row)) if row["status"] == "final" else ()),
    )


def wanted_averages(state):
    """Final rows of the days that are, provisional ones of the others."""
    rules, events = state.workspace.rules, state.expected.events
    of_final_days = [event for event in events if oracle.day_of(event.time_us, rules.zone) in state.final_days]
    wanted = {
        (*key, None): (
            "final",
            *checks.wanted_figures(key, row, rules.zone),
            *(checks.bits(quantile / 1000) for quantile in (row.p50, row.p85, row.p95)),
        )
        for key, row in oracle.final(of_final_days, rules).items()
    }
    for key, row in oracle.provisional(events, rules).items():
        if oracle.day_of(key[2], rules.zone) not in state.final_days:
            wanted[key] = ("provisional", *checks.wanted_figures(key, row, rules.zone))
    return wanted


def keyed(lake, rows, table, convert):
    """The rows of a table in the form of the checks, by partition and offset."""
    dicts = (as_dict(lake, table, row) for row in rows[table])
    return {(row["kafka_partition"], row["kafka_offset"]): convert(row) for row in dicts}


def as_dict(lake, table, row):
    """A row as the checks read rows: times as numbers, other values as Python's."""
    return {
        name: value if kind == "timestamp" or value is None else values.python(value, kind)
        for (name, kind), value in zip(lake["tables"][table]["columns"], row)
    }


def letter(row):
    return tuple(row[column] for column in ("reason", "key", "payload", "kafka_timestamp", "landed_date"))
