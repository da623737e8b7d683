"""The readers of the matrix: what they are called, where their packages are, and how many processes they need.

Each is pinned. Those without `packages` are in the harness's own venv; the others have one of their own, and the Sparks
have jars of Delta and S3 beside it. The command makes both (environments.sh), and knows the readers from here:

    python -m readers.catalogue        prints a line for each: its name and `own` or `shared`
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reader:
    """A reader: `packages` is the name of its requirements in the folder packages."""

    name: str
    title: str
    adapter: str
    packages: str | None = None


READERS = [
    Reader("pyarrow", "pyarrow", "pyarrow"),
    Reader("deltalake", "Python deltalake, `to_pyarrow_dataset()`", "deltalake"),
    Reader("deltalake-filters", "Python deltalake, `filters=`", "deltalake_filters"),
    Reader("datafusion", "DataFusion (`deltalake.QueryBuilder`)", "datafusion"),
    Reader("duckdb", "DuckDB", "duckdb"),
    Reader("polars", "Polars", "polars"),
    Reader("fastparquet", "fastparquet", "fastparquet"),
    Reader("clickhouse", "ClickHouse (chdb)", "clickhouse", "clickhouse"),
    Reader("daft", "Daft", "daft", "daft"),
    Reader("spark-3.3", "Spark 3.3", "spark", "spark-3.3"),
    Reader("spark-3.5", "Spark 3.5", "spark", "spark-3.5"),
    Reader("spark-4.0", "Spark 4.0", "spark", "spark-4.0"),
]
BY_NAME = {reader.name: reader for reader in READERS}
# Those in the harness's venv, which scripts/test.sh runs.
QUICK = [reader for reader in READERS if reader.packages is None]

if __name__ == "__main__":
    for reader in READERS:
        print(reader.name, "own" if reader.packages else "shared")
