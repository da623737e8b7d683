"""Kafka's log is not what it was: cut by an unclean election and grown again, damaged on a disk or on its way, or with a
batch that is too large unpacked. Nothing of it is passed over silently, and what is said names place and setting.
"""

import json
from pathlib import Path

import pytest

from harness import checks, readers
from harness.data import event, traffic
from harness.lakehouse import QUICK, until

BROKERS = 3
DAY = checks.day("2025-04-05")
START_US = (DAY.toordinal() - 719163) * 86_400_000_000 + 12 * 3_600_000_000

pytestmark = pytest.mark.timeout(500)


def events(camera, count, partition=0):
    return [event(camera, START_US + number * 1_000_000, partition=partition) for number in range(count)]


def last_line(program):
    return program.err.strip().splitlines()[-1]


def cameras(workspace):
    """The cameras of the events that have landed, in the order of their offsets."""
    rows = readers.read(workspace.lake, "events")
    return [row["camera_id"] for row in sorted(rows, key=lambda row: (row["kafka_partition"], row["kafka_offset"]))]


def cut_below_what_landed(cluster, workspace, regrow):
    """Lands records, loses the last twenty of them in an unclean election, and lets the log grow again."""
    cluster.wait_until_whole(workspace.topic)
    workspace.topic.send(events("KV-FIRST", 10))
    speed = workspace.speed()

    def lose():
        workspace.topic.send(events("KV-LOST", 20))
        until(workspace.has_landed_all, "what will be lost has landed")

    return speed, cluster.truncate(workspace.topic, 0, lose, lambda: workspace.topic.send(events("KV-NEW", regrow)))


# ---- cut logs ----------------------------------------------------------------------------------------------------


def test_a_log_that_was_cut_and_has_grown_again_while_stopped_is_a_loss(cluster, on_cluster):
    with on_cluster.make("cut", partitions=1, replicas=BROKERS) as workspace:
        topic = workspace.topic
        cluster.wait_until_whole(topic)
        topic.send(events("KV-FIRST", 10))
        workspace.land()

        def lose():
            topic.send(events("KV-LOST", 20))
            workspace.land()

        cut = cluster.truncate(topic, 0, lose, lambda: topic.send(events("KV-NEW", 40)))
        assert workspace.next_offsets("events") == {0: cut.end}
        before = workspace.lake.versions()
        refused = workspace.start("speed-layer", "run").expect(3)
        for part in (f"topic {topic.name}, partition 0", f"offsets {cut.first} to {cut.end - 1}", "kafka.on_data_loss"):
            assert part in last_line(refused), f"{part!r} is not in: {last_line(refused)}"
        assert workspace.lake.versions() == before

        workspace.configure(kafka__on_data_loss="accept")
        accepted = workspace.land()
        assert accepted.err.count("Kafka's log was cut below what is landed") == 1, accepted.tail()
        assert workspace.accepted_cuts(0) == [(cut.first, cut.end)]
        assert cameras(workspace) == ["KV-FIRST"] * 10 + ["KV-LOST"] * 20 + ["KV-NEW"] * 20
        checks.coverage(workspace, gaps={})
        workspace.batch("audit")
        # It was accepted for good.
        workspace.configure(kafka__on_data_loss="fail")
        topic.send(events("KV-LAST", 5))
        workspace.land()
        assert workspace.accepted_cuts(0) == [(cut.first, cut.end)]
        assert cameras(workspace)[-5:] == ["KV-LAST"] * 5


def test_a_log_that_is_cut_while_the_speed_layer_runs_stops_it(cluster, on_cluster):
    with on_cluster.make("cut-running", partitions=1, replicas=BROKERS, **QUICK) as workspace:
        speed, cut = cut_below_what_landed(cluster, workspace, 40)
        assert speed.wait() == 3, speed.tail()
        assert f"offsets {cut.first} to {cut.end - 1}" in last_line(speed), speed.tail()
        assert cameras(workspace) == ["KV-FIRST"] * 10 + ["KV-LOST"] * 20


def test_a_log_that_was_cut_and_is_still_shorter_is_waited_for_where_loss_is_accepted(cluster, on_cluster):
    settings = {"kafka__on_data_loss": "accept", **QUICK}
    with on_cluster.make("cut-short", partitions=1, replicas=BROKERS, **settings) as workspace:
        topic = workspace.topic
        speed, cut = cut_below_what_landed(cluster, workspace, 5)
        until(lambda: workspace.accepted_cuts(0), "the cut is on record")
        assert workspace.accepted_cuts(0) == [(cut.first, cut.end)]
        topic.send(events("KV-PASSED", cut.end - cut.first - 5))
        topic.send(events("KV-AGAIN", 7))
        until(workspace.has_landed_all, "what comes after the position landed")
        assert speed.terminate() == 0, speed.tail()
        assert cameras(workspace) == ["KV-FIRST"] * 10 + ["KV-LOST"] * 20 + ["KV-AGAIN"] * 7
        checks.coverage(workspace, gaps={})


# ---- damaged and oversized batches -------------------------------------------------------------------------------


def test_batches_that_are_damaged_on_their_way_are_fetched_again_and_leave_no_gap(cluster, on_cluster):
    proxy = cluster.wire_proxy(seed=11)
    try:
        with on_cluster.make("flipped", partitions=3, replicas=BROKERS, **QUICK) as workspace:
            workspace.topic.send(traffic(91, DAY, events=3000))
            workspace.configure(kafka__brokers=f"127.0.0.1:{proxy.ports[0]}")
            for door in range(BROKERS):
                proxy.flip(door, times=2)
            speed = workspace.speed()
            until(workspace.has_landed_all, "everything landed", 100)
            assert speed.terminate() == 0, speed.tail()
            assert sum(proxy.counts()["altered"]) > 0, "responses were altered"
            assert "fetching again after a fault" in speed.err, speed.tail()
            checks.landed(workspace)
            checks.coverage(workspace, gaps={})
    finally:
        proxy.close()


def flip_on_disk(stack, topic, offset):
    """Flips a bit of the last byte of the batch that begins at an offset of partition 0, in the only broker's log."""
    [segment] = Path(stack.folder).glob(f"kafka/data/{topic.name}-0/00000000000000000000.log")
    data = bytearray(segment.read_bytes())
    at = 0
    while (found := int.from_bytes(data[at : at + 8])) != offset:
        assert found < offset, f"no batch begins at {offset}"
        at += 12 + int.from_bytes(data[at + 8 : at + 12])
    last = at + 12 + int.from_bytes(data[at + 8 : at + 12]) - 1
    with segment.open("r+b") as file:
        file.seek(last)
        file.write(bytes([data[last] ^ 1]))


def test_a_batch_that_is_damaged_on_disk_stops_the_speed_layer_with_its_place(workspaces, stack):
    with workspaces.make("damaged", partitions=1) as workspace:
        topic = workspace.topic
        for part in ("KV-A", "KV-B", "KV-C"):
            topic.send(events(part, 10))
        flip_on_disk(stack, topic, 10)
        refused = workspace.start("speed-layer", "run", "--until-end").expect(3)
        for part in (f"topic {topic.name}, partition 0, offset 10", "CRC", "check.crcs"):
            assert part in last_line(refused), f"{part!r} is not in: {last_line(refused)}"
        # Restored, it goes on where it was; whatever landed, no gap was made of the fault.
        flip_on_disk(stack, topic, 10)
        workspace.land()
        checks.landed(workspace)
        checks.coverage(workspace, gaps={})


def test_a_batch_that_is_too_large_unpacked_names_its_place_and_the_setting(workspaces):
    """120 MB of zeros are a batch of some kilobytes; librdkafka unpacks 100 MB at most."""
    large = json.dumps({"remark": "0" * 3_000_000}).encode()
    with workspaces.make("unpacked", partitions=1, event__max_record_bytes="4MiB") as workspace:
        topic = workspace.topic
        topic.send(events("KV-FIRST", 10))
        first = events("KV-LARGE", 1)[0]
        batch = [type(first)(0, first.timestamp_ms, b"k", large) for _ in range(40)]
        topic.send(
            batch,
            **{
                "compression.type": "zstd",
                "linger.ms": 5000,
                "batch.size": 200_000_000,
                "message.max.bytes": 200_000_000,
                "queue.buffering.max.kbytes": 1_000_000,
            },
        )
        refused = workspace.start("speed-layer", "run", "--until-end").expect(3)
        for part in (f"topic {topic.name}, partition 0, offset 10", "receive.message.max.bytes"):
            assert part in last_line(refused), f"{part!r} is not in: {last_line(refused)}"
        workspace.configure(**{"kafka__properties.receive.message.max.bytes": "500000000"})
        workspace.land()
        assert workspace.next_offsets("events") == {0: 50}
        checks.coverage(workspace, gaps={})
