"""A process and its cost: wall time, processor time, resident memory.

Processor time is the kernel's count for the process when it ended (wait4), including all its threads and child
processes. Memory is sampled from /proc: its peak is the kernel's own high-water mark (wait4's would have this program's
memory in it, from before the process became another); steady is the median of the samples' second half, when caches and
queues are full. A process that exceeds its time limit is killed.
"""

import contextlib
import os
import signal
import statistics
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.bed import STARTED, fail

SAMPLE_EVERY_S = 0.1
# The default time limit of a measured process.
LIMIT_S = 1200
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Measured:
    """A process from its start; `wait` returns its figures."""

    process: subprocess.Popen
    log: Path
    load_before: float
    limit_s: float
    started: float = field(default_factory=time.monotonic)
    overdue: bool = False
    resident_mib: list = field(default_factory=list)
    peak_mib: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self):
        for work in (self._await, self._sample):
            threading.Thread(target=work, daemon=True).start()

    def _await(self):
        _, self.status, self.usage = os.wait4(self.process.pid, 0)
        self.wall_s = time.monotonic() - self.started
        self.process.returncode = os.waitstatus_to_exitcode(self.status)
        self.ended.set()

    def _sample(self):
        while not self.ended.wait(SAMPLE_EVERY_S):
            if time.monotonic() > self.started + self.limit_s:
                self.overdue = True
                self._signal(os.killpg, signal.SIGKILL)
            found = memory_mib(self.process.pid)
            if found:
                self.resident_mib.append(found["VmRSS"])
                self.peak_mib = found["VmHWM"]

    def is_running(self):
        return not self.ended.is_set()

    def forget_samples(self):
        """Counts memory from now on only, except for its peak."""
        self.resident_mib.clear()

    def stop(self):
        """Ends it cleanly, if it still runs."""
        self._signal(os.kill, signal.SIGTERM)

    def kill(self):
        """Kills it and all that it has started, if it still runs; returns when it has ended."""
        self._signal(os.killpg, signal.SIGKILL)
        self.ended.wait()

    def _signal(self, send, number):
        # Not by Popen: it would collect the figures of a process that has just ended, before `_await` can.
        if self.is_running():
            with contextlib.suppress(ProcessLookupError):
                send(self.process.pid, number)

    def wait(self):
        """The figures of the process, which must succeed."""
        self.ended.wait()
        if self.overdue:
            fail(f"{self.process.args[0]} still ran after {self.limit_s} s:\n{self.tail()}")
        if self.status != 0:
            fail(f"{self.process.args[0]} ended with {self.process.returncode}:\n{self.tail()}")
        return {
            "wall_seconds": self.wall_s,
            "user_seconds": self.usage.ru_utime,
            "system_seconds": self.usage.ru_stime,
            "cpu_seconds": self.usage.ru_utime + self.usage.ru_stime,
            "peak_resident_mib": self.peak_mib,
            "steady_resident_mib": steady(self.resident_mib),
            "load_before": self.load_before,
        }

    def tail(self):
        return self.log.read_text(errors="replace")[-3000:]


def start(command, environment, log, *, cores=None, stdout=None, limit_s=LIMIT_S):
    """Starts a process, on so many cores only if `cores` is given. Its output goes to the file `log`."""
    load = os.getloadavg()[0]
    with log.open("wb") as file, on_cores(cores):
        process = subprocess.Popen(
            [str(part) for part in command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout or file,
            stderr=file,
            process_group=0,
        )
    measured = Measured(process, log, load, limit_s)
    STARTED.append(measured)
    return measured


def wait_beside(running, seconds):
    """Lets processes run for so long; none may end meanwhile."""
    end_at = time.monotonic() + seconds
    while time.monotonic() < end_at:
        ended = next((measured for measured in running if not measured.is_running()), None)
        if ended:
            fail(f"{ended.process.args[0]} ended early:\n{ended.tail()}")
        time.sleep(SAMPLE_EVERY_S)


def end(running):
    """Ends processes cleanly, the last one first."""
    for measured in reversed(running):
        measured.stop()
        measured.wait()


@contextlib.contextmanager
def on_cores(number):
    """Processes started inside this context run on this many cores; on all cores for None."""
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(usual)[:number])
    try:
        yield
    finally:
        os.sched_setaffinity(0, usual)


def per_record(figures, records):
    """The figures, with those per record."""
    return figures | {
        "records_per_second": records / figures["wall_seconds"],
        "cpu_seconds_per_million": figures["cpu_seconds"] / records * 1e6,
    }


def steady(samples):
    """The median of the samples' second half; 0 without samples."""
    return statistics.median(samples[len(samples) // 2 :] or [0.0])


def memory_mib(pid):
    """The resident memory of a process (VmRSS) and its peak (VmHWM); nothing after its end."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    fields = (line.split() for line in lines)
    return {found[0].rstrip(":"): int(found[1]) / 1024 for found in fields if found[0] in ("VmRSS:", "VmHWM:")}


def cpu_seconds(pid):
    """User and system time of a running process, and of those that it has started and that have ended."""
    # After the name in parentheses: they are fields 14 to 17 of the whole line.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICKS
