"""Two lakes of one topic: each has every partition, and the audit sees where one has not."""

import contextlib
import json

import pytest

from harness.data import FIRST, traffic
from harness.lakehouse import free_port, until
from harness.topics import Topic


@contextlib.contextmanager
def two_lakes(workspaces, name, group=None):
    """Two lakes of one topic of two partitions, whose settings differ in nothing but `lake.uri`, and no records yet."""
    with workspaces.make(name, partitions=2) as workspace:
        del workspace.settings["kafka.group"]
        workspace.configure(**({"kafka__group": group} if group else {}))
        yield workspace, workspace.beside("other")


def send(workspace):
    workspace.topic.send(traffic(5, FIRST, days=1, events=400, partitions=2))


def default_group(workspace):
    lake_id = workspace.lake.delta("events").metadata().configuration["lambdalake.lakeId"]
    return f"lambdalake-tested-{lake_id}"


def test_two_lakes_of_one_topic_with_the_default_group_both_land_every_partition(workspaces):
    with two_lakes(workspaces, "two-lakes") as lakes:
        running = [workspace.speed() for workspace in lakes]
        send(lakes[0])
        for workspace in lakes:
            until(workspace.has_landed_all, "every partition has landed")
        for program in running:
            assert program.terminate() == 0, program.tail()
        ends = lakes[0].topic.ends()
        assert [workspace.topic.committed(default_group(workspace)) for workspace in lakes] == [ends, ends]
        for workspace in lakes:
            workspace.batch("audit", "--kafka", "require")


def test_the_audit_sees_the_partition_that_another_lake_took_by_sharing_the_group(workspaces):
    group = "one-for-both"
    with two_lakes(workspaces, "one-group", group) as lakes:
        topic = lakes[0].topic
        running = [workspace.speed() for workspace in lakes]
        until(lambda: topic.shares(group) == [1, 1], "each lake has one partition")
        send(lakes[0])
        ends = sum(topic.ends().values())
        until(lambda: sum(sum(w.next_offsets("events").values()) for w in lakes) == ends, "each has landed its partition")
        for program in running:
            assert program.terminate() == 0, program.tail()
        for workspace in lakes:
            [missing] = [p for p, landed in workspace.next_offsets("events").items() if landed == 0]
            refused = workspace.batch("audit", code=1)
            assert f"partition {missing}: Kafka holds" in refused.out and f'"{group}"' in refused.out, refused.tail()
            compared = json.loads(workspace.batch("audit", "--json", code=1).out)["kafka"]
            assert compared["status"] == "compared"
            assert {p["partition"]: p["landed"] for p in compared["partitions"]} == workspace.next_offsets("events")
            # The tables alone are in order.
            workspace.batch("audit", "--kafka", "skip")


def test_the_audit_sees_records_that_are_not_landed_for_too_long_and_allows_others(workspaces):
    with workspaces.make("behind", partitions=1) as workspace:
        workspace.topic.send(traffic(5, FIRST, days=1, events=100, partitions=1))
        workspace.land()
        workspace.batch("audit", "--kafka", "require")
        workspace.topic.send(traffic(6, FIRST, days=1, events=100, partitions=1))
        refused = workspace.batch("audit", code=1)
        assert "older than 1h and have not landed" in refused.out, refused.tail()
        # The records are of 2025 by their timestamps.
        workspace.batch("audit", "--max-lag", "100years")


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--kafka", "require"], 3), (["--kafka", "skip"], 0)])
def test_an_audit_without_kafka_says_so_and_fails_only_where_it_is_required(closed, options, code):
    workspace = closed[0].fork(f"no-kafka-{len(options)}-{code}")
    workspace.configure(kafka__brokers=f"127.0.0.1:{free_port()}", kafka__request_timeout="1s")
    audit = workspace.batch("audit", *options, code=code)
    assert ("not compared" in audit.out) == (options == []), audit.tail()
    assert ("kafka.brokers" in audit.out + audit.err) == (options != ["--kafka", "skip"]), audit.tail()


def test_a_topic_that_is_gone_is_a_finding(workspaces):
    with workspaces.make("gone", partitions=1) as workspace:
        workspace.topic.send(traffic(5, FIRST, days=1, events=100, partitions=1))
        workspace.land()
        workspace.topic.delete()
        refused = workspace.batch("audit", code=1)
        assert "PROBLEM find topic" in refused.out and "--kafka skip" in refused.out, refused.tail()
        workspace.batch("audit", "--kafka", "skip")
        Topic.create(workspace.topic.brokers, workspace.topic.name, 1)  # the workspace deletes it
