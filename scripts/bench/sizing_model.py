"""What a pipeline of some size needs: requests to S3 and their price, processor time, memory. Pure arithmetic over counted figures.

Requests of the speed layer are counted per commit, those of serving per refresh, those of the batch per data file; the settings
say how many of these a month has; `prices` has what they cost. docs/benchmarks.md has the formulas.
"""

from dataclasses import dataclass

from bench.prices import DAY_S, DAYS_IN_MONTH, GB, MONTH_S, Requests
from harness import memory

# Defaults of lake.checkpoint_interval and serving.refresh_interval.
CHECKPOINT_INTERVAL = 100
REFRESH_INTERVAL_S = 1.0
# What an open window of a camera occupies, as docs/operations.md says.
WINDOW_BYTES = 1.5 * 1024
# The share of the cores that a machine's load may have: the rest is for rush hours and for catching up.
LOAD = 0.5


@dataclass(frozen=True)
class Pipeline:
    """A pipeline, as its owner plans it."""

    cameras: int
    events: int  # of each camera, a day
    partitions: int
    instances: int
    servings: int
    commit_interval_s: float
    landing_interval_s: float

    def events_per_second(self):
        return self.cameras * self.events / DAY_S

    def average_commits(self):
        """Commits of averages a month: each instance commits its partitions by itself."""
        return self.instances * MONTH_S / self.commit_interval_s

    def landings(self):
        """Commits of events a month. Each may have one of dead letters beside it."""
        return self.instances * MONTH_S / self.landing_interval_s

    def landed_files(self):
        """Data files of events a month: a landing has one, and seldom more than one day."""
        return self.landings()


@dataclass(frozen=True)
class Counted:
    """Counted requests of one of each."""

    average_commit: Requests
    landing: Requests
    dead_letters: Requests  # of a landing that has some
    checkpoint: Requests
    refresh: Requests  # of one serving without clients, at the pipeline's interval of commits
    nightly_file: Requests  # of the nightly run, for each landed file
    maintain_file: Requests
    audit_file: Requests


def requests(pipeline, counted):
    """Requests a month by who makes them."""
    averages, landings, files = pipeline.average_commits(), pipeline.landings(), pipeline.landed_files()
    # Three tables have commits, and so checkpoints.
    commits = averages + 2 * landings
    refreshes = pipeline.servings * MONTH_S / REFRESH_INTERVAL_S
    return {
        "speed layer, averages": counted.average_commit * averages,
        "speed layer, events": counted.landing * landings,
        "speed layer, dead letters": counted.dead_letters * landings,
        "speed layer, checkpoints": counted.checkpoint * (commits / CHECKPOINT_INTERVAL),
        "serving, without clients": counted.refresh * refreshes,
        "nightly, once a day": counted.nightly_file * files,
        "maintain, once a day": counted.maintain_file * files,
        "audit, once a day": counted.audit_file * files,
    }


def stored_gb(pipeline, bytes_per_event):
    """What the events of a month occupy."""
    return pipeline.cameras * pipeline.events * DAYS_IN_MONTH * bytes_per_event / GB


def cameras_per_machine(pipeline, cores_used, cores):
    """How many cameras a machine carries at `LOAD`, where this pipeline's speed layer uses so many cores."""
    return int(pipeline.cameras * cores * LOAD / cores_used)


def memory_bound_mib(pipeline, lateness_h=3):
    """What resident memory of an instance of the speed layer stays below, if it has all cameras."""
    windows = pipeline.cameras * (12 * (lateness_h + 1) + 1)
    return memory.bound_mib(pipeline.partitions, windows * WINDOW_BYTES)
