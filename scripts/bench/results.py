"""The results of an engine for a topic, for comparison: the rows landed, and every window's count and sum.

Rows are compared by the sum of their hashes over camera, time, speed and plate, so repeated rows count. Sums of speeds
are compared as whole thousandths of km/h: those of doubles differ in their last digits by the order of adding. Times
are compared to the millisecond, which is what the simulator sends and Flink writes.
"""

import os
from pathlib import Path

import duckdb
from deltalake import DeltaTable

SIZES = {"5m": "w5m", "1h": "w1h", "24h": "w24h"}
# Closes the last windows in Spark, and is no camera.
SENTINEL = "sentinel"


class Results:
    """The results of several engines in one database."""

    def __init__(self):
        self.database = duckdb.connect()
        self.database.execute("SET TimeZone = 'UTC'")

    def add_ours(self, name, lake):
        """Those of the speed layer: a camera may have a row in each partition."""
        events, averages = (files_of(lake.path(table)) for table in ("events", "avg_speed"))
        self._execute(
            f"CREATE TABLE {name}_rows AS SELECT count(*) AS rows, "
            "sum(hash(camera_id, epoch_ms(event_time), speed_kmh, plate_number)::HUGEINT) AS hashes "
            f"FROM read_parquet({events})"
        )
        for size, table in SIZES.items():
            self._execute(
                f"CREATE TABLE {name}_{table} AS SELECT camera_id AS camera, window_start::TIMESTAMP AS start, "
                "sum(vehicle_count)::BIGINT AS vehicles, (sum(speed_sum_kmh) * 1000)::BIGINT AS speeds "
                f"FROM read_parquet({averages}) WHERE window_size = '{size}' GROUP BY ALL"
            )

    def add_peer(self, name, folder):
        """Those of a peer's job: the tables landed, w5m, w1h and w24h in a folder."""
        own = f"WHERE kvfv_id <> '{SENTINEL}'"
        self._execute(
            f"CREATE TABLE {name}_rows AS SELECT count(*) AS rows, "
            "sum(hash(kvfv_id, epoch_ms(timestamp), vehicle_speed, plate_number)::HUGEINT) AS hashes "
            f"FROM read_parquet({files_of(folder / 'landed')}) {own}"
        )
        for table in SIZES.values():
            self._execute(
                f"CREATE TABLE {name}_{table} AS SELECT kvfv_id AS camera, window_start::TIMESTAMP AS start, "
                f"vehicles, round(speeds * 1000)::BIGINT AS speeds FROM read_parquet({files_of(folder / table)}) {own}"
            )

    def figures(self, name):
        """Rows, and windows by size with the vehicles in them."""
        found = {"rows": self._one(f"SELECT rows FROM {name}_rows")}
        for size, table in SIZES.items():
            found[f"windows_{size}"] = self._one(f"SELECT count(*) FROM {name}_{table}")
            found[f"vehicles_{size}"] = int(self._one(f"SELECT sum(vehicles) FROM {name}_{table}"))
        return found

    def differences(self, one, other):
        """What differs between two engines, as sentences."""
        found = []
        pairs = {"the rows landed": "rows"} | {f"windows of {size}": table for size, table in SIZES.items()}
        for what, table in pairs.items():
            # In both directions, and with repeated rows.
            only = [
                self._one(f"SELECT count(*) FROM (FROM {a}_{table} EXCEPT ALL FROM {b}_{table})")
                for a, b in ((one, other), (other, one))
            ]
            if any(only):
                found.append(f"{what}: {only[0]:,} only in {one}, {only[1]:,} only in {other}")
        return found

    def _execute(self, query):
        self.database.execute(query)

    def _one(self, query):
        return self.database.execute(query).fetchone()[0]


def files_of(table):
    """The data files of a Delta table, or those below a folder without a log, as a list for DuckDB."""
    path = Path(table)
    if (path / "_delta_log").exists():
        found = [uri.removeprefix("file://") for uri in DeltaTable(str(path)).file_uris()]
    else:
        found = [str(file) for file in path.rglob("*") if file.is_file() and not file.name.startswith((".", "_"))]
    return [os.path.abspath(file) for file in found]
