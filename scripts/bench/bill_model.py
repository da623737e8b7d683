"""What a pipeline's store costs a month, from what was counted in a part of an hour. Pure arithmetic.

Three things grow in different ways:
1. What always runs, the speed layer and serving, makes as many requests in every hour: they grow with time.
2. What runs once a night makes some requests whatever it finds, which are counted by running it again when nothing is left to
   do. The rest grows with the files of the day, each of which is read once.
3. What is stored grows with the events.
docs/benchmarks.md says the same for people.
"""

from dataclasses import dataclass

from bench.prices import DAY_S, DAYS_IN_MONTH, MONTH_S


@dataclass(frozen=True)
class Landed:
    """What came and landed while requests were counted, and what landed in the whole run, which is the day that the night has."""

    seconds: float
    records: int  # that came
    rows: int
    files: int
    day_rows: int
    day_files: int

    def rows_a_day(self):
        return self.records / self.seconds * DAY_S

    def files_a_day(self):
        """By rows, because landings are seldom: a part of an hour may have one more or less than its share."""
        return self.rows_a_day() * self.files / self.rows


def always(requests, seconds):
    """Requests a month, by kind, of what made these in so many seconds."""
    return {kind: number * MONTH_S / seconds for kind, number in requests.items()}


def nightly(first, again, landed):
    """Requests a month, by kind, of a command of the night that made `first` on the run's day, and `again` with nothing to do."""
    files = landed.files_a_day() / landed.day_files

    def a_day(kind):
        fixed = min(first[kind], again.get(kind, 0))
        return fixed + (first[kind] - fixed) * files

    return {kind: DAYS_IN_MONTH * a_day(kind) for kind in first}


def stored(landed, bytes_of_day):
    """Bytes that a month of such days occupies, where the run's day occupies so many."""
    return DAYS_IN_MONTH * landed.rows_a_day() / landed.day_rows * bytes_of_day
