"""The arithmetic of `scripts/bench.sh bill`, and what becomes of the proxy's counts. The figures are written by hand; nothing
is measured."""

import urllib.request
from types import SimpleNamespace

import pytest

from bench import bill_model
from bench.bed import Bed
from bench.bill_model import Landed
from bench.bill_text import text
from bench.prices import GB, Requests, usd
from bench.store_proxy import Counts, store_proxy
from harness.fake_store import fake_store
from harness.readers import Lake

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


def test_what_the_night_does_once_is_not_multiplied_and_the_rest_grows_with_the_files():
    # The run's day has a 19.2th of the files.
    found = bill_model.nightly({"GET": 1_025, "PUT": 11, "LIST": 3}, {"GET": 25, "PUT": 1, "LIST": 5}, HOUR)
    nights = MONTH_S / 86_400
    assert found["GET"] == pytest.approx(nights * (25 + 1000 * 19.2))
    assert found["PUT"] == pytest.approx(nights * (1 + 10 * 19.2))
    assert found["LIST"] == pytest.approx(nights * 3)


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


def test_a_client_finds_the_store_through_the_proxy_and_is_counted(tmp_path):
    with fake_store() as store:
        bed = Bed(SimpleNamespace(storage={"endpoint": store.endpoint}), tmp_path)
        with store_proxy(bed, ("one", "other"), dict.fromkeys(("get", "put"), "0ms")) as proxy:
            lake = proxy.lake(Lake("s3://bucket/lake", bed.stack.storage), "one")
            assert lake.uri == "s3://bucket/lake" and lake.storage["endpoint"] != store.endpoint
            address = f"{lake.storage['endpoint']}/bucket/lake/a.parquet"
            with urllib.request.urlopen(urllib.request.Request(address, b"data", method="PUT")) as answer:
                assert answer.status == 200
            with urllib.request.urlopen(address) as answer:
                assert answer.read() == b"data"
            counts = proxy.counts()
        assert store.objects == {"lake/a.parquet": b"data"}
    assert counts.requests("one") == {"PUT": 1, "GET": 1} and counts.requests("other") == {}
    assert counts.total("bytes_up") == counts.total("bytes_down") == 4
    assert proxy.running.process.returncode == 0


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
