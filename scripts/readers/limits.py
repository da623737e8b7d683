"""What readers cannot do whatever writes the tables: known, explained, and expected to happen in every full run.

A difference that a limit describes does not fail the matrix; a limit that nothing shows any more does, so that
docs/readers.md names no limit that is gone.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """A limit of some readers: patterns for whole texts, and what a user should know."""

    readers: str
    text: str
    states: str = ".*"
    tables: str = ".*"
    columns: str = ".*"
    whats: str = ".*"
    message: str = ".*"

    def covers(self, reader, state, table, difference):
        """Whether a difference is this limit."""
        pairs = [
            (self.readers, reader),
            (self.states, state),
            (self.tables, table),
            (self.columns, difference.column),
            (self.whats, difference.what),
            (self.message, difference.text),
        ]
        return all(re.fullmatch(pattern, text, re.DOTALL) for pattern, text in pairs)


LIMITS = [
    Limit(
        "clickhouse",
        "ClickHouse refuses to compare a binary column (`key`, `payload`) with a value. "
        "`SETTINGS delta_lake_enable_engine_predicate = 0` does it.",
        columns="key|payload|speed_histogram",
        whats="filter (=|!=)",
        message=".*Invalid comparison operation: BinaryView.*",
    ),
    Limit(
        "fastparquet",
        "fastparquet knows no Delta: give it the files that the newest version names. Its `filters=` cannot compare a "
        "date that is not a partition (`event_date` of `batch_runs`): filter what was read.",
        tables="batch_runs",
        columns="event_date",
        whats="filter (=|!=|>=)",
        message=".*TypeError.*",
    ),
]


def limit_of(reader, state, table, difference):
    """The limit that a difference is; None if it is none."""
    return next((limit for limit in LIMITS if limit.covers(reader, state, table, difference)), None)
