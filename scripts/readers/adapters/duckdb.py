"""DuckDB with its delta extension, both extensions from wheels."""

import duckdb

from harness.readers import Lake, duckdb_connection
from readers.adapters.base import SqlTable, arrow_rows, utc


def version():
    return f"DuckDB {duckdb.__version__}"


class Scanned(SqlTable):
    def __init__(self, lake, name):
        super().__init__(lake, name)
        self.connection = duckdb_connection(Lake(lake["uri"], lake["storage"]))
        self.relation = f"delta_scan('{lake['uri']}/{name}')"

    def query(self, sql):
        return list(arrow_rows(self.connection.execute(sql).to_arrow_table()))

    def timestamp(self, micros):
        return f"TIMESTAMPTZ '{utc(micros)}+00'"

    def literal(self, value, kind):
        return f"from_hex('{value}')" if kind == "binary" else super().literal(value, kind)


def open_table(lake, name):
    return Scanned(lake, name)
