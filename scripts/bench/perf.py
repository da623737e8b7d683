"""Samples of the stacks of a program and its threads, by Linux' perf.

Stacks are copied while the program runs and unwound afterwards, by the tables that every program has for that: so
neither the program nor its libraries need a special build. Samples are taken by processor clock, so they count
processor time, including that in the kernel.
"""

import os
import shutil
import subprocess
from pathlib import Path

from bench.bed import fail, tell

# Per second of processor time. A prime, so that it does not keep step with what happens at round intervals.
FREQUENCY_HZ = 499
# How much of a stack is copied. Stacks of functions with large futures are longer, and are cut off at the outer end.
STACK_BYTES = 32768
# The buffer of perf for each processor, if it may be larger than the system's default.
BUFFER = "16M"
PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")
# Bits of the capabilities with which a process may sample the kernel regardless of that setting.
SYS_ADMIN, PERFMON = 21, 38


def require():
    """Ends the program with a remedy if samples cannot be taken."""
    if not shutil.which("perf"):
        fail("perf is needed, on Linux: apt-get install linux-perf (Debian), linux-tools-generic (Ubuntu)")
    level = int(PARANOID.read_text())
    if level > 1 and not may_sample_anyway():
        fail(f"kernel.perf_event_paranoid is {level}, which keeps the kernel from being sampled: expected 1 or less, "
             "or root. Set it: sudo sysctl kernel.perf_event_paranoid=1")


def may_sample_anyway():
    """Whether this process has a capability that overrides the setting."""
    lines = Path("/proc/self/status").read_text().splitlines()
    held = int(next(line.split()[1] for line in lines if line.startswith("CapEff:")), 16)
    return bool(held >> SYS_ADMIN & 1 or held >> PERFMON & 1)


def sampled(command, data):
    """The command that runs `command` and writes samples of it to the file `data`."""
    record = ["perf", "record", "--event", "cpu-clock", "--freq", FREQUENCY_HZ, "--call-graph", f"dwarf,{STACK_BYTES}"]
    if may_sample_anyway():
        record += ["--mmap-pages", BUFFER]
    # Without a copy of the program in the user's cache.
    return [*record, "--no-buildid-cache", "--output", data, "--", *command]


def unwound(data, text):
    """Writes the samples with the names of their functions to the file `text`."""
    # Inlined functions are not resolved: addr2line needs minutes for a second of samples.
    what = ["--no-inline", "--fields", "comm,pid,tid,time,event,ip,sym,dso"]
    # Servers of debug information are not queried.
    environment = {name: value for name, value in os.environ.items() if name != "DEBUGINFOD_URLS"}
    with text.open("wb") as file:
        command = ["perf", "script", "--input", data, *what]
        found = subprocess.run(command, env=environment, stdout=file, stderr=subprocess.PIPE, text=True, errors="replace")
    if found.returncode != 0:
        fail(f"perf script ended with {found.returncode}:\n{found.stderr[-3000:]}")
    for line in found.stderr.splitlines():
        if "lost" in line:
            tell(f"perf: {line}")
