"""A pipeline under faults: its workspace, the instances of its speed layer, and the programs that run beside them.

The harness acts as the supervisor that operators have: a program that ends is started again, and its exit code is
checked. An instance that gives up with 3, an external failure, is restarted and counted. Any other end that was not
requested, a panic, or a run of the batch that reports wrong tables is a finding.
"""

import contextlib
import os
import signal
import time
from collections import Counter
from pathlib import Path

from chaos.bench import last_error
from chaos.history import History
from harness import oracle
from harness.lakehouse import until

# Texts in the logs of the speed layer, and what they count.
TELLING = {
    "backing off for": "requests to the store tried again",
    "trying to commit again": "commits tried again under the same version",
    "another writer moved the partition": "partitions fenced",
    "partitions assigned": "rebalances",
    "SESSTMOUT": "sessions of the group expired",
    "partitions lost": "assignments lost",
    "not committed; trying again": "commits postponed",
    "the tables can't be read; trying again": "loads tried again",
}
GAVE_UP = 3
UNANSWERED = "ask for the offsets of partition"
LEAVING_S = 180
RESTART_S = 1
CATCHING_UP_S = 600


class Stop:
    """How the instances must end by themselves: with one of these exit codes, and all of these words in the last error."""

    def __init__(self, of, codes, *words):
        self.of, self.codes, self.words = of, codes, words
        self.seen = 0

    def is_of(self, program):
        error = last_error(program)
        return program.process.returncode in self.codes and all(word in error for word in self.words)

    def __str__(self):
        return f"{sorted(self.codes)}: {' … '.join(self.words)}"


class Pipeline:
    """A workspace with `slots` instances of the speed layer; `ways` are the connections of each of them to the servers."""

    def __init__(self, workspace, feed, slots, ways=None, batch_way=None):
        self.workspace, self.feed = workspace, feed
        self.ways = [way.variables for way in ways] if ways else [{}] * slots
        self.batch_variables = batch_way.variables if batch_way else {}
        self.instances = [None] * slots
        self.resting = set()  # slots that stay empty for now
        self.asked = []  # programs that were asked to end
        self.not_before = [0.0] * slots  # when an instance is started again, by time.monotonic()
        self.jobs = []  # (program, accepted exit codes)
        self.has_averages = False  # whether avg_speed was seen in the lake; it is never removed
        self.history = History()
        self.losses = 0  # that the harness has caused
        self.stop_wanted = None  # the Stop that is expected now
        self.tally = Counter()

    def use_lake(self, lake):
        """Another lake, without tables, from now on."""
        self.workspace.use_lake(lake)
        self.has_averages, self.history = False, History()

    # -- instances

    def start(self, slot):
        """Starts an instance in an empty slot."""
        variables = self.ways[slot] | {"RUST_LOG": "info,lake::log=debug"}
        self.instances[slot] = self.workspace.speed(**variables)
        self.tally["starts of instances"] += 1
        self.resting.discard(slot)

    def signal(self, slot, number):
        """Sends a signal to the instance of a slot, if it runs; whether it did."""
        program = self.instances[slot]
        if program is None or not program.is_running():
            return False
        program.process.send_signal(number)
        return True

    def kill(self, slot):
        """kill -9; a supervisor starts it again."""
        if self.signal(slot, signal.SIGKILL):
            self.instances[slot].process.wait()
            self._note_end(slot, {-signal.SIGKILL})

    def supervise(self):
        """Starts again what has ended, and checks how it ended."""
        for slot, program in enumerate(self.instances):
            if program is not None and not program.is_running():
                self._note_end(slot, self._good_codes(program))
                self.not_before[slot] = time.monotonic() + RESTART_S
            if self.instances[slot] is None and slot not in self.resting and time.monotonic() >= self.not_before[slot]:
                self.start(slot)
        for job in [job for job in self.jobs if not job[0].is_running()]:
            self.jobs.remove(job)
            self._judge(job[0], job[1])

    def _good_codes(self, program):
        """The ways in which an instance may end without a request."""
        if program not in self.asked:
            return {GAVE_UP}
        # If it is asked before it handles signals, the signal ends it: it holds nothing then, and has logged nothing.
        return {GAVE_UP, 0} if program.err else {GAVE_UP, 0, -signal.SIGTERM}

    def let_go(self, slot):
        """SIGTERM: the instance commits what it holds and leaves; it is not started again for now."""
        self.resting.add(slot)
        if self.signal(slot, signal.SIGTERM):
            self.asked.append(self.instances[slot])

    def _note_end(self, slot, codes):
        program, self.instances[slot] = self.instances[slot], None
        if program in self.asked:
            self.asked.remove(program)
        self._judge(program, codes)

    def _judge(self, program, codes):
        """Reads the log of a program that has ended, and checks that its exit code is accepted."""
        code = program.process.wait()
        told = self._read(program)
        self.workspace.programs.remove(program)
        if self.stop_wanted and self.stop_wanted.is_of(program):
            self.stop_wanted.seen += 1
            return
        assert code in codes, f"{program.err_path} ended with {code}, expected {sorted(codes)}:\n{program.tail()}"
        if code == GAVE_UP:
            self._judge_giving_up(program, told["rebalances"] > 0 and 0 not in codes)

    def _judge_giving_up(self, program, worked):
        """A program may give up while it starts or ends, or after one request; a working one continues unless Kafka is silent."""
        assert not worked or UNANSWERED in program.err, f"{program.err_path} gave up its work:\n{program.tail()}"
        self.tally[f"{program.name} gave up {'at work' if worked else 'at its start or end'} (exit code 3)"] += 1

    def _read(self, program):
        """Counts what the log of a program reports."""
        told = Counter(dict.fromkeys(TELLING.values(), 0))
        with program.err_path.open(errors="replace") as lines:
            for line in lines:
                assert "panicked at" not in line, f"{program.err_path}: {line}"
                for words, name in TELLING.items():
                    told[name] += words in line
        self.tally.update(told)
        return told

    # -- the batch

    def begin(self, command, *arguments, codes):
        """A command of the batch in the background; supervised to its end, with one of `codes`."""
        program = self.workspace.start("batch-layer", command, *arguments, **self.batch_variables)
        self.jobs.append((program, codes))
        self.tally[f"{command} runs"] += 1
        return program

    def nightly(self, codes):
        """A nightly run for the days that are over by the cameras' clocks; nothing if there is none yet."""
        day = self.last_closed_day()
        return day and self.begin("nightly", "--to", str(day), "--wait", "3s", codes=codes)

    def last_closed_day(self):
        """The last day that ended four hours ago by the cameras' clocks; None before the first, as far as the store can be asked."""
        zone, now_us = self.workspace.rules.zone, self.feed.arrived_us
        day = oracle.day_of(now_us - 4 * oracle.HOUR_US, zone)
        first = oracle.day_of(oracle.day_span(day, zone)[0] - 1, zone)
        with contextlib.suppress(OSError):  # a fault that was struck already keeps the store away
            self.has_averages = self.has_averages or self.workspace.lake.exists("avg_speed")
        return first if self.has_averages else None

    def finish_jobs(self, limit_s=CATCHING_UP_S):
        """Waits for the runs of the batch that are in progress."""
        for program, _ in self.jobs:
            until(lambda p=program: not p.is_running(), f"{program.err_path.name} ends", limit_s, 0.05)
        self.supervise()

    # -- all at once

    def catch_up(self):
        """No fault is left and nothing more is produced: the instances must reach the end without help."""
        self.wake_all()
        self.finish_jobs()

        def has_caught_up():
            self.supervise()
            return self.workspace.has_landed_all()

        until(has_caught_up, "the instances have landed everything after all faults were removed", CATCHING_UP_S, 0.5)

    def stop(self):
        """All programs end cleanly, with 0."""
        for program in list(self.asked):
            until(lambda p=program: not p.is_running(), f"{program.err_path.name} ends", LEAVING_S, 0.05)
        self.supervise()
        # A slot is empty if its instance has just ended by itself, or at an earlier request.
        leaving = [(slot, program) for slot, program in enumerate(self.instances) if program]
        for slot, _ in leaving:
            self.let_go(slot)
        for slot, program in leaving:
            until(lambda p=program: not p.is_running(), f"{program.err_path.name} ends after SIGTERM", LEAVING_S, 0.05)
            self._note_end(slot, {0})

    def wake_all(self):
        """Ends all pauses."""
        for slot in range(len(self.instances)):
            self.signal(slot, signal.SIGCONT)
        self.resting.clear()
        self.supervise()


class Watch:
    """Follows the versions of a pipeline's tables on the disk of the server: shows progress without load."""

    def __init__(self, folder):
        self.changed_at = time.monotonic()
        self.longest_stall_s = 0.0
        self.folder, self.versions, self.earlier = None, [], 0
        self.follow(folder)

    def follow(self, folder):
        """Follows the tables in this folder from now on, if they are other ones."""
        if folder != self.folder:
            self.earlier += sum(version + 1 for version in self.versions)  # commits to the tables followed until now
            self.folder = folder
            self.logs = [Path(folder) / table / "_delta_log" for table in ("events", "avg_speed")]
            self.versions = [-1, -1]

    def look(self):
        """The number of commits so far."""
        before = sum(self.versions)
        self.versions = [follow(log, version) for log, version in zip(self.logs, self.versions)]
        now = time.monotonic()
        self.longest_stall_s = max(self.longest_stall_s, now - self.changed_at)
        if sum(self.versions) != before:
            self.changed_at = now
        return self.earlier + sum(version + 1 for version in self.versions)

    def rest(self):
        """Time in which nothing is produced, so it is not a stall."""
        self.changed_at = time.monotonic()
        self.look()


def follow(log, version):
    """The last version of a log that was at `version`; entries behind it may have been cleaned away."""
    while (log / f"{version + 1:020}.json").exists():
        version += 1
    if version < 0 or (log / f"{version:020}.json").exists() or not log.exists():
        return version
    return max((int(name[:20]) for name in os.listdir(log) if name[20:] == ".json"), default=version)
