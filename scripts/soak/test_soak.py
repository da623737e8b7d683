"""The verdicts of scripts/soak.sh: what they accept, and what they do not. The samples are written by hand; no server runs."""

import pytest

from soak import verdicts

RATE = 1000


def samples(**figures):
    """Half an hour of samples; a figure is a function of the share of the time that has passed."""
    return [
        {"seconds": 5.0 * n, **{name.replace("__", ":"): of(n / 360) for name, of in figures.items()}}
        for n in range(361)
    ]


@pytest.mark.parametrize("growth, holds", [(0.0, True), (0.1, True), (0.3, False), (-0.3, False)])
def test_memory_may_change_by_a_twentieth_from_third_to_third(growth, holds):
    assert verdicts.flat_memory(samples(resident_mib=lambda at: 100 * (1 + growth * at))).holds == holds


def test_memory_may_rise_and_fall_with_what_waits():
    assert verdicts.flat_memory(samples(resident_mib=lambda at: 100 + 40 * (at * 60 % 1))).holds


@pytest.mark.parametrize("slower, holds", [(1.0, True), (1.2, True), (3.0, False)])
def test_commits_may_not_get_slower(slower, holds):
    """A commit every fifth of the samples takes 40 ms, and `slower` times that in the last third."""
    last = 2 / 3
    total = lambda at: 0.04 * (min(at, last) + max(at - last, 0) * slower) * 72
    found = verdicts.steady_commits(samples(commit_count__events=lambda at: at * 72, commit_sum__events=total), "events")
    assert found.holds == holds, found


def test_a_table_without_commits_is_no_proof():
    assert not verdicts.steady_commits(samples(resident_mib=lambda at: 1), "events").holds


@pytest.mark.parametrize("more, holds", [(0, True), (60, False)])
def test_descriptors_must_be_given_back(more, holds):
    assert verdicts.flat_descriptors(samples(descriptors=lambda at: 20 + more * at)).holds == holds


@pytest.mark.parametrize("seconds, holds", [(30, True), (90, False)])
def test_lag_is_bounded_by_a_minute_of_traffic(seconds, holds):
    assert verdicts.bounded_lag(samples(lag_records=lambda at: seconds * RATE * at), RATE).holds == holds


@pytest.mark.parametrize("events, letters, ok, holds", [(7, 3, True, True), (7, 2, True, False), (7, 3, False, False)])
def test_every_record_must_be_a_row_and_the_audit_in_order(events, letters, ok, holds):
    audit = {"ok": ok, "problems": [] if ok else ["one"], "partitions": [{"events": events, "dead_letters": letters}]}
    assert verdicts.nothing_lost(10, audit).holds == holds


def test_a_process_that_does_not_commit_after_an_outage_has_not_gone_on():
    before = {"commit_count:events": 5, "commit_count:avg_speed": 9}
    assert verdicts.resumed(before, {"commit_count:events": 6, "commit_count:avg_speed": 10}).holds
    assert not verdicts.resumed(before, {"commit_count:events": 6, "commit_count:avg_speed": 9}).holds
