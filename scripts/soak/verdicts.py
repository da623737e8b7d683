"""Evaluates the samples of a run: figures of its thirds, and verdicts. Pure functions from samples to verdicts.

A run is evaluated by comparing its last third with its middle third: in the first third, windows, caches and pools fill. A
verdict has a name, what was found, what was expected, and whether it holds.
"""

from dataclasses import dataclass

# The last third's mean memory may differ from the middle third's by this share.
MEMORY_TOLERANCE = 0.05
# The limit for a commit in the last third, as a multiple of the middle one; below the second figure differences are
# noise.
COMMIT_TOLERANCE, COMMIT_NOISE_S = 1.25, 0.010
# Connections to the store are opened and closed.
DESCRIPTORS_TOLERANCE = 8
# The limit of the lag, in seconds of traffic.
LAG_SECONDS = 60
# The lag is not evaluated before this time, because the group forms first.
SETTLED_S = 60


@dataclass(frozen=True)
class Verdict:
    """One thing that has to hold."""

    name: str
    found: str
    wanted: str
    holds: bool


def third(samples, number):
    """The samples of a third of the time, 0 to 2."""
    end = samples[-1]["seconds"]
    low, high = end * number / 3, end * (number + 1) / 3
    return [sample for sample in samples if low <= sample["seconds"] <= high]


def mean(samples, figure):
    """The mean of a figure, None if there is none."""
    values = [sample[figure] for sample in samples if figure in sample]
    return sum(values) / len(values) if values else None


def greatest(samples, figure):
    """The greatest value of a figure, 0 if there is none."""
    return max((sample[figure] for sample in samples if figure in sample), default=0)


def quantile(samples, figure, share):
    """The value that this share of the samples does not exceed, None if there is none."""
    values = sorted(sample[figure] for sample in samples if figure in sample)
    return values[min(int(len(values) * share), len(values) - 1)] if values else None


def commit_mean_s(samples, table):
    """The mean time of the commits to a table between the first and the last sample, None without any."""
    told = [sample for sample in samples if f"commit_count:{table}" in sample]
    if len(told) < 2:
        return None
    count, total = (told[-1][f"commit_{part}:{table}"] - told[0][f"commit_{part}:{table}"] for part in ("count", "sum"))
    return total / count if count else None


def flat_memory(samples):
    """Resident memory does not grow."""
    middle, last = (mean(third(samples, number), "resident_mib") for number in (1, 2))
    change = last / middle - 1
    return Verdict(
        "resident memory is flat",
        f"{middle:.0f} MiB in the middle third, {last:.0f} MiB in the last: {change:+.1%}",
        f"within {MEMORY_TOLERANCE:.0%}",
        abs(change) <= MEMORY_TOLERANCE,
    )


def steady_commits(samples, table):
    """Commits to a table do not get slower."""
    middle, last = (commit_mean_s(third(samples, number), table) for number in (1, 2))
    told = middle is not None and last is not None
    bound = middle * COMMIT_TOLERANCE + COMMIT_NOISE_S if told else 0
    return Verdict(
        f"commits to {table} do not get slower",
        f"mean {middle * 1000:.1f} ms in the middle third, {last * 1000:.1f} ms in the last" if told else "no commits",
        f"at most {bound * 1000:.1f} ms in the last third",
        told and last <= bound,
    )


def flat_descriptors(samples):
    """File descriptors are closed again. The median is used, because a checkpoint opens a hundred connections for a moment."""
    middle, last = (quantile(third(samples, number), "descriptors", 0.5) for number in (1, 2))
    return Verdict(
        "file descriptors are flat",
        f"median {middle:.0f} in the middle third, {last:.0f} in the last",
        f"at most {DESCRIPTORS_TOLERANCE} more",
        last - middle <= DESCRIPTORS_TOLERANCE,
    )


def bounded_lag(samples, rate):
    """The speed layer keeps up."""
    worst = greatest([sample for sample in samples if sample["seconds"] >= SETTLED_S], "lag_records")
    return Verdict(
        "lag is bounded",
        f"at most {worst:,.0f} records, {worst / rate:.1f} s of the traffic",
        f"at most {LAG_SECONDS} s of it",
        worst <= LAG_SECONDS * rate,
    )


def held_rate(records, seconds, rate):
    """The load had its intended rate."""
    found = records / seconds
    return Verdict("the rate was reached", f"{found:,.0f} records a second", f"at least {rate:,}", found >= rate)


def bounded_memory(samples, bound_mib):
    """The peak of resident memory stays below what the settings add up to."""
    peak = greatest(samples, "peak_mib")
    return Verdict(
        "peak memory is below what the settings allow", f"{peak:.0f} MiB", f"at most {bound_mib:.0f} MiB", peak <= bound_mib
    )


def resumed(before, after):
    """Commits continue after an outage; `before` and `after` are samples at its end and at the run's."""
    found = {
        table: after.get(f"commit_count:{table}", 0) - before.get(f"commit_count:{table}", 0)
        for table in ("events", "avg_speed")
    }
    text = ", ".join(f"{count:.0f} to {table}" for table, count in found.items())
    return Verdict(
        "the same process continued without help", f"commits after the outage: {text}", "at least one to each", all(found.values())
    )


def nothing_lost(produced, audit):
    """Every record that Kafka accepted is a row of `events` or of `dead_letters`, and the audit finds nothing."""
    rows = sum(p["events"] + p["dead_letters"] for p in audit["partitions"])
    return Verdict(
        "no record is lost or stored twice",
        f"{rows:,} rows of {produced:,} records, {len(audit['problems'])} problems found by the audit",
        "as many rows as records, no problem",
        rows == produced and audit["ok"],
    )
