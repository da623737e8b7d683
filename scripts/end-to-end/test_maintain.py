"""`batch-layer maintain`: removed files, old log entries and expired days are deleted; rows, audit and runs stay correct."""

from harness import checks, oracle
from harness.data import at, event, traffic
from harness.lakehouse import QUICK, until
from harness.rest import serving

FIRST = checks.day("2025-04-05")


def files_on_disk(workspace, table):
    return {
        path.name for path in (workspace.folder / "lake" / table).rglob("*.parquet") if "_delta_log" not in path.parts
    }


def gaps(workspace):
    return checks.read(workspace.lake, "offset_gaps")


def test_removed_files_go_when_their_retention_is_over(workspaces):
    """Those that the tables name stay; so do the rows."""
    retention = {"lake__deleted_file_retention": "1s", "lake__log_retention": "1s", "lake__retry_timeout": "250ms"}
    with workspaces.make("vacuum", **retention) as workspace:
        messages = traffic(61, FIRST, events=1500)
        for part in (messages[:500], messages[500:1000], messages[1000:]):
            workspace.topic.send(part)
            workspace.land()
        workspace.batch("nightly")
        expected = workspace.expected()
        before = len(files_on_disk(workspace, "avg_speed"))

        def is_clean():
            workspace.batch("maintain")
            named = {uri.rpartition("/")[2] for uri in workspace.lake.delta("avg_speed").file_uris()}
            return files_on_disk(workspace, "avg_speed") == named

        until(is_clean, "only the files that the table names are left", pause_s=0.3)
        assert len(files_on_disk(workspace, "avg_speed")) < before
        checks.landed(workspace)
        checks.final(workspace, expected.events, {FIRST})
        workspace.batch("audit")
        workspace.batch("verify", "--date", str(FIRST))
        after = workspace.lake.versions()
        workspace.batch("nightly")
        workspace.land()
        assert workspace.lake.versions() == after


def test_a_second_maintenance_has_nothing_to_compact(workspaces):
    with workspaces.make("twice") as workspace:
        workspace.topic.send(traffic(62, FIRST, events=600))
        workspace.land()
        workspace.batch("nightly")
        workspace.batch("maintain")
        before = {
            table: set(workspace.lake.delta(table).file_uris()) for table in ("events", "avg_speed", "dead_letters")
        }
        workspace.batch("maintain")
        assert {table: set(workspace.lake.delta(table).file_uris()) for table in before} == before


def test_maintenance_beside_a_speed_layer_and_a_nightly_run(workspaces):
    with workspaces.make("beside", **QUICK, lake__checkpoint_interval=5) as workspace:
        with workspace.topic.feeding(traffic(63, FIRST, days=2, events=5000), portion=15) as fed:
            speed = workspace.speed()
            until(lambda: workspace.lake.version("avg_speed") > 1, "averages are committed")
            for _ in range(3):
                nightly = workspace.start("batch-layer", "nightly", "--wait", "20s")
                workspace.batch("maintain")
                nightly.expect(0)
            assert not fed.done()
        until(workspace.has_landed_all, "everything landed")
        assert speed.terminate() == 0
        expected = checks.landed(workspace)
        workspace.batch("nightly")
        workspace.batch("maintain")
        checks.landed(workspace, expected)
        checks.final(workspace, expected.events, set(checks.days_of(expected.events, "UTC")))
        workspace.batch("audit")


def test_days_past_retention_are_dropped_once_final_and_gone_from_kafka(workspaces):
    """Their averages stay; the audit succeeds from the floor on; after a later event they are still frozen."""
    with workspaces.make("retention", maintain__event_retention="30d") as workspace:
        workspace.topic.send(traffic(64, FIRST, days=2, events=1500))
        workspace.land()
        expected = checks.landed(workspace)
        days = set(checks.days_of(expected.events, "UTC"))

        workspace.batch("maintain")
        checks.landed(workspace, expected)  # not final yet
        workspace.batch("nightly")
        workspace.batch("maintain")
        checks.landed(workspace, expected)  # Kafka still holds the records

        ends = workspace.topic.ends()
        workspace.topic.delete_before(ends)
        workspace.batch("maintain")
        assert checks.read(workspace.lake, "events") == []
        checks.final(workspace, expected.events, days)
        floors = {(row["kafka_partition"], row["first_offset"], row["reason"]) for row in gaps(workspace)}
        assert floors == {(partition, 0, "retention") for partition in ends}
        assert all(row["next_offset"] <= ends[row["kafka_partition"]] for row in gaps(workspace))
        workspace.batch("audit")

        before = workspace.lake.versions()
        workspace.batch("nightly")
        workspace.batch("maintain")
        workspace.land()
        assert workspace.lake.versions() == before

        workspace.topic.send([event("KV00001", at("2025-04-05T12:00:00+00:00"))])
        workspace.land()
        told = workspace.batch("nightly")
        checks.final(workspace, expected.events, days)
        assert "frozen" in (told.out + told.err).lower()
        workspace.batch("audit")
        with serving(workspace) as client:
            hours = client.windows("KV00001", "1h", "2025-04-05T00:00:00Z", "2025-04-07T00:00:00Z")
            wanted = {key[2] for key in oracle.final(expected.events) if key[:2] == ("KV00001", "1h")}
            assert set(hours) == wanted
