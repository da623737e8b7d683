"""The oracle against figures computed by hand from the contract: a wrong oracle would make wrong tests."""

import datetime as dt

from harness import oracle
from harness.data import at
from harness.oracle import HOUR_US, MINUTE_US, Record, Rules


def test_thousandths_round_halves_away_from_zero_after_a_product_in_double():
    assert [oracle.thousandths(kmh) for kmh in (85.2, 0.0005, 0.0004999, 0.5005, 400.0)] == [85200, 1, 0, 500, 400000]


def test_days_of_23_and_25_hours_and_a_last_hour_of_30_minutes():
    spans = {day: oracle.day_span(dt.date.fromisoformat(day), "Europe/Berlin") for day in ("2025-03-30", "2025-10-26")}
    assert [(end - start) // HOUR_US for start, end in spans.values()] == [23, 25]
    last = oracle.window("1h", at("2025-04-06T23:45:00+10:30"), "Australia/Lord_Howe")
    assert last == (at("2025-04-06T23:30:00+10:30"), at("2025-04-07T00:00:00+10:30"))


def test_nearest_rank_is_a_value_that_was_seen():
    assert [oracle.nearest_rank(range(1, 21), percent) for percent in (50, 85, 95)] == [10, 17, 19]
    assert oracle.nearest_rank([7], 50) == 7


def test_an_event_is_late_when_its_window_ended_more_than_the_lateness_before_the_watermark():
    end = 100 * HOUR_US
    greatest = end + 3 * HOUR_US + 30 * 1_000_000
    assert not oracle.is_late(end - 1, greatest, Rules())
    assert oracle.is_late(end - 1, greatest + 1, Rules())


def test_what_lies_beyond_microseconds_is_cut_and_offsets_are_applied():
    assert oracle.event_time("1970-01-01T03:00:00.0000019+03:00") == 1
    assert oracle.event_time("1970-01-01T00:59:59-00:00") == HOUR_US - 1_000_000
    assert [
        oracle.event_time(text)
        for text in ("1970-01-01T00:00:60Z", "1970-01-01 00:00:00Z", "1970-01-01T00:30:00+01:00")
    ] == [None] * 3


def test_duplicates_count_once_and_an_average_is_one_division():
    payload = b'{"kvfv_id":"K","timestamp":"2025-04-05T10:15:30Z","vehicle_speed":%s}'
    records = [
        Record(p, 0, 1743848130000 + MINUTE_US, None, payload % speed)
        for p, speed in enumerate([b"85.2", b"85.2000", b"60"])
    ]
    events = oracle.land(records).events
    rows = oracle.final(events)
    figures = rows["K", "5m", at("2025-04-05T10:15:00+00:00")]
    assert (figures.count, figures.total, figures.average_kmh) == (2, 145200, 145200 / 2000)
    assert len(rows) == 3 and len(oracle.provisional(events)) == 9
