"""Back-pressure: the store does not respond for longer than every time-out while records arrive.

Rows in memory stay below their limits, the process waits and continues without help, and nothing is lost. For the same
with ten minutes under full load, see scripts/soak.sh --outage 10.
"""

import contextlib

import requests

from harness import checks, oracle
from harness.data import at, event, traffic
from harness.lakehouse import free_port, until
from harness.rest import metrics

DAY = checks.day("2025-04-05")
MB = 1_000_000
# Small bounds and short time-outs; a member that does not poll for this long is removed from the group.
TIGHT = {
    "lake__request_timeout": "500ms",
    "lake__retry_timeout": "1s",
    "speed__landing_bytes": "1MB",
    "speed__queue_bytes": "1MiB",
    "kafka__properties.queued.max.messages.kbytes": "1024",
    "kafka__properties.session.timeout.ms": "3000",
    "kafka__properties.heartbeat.interval.ms": "500",
    "kafka__properties.max.poll.interval.ms": "6000",
}
# A batch that moves from the queue to the waiting rows may exceed the bound.
BATCH_BYTES = 550_000


@contextlib.contextmanager
def pipeline(workspaces, name):
    """A workspace on MinIO, and a function for the metrics of its speed layer."""
    port = free_port()
    with workspaces.make(name, store="minio", speed__metrics_listen=f"127.0.0.1:{port}", **TIGHT) as workspace:
        yield workspace, lambda: metrics(requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text)


def large_events(count):
    """Events of more than a kilobyte each, spread over the partitions."""
    start = at("2025-04-05T12:00:00+00:00")
    times = (start + number * oracle.SECOND_US for number in range(count))
    return [event(f"KV{n % 12:05}", time, 60.0, partition=n % 3, note="x" * 1000) for n, time in enumerate(times)]


def value(page, name):
    return sum(value for key, value in page.items() if key.partition("{")[0] == name)


def test_a_store_that_hangs_is_waited_for_within_bounded_memory(workspaces, stack):
    with pipeline(workspaces, "hangs") as (workspace, figures):
        speed = workspace.speed()
        workspace.topic.send(traffic(81, DAY, events=300))
        until(workspace.has_landed_all, "the first records landed")
        with stack.silenced("minio"):
            workspace.topic.send(large_events(8000))
            until(lambda: value(figures(), "lambdalake_speed_commit_failures_total") >= 4, "commits fail again and again")
            until(lambda: value(figures(), "lambdalake_speed_waiting_bytes") >= 2 * MB, "rows wait up to their bound")
            until(lambda: workspace.topic.assignments(workspace.settings["kafka.group"]) == {}, "the group gives it up")
            found = figures()
            assert value(found, "lambdalake_speed_waiting_bytes") <= 2 * MB + BATCH_BYTES, found
            assert value(found, "lambdalake_speed_queue_bytes") <= 1 << 20, found
            assert speed.is_running(), speed.tail()
        until(workspace.has_landed_all, "everything landed", deadline_s=90)
        assert speed.terminate() == 0, speed.tail()
        expected = checks.landed(workspace)
        checks.provisional(workspace, expected.events)
        checks.coverage(workspace, gaps={})
        workspace.batch("audit")


def test_partitions_that_are_assigned_while_the_store_hangs_are_continued_when_it_answers(workspaces, stack):
    with workspaces.make("assigned", store="minio", **TIGHT) as workspace:
        workspace.topic.send(traffic(82, DAY, events=300))
        dying, staying = workspace.speed(), workspace.speed()
        group = workspace.settings["kafka.group"]
        until(lambda: workspace.topic.shares(group) == [2, 1], "both have partitions")
        until(workspace.has_landed_all, "the first records landed")
        with stack.silenced("minio"):
            dying.kill()
            workspace.topic.send(traffic(83, DAY, events=300))
            until(lambda: "the tables can't be read" in staying.err, "the other one is to take the partitions")
            assert staying.is_running(), staying.tail()
        until(workspace.has_landed_all, "everything landed", deadline_s=90)
        assert staying.terminate() == 0, staying.tail()
        expected = checks.landed(workspace)
        checks.provisional(workspace, expected.events)
        workspace.batch("audit")
