"""A lake of an older release, whose log does not say what its files hold, goes on: nothing is lost, counted twice or left.

The lake is fixtures/older-lake; the oracle judges it by the records of its topic and those that are sent now.
"""

import json
from collections import Counter

import older_lake
import pytest
from ending import assert_everything_final
from older_lake import FINAL_DAY, OPEN_DAY, ZONE
from pyarrow import parquet

from harness import checks, oracle, readers
from harness.data import at, event, rfc3339, traffic
from harness.lakehouse import QUICK, until
from harness.oracle import HOUR_US, day_span
from harness.rest import compare, merged_figures, serving

SPAN = tuple(rfc3339(time) for time in (day_span(FINAL_DAY, ZONE)[0], day_span(OPEN_DAY, ZONE)[1]))


def news():
    """What the cameras send after the fixture's records: the rest of the day, and late events of both days."""
    newest_ms = max(record.timestamp_ms for record in older_lake.saved_records())
    rest = traffic(91, OPEN_DAY, zone=ZONE, cameras=5, events=700, partitions=older_lake.PARTITIONS)
    late = event("KV00001", at("2025-04-05T12:00:00+03:00"), arrival_us=newest_ms * 1000)
    return [late, *(message for message in rest if message.timestamp_ms > newest_ms)]


def adds(folder, table):
    """The files that the log of a table adds, by path."""
    entries = sorted((folder / "lake" / table / "_delta_log").glob("*.json"))
    actions = [json.loads(line) for entry in entries for line in entry.read_text().splitlines()]
    return {action["add"]["path"]: action["add"] for action in actions if "add" in action}


def uris(workspace):
    """The active data files of all tables."""
    return {uri for table in readers.TABLES for uri in workspace.lake.delta(table).file_uris()}


def packed(workspace):
    """The active data files that have an encoding which some readers lack, or read wrongly."""
    return {uri for uri in uris(workspace) if any("DELTA" in encoding for encoding in encodings(uri))}


def encodings(uri):
    footer = parquet.read_metadata(uri.removeprefix("file://"))
    groups = map(footer.row_group, range(footer.num_row_groups))
    return {one for group in groups for column in range(footer.num_columns) for one in group.column(column).encodings}


def events_of(expected, day):
    return [e for e in expected.events if oracle.day_of(e.time_us, ZONE) == day]


def test_the_fixture_is_what_its_page_says(tmp_path):
    older_lake.unpack(tmp_path)
    for table in ("events", "dead_letters", "avg_speed"):
        files = adds(tmp_path, table).values()
        assert files and not any(add.get("tags") for add in files), f"{table}: an older release wrote no tags"
        assert (tmp_path / "lake" / table / "_delta_log" / "_last_checkpoint").exists()
    records = older_lake.saved_records()
    landed = oracle.land(records, oracle.Rules(zone=ZONE))
    assert landed.letters and any(e.late for e in landed.events)
    for partition in range(older_lake.PARTITIONS):
        of_partition = [record for record in records if record.partition == partition]
        assert of_partition[-1].offset >= len(of_partition), "there are gaps"
        newest = max(e.time_us for e in landed.events if e.record.partition == partition)
        assert newest - at("2025-04-06T17:00:00+03:00") > 3 * HOUR_US, "several hours are open"


def test_an_older_lake_is_read_and_nothing_new_changes_no_row(workspaces):
    with older_lake.unpacked(workspaces) as workspace:
        expected = checks.landed(workspace)
        checks.coverage(workspace)
        checks.provisional(workspace, expected.events, final_days={FINAL_DAY})
        workspace.batch("audit")
        workspace.batch("verify", "--date", str(FINAL_DAY))
        with serving(workspace) as client:
            provisional = merged_figures(events_of(expected, OPEN_DAY), workspace.rules)
            middle = rfc3339(day_span(OPEN_DAY, ZONE)[0])
            compare(client, provisional, "provisional", 0.5, middle, SPAN[1])
            wanted = oracle.final(events_of(expected, FINAL_DAY), workspace.rules)
            compare(client, wanted, "final", 0, SPAN[0], middle)
        versions = []
        for _ in range(2):
            workspace.land()
            workspace.batch("nightly", "--date", str(FINAL_DAY))
            workspace.batch("maintain")
            versions.append(workspace.lake.versions())
        assert versions[0] == versions[1], "what some readers cannot read is rewritten once"
        averages = workspace.lake.delta("avg_speed").file_uris()
        of_open_day = {uri for uri in averages if f"event_date={OPEN_DAY}" in uri}
        assert packed(workspace) == of_open_day, "averages of days that are not final are replaced before long"
        checks.landed(workspace, expected)
        checks.coverage(workspace)
        checks.provisional(workspace, expected.events, final_days={FINAL_DAY})
        checks.final(workspace, expected.events, {FINAL_DAY})


@pytest.mark.parametrize("restarts", [0, 2])
def test_an_older_lake_goes_on(workspaces, restarts):
    """The second start finds files of both releases in one day."""
    with older_lake.unpacked(workspaces) as workspace:
        old_files = set(workspace.lake.delta("events").file_uris())
        for part in older_lake.parts(news(), restarts + 1):
            workspace.topic.send(part)
            workspace.land()
            expected = checks.landed(workspace)
            checks.coverage(workspace)
            checks.provisional(workspace, expected.events, final_days={FINAL_DAY})
        assert old_files < set(workspace.lake.delta("events").file_uris()), "only what is new is landed"

        workspace.batch("audit")
        told = workspace.batch("nightly", "--dry-run").out
        [dirty] = [line for line in told.splitlines() if "dirty" in line]
        assert str(FINAL_DAY) in dirty
        days = checks.days_of(expected.events, ZONE)
        assert_everything_final(workspace, expected)
        runs = Counter(row["event_date"] for row in checks.runs(workspace))
        assert runs == Counter(2 * days) + Counter([FINAL_DAY]), "once each, by force, and by the older release"


def test_an_older_lake_goes_on_under_a_speed_layer_that_is_killed(workspaces):
    messages = news()
    with older_lake.unpacked(workspaces, **QUICK) as workspace:
        with workspace.topic.feeding(messages, portion=10):
            for _ in range(3):
                commits = workspace.commits() + 2
                speed = workspace.speed()
                until(lambda: workspace.commits() >= commits or workspace.has_landed_all(), "it commits")
                speed.kill()
        workspace.land()
        expected = checks.landed(workspace)
        checks.coverage(workspace)
        checks.provisional(workspace, expected.events, final_days={FINAL_DAY})
        workspace.batch("audit")
        days = checks.days_of(expected.events, ZONE)
        assert_everything_final(workspace, expected)
        runs = Counter(row["event_date"] for row in checks.runs(workspace))
        assert runs == Counter(2 * days) + Counter([FINAL_DAY]), "once each, by force, and by the older release"
