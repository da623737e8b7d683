"""Reads the tables with other programs: Python deltalake, DuckDB's delta extension, Polars.

Each reader gives a pyarrow table; `rows` converts each of them to plain Python values that are equal if the tables are
equal: times as microseconds since 1970, everything else as it is.
"""

import importlib.resources
from dataclasses import dataclass, field
from urllib.parse import urlparse

import duckdb
import polars
import pyarrow as pa
from deltalake import DeltaTable

TABLES = ("events", "dead_letters", "avg_speed", "offset_gaps", "batch_runs")

# (name, Delta type, may be null), in the order of docs/contract.md.
COLUMNS = {
    "events": [
        ("camera_id", "string", False),
        ("event_time", "timestamp", False),
        ("speed_kmh", "double", False),
        ("plate_number", "string", True),
        ("extra", "string", True),
        ("kafka_timestamp", "timestamp", False),
        ("kafka_partition", "integer", False),
        ("kafka_offset", "long", False),
        ("late", "boolean", False),
        ("event_date", "date", False),
    ],
    "dead_letters": [
        ("reason", "string", False),
        ("detail", "string", False),
        ("key", "binary", True),
        ("payload", "binary", True),
        ("kafka_timestamp", "timestamp", False),
        ("kafka_partition", "integer", False),
        ("kafka_offset", "long", False),
        ("landed_date", "date", False),
    ],
    "avg_speed": [
        ("camera_id", "string", False),
        ("window_start", "timestamp", False),
        ("window_end", "timestamp", False),
        ("kafka_partition", "integer", True),
        ("avg_speed_kmh", "double", False),
        ("vehicle_count", "long", False),
        ("speed_sum_kmh", "decimal(20,3)", False),
        ("min_speed_kmh", "double", False),
        ("max_speed_kmh", "double", False),
        ("p50_speed_kmh", "double", False),
        ("p85_speed_kmh", "double", False),
        ("p95_speed_kmh", "double", False),
        ("over_limit_count", "long", True),
        ("status", "string", False),
        ("events_version", "long", True),
        ("computed_at", "timestamp", False),
        ("window_size", "string", False),
        ("event_date", "date", False),
    ],
    "offset_gaps": [
        ("kafka_partition", "integer", False),
        ("first_offset", "long", False),
        ("next_offset", "long", False),
        ("reason", "string", False),
        ("noted_at", "timestamp", False),
    ],
    "batch_runs": [
        ("run_id", "string", False),
        ("event_date", "date", False),
        ("events_version", "long", False),
        ("kafka_offsets", "string", False),
        ("rows_read", "long", False),
        ("duplicates_dropped", "long", False),
        ("late_rows", "long", False),
        ("cameras", "long", False),
        ("rows_written", "long", False),
        ("drift_windows", "long", False),
        ("drift_max_kmh", "double", False),
        ("started_at", "timestamp", False),
        ("finished_at", "timestamp", False),
    ],
}
PARTITIONED_BY = {
    "events": ["event_date"],
    "dead_letters": ["landed_date"],
    "avg_speed": ["event_date"],
    "offset_gaps": [],
    "batch_runs": [],
}
DUCKDB_TYPES = {
    "string": "VARCHAR",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "double": "DOUBLE",
    "integer": "INTEGER",
    "long": "BIGINT",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "binary": "BLOB",
    "decimal(20,3)": "DECIMAL(20,3)",
}
POLARS_TYPES = {
    "string": polars.String,
    "timestamp": polars.Datetime("us", "UTC"),
    "double": polars.Float64,
    "integer": polars.Int32,
    "long": polars.Int64,
    "boolean": polars.Boolean,
    "date": polars.Date,
    "binary": polars.Binary,
    "decimal(20,3)": polars.Decimal(20, 3),
}


@dataclass(frozen=True)
class Lake:
    """Where tables are, and how the object store is accessed (with the names of object_store's AmazonS3ConfigKey)."""

    uri: str
    storage: dict = field(default_factory=dict)

    def path(self, table):
        return f"{self.uri}/{table}"

    def options(self):
        return {
            f"AWS_{name.upper()}": str(value).lower() if value is True else value
            for name, value in self.storage.items()
        }

    def delta(self, table, version=None):
        """The table as Python deltalake opens it."""
        return DeltaTable(self.path(table), version=version, storage_options=self.options() or None)

    def exists(self, table):
        return DeltaTable.is_deltatable(self.path(table), storage_options=self.options() or None)

    def version(self, table):
        """The table's version; -1 before there is one."""
        return self.delta(table).version() if self.exists(table) else -1

    def versions(self):
        """The versions of all tables."""
        return {table: self.version(table) for table in TABLES}


def with_deltalake(lake, table):
    """The whole table by Python deltalake."""
    return lake.delta(table).to_pyarrow_table()


def with_duckdb(lake, table):
    """The whole table by DuckDB's delta extension."""
    with duckdb_connection(lake) as connection:
        return connection.execute(f"SELECT * FROM delta_scan('{lake.path(table)}')").to_arrow_table()


def with_polars(lake, table):
    """The whole table by Polars."""
    return polars.scan_delta(lake.path(table), storage_options=lake.options() or None).collect().to_arrow()


READERS = {"deltalake": with_deltalake, "duckdb": with_duckdb, "polars": with_polars}


def duckdb_connection(lake):
    """A connection that knows Delta and the lake's store."""
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    load(connection, "delta")
    connection.execute("SET TimeZone = 'UTC'")
    if lake.storage:
        load(connection, "httpfs")
        connection.execute(
            f"""CREATE SECRET (TYPE s3, KEY_ID '{lake.storage["access_key_id"]}',
                SECRET '{lake.storage["secret_access_key"]}', REGION '{lake.storage["region"]}',
                ENDPOINT '{urlparse(lake.storage["endpoint"]).netloc}', USE_SSL false, URL_STYLE 'path')"""
        )
    return connection


def load(connection, name):
    """Loads one of DuckDB's extensions from its wheel: nothing is downloaded."""
    folder = importlib.resources.files(f"duckdb_extension_{name}") / "extensions" / f"v{duckdb.__version__}"
    connection.execute(f"LOAD '{folder / name}.duckdb_extension'")


def rows(table, columns=None):
    """The rows as dicts of plain values."""
    table = table.select(columns) if columns else table
    return table.cast(pa.schema([_plain(column) for column in table.schema])).to_pylist()


def _plain(column):
    return pa.field(column.name, pa.int64() if pa.types.is_timestamp(column.type) else column.type)


def read(lake, table):
    """The rows of a table as dicts, by Python deltalake; none while there is no such table."""
    return rows(with_deltalake(lake, table)) if lake.exists(table) else []
