"""The nightly job in another engine, over the landed files of a day: a process of its own, which `batch` measures.

usage: python -m bench.batch_peer ENGINE FILES OUT
FILES is a text file with the path of a Parquet file in each line; the rows are written to OUT as Parquet.

The job, as in `batch-layer nightly`: events that are equal in camera, event time, thousandths of km/h and plate count once; for
windows of 5 minutes, an hour and the day (in UTC), by camera: count, sum, least, greatest, and the 50th, 85th and 95th percentile by
nearest rank, speeds in thousandths of km/h. Each engine is told what its users would tell it, and uses all processors.
"""

import sys
from pathlib import Path

WINDOWS = {"5m": 300, "1h": 3600, "24h": 86_400}
PERCENTILES = (50, 85, 95)
MICROSECONDS = 1_000_000
COLUMNS = "window_size, camera_id, start_us, n, s, lo, hi"


def all_sizes(figures):
    """The query for `figures` of the distinct events `e` in the windows of all sizes."""

    def of_size(name, seconds):
        start = f"t - t % {seconds * MICROSECONDS}"
        return f"SELECT '{name}' AS window_size, camera_id, {start} AS start_us, {figures} FROM e GROUP BY camera_id, {start}"

    return " UNION ALL ".join(of_size(name, seconds) for name, seconds in WINDOWS.items())


def by_rank(values):
    """The percentiles of sorted `values`, of which there are `n`."""
    return ", ".join(f"{values.format(rank=f'(n * {percentile} + 99)')} AS p{percentile}" for percentile in PERCENTILES)


def duckdb(files, out):
    import duckdb as engine

    connection = engine.connect(config={"temp_directory": f"{out}.tmp"})
    connection.execute(
        f"""CREATE TEMP TABLE e AS SELECT DISTINCT camera_id, epoch_us(event_time) AS t, round(speed_kmh * 1000)::BIGINT AS v, plate_number
        FROM read_parquet({files!r}, hive_partitioning = false)"""
    )
    ranks = ", ".join(f"quantile_disc(v, {percentile / 100}) AS p{percentile}" for percentile in PERCENTILES)
    rows = all_sizes(f"count(*) AS n, sum(v)::BIGINT AS s, min(v) AS lo, max(v) AS hi, {ranks}")
    connection.execute(f"COPY ({rows}) TO '{out}' (FORMAT parquet, COMPRESSION zstd)")


def polars(files, out):
    import polars as pl

    events = (
        pl.scan_parquet(files, hive_partitioning=False)
        .select(
            "camera_id", "plate_number", t=pl.col("event_time").dt.epoch("us"), v=(pl.col("speed_kmh") * 1000).round().cast(pl.Int64)
        )
        .unique(["camera_id", "t", "v", "plate_number"])
    )

    def of_size(name, seconds):
        start = pl.col("t") - pl.col("t") % (seconds * MICROSECONDS)
        at = {p: pl.col("v").sort().get((pl.len() * p + 99) // 100 - 1).alias(f"p{p}") for p in PERCENTILES}
        figures = {"n": pl.len(), "s": pl.col("v").sum(), "lo": pl.col("v").min(), "hi": pl.col("v").max()}
        rows = events.group_by("camera_id", start_us=start).agg(*at.values(), **figures)
        return rows.select(pl.lit(name).alias("window_size"), "camera_id", "start_us", *figures, *(f"p{p}" for p in PERCENTILES))

    rows = pl.concat([of_size(name, seconds) for name, seconds in WINDOWS.items()])
    rows.collect(engine="streaming").write_parquet(out, compression="zstd")


def clickhouse(files, out):
    from chdb import session

    engine = session.Session()
    engine.query("CREATE TABLE e (camera_id String, t Int64, v Int64, plate_number Nullable(String)) ENGINE = Memory")
    glob = str(Path(files[0]).parent / "*.parquet")
    engine.query(
        "INSERT INTO e SELECT DISTINCT camera_id, toUnixTimestamp64Micro(event_time), toInt64(round(speed_kmh * 1000)), plate_number "
        f"FROM file('{glob}', Parquet)"
    )
    rows = all_sizes("count() AS n, sum(v) AS s, min(v) AS lo, max(v) AS hi, arraySort(groupArray(v)) AS a")
    engine.query(f"INSERT INTO FUNCTION file('{out}', Parquet) SELECT {COLUMNS}, {by_rank('a[intDiv({rank}, 100)]')} FROM ({rows})")


def datafusion(files, out):
    """The one in Python's deltalake, on the table that the files are of."""
    import pyarrow as pa
    import pyarrow.parquet as parquet
    from deltalake import DeltaTable, QueryBuilder

    day = Path(files[0]).parent
    engine = QueryBuilder().register("events", DeltaTable(str(day.parent)))
    distinct = (
        "SELECT DISTINCT camera_id, CAST(event_time AS BIGINT) AS t, CAST(round(speed_kmh * 1000) AS BIGINT) AS v, plate_number "
        f"FROM events WHERE event_date = DATE '{day.name.partition('=')[2]}'"
    )
    rows = all_sizes("count(*) AS n, sum(v) AS s, min(v) AS lo, max(v) AS hi, array_sort(array_agg(v)) AS a")
    query = f"WITH e AS ({distinct}) SELECT {COLUMNS}, {by_rank('a[{rank} / 100]')} FROM ({rows})"
    parquet.write_table(pa.table(engine.execute(query).read_all()), out, compression="zstd")


ENGINES = {engine.__name__: engine for engine in (duckdb, polars, clickhouse, datafusion)}

if __name__ == "__main__":
    ENGINES[sys.argv[1]](Path(sys.argv[2]).read_text().splitlines(), sys.argv[3])
