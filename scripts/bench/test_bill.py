"""The arithmetic of `scripts/bench.sh bill`, and what becomes of the proxy's counts. The figures are written by hand; nothing
is measured."""

import pytest

from bench import bill_model
from bench.bill_model import Landed
from bench.bill_text import text
from bench.prices import GB, Requests, usd
from bench.store_proxy import Counts

MONTH_S = 365.25 / 12 * 86_400
# An hour of a day with 24 million rows in 2,400 files, after a warm-up of a quarter of an hour.
HOUR = Landed(seconds=3600, records=1_000_000, rows=990_000, files=99, day_rows=1_250_000, day_files=125)


def test_a_price_is_that_of_the_requests_and_of_what_is_stored():
    million = dict.fromkeys(("PUT", "POST", "LIST", "GET", "HEAD", "OTHER", "DELETE"), 1_000_000)
    assert usd(million) == pytest.approx(3 * 5.00 + 3 * 0.40)
    assert usd({"DELETE": 1_000_000}) == 0
    assert usd({"GET": 1_000_000}, 100 * GB) == pytest.approx(0.40 + 2.30)
    assert Requests(1_000_000, 1_000_000).usd() == pytest.approx(5.00 + 0.40)


def test_a_kind_that_has_no_price_is_an_error():
    with pytest.raises(KeyError):
        usd({"COPY": 1})


def test_what_always_runs_grows_with_time():
    assert bill_model.always({"PUT": 60, "GET": 6}, 60) == {"PUT": pytest.approx(MONTH_S), "GET": pytest.approx(MONTH_S / 10)}


def test_a_day_has_the_rows_that_came_and_their_files():
    assert HOUR.rows_a_day() == pytest.approx(24_000_000)
    assert HOUR.files_a_day() == pytest.approx(2_400)


def test_the_run_s_day_is_read_as_often_as_a_whole_day_would_be():
    assert HOUR.rows_in_memory() == pytest.approx(8_000_000 * 1.25 / 24, abs=1)
    for command, expected in (("nightly", 3), ("maintain", 24)):
        assert bill_model.passes(HOUR.day_rows, HOUR.rows_in_memory(), command) == expected
        assert bill_model.passes(HOUR.rows_a_day(), 8_000_000, command) == expected


def test_what_the_night_does_once_is_not_multiplied_and_the_rest_grows_with_the_files():
    found = bill_model.nightly("nightly", {"GET": 1_025, "PUT": 10}, {"GET": 25, "LIST": 3}, HOUR)
    assert found == {"GET": pytest.approx(MONTH_S / 86_400 * (25 + 1000 * 2400 / 125)), "PUT": pytest.approx(MONTH_S / 86_400 * 192)}


def test_a_day_that_is_too_small_for_as_many_passes_is_multiplied_by_the_passes_that_lack():
    # 24,000 rows, read in one pass because no fewer than 100,000 may be in memory; a day of a billion takes 125.
    tiny = Landed(seconds=2, records=23_148, rows=23_148, files=12, day_rows=24_000, day_files=12)
    found = bill_model.nightly("nightly", {"GET": 12}, {}, tiny)
    days_in_run = tiny.rows_a_day() / 23_148
    assert found["GET"] == pytest.approx(MONTH_S / 86_400 * 12 * days_in_run * 125, rel=0.01)


def test_a_month_of_data_has_the_bytes_of_its_rows():
    assert bill_model.stored(HOUR, 12_500_000) == pytest.approx(10 * 24_000_000 * 365.25 / 12)


REPORT = {
    "clients": {
        "speed-layer": {
            "PUT": {"requests": 3, "bytes_up": 30, "bytes_down": 0, "answers": {"2xx": 2, "4xx": 1}, "unanswered": 0},
            "GET": {"requests": 1, "bytes_up": 0, "bytes_down": 7, "answers": {}, "unanswered": 1},
        },
        "serving": {"GET": {"requests": 5, "bytes_up": 0, "bytes_down": 70, "answers": {"2xx": 5}, "unanswered": 0}},
        "idle": {},
    }
}


def test_counts_are_added_up_by_client_and_kind():
    counts = Counts.of(REPORT)
    assert counts.requests("speed-layer") == {"PUT": 3, "GET": 1}
    assert counts.requests("idle") == {}
    assert counts.total("bytes_down") == 77 and counts.total("bytes_down", "serving") == 70
    assert counts.total("2xx", "speed-layer", ("PUT", "POST")) == 2 and counts.total("2xx", "speed-layer", ("GET",)) == 0
    assert counts.total("unanswered") == 1


def test_a_difference_of_counts_holds_what_came_between():
    before = Counts.of(REPORT)
    after = Counts(before)
    after["serving", "GET", "requests"] += 2
    assert (after - before).requests("serving") == {"GET": 2} and (after - before).requests("speed-layer") == {}


def test_the_report_has_the_sum_of_all_programs():
    requests = {"speed-layer": {"PUT": 1_000_000.0}, "nightly": {"GET": 2_000_000.0, "PUT": 1.0}}
    run = {"first": {"seconds": 5.0, "requests": {"GET": 4}, "bytes_up": 10, "bytes_down": 2_000}, "again": {}}
    report = {
        "machine": dict.fromkeys(("date", "processor", "cores", "memory_gib", "system", "rustc"), "x"),
        "pipeline": {"cameras": 10, "partitions": 2, "servings": 1},
        "measured": {"seconds": 600, "records": 6_000, "bytes_up": 60_000, "requests": {"speed-layer": {"PUT": 100}}},
        "landed": {"day_rows": 8_000, "day_files": 20},
        "bytes_as_landed": 1_000,
        "night": {"nightly": run, "maintain": run},
        "stored": {"events": {"files": 1, "bytes": 800}},
        "unanswered": 0,
        "answers_5xx": 0,
        "month": {
            "requests": requests,
            "usd": {"speed-layer": 5.0, "nightly": 0.8, "requests": 5.8},
            "files_landed_a_day": 2_880,
            "stored_bytes": 3 * GB,
            "usd_stored": 0.07,
        },
    }
    lines = text(report).splitlines()
    assert "| requests a month | PUT | GET | USD |" in lines
    assert "| **all** | 1,000,001 | 2,000,000 | 5.80 |" in lines
    assert "| bytes read by `nightly` for each byte of the day's events | 2.0 |" in lines
