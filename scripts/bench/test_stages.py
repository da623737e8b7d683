"""How `scripts/bench.sh stages` adds up the cost of stages. The figures are written by hand; nothing is measured."""

import pytest

from bench import bed, stages

SECONDS = {"fetch": 0.8, "decode": 0.2, "fold": 0.1, "encode": 0.3, "average": 0.04, "upload": 0.06, "commit": 0.02}


def pair(whole, faster=1.0):
    """A run of two million records, and the cost of its stages."""
    run = {"records": 2_000_000, "batches": 1000, "seconds": {stage: took / faster for stage, took in SECONDS.items()}}
    run["cpu_seconds_per_million"] = stages.per_million(run)
    written = {"commits": 9, "files": 70, "mebibytes": 45.2, "load_before": 0.1}
    return {"stages": run | written, "whole": {"cpu_seconds_per_million": whole} | written}


def test_stages_and_what_is_not_accounted_for_add_up_to_the_whole():
    found = stages.table([pair(0.9), pair(1.0), pair(1.3, faster=2)])
    assert found["medians"]["fetch"] == pytest.approx(0.4)
    assert found["sum"] == pytest.approx(sum(SECONDS.values()) / 2)
    assert found["sum"] + found["left"] == pytest.approx(1.0)


def test_stages_that_take_more_than_the_whole_are_told_as_such():
    assert stages.table([pair(0.5)])["left"] == pytest.approx(0.5 - sum(SECONDS.values()) / 2)


@pytest.mark.parametrize("seconds", [SECONDS | {"sort": 0.1}, {"fetch": 0.8}])
def test_a_stage_that_the_table_would_leave_out_is_a_failure(seconds):
    with pytest.raises(bed.Failed) as failed:
        stages.per_million({"records": 1, "seconds": seconds})
    assert failed.value.code == 1


def test_the_report_has_a_row_for_every_stage_with_its_share():
    topic = {"produced": 1, "events": 1, "cameras": 1, "late": 0, "duplicates": 0, "bad": 0, "partitions": 1}
    on = {"date": "2025-04-05", "processor": "any", "cores": 2, "memory_gib": 4, "system": "Linux", "rustc": "1.95.0"}
    text = stages.text({"topic": topic, "machine": on, "runs": {"disk": [pair(1.0)], "minio": [pair(2.0)]}})
    assert "| Fetch | 0.400 s | 400 ns | 40% |" in text and "| Fetch | 0.400 s | 400 ns | 20% |" in text
    assert "| **Sum of the stages** | 0.760 s | 760 ns | 76% |" in text
    assert "| Not accounted for | 0.240 s | 240 ns | 24% |" in text
    assert "9 commits (9), 70 data files (70), 45 MiB (45); 2,000 records in a batch" in text
