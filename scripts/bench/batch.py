"""The night: `nightly`, `maintain`, `verify` and `audit` on one large day, beside other engines on the same files. Started by
scripts/bench.sh.

1. A topic is filled with a day's events, late and repeated ones among them. The speed layer lands them; `speed.landing_bytes` is set
   so that the day has about as many landings as a day has that is landed as it comes.
2. On local disk: `nightly`, the other engines on the same files, `maintain`, `nightly --force` on what it has left, `verify`. All must
   come to the same rows.
3. On MinIO through the store-proxy, which adds the times of S3: `nightly`, `maintain`, `nightly --force`. Requests are counted.
"""

import datetime
import os
import sys
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from bench import process
from bench.batch_text import text
from bench.bed import LATE, a_bed, fail, tell
from bench.command_line import options
from bench.report import Steps, publish
from bench.store_proxy import store_proxy
from harness.lakehouse import until
from harness.machine import machine

DAY = datetime.date(2025, 4, 5)
# The defaults of speed.landing_interval and of what an event occupies while it waits to land.
LANDING_INTERVAL_S = 30
WAITING_BYTES = 90
LEAST_LANDING_BYTES = 1_000_000
# The time limit of each program.
LIMIT_S = 3600
START_LIMIT_S = 120


def main():
    arguments = options(__doc__, "events", "runs", "engines", "store").parse_args()
    steps, on = Steps(arguments.docs, "batch"), machine()
    with a_bed() as bed, bed.filled(arguments.events, shares=("--late", LATE, "--date", DAY)) as filled:
        night = Night(bed, filled.topic, arguments.events, arguments.runs)
        report = {"machine": on, "topic": filled.described(), "runs": arguments.runs, "stores": {}}
        for store in arguments.store:
            measured = night.on_disk(arguments.engines) if store == "disk" else night.through_the_proxy()
            report["stores"][store] = measured
            steps.add(store=store, **measured)
    digests = {run["digest"] for measured in report["stores"].values() for run in measured["runs"] if run.get("digest")}
    if len(digests) > 1:
        fail(f"the rows differ: {len(digests)} digests, in the steps of {arguments.docs}", code=1)
    found = text(report)
    publish(arguments.docs, "batch", report, found)
    print(found)


@dataclass(frozen=True)
class Night:
    """A topic with a day, and how it is landed and worked on."""

    bed: object
    topic: object
    events: int
    repeats: int

    # -- the two stores

    def on_disk(self, engines):
        with self.bed.lake("disk") as lake:
            self._land(lake)
            files = self._files(lake)
            landed = held(lake)
            tell(f"landed: {landed}")
            runs = [self._median("nightly, as landed", lambda: self._nightly(lake), lake)]
            for engine in engines:
                runs.append(self._median(engine, lambda: self._peer(engine, files)))
            runs.append(self._once("maintain", self._batch(lake, "maintain")))
            compacted = held(lake)
            runs.append(self._median("nightly, compacted", lambda: self._nightly(lake), lake))
            runs.append(self._once("verify", self._batch(lake, "verify", "--date", DAY)))
            runs.append(self._once("audit", self._batch(lake, "audit", "--kafka", "skip")))
            return {"landed": landed, "compacted": compacted, "runs": runs}

    def through_the_proxy(self):
        with (
            self.bed.lake("minio") as lake,
            store_proxy(self.bed, ("batch",), limit_s=10 * LIMIT_S) as proxy,
        ):
            self._land(lake)
            landed, slow = held(lake), proxy.lake(lake, "batch")
            runs = []
            for name, arguments in (
                ("nightly, as landed", ("nightly",)),
                ("maintain", ("maintain",)),
                ("nightly, compacted", ("nightly", "--force")),
            ):
                before = proxy.counts()
                run = self._once(name, self._batch(slow, *arguments))
                counts = proxy.counts() - before
                run["requests"] = counts.requests("batch")
                run |= {what: counts.total(what, "batch") for what in ("bytes_up", "bytes_down")}
                if arguments[0] == "nightly":
                    run["digest"] = digest_of_lake(lake)
                runs.append(run)
            return {"landed": landed, "compacted": held(lake), "runs": runs}

    # -- programs

    def _land(self, lake):
        rows_at_a_time = self.events * LANDING_INTERVAL_S / 86_400
        landing_bytes = max(LEAST_LANDING_BYTES, int(rows_at_a_time * WAITING_BYTES))
        command, environment = self.bed.speed_layer(self.topic, lake, "--until-end", speed__landing_bytes=landing_bytes)
        process.start(command, environment, self.bed.folder / self.bed.new_name("land"), limit_s=LIMIT_S).wait()
        until(lambda: lake.exists("avg_speed"), "the tables are there", START_LIMIT_S)

    def _nightly(self, lake):
        is_final = lake.exists("batch_runs") and lake.delta("batch_runs").count() > 0
        return self._batch(lake, "nightly", *(["--force"] if is_final else []))

    def _batch(self, lake, *arguments):
        command, environment = self.bed.program_between("batch-layer", *arguments, topic=self.topic, lake=lake)
        return process.start(command, environment, self.bed.folder / self.bed.new_name("batch"), limit_s=LIMIT_S).wait()

    def _peer(self, engine, files):
        names, out = (self.bed.folder / self.bed.new_name(what) for what in ("files", "rows"))
        names.write_text("\n".join(files))
        command = (sys.executable, "-m", "bench.batch_peer", engine, names, out)
        figures = process.start(command, dict(os.environ), self.bed.folder / self.bed.new_name(engine), limit_s=LIMIT_S).wait()
        figures["digest"] = digest(duckdb.read_parquet(str(out)))
        out.unlink()
        return figures

    def _files(self, lake):
        """The data files of the day, as they landed."""
        uris = (uri.removeprefix("file://") for uri in lake.delta("events").file_uris())
        return [uri for uri in uris if f"event_date={DAY}/" in uri]

    # -- figures

    def _median(self, name, run, lake=None):
        """The figures of the middle one of several runs, with the spread of their times."""
        runs = [run() for _ in range(self.repeats)]
        runs.sort(key=lambda figures: figures["wall_seconds"])
        seconds = [figures["wall_seconds"] for figures in runs]
        figures = runs[len(runs) // 2] | {"all_seconds": seconds}
        if lake:
            figures["digest"] = digest_of_lake(lake)
        return self._once(name, figures)

    def _once(self, name, figures):
        tell(f"{name}: {figures['wall_seconds']:.1f} s, {figures['cpu_seconds']:.1f} CPU s, {figures['peak_resident_mib']:,.0f} MiB")
        return {"name": name, **figures}


def held(lake):
    """The data files of the day's events: how many, bytes, rows."""
    files = pa.table(lake.delta("events").get_add_actions(flatten=True))
    files = files.filter(pc.equal(files["partition.event_date"], DAY))
    sizes, rows = (sum(files[column].to_pylist()) for column in ("size_bytes", "num_records"))
    return {"files": files.num_rows, "bytes": sizes, "rows": rows}


# ---- equal rows --------------------------------------------------------------------------------------------------


def digest_of_lake(lake):
    """The digest of the final rows."""
    rows = pa.table(lake.delta("avg_speed").to_pyarrow_dataset().to_table(filter=pc.field("event_date") == DAY))
    thousandths = {
        "n": "vehicle_count",
        "s": "(speed_sum_kmh * 1000)::BIGINT",
        "lo": "round(min_speed_kmh * 1000)::BIGINT",
        "hi": "round(max_speed_kmh * 1000)::BIGINT",
    }
    thousandths |= {f"p{rank}": f"round(p{rank}_speed_kmh * 1000)::BIGINT" for rank in (50, 85, 95)}
    figures = ", ".join(f"{expression} AS {name}" for name, expression in thousandths.items())
    return digest(duckdb.sql(f"SELECT window_size, camera_id, epoch_us(window_start) AS start_us, {figures} FROM rows"))


def digest(rows):
    """A number that rows in any order have in common with equal rows, and most likely with no others."""
    columns = "window_size, camera_id, start_us, n, s, lo, hi, p50, p85, p95"
    typed = ", ".join(name if name in ("window_size", "camera_id") else f"{name}::BIGINT" for name in columns.split(", "))
    return int(rows.aggregate(f"sum(hash({typed})::HUGEINT) % 1000000007").fetchone()[0])


if __name__ == "__main__":
    main()
