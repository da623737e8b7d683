"""What an operator reads of an outage: that it began, with the setting and the cause, and that it is over, with how long it was."""

import json

from harness import checks
from harness.data import traffic
from harness.lakehouse import QUICK, until

DAY = checks.day("2025-04-05")
# With the few in which the group is left and joined again.
MOST_LINES = 12


def fields(program, message):
    """The fields of the log lines with this message."""
    lines = [json.loads(line)["fields"] for line in program.err.splitlines() if line.startswith("{")]
    return [found for found in lines if found["message"].startswith(message)]


def test_an_outage_of_kafka_is_reported_once_and_its_end_with_how_long_it_was(workspaces, stack):
    with workspaces.make("kafka-away", **QUICK) as workspace:
        speed = workspace.speed()
        workspace.topic.send(traffic(91, DAY, events=100))
        until(workspace.has_landed_all, "the first records landed")
        before = len(speed.err.splitlines())
        stack.kill("kafka")
        until(lambda: fields(speed, "no connection to Kafka"), "the outage is reported")
        stack.start("kafka")
        [end] = until(lambda: fields(speed, "connected to Kafka again"), "its end is reported", deadline_s=90)
        begins = fields(speed, "no connection to Kafka")
        assert len(begins) == 1, begins
        assert "kafka.brokers" in begins[0]["message"] and begins[0]["brokers"] == stack.brokers
        assert "127.0.0.1" in begins[0]["reason"], begins
        assert end["failures"] > 1 and end["failed_for"] != "0ns", end
        assert len(speed.err.splitlines()) - before <= MOST_LINES, speed.tail(100)
        workspace.topic.send(traffic(92, DAY, events=100))
        until(workspace.has_landed_all, "everything landed", deadline_s=90)
        assert speed.terminate() == 0, speed.tail()


def test_an_outage_of_the_store_is_reported_once_and_its_end_with_how_long_it_was(workspaces, stack):
    tight = {"lake__request_timeout": "500ms", "lake__retry_timeout": "1s"}
    with workspaces.make("store-away", store="minio", **QUICK, **tight) as workspace:
        speed = workspace.speed()
        workspace.topic.send(traffic(93, DAY, events=100))
        until(workspace.has_landed_all, "the first records landed")
        before = len(speed.err.splitlines())
        stack.kill("minio")
        workspace.topic.send(traffic(94, DAY, events=100))
        until(lambda: fields(speed, "not committed; trying again"), "the outage is reported")
        stack.start("minio")
        [end] = until(lambda: fields(speed, "the object store answers again"), "its end is reported")
        [committed] = until(lambda: fields(speed, "commits succeed again"), "commits succeed again")
        until(workspace.has_landed_all, "everything landed")
        [began] = fields(speed, "a request to the object store failed")
        assert "lake.storage.endpoint" in began["message"] and began["endpoint"] == stack.storage["endpoint"], began
        assert "refused" in began["problem"], began
        assert len(fields(speed, "not committed; trying again")) == 1
        assert end["failures"] > 1 and end["failed_for"] != "0ns" and committed["failed_for"] != "0ns"
        assert len(speed.err.splitlines()) - before <= MOST_LINES, speed.tail(100)
        assert speed.terminate() == 0, speed.tail()
