"""Rules of the time zone that change under a lake: days with data keep their bounds everywhere, and later days get new ones.

The clocks of Asia/Omsk show what those of Asia/Almaty showed before 2024. So a lake that is made in Omsk and then renamed
is what an older release, which does not know of the change, would have made in Almaty.
"""

import datetime as dt
import json

import pytest

from harness import checks, oracle
from harness.data import at, event, rfc3339, traffic
from harness.lakehouse import until
from harness.oracle import HOUR_US, MINUTE_US
from harness.readers import read
from harness.rest import all_final, compare, merged_figures, serving

TABLES = ("events", "dead_letters", "offset_gaps", "avg_speed", "batch_runs")
RULES = "lambdalake.zoneRules"
BEFORE, SINCE = "Asia/Omsk", "Asia/Almaty"
FIRST = dt.date(2025, 4, 5)


@pytest.fixture
def old_lake(workspaces):
    """An empty lake of Almaty by the rules before 2024; the oracle computes days by them too."""
    with workspaces.make("rules", pipeline__timezone=BEFORE) as workspace:
        workspace.land()
        for table in TABLES:
            entry = workspace.folder / "lake" / table / "_delta_log" / f"{0:020}.json"
            entry.write_text("".join(map(as_almaty, entry.read_text().splitlines())))
        workspace.configure(pipeline__timezone=SINCE)
        workspace.settings["pipeline.timezone"] = BEFORE  # for the oracle; the file is written
        yield workspace


def as_almaty(line):
    action = json.loads(line)
    if "metaData" in action:
        properties = action["metaData"]["configuration"]
        rules = json.loads(properties[RULES])
        rules["rules"][0]["release"] = "2023c"
        properties |= {RULES: json.dumps(rules), "lambdalake.timezone": SINCE}
    return json.dumps(action) + "\n"


def rules_of(lake, table):
    return json.loads(lake.delta(table).metadata().configuration[RULES])


def test_days_with_data_keep_their_bounds_when_rules_change_and_later_days_get_new_ones(old_lake):
    last = FIRST + dt.timedelta(days=2)
    span_us = [oracle.day_span(FIRST, BEFORE)[0], oracle.day_span(last, BEFORE)[1]]
    steady = [event("STEADY", time, speed=50 + n % 40) for n, time in enumerate(range(*span_us, 10 * MINUTE_US))]
    messages = sorted([*steady, *traffic(43, FIRST, days=3, zone=BEFORE, events=2500)], key=lambda m: m.timestamp_ms)
    old_lake.topic.send(messages)
    assert "rules of the time zone have changed" in old_lake.land().err
    stored = rules_of(old_lake.lake, "events")
    assert all(rules_of(old_lake.lake, table) == stored for table in TABLES)
    today = dt.datetime.now(dt.UTC).date()
    before, since = stored["segments"]
    assert "from" not in before
    assert 1 <= (dt.date.fromisoformat(since["from"]) - today).days <= 4
    expected = checks.landed(old_lake)
    checks.provisional(old_lake, expected.events)

    old_lake.batch("nightly")
    days = set(checks.days_of(expected.events, BEFORE))
    checks.final(old_lake, expected.events, days)
    old_lake.batch("verify", "--date", str(FIRST))
    with serving(old_lake) as client:
        span = tuple(map(rfc3339, span_us))
        wanted = oracle.final(expected.events, old_lake.rules)
        until(lambda: all_final(client, wanted, *span), "the server shows final rows")
        compare(client, wanted, "final", 0, *span)
        whole = client.windows("STEADY", "24h", *span)[span_us[0]]
        assert whole["count"] == 144 and rfc3339(span_us[0]).endswith("T18:00:00.000000Z")

    # Half an hour after midnight by the former rules, half an hour before it by the new ones.
    ahead = today + dt.timedelta(days=10)
    late_evening = at(f"{ahead}T18:30:00+00:00")
    old_lake.topic.send([event("AHEAD", late_evening), event("AHEAD", late_evening + HOUR_US)])
    assert "rules of the time zone have changed" not in old_lake.land().err
    rows = [row for row in read(old_lake.lake, "events") if row["camera_id"] == "AHEAD"]
    assert sorted(row["event_date"] for row in rows) == [ahead, ahead + dt.timedelta(days=1)]
    rows = [row for row in read(old_lake.lake, "avg_speed") if row["camera_id"] == "AHEAD"]
    assert [row["window_start"] // HOUR_US % 24 for row in rows if row["window_size"] == "24h"] == [19, 19]
    assert rules_of(old_lake.lake, "events") == stored
    old_lake.batch("audit")


def test_provisional_windows_of_a_lake_of_former_rules_go_on_after_a_restart(old_lake):
    messages = traffic(44, FIRST, days=1, zone=BEFORE, events=1500)
    half = len(messages) // 2
    old_lake.topic.send(messages[:half])
    old_lake.land()
    old_lake.topic.send(messages[half:])
    old_lake.land()
    expected = checks.landed(old_lake)
    checks.provisional(old_lake, expected.events)
    with serving(old_lake) as client:
        span = [rfc3339(bound) for bound in oracle.day_span(FIRST, BEFORE)]
        compare(client, merged_figures(expected.events, old_lake.rules), "provisional", 0.5, *span)
