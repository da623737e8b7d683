"""Comparing tables with the oracle, row by row, and logs with what they may hold.

Each check names rows that are missing, surplus or different, a few of each.
"""

import datetime as dt
from collections import Counter
from decimal import Decimal

from harness import oracle
from harness.readers import read
from harness.readers import rows as plain_rows

FEW = 5


def same(what, got, wanted):
    """Asserts that two dicts are equal; names a few of the differences."""
    if got == wanted:
        return
    missing = [key for key in wanted if key not in got]
    surplus = [key for key in got if key not in wanted]
    differing = [
        f"{key}: {got[key]} instead of {wanted[key]}" for key in wanted if key in got and got[key] != wanted[key]
    ]
    parts = [
        f"{what}: {len(got)} instead of {len(wanted)}",
        f"{len(missing)} missing: {missing[:FEW]}",
        f"{len(surplus)} too much: {surplus[:FEW]}",
        f"{len(differing)} differ:",
        *differing[:FEW],
    ]
    raise AssertionError("\n".join(parts))


def by_key(rows, key_of):
    """The rows by a key that must be unique."""
    counts = Counter(map(key_of, rows))
    repeated = [key for key, count in counts.items() if count > 1]
    assert not repeated, f"{len(repeated)} keys more than once, such as {repeated[:FEW]}"
    return {key_of(row): row for row in rows}


# ---- landing -----------------------------------------------------------------------------------------------------


def landed(workspace, expected=None):
    """Asserts that events, dead letters and offset gaps are exactly what the oracle expects for the topic."""
    expected = expected or workspace.expected()
    events(workspace, expected.events)
    letters(workspace, expected.letters)
    return expected


def events(workspace, expected):
    """Asserts that `events` holds exactly these events."""
    zone = workspace.rules.zone
    rows = by_key(read(workspace.lake, "events"), lambda row: (row["kafka_partition"], row["kafka_offset"]))
    same(
        "events",
        {key: event_row(row) for key, row in rows.items()},
        {place(e.record): wanted_event(e, zone) for e in expected},
    )


def place(record):
    return (record.partition, record.offset)


def event_row(row):
    """A row of events in the oracle's terms."""
    extra = None if row["extra"] is None else oracle.parse_json(row["extra"])
    return (
        row["camera_id"],
        row["event_time"],
        bits(row["speed_kmh"]),
        row["plate_number"],
        extra,
        row["kafka_timestamp"],
        row["late"],
        row["event_date"],
    )


def wanted_event(event, zone):
    return (
        event.camera,
        event.time_us,
        bits(event.speed_kmh),
        event.plate,
        event.extra,
        oracle.kafka_timestamp_us(event.record),
        event.late,
        oracle.day_of(event.time_us, zone),
    )


def bits(value):
    """A double to the bit, signs of zero too."""
    return float(value).hex()


def letters(workspace, expected):
    """Asserts that `dead_letters` holds exactly these, key and payload to the byte."""
    rows = by_key(read(workspace.lake, "dead_letters"), lambda row: (row["kafka_partition"], row["kafka_offset"]))
    assert all(row["detail"] for row in rows.values()), "a dead letter without a detail"
    columns = ("reason", "key", "payload", "kafka_timestamp", "landed_date")
    got = {key: tuple(row[column] for column in columns) for key, row in rows.items()}
    same(
        "dead letters",
        got,
        {place(record): wanted_letter(reason, record, workspace.rules.zone) for reason, record in expected},
    )


def wanted_letter(reason, record, zone):
    time_us = oracle.kafka_timestamp_us(record)
    return (reason, record.key, record.payload, time_us, oracle.day_of(time_us, zone))


def coverage(workspace, gaps=None):
    """Asserts rule 1 by counting: every offset up to the next one of `events` is landed or a gap, exactly once.

    `gaps`, where given, are the expected gaps: (partition, reason) to the set of offsets.
    """
    covered, found = Counter(), {}
    for table in ("events", "dead_letters"):
        covered.update((row["kafka_partition"], row["kafka_offset"]) for row in read(workspace.lake, table))
    for row in read(workspace.lake, "offset_gaps"):
        offsets = range(row["first_offset"], row["next_offset"])
        assert offsets, f"an empty gap: {row}"
        covered.update((row["kafka_partition"], offset) for offset in offsets)
        found.setdefault((row["kafka_partition"], row["reason"]), set()).update(offsets)
    assert set(covered.values()) <= {1}, "offsets are covered more than once"
    # Offsets that `events` has not reached yet may exist already, because the other two tables are committed before it.
    reached = {(p, offset) for p, end in workspace.next_offsets("events").items() for offset in range(end)}
    same("offsets covered", dict.fromkeys(reached & covered.keys(), 1), dict.fromkeys(reached, 1))
    if gaps is not None:
        same("offset gaps", found, {key: offsets for key, offsets in gaps.items() if offsets})


# ---- averages ----------------------------------------------------------------------------------------------------


def provisional(workspace, expected_events, final_days=(), undecided=()):
    """Asserts that the provisional rows are those of the events, except for final days, and for each (camera, partition)
    that is undecided."""
    wanted = oracle.provisional(expected_events, workspace.rules)
    zone = workspace.rules.zone
    is_decided = lambda key: (key[0], key[3]) not in undecided  # noqa: E731
    wanted = {k: row for k, row in wanted.items() if oracle.day_of(k[2], zone) not in final_days and is_decided(k)}
    rows = by_key([r for r in read(workspace.lake, "avg_speed") if r["status"] == "provisional"], row_key)
    rows = {key: row for key, row in rows.items() if is_decided(key)}
    same(
        "provisional rows",
        {k: figures(r) for k, r in rows.items()},
        {k: wanted_figures(k, f, zone) for k, f in wanted.items()},
    )
    for key, row in rows.items():
        exact = [wanted[key].p50, wanted[key].p85, wanted[key].p95]
        near = all(abs(sketched - value / 1000) <= 0.5 for sketched, value in zip(quantiles(row), exact))
        assert near, f"{key}: quantiles {quantiles(row)} are not within 0.5 km/h of {exact}"
        assert row["events_version"] is None and row["computed_at"] is not None, row
    return wanted


def final(workspace, expected_events, days):
    """Asserts that the final rows are those of these days, bit for bit, and that no other row of them is left."""
    zone = workspace.rules.zone
    wanted = oracle.final([e for e in expected_events if oracle.day_of(e.time_us, zone) in days], workspace.rules)
    rows = by_key([r for r in read(workspace.lake, "avg_speed") if r["event_date"] in days], row_key)
    left = [key for key, row in rows.items() if row["status"] != "final"]
    assert not left, f"{len(left)} rows are not final, such as {left[:FEW]}"
    got = {key: (*figures(row), *map(bits, quantiles(row))) for key, row in rows.items()}
    exact = {
        (*key, None): (*wanted_figures(key, row, zone), *(bits(q / 1000) for q in (row.p50, row.p85, row.p95)))
        for key, row in wanted.items()
    }
    same("final rows", got, exact)
    assert all(row["events_version"] is not None for row in rows.values()), "a final row without events_version"
    return rows


def row_key(row):
    return (row["camera_id"], row["window_size"], row["window_start"], row["kafka_partition"])


def quantiles(row):
    return [row["p50_speed_kmh"], row["p85_speed_kmh"], row["p95_speed_kmh"]]


def figures(row):
    """The values of a row that are exact in provisional rows too."""
    return (
        row["window_end"],
        row["vehicle_count"],
        row["speed_sum_kmh"],
        bits(row["avg_speed_kmh"]),
        bits(row["min_speed_kmh"]),
        bits(row["max_speed_kmh"]),
        row["over_limit_count"],
        row["event_date"],
    )


def wanted_figures(key, row, zone):
    return (
        row.window_end_us,
        row.count,
        Decimal(row.total) / 1000,
        bits(row.average_kmh),
        bits(row.minimum / 1000),
        bits(row.maximum / 1000),
        row.over_limit,
        oracle.day_of(key[2], zone),
    )


def up_to(expected_events, next_offsets):
    """The events below these offsets, given by partition."""
    return [event for event in expected_events if event.record.offset < next_offsets[event.record.partition]]


def days_of(expected_events, zone):
    """The days of the events, ascending."""
    return sorted({oracle.day_of(event.time_us, zone) for event in expected_events})


def day(text):
    """A date."""
    return dt.date.fromisoformat(text)


def runs(workspace):
    """The rows of batch_runs, in the order of their start."""
    return sorted(read(workspace.lake, "batch_runs"), key=lambda row: (row["started_at"], row["event_date"]))


def avg_speed_by_day(workspace, version=None):
    """The content of `avg_speed`, except for the time of computation."""
    table = plain_rows(workspace.lake.delta("avg_speed", version).to_pyarrow_table())
    days = {}
    for row in table:
        row.pop("computed_at")
        days.setdefault(row["event_date"], []).append(tuple(row.values()))
    return {day: sorted(rows, key=repr) for day, rows in days.items()}


def status_rows(workspace, status):
    """The rows of `avg_speed` that have this status."""
    return [row for row in read(workspace.lake, "avg_speed") if row["status"] == status]
