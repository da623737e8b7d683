"""What a pipeline of some size needs: S3 requests and their price, cameras per machine, memory. Started by scripts/bench.sh.

Three runs on a real Kafka and a store that counts requests (`counting`):
1. `commits`: the instances under a small load, with short intervals, so that there are many commits. The requests of each
   table are divided by the commits and checkpoints that made them.
2. `days`: a day that is over, landed in many files; the nightly run, `maintain` and `audit` are counted for each file.
3. `load`: one instance under the whole load, and one serving, with the intervals that were asked for: processor time, memory,
   bytes, and the requests of a refresh.
`sizing_model` multiplies all that by what a month has.
"""

import time
from dataclasses import asdict

from bench import prices, process, sizing_model
from bench.bed import a_bed, fail, tell
from bench.command_line import SIZES, options
from bench.counting import counting_store, total
from bench.prices import Requests
from bench.report import Steps, publish
from bench.sizing_model import Counted, Pipeline
from harness.lakehouse import until
from harness.machine import described, machine

# The short intervals, and how often checkpoints are made in that run.
QUICK = {"speed__commit_interval": "500ms", "speed__landing_interval": "1s", "lake__checkpoint_interval": 10}
EVENTS_PER_SECOND = 500
WARM_UP_S = 15
PAST_DAY = "2025-04-05"
PAST_EVENTS = 400_000
PAST_RATE = 20_000
# Settings with which the past day lands in many files.
PIECEMEAL = {"speed__landing_bytes": 1_000_000, "speed__landing_interval": "200ms", "speed__commit_interval": "1s"}


def main():
    parser = options(__doc__, *SIZES, "events", "seconds")
    arguments = parser.parse_args()
    pipeline = Pipeline(
        arguments.cameras,
        arguments.events,
        arguments.partitions,
        arguments.instances,
        arguments.servings,
        arguments.commit_interval,
        arguments.landing_interval,
    )
    if pipeline.instances > pipeline.partitions:
        fail(f"--instances {pipeline.instances}: expected at most one for each of the {pipeline.partitions} partitions", code=2)
    steps, on = Steps(arguments.docs, "sizing"), machine()
    with a_bed() as bed:
        counted = commits(bed, pipeline, arguments.seconds)
        tell(f"counted in {arguments.seconds} s: {counted}")
        counted |= days(bed, pipeline)
        steps.add(**{name: asdict(requests) for name, requests in counted.items()})
        used = load(bed, pipeline, arguments.seconds)
        steps.add(**used | {"refresh": asdict(used["refresh"])})
        counted = Counted(**counted, refresh=used.pop("refresh"))
    report = {"machine": on, "pipeline": asdict(pipeline), "seconds": arguments.seconds, "counted": asdict(counted), "load": used}
    report["requests"] = {who: asdict(found) for who, found in sizing_model.requests(pipeline, counted).items()}
    found = text(report, pipeline, counted)
    publish(arguments.docs, "sizing", report, found)
    print(found)


# ---- the runs ----------------------------------------------------------------------------------------------------


def commits(bed, pipeline, seconds):
    """Requests for each commit, checkpoint and refresh."""
    with bed.topic(pipeline.partitions) as topic, counting_store() as (counting, lake):
        group = {"kafka__group": bed.new_name("sizing")}
        running = [
            start(bed, "speed-layer", topic, lake, "run", **group, **QUICK) for _ in range(pipeline.instances)
        ]
        until(lambda: counting.versions().keys() >= {"events", "avg_speed"}, "the tables are there")
        running.append(cameras(bed, topic, pipeline.cameras, EVENTS_PER_SECOND))
        process.wait_beside(running, WARM_UP_S)
        before, versions = counting.so_far(), counting.versions()
        process.wait_beside(running, seconds)
        counts, made = counting.so_far() - before, counting.versions() - versions
        process.end(running)
    if min(made["events"], made["avg_speed"]) < 2 * QUICK["lake__checkpoint_interval"]:
        fail(f"only {dict(made)} commits in {seconds} s: give more --seconds")
    speed = "speed-layer"

    def each(table):
        """The requests of one commit of a table, its data files and what its writers read of the log."""
        there = total(counts, speed, table, "log") + total(counts, speed, table, "data")
        return there * (1 / made[table] if made[table] else 0.0)

    checkpoints = sum(made.values()) / QUICK["lake__checkpoint_interval"]
    return {
        "average_commit": each("avg_speed"),
        "landing": each("events"),
        "dead_letters": each("dead_letters"),
        "checkpoint": total(counts, speed, what="checkpoint") * (1 / checkpoints),
    }


def days(bed, pipeline):
    """Requests of the batch for each data file that was landed."""
    with bed.topic(pipeline.partitions) as topic, counting_store() as (counting, lake):
        command, environment = bed.simulator(
            topic, "--cameras", pipeline.cameras, "--date", PAST_DAY, "--events", PAST_EVENTS, "--rate", PAST_RATE
        )
        sending = process.start(command, environment, bed.folder / bed.new_name("cameras"))
        speed = start(bed, "speed-layer", topic, lake, "run", **PIECEMEAL)
        sending.wait()
        speed.stop()
        speed.wait()
        start(bed, "speed-layer", topic, lake, "run", "--until-end", **PIECEMEAL).wait()
        files = len(counting.sizes("events"))
        start(bed, "batch-layer", topic, lake, "nightly", key="nightly").wait()
        start(bed, "batch-layer", topic, lake, "maintain", key="maintain").wait()
        start(bed, "batch-layer", topic, lake, "audit", "--kafka", "skip", key="audit").wait()
        counts = counting.so_far()
    return {
        "nightly_file": total(counts, "nightly") * (1 / files),
        "maintain_file": total(counts, "maintain") * (1 / files),
        "audit_file": total(counts, "audit") * (1 / files),
    }


def load(bed, pipeline, seconds):
    """The whole load on one instance: processor time, memory, and the bytes of an event."""
    with bed.topic(pipeline.partitions) as topic, counting_store() as (counting, lake):
        intervals = {
            "speed__commit_interval": f"{pipeline.commit_interval_s}s",
            "speed__landing_interval": f"{pipeline.landing_interval_s}s",
        }
        speed = start(bed, "speed-layer", topic, lake, "run", **intervals)
        until(lambda: counting.versions()["avg_speed"], "the tables are there")
        serving = start(bed, "serving", topic, lake, "run", serving__listen="127.0.0.1:0")
        running = [speed, serving, cameras(bed, topic, pipeline.cameras, pipeline.events_per_second())]
        process.wait_beside(running, WARM_UP_S)
        speed.forget_samples()
        before, ends, began = process.cpu_seconds(speed.process.pid), sum(topic.ends().values()), time.monotonic()
        counts = counting.so_far()
        process.wait_beside(running, seconds)
        counts = counting.so_far() - counts
        after, sent, lasted = process.cpu_seconds(speed.process.pid), sum(topic.ends().values()) - ends, time.monotonic() - began
        process.end(running)
        all_sent = sum(topic.ends().values())
        landed_bytes = sum(counting.sizes("events"))
    figures = speed.wait()
    return {
        "refresh": total(counts, "serving") * (sizing_model.REFRESH_INTERVAL_S / lasted),
        "events_per_second": sent / lasted,
        "cores": (after - before) / lasted,
        "steady_resident_mib": figures["steady_resident_mib"],
        "peak_resident_mib": figures["peak_resident_mib"],
        "bytes_per_event": landed_bytes / all_sent,
    }


# ---- programs ----------------------------------------------------------------------------------------------------


def start(bed, program, topic, lake, *arguments, key=None, **settings):
    """A program on a lake in the counting store, under its own access key."""
    settings["lake__storage__access_key_id"] = key or program
    command, environment = bed.program_between(program, *arguments, topic=topic, lake=lake, **settings)
    return process.start(command, environment, bed.folder / bed.new_name(program))


def cameras(bed, topic, number, rate):
    """Cameras that report now."""
    command, environment = bed.simulator(topic, "--live", "--rate", f"{rate:.2f}", "--cameras", number, "--bad", "0.001")
    return process.start(command, environment, bed.folder / bed.new_name("cameras"))


# ---- the report --------------------------------------------------------------------------------------------------


def text(report, pipeline, counted):
    """The report for people."""
    used, on = report["load"], report["machine"]
    found = sizing_model.requests(pipeline, counted)
    everything = sum(found.values(), Requests())
    stored = sizing_model.stored_gb(pipeline, used["bytes_per_event"])
    lines = [
        f"{pipeline.cameras:,} cameras with {pipeline.events:,} events a day each, {pipeline.partitions} partitions, "
        f"{pipeline.instances} instance(s) of the speed layer, {pipeline.servings} of serving, a commit of averages every "
        f"{pipeline.commit_interval_s} s and of events every {pipeline.landing_interval_s} s. Requests were counted for "
        f"{report['seconds']} s.",
        "",
        described(on),
        "",
        "| a month | writes (PUT, POST, LIST) | reads (GET, HEAD) | USD |",
        "|---|---:|---:|---:|",
        *(f"| {who} | {r.writes:,.0f} | {r.reads:,.0f} | {r.usd():,.2f} |" for who, r in found.items()),
        f"| **all requests** | {everything.writes:,.0f} | {everything.reads:,.0f} | **{everything.usd():,.2f}** |",
        f"| events of a month stored: {stored:,.0f} GB | | | {stored * prices.USD_PER_GB_MONTH:,.2f} |",
        "",
        "| counted | writes | reads |",
        "|---|---:|---:|",
        *(f"| {name.replace('_', ' ')} | {r.writes:.2f} | {r.reads:.2f} |" for name, r in vars(counted).items()),
        "",
        "| one instance of the speed layer with all cameras | |",
        "|---|---:|",
        f"| events a second | {used['events_per_second']:,.0f} |",
        f"| cores used | {used['cores']:.3f} |",
        f"| cameras for each core at {sizing_model.LOAD:.0%} load | {sizing_model.cameras_per_machine(pipeline, used['cores'], 1):,} |",
        f"| cameras for a machine such as this one | {sizing_model.cameras_per_machine(pipeline, used['cores'], on['cores']):,} |",
        f"| bytes of an event in the table, before compaction | {used['bytes_per_event']:.1f} |",
        f"| resident memory, steady | {used['steady_resident_mib']:.0f} MiB |",
        f"| resident memory, greatest | {used['peak_resident_mib']:.0f} MiB |",
        f"| resident memory, what it stays below | {sizing_model.memory_bound_mib(pipeline):.0f} MiB |",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
