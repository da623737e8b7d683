"""ClickHouse as a library (chdb): the table functions deltaLakeLocal and deltaLake."""

import os

import chdb
import pyarrow as pa

from readers.adapters.base import SqlTable, aggregated, arrow_rows, utc

# The least and greatest of nothing are null and not zero; texts are bytes, as binaries have to be.
SETTINGS = "aggregate_functions_null_for_empty = 1, output_format_arrow_string_as_string = 0"
# ClickHouse reads local files below the folder it is started in only.
os.chdir("/")


def version():
    engine = chdb.query("SELECT version()", "TSV")
    return f"ClickHouse {str(engine).strip()}, chdb {chdb.__version__}"


class Scanned(SqlTable):
    def __init__(self, lake, name):
        super().__init__(lake, name)
        storage = lake["storage"]
        self.relation = f"deltaLakeLocal('{lake['uri']}/{name}')"
        if storage:
            url = f"{storage['endpoint']}/{lake['uri'].removeprefix('s3://')}/{name}"
            self.relation = f"deltaLake('{url}', '{storage['access_key_id']}', '{storage['secret_access_key']}')"

    def query(self, sql):
        found = chdb.query(f"{sql} SETTINGS {SETTINGS}", "ArrowStream")
        return list(arrow_rows(pa.ipc.open_stream(found.bytes()).read_all()))

    def plain_rows(self, rows):
        texts = [kind == "string" for _, kind in self.columns]
        return super().plain_rows(
            [[decoded(value) if text else value for value, text in zip(row, texts)] for row in rows]
        )

    def plain_aggregates(self, row):
        texts = (kind == "string" for _, kind in self.columns for _ in aggregated(kind))
        return super().plain_aggregates([decoded(value) if text else value for value, text in zip(row, texts)])

    def literal(self, value, kind):
        if kind.startswith("decimal"):
            return f"toDecimal128('{value}', 3)"
        spelled = {"date": f"toDate32('{value}')", "double": f"toFloat64('{value!r}')", "binary": f"unhex('{value}')"}
        return spelled.get(kind) or super().literal(value, kind)

    def text(self, text):
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def timestamp(self, micros):
        return f"toDateTime64('{utc(micros)}', 6, 'UTC')"


def decoded(value):
    return value.decode() if isinstance(value, bytes) else value


def open_table(lake, name):
    return Scanned(lake, name)
