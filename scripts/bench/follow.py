"""Follows a table's log as a reader that polls continuously: when each entry was seen, and what it covers."""

import json
import re
import threading
import time

import pyarrow.fs

from bench.bed import fail
from bench.written import open_lake

# The interval between two polls.
LOOK_EVERY_S = {pyarrow.fs.LocalFileSystem: 0.01, pyarrow.fs.S3FileSystem: 0.025}
# The app id of a partition's next offset: <pipeline>:<topic>:<partition>.
NEXT_OFFSET = re.compile(r"[^:]+:[^:]+:(\d+)")
PATIENCE_S = 120


class Follower:
    """Follows the log of a table from its first entry on, in a thread."""

    def __init__(self, lake, table):
        self.files, root = open_lake(lake)
        self.log = f"{root}/{table}/_delta_log"
        # When each entry was seen, in seconds since 1970, and the next offsets that it records, by partition.
        self.entries = []
        self.ended = threading.Event()
        self.problem = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def _run(self):
        try:
            self._follow()
        except Exception as problem:
            self.problem = problem

    def _follow(self):
        pause = LOOK_EVERY_S[type(self.files)]
        while not self.ended.is_set():
            text = self._look()
            if text is not None:
                self.entries.append((time.time(), next_offsets(text)))
            else:
                self.ended.wait(pause)

    def _look(self):
        """The next entry; None while there is none."""
        try:
            with self.files.open_input_stream(f"{self.log}/{len(self.entries):020}.json") as stream:
                return stream.read().decode()
        except FileNotFoundError:
            return None

    def wait_for(self, ends, speed):
        """Waits until entries cover all offsets before these, given by partition."""
        deadline = time.monotonic() + PATIENCE_S
        while not covers(self.reached(), ends):
            if self.problem:
                fail(f"the log of {self.log} could not be read: {self.problem}")
            if not speed.is_running():
                fail(f"the speed layer ended:\n{speed.tail()}")
            if time.monotonic() > deadline:
                fail(f"avg_speed did not reach the end of the topic within {PATIENCE_S} s", code=1)
            time.sleep(0.1)

    def reached(self):
        """The next offsets by partition."""
        reached = {}
        for _, offsets in list(self.entries):
            reached |= offsets
        return reached

    def covered(self, partition):
        """When each next offset of a partition was seen first, ascending."""
        return [(offsets[partition], seen) for seen, offsets in self.entries if partition in offsets]


def next_offsets(text):
    """The next offsets that an entry records, by partition."""
    transactions = (json.loads(line).get("txn") for line in text.splitlines())
    found = ((NEXT_OFFSET.fullmatch(txn["appId"]), txn["version"]) for txn in transactions if txn)
    return {int(match[1]): version for match, version in found if match}


def covers(reached, ends):
    return all(reached.get(partition, 0) >= end for partition, end in ends.items())
