"""Measures the cost of an event, and memory, as one parameter at a time grows. Started by scripts/bench.sh.

Around one ordinary run (two cores, 12 partitions, 1,000 cameras, one instance, 3 h of lateness allowed) each dimension
is varied alone. Lakes are on local disk; every run starts cold and is checked like those of speed.py. A run that fails
is left out, and the command fails at the end.
"""

import os
import sys
from dataclasses import asdict, dataclass

from bench import process, speed
from bench.bed import CAMERAS, PARTITIONS, a_bed, fail, going_on, tell
from bench.command_line import options
from bench.report import Steps, publish
from bench.scale_figure import draw
from bench.written import what_was_written
from harness.machine import described, machine

LATENESS = "3h"
CORES = os.cpu_count()


@dataclass(frozen=True)
class Shape:
    """One run's conditions."""

    cores: int = CORES
    partitions: int = PARTITIONS
    cameras: int = CAMERAS
    instances: int = 1
    allowed_lateness: str = LATENESS


DIMENSIONS = {
    "cores": ("cores of the process", [1, 2]),
    "partitions": ("partitions", [1, 4, 16, 64]),
    "cameras": ("cameras", [100, 1_000, 10_000]),
    "instances": ("instances in one group", [1, 2, 4]),
    "allowed_lateness": ("allowed lateness", ["3h", "24h"]),
}


def main():
    arguments = options(__doc__, "events").parse_args()
    runs, failures = {}, []
    steps, on = Steps(arguments.docs, "scale"), machine()
    with a_bed() as bed:
        shapes = dict.fromkeys(shape for name in DIMENSIONS for shape in shapes_of(name))
        # A topic is used for all shapes that differ in other parameters.
        for partitions, cameras in sorted({(shape.partitions, shape.cameras) for shape in shapes}):
            with bed.filled(arguments.events, partitions=partitions, cameras=cameras) as filled:
                for shape in (s for s in shapes if (s.partitions, s.cameras) == (partitions, cameras)):
                    with going_on(failures):
                        runs[shape] = measure(bed, filled, shape)
                        told(shape, runs[shape])
                        steps.add(shape=asdict(shape), **runs[shape])
    write_down(arguments, on, runs)
    sys.exit(max(failures, default=0))


def write_down(arguments, on, runs):
    """Publishes the runs of each dimension, and draws them."""
    dimensions = {
        name: [{"value": getattr(shape, name), **runs[shape]} for shape in shapes_of(name) if shape in runs]
        for name in DIMENSIONS
    }
    report = {"machine": on, "events": arguments.events, "dimensions": dimensions}
    publish(arguments.docs, "scale", report, text(report))
    draw(dimensions, {name: label for name, (label, _) in DIMENSIONS.items()}, arguments.docs / "benchmarks" / "scale.svg")


def shapes_of(dimension):
    """The runs of a dimension for which the machine has enough cores."""
    values = DIMENSIONS[dimension][1]
    return [Shape(**{dimension: value}) for value in values if dimension != "cores" or value <= CORES]


def measure(bed, filled, shape):
    """One run, as its figures; those of several instances are added up."""
    # A day that still accepts events must not be closed, so one setting bounds the other.
    settings = {"speed__allowed_lateness": shape.allowed_lateness, "batch__close_after": "48h"}
    if shape.instances == 1:
        return speed.landing(bed, filled, "disk", cores=shape.cores, **settings)
    with bed.lake("disk") as lake:
        command, environment = bed.speed_layer(filled.topic, lake, "--until-end", **settings)
        members = [
            process.start(command, environment, bed.folder / bed.new_name("speed")) for _ in range(shape.instances)
        ]
        found = [member.wait() for member in members]
        written = what_was_written(lake)
    landed = written.pop("landed")
    if landed != filled.records:
        fail(f"{shape.instances} instances landed {landed:,} rows of {filled.records:,} records", code=1)
    return process.per_record(together(found), filled.records) | written


def together(found):
    """The figures of processes that ran at the same time."""
    longest = {name: max(one[name] for one in found) for name in ("wall_seconds", "load_before")}
    return {name: sum(one[name] for one in found) for name in found[0]} | longest


def told(shape, run):
    tell(
        f"{shape.cores} cores, {shape.partitions} partitions, {shape.cameras:,} cameras, {shape.instances} instances, "
        f"{shape.allowed_lateness}: {run['cpu_seconds_per_million']:.3f} CPU s per million, "
        f"{run['records_per_second']:,.0f} records/s, {run['peak_resident_mib']:.0f} MiB at most"
    )


def text(report):
    """The report for people."""
    lines = [
        f"{report['events']:,} events in each topic, plus duplicates and bad records; one run of each. Conditions that a row "
        f"does not name are the usual ones: {CORES} cores, {PARTITIONS} partitions, {CAMERAS:,} cameras, one instance, {LATENESS} of "
        "allowed lateness. Memory and processor time of several instances are added up. Each instance ends when it sees that all "
        "records have landed; this takes up to the landing interval (30 s) and is included in the records a second.",
        "",
        described(report["machine"]),
        "",
        "| | | CPU seconds per million | records a second | peak memory | steady memory | commits | files |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, runs in report["dimensions"].items():
        for run in runs:
            value = f"{run['value']:,}" if isinstance(run["value"], int) else run["value"]
            lines.append(
                f"| {DIMENSIONS[name][0]} | {value} | {run['cpu_seconds_per_million']:.3f} s | {run['records_per_second']:,.0f} | "
                f"{run['peak_resident_mib']:.0f} MiB | {run['steady_resident_mib']:.0f} MiB | {run['commits']} | {run['files']} |"
            )
    return "\n".join([*lines, "", "![What an event costs, and memory](benchmarks/scale.svg)"])


if __name__ == "__main__":
    main()
