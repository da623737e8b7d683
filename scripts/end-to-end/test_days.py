"""Days of 23, 25 and 24.5 hours, from the wire to REST: windows, days, lateness, the nightly run and `verify`.

In addition to seeded traffic, one camera reports every ten minutes over three days, so that every window of the unusual
day has events.
"""

import datetime as dt

import pytest

from harness import checks, oracle
from harness.data import event, rfc3339, traffic
from harness.lakehouse import until
from harness.oracle import HOUR_US, MINUTE_US
from harness.rest import all_final, compare, merged_figures, serving

DAYS = [
    ("Europe/Berlin", "2025-03-30", 23),
    ("Europe/Berlin", "2025-10-26", 25),
    ("Australia/Lord_Howe", "2025-04-06", 24.5),
]


@pytest.mark.parametrize("zone, text, hours", DAYS)
def test_a_day_of_odd_length_is_one_day_everywhere(workspaces, zone, text, hours):
    day = checks.day(text)
    start, end = oracle.day_span(day, zone)
    assert (end - start) / HOUR_US == hours
    first, last = day - dt.timedelta(days=1), day + dt.timedelta(days=1)
    times = range(oracle.day_span(first, zone)[0], oracle.day_span(last, zone)[1], 10 * MINUTE_US)
    steady = [event("STEADY", time, speed=50 + n % 40) for n, time in enumerate(times)]
    messages = sorted([*steady, *traffic(41, first, days=3, zone=zone, events=2500)], key=lambda m: m.timestamp_ms)
    with workspaces.make("days", pipeline__timezone=zone) as workspace:
        workspace.topic.send(messages)
        workspace.land()
        expected = checks.landed(workspace)
        checks.provisional(workspace, expected.events)
        assert any(e.late for e in expected.events if oracle.day_of(e.time_us, zone) == day)
        with serving(workspace) as client:
            span = (
                rfc3339(oracle.day_span(first, zone)[0]),
                rfc3339(oracle.day_span(last + dt.timedelta(days=1), zone)[1]),
            )
            compare(client, merged_figures(expected.events, workspace.rules), "provisional", 0.5, *span)
            workspace.batch("nightly")
            days = set(checks.days_of(expected.events, zone))
            assert day in days
            checks.final(workspace, expected.events, days)
            wanted = oracle.final(expected.events, workspace.rules)
            until(lambda: all_final(client, wanted, *span), "the server shows final rows")
            compare(client, wanted, "final", 0, *span)
            whole = client.windows("STEADY", "24h", *span)[start]
            assert oracle.event_time(whole["window_end"]) == end and whole["count"] == hours * 6
            hourly = [at for at in client.windows("STEADY", "1h", *span) if start <= at < end]
            assert len(hourly) == -(-hours // 1)
        workspace.batch("verify", "--date", text)
        workspace.batch("audit")
