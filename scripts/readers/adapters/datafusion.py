"""DataFusion, through the QueryBuilder of Python deltalake."""

import deltalake
import pyarrow as pa
from deltalake import QueryBuilder

from readers.adapters.base import SqlTable, arrow_rows, utc
from readers.adapters.deltalake import delta_table


def version():
    return f"deltalake {deltalake.__version__} (QueryBuilder)"


class Queried(SqlTable):
    relation = "asked"

    def __init__(self, lake, name):
        super().__init__(lake, name)
        self.builder = QueryBuilder().register("asked", delta_table(lake, name))

    def query(self, sql):
        return list(arrow_rows(pa.table(self.builder.execute(sql).read_all())))

    def timestamp(self, micros):
        return f"arrow_cast('{utc(micros)}', 'Timestamp(Microsecond, Some(\"UTC\"))')"


def open_table(lake, name):
    return Queried(lake, name)
