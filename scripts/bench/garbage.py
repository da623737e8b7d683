"""Measures the decoder on damaged records and writes a report. Started by scripts/bench.sh.

The program itself accounts for every record and fails if one is missing. It is run twice, for a tenth of the records
and for all of them. Peak resident memory, as counted by the kernel for the process (wait4), must be the same.
"""

import json
import os
import subprocess
import sys

from bench.command_line import options
from bench.report import peak_resident_mib, publish
from harness.machine import described, machine

# Ten times the records may use this much more memory.
GROWTH_MIB = 16


def main():
    arguments = options(__doc__, "program", "records", "seed").parse_args()
    tenth, whole = (measure(arguments, records) for records in (arguments.records // 10, arguments.records))
    report = {"machine": machine(), "tenth": tenth, "whole": whole}
    publish(arguments.docs, "garbage", report, text(report))
    if whole["peak_resident_mib"] > tenth["peak_resident_mib"] + GROWTH_MIB:
        print("memory grows with the number of records", file=sys.stderr)
        sys.exit(1)


def measure(arguments, records):
    """One run, as its figures."""
    load = os.getloadavg()[0]
    command = [arguments.program, "--records", str(records), "--seed", str(arguments.seed)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(1 if os.waitstatus_to_exitcode(status) == 1 else 3)
    run = json.loads(out)
    if run["events"] + sum(run["dead_letters"].values()) != records:
        print(f"of {records} records not every one is an event or a dead letter", file=sys.stderr)
        sys.exit(1)
    cpu = usage.ru_utime + usage.ru_stime
    run |= {"cpu_seconds": cpu, "peak_resident_mib": peak_resident_mib(usage), "load_before": load}
    print("{:,} records, {:.1f} GiB: {:,.0f} records per CPU second, {:,.0f} decoded per second, {:.0f} MiB at most".format(
        records, run["bytes"] / 2**30, records / cpu, records / run["decode_seconds"], run["peak_resident_mib"]))
    return run


def text(report):
    """The report for people."""
    run, tenth = report["whole"], report["tenth"]
    records, seconds = run["records"], run["decode_seconds"]
    lines = [
        f"{records:,} records ({run['bytes'] / 2**30:.2f} GiB) of seed {run['seed']}, decoded by one thread.",
        "",
        described(report["machine"]),
        "",
        "| | |",
        "|---|---:|",
        f"| Records made, decoded and accounted for per CPU second | {records / run['cpu_seconds']:,.0f} |",
        f"| Records decoded per second of the clock | {records / seconds:,.0f} |",
        f"| Peak resident memory | {run['peak_resident_mib']:.0f} MiB |",
        f"| Peak resident memory for a tenth of the records | {tenth['peak_resident_mib']:.0f} MiB |",
        f"| Load average of the machine before the run | {run['load_before']:.1f} |",
        "",
        "| became | records |",
        "|---|---:|",
        f"| event | {run['events']:,} |",
    ]
    by_count = sorted(run["dead_letters"].items(), key=lambda entry: -entry[1])
    lines += [f"| `{reason}` | {count:,} |" for reason, count in by_count]
    lines.append(f"| all | {run['events'] + sum(run['dead_letters'].values()):,} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
