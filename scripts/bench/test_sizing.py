"""The arithmetic of `scripts/bench.sh sizing`, and what its store counts. The figures are written by hand; nothing is measured."""

import urllib.request

import pytest

from bench import sizing_model
from bench.counting import counting_store, total
from bench.prices import Requests
from bench.sizing_model import Counted, Pipeline

PIPELINE = Pipeline(
    cameras=1000, events=1_000_000, partitions=12, instances=2, servings=3, commit_interval_s=5, landing_interval_s=30
)
NOTHING = Counted(*[Requests()] * 8)


def test_a_month_has_the_commits_of_every_instance_and_the_refreshes_of_every_serving():
    month = 365.25 / 12 * 86_400
    one_each = Counted(**{name: Requests(1, 1) for name in vars(NOTHING)})
    found = {who: requests.writes for who, requests in sizing_model.requests(PIPELINE, one_each).items()}
    assert found["speed layer, averages"] == pytest.approx(2 * month / 5)
    assert found["speed layer, events"] == found["speed layer, dead letters"] == pytest.approx(2 * month / 30)
    assert found["speed layer, checkpoints"] == pytest.approx((2 * month / 5 + 4 * month / 30) / 100)
    assert found["serving, without clients"] == pytest.approx(3 * month)
    assert found["nightly, once a day"] == found["maintain, once a day"] == pytest.approx(2 * month / 30)


def test_cameras_and_stored_bytes_follow_the_load():
    assert sizing_model.cameras_per_machine(PIPELINE, cores_used=0.25, cores=2) == 4000
    assert sizing_model.stored_gb(PIPELINE, bytes_per_event=20) == pytest.approx(20 * 365.25 / 12)


def test_the_bound_of_memory_is_the_documented_sum():
    """docs/operations.md: about 860 MiB with the defaults, one broker and 12 partitions, and 80 MiB of windows."""
    without_windows = sizing_model.memory_bound_mib(Pipeline(0, 0, 12, 1, 1, 5, 30))
    assert without_windows == pytest.approx(860, abs=10)
    assert sizing_model.memory_bound_mib(PIPELINE) > without_windows + 80


def test_requests_are_counted_by_program_place_and_price():
    with counting_store() as (counting, lake):
        endpoint, bucket = lake.storage["endpoint"], "sizing"
        for method, path in [
            ("PUT", "lake/events/_delta_log/00000000000000000000.json"),
            ("PUT", "lake/events/event_date=2025-04-05/x.parquet"),
            ("GET", "lake/events/event_date=2025-04-05/x.parquet"),
            ("PUT", "lake/events/_delta_log/00000000000000000000.checkpoint.parquet"),
            ("GET", "?list-type=2&prefix=lake/events/_delta_log/"),
            ("DELETE", "lake/events/event_date=2025-04-05/y.parquet"),
        ]:
            data = b"data" if method == "PUT" else None
            request = urllib.request.Request(f"{endpoint}/{bucket}/{path}", data, method=method)
            request.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=speed-layer/20250405/us-east-1/s3/aws4_request")
            urllib.request.urlopen(request).close()
        counts = counting.so_far()
        assert total(counts, "speed-layer", "events", "log") == Requests(1, 0)
        assert total(counts, "speed-layer", "events", "data") == Requests(1, 1)
        assert total(counts, "speed-layer", "events", "checkpoint") == Requests(2, 0)
        assert total(counts, "serving") == Requests(0, 0)
        assert counting.versions() == {"events": 1} and counting.sizes("events") == [4]
