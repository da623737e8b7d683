"""A topic that was deleted and created again under its name has other records under the same offsets: every command that
asks Kafka refuses it, whatever it holds.
"""

import pytest

from harness import checks
from harness.data import FIRST, event, traffic
from harness.lakehouse import QUICK, until


def property_of(workspace, table, name):
    return workspace.lake.delta(table).metadata().configuration.get(name)


# The records of each partition of the new topic. The first one had 150 in each of three partitions.
REMADE = {"longer": [400, 400, 400], "shorter": [20, 20, 20], "empty": [0, 0, 0], "fewer_partitions": [400]}


@pytest.mark.parametrize("remade", REMADE)
def test_a_topic_that_was_created_again_is_refused_by_every_command_that_asks_kafka(workspaces, remade):
    with workspaces.make(f"remade-{remade}", partitions=3, maintain__event_retention="30d") as workspace:
        workspace.topic.send([event("KV1", n, partition=p) for n in range(150) for p in range(3)])
        workspace.land()
        first = property_of(workspace, "events", "lambdalake.kafkaTopicId")
        assert first, "the lake knows which topic it is"
        sizes = REMADE[remade]
        again = workspace.topic.recreate(partitions=len(sizes))
        again.send([event("KV9", n, partition=p) for p, size in enumerate(sizes) for n in range(size)])
        before = workspace.lake.versions()
        commands = [
            ("speed-layer", "run"),
            ("speed-layer", "run", "--until-end"),
            ("batch-layer", "nightly", "--wait", "1s"),
            ("batch-layer", "maintain"),
        ]
        for command in commands:
            refused = workspace.start(*command).expect(2)
            for part in ("kafka.topic", first, "deleted and created again", "another lake.uri"):
                assert part in refused.err, f"{part!r} is not in {command}: {refused.tail()}"
        assert workspace.lake.versions() == before
        found = workspace.batch("audit", code=1)
        assert "PROBLEM kafka.topic" in found.out and first in found.out, found.tail()
        workspace.batch("audit", "--kafka", "skip")


def test_a_topic_that_is_created_again_while_the_speed_layer_runs_stops_it(workspaces):
    """More records than before, so that the old offsets exist again: none of them may land."""
    with workspaces.make("remade-running", partitions=1, **QUICK) as workspace:
        workspace.topic.send([event("KV1", n) for n in range(5)])
        speed = workspace.speed()
        until(workspace.has_landed_all, "the first records landed")
        expected = workspace.expected().events
        workspace.topic.recreate().send([event("KV9", n) for n in range(50)])
        refused = speed.expect(2)
        assert "deleted and created again" in refused.err, refused.tail()
        checks.events(workspace, expected)
        checks.provisional(workspace, expected)


def test_every_table_knows_which_topic_its_offsets_are_of(workspaces):
    with workspaces.make("known") as workspace:
        workspace.topic.send(traffic(61, FIRST, events=300))
        workspace.land()
        names = ("lambdalake.kafkaTopicId", "lambdalake.kafkaClusterId")
        ids = {table: [property_of(workspace, table, name) for name in names] for table in workspace.lake.versions()}
        assert len({tuple(found) for found in ids.values()}) == 1 and all(ids["events"]), ids
