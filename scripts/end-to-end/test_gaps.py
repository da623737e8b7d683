"""Offsets for which no record is landed: transactions, records deleted before the first start, records lost while stopped."""

from harness import checks, oracle
from harness.data import event, traffic
from harness.lakehouse import until

DAY = checks.day("2025-04-05")


def markers_and_aborted(workspace):
    """The offsets that Kafka does not deliver, by partition, computed from those that it delivers."""
    delivered = {}
    for record in workspace.topic.records():
        delivered.setdefault(record.partition, set()).add(record.offset)
    return {
        (p, "not_delivered"): set(range(end)) - delivered.get(p, set()) for p, end in workspace.topic.ends().items()
    }


def test_aborted_transactions_and_markers_at_the_end_are_gaps(workspaces):
    """Partition 0 ends in a commit marker, 1 in an aborted transaction, 2 in the abort marker of nothing else."""
    parts = [traffic(seed, DAY, events=60) for seed in range(5)]
    with workspaces.make("transactions") as workspace:
        topic = workspace.topic
        for number, part in enumerate(parts):
            with topic.transaction(abort=number % 2 == 1) as send:
                send(part)
        with topic.transaction() as send:
            send([event("KV1", 1, partition=0)])
        with topic.transaction(abort=True) as send:
            send([event("KV1", 1, partition=p) for p in (1, 2)] * 2)
        workspace.land()
        checks.landed(workspace)
        gaps = markers_and_aborted(workspace)
        assert all(len(offsets) > 5 for offsets in gaps.values()), "the log must hold aborted records and markers"
        checks.coverage(workspace, gaps)
        assert workspace.next_offsets("events") == workspace.next_offsets("avg_speed") == topic.ends()
        workspace.batch("audit")
        before = workspace.lake.versions()
        workspace.land()
        assert workspace.lake.versions() == before


def test_a_partition_of_aborted_records_alone_ends(workspaces):
    with workspaces.make("aborted", partitions=1) as workspace:
        with workspace.topic.transaction(abort=True) as send:
            send([event("KV1", n) for n in range(5)])
        workspace.land()
        checks.coverage(workspace, {(0, "not_delivered"): set(range(6))})
        assert workspace.next_offsets("events") == workspace.next_offsets("avg_speed") == {0: 6}


def test_the_end_is_the_last_stable_offset_while_a_transaction_is_open(workspaces):
    """Records behind an open transaction are beyond the end; once it is committed they land."""
    with workspaces.make("open", partitions=1) as workspace:
        workspace.topic.send([event("KV1", n) for n in range(3)])
        with workspace.topic.transaction() as send:
            send([event("KV1", n) for n in range(3, 6)])
            workspace.topic.send([event("KV2", n) for n in range(3)])
            workspace.land()
            assert workspace.next_offsets("events") == {0: 3}
        workspace.land()
        assert len(checks.landed(workspace).events) == 9
        checks.coverage(workspace, {(0, "not_delivered"): {9}})


def test_aborted_records_that_come_while_running_are_gaps(workspaces):
    """Positions are committed in time, without a restart, although no record is delivered."""
    with workspaces.make("trickle", partitions=2) as workspace:
        workspace.topic.send([event("KV1", n) for n in range(5)])
        speed = workspace.speed()
        until(workspace.has_landed_all, "the first records landed")
        for _ in range(2):
            with workspace.topic.transaction(abort=True) as send:
                send([event("KV1", n, partition=p) for n in range(5) for p in (0, 1)])
            until(workspace.has_landed_all, "the tables reach the end of a log of aborted records")
        assert speed.terminate() == 0
        checks.coverage(workspace, markers_and_aborted(workspace))


def test_records_gone_before_the_first_start_are_a_gap_before_start(workspaces):
    with workspaces.make("before") as workspace:
        workspace.topic.send(traffic(6, DAY, events=600))
        ends = workspace.topic.ends()
        workspace.topic.delete_before({0: 17, 1: ends[1]})
        workspace.land()
        checks.landed(workspace)
        checks.coverage(workspace, {(0, "before_start"): set(range(17)), (1, "before_start"): set(range(ends[1]))})
        workspace.topic.send(traffic(7, DAY, events=100))
        workspace.land()
        checks.landed(workspace)
        workspace.batch("audit")


def test_records_lost_while_stopped_stop_the_start_and_are_noted_once_accepted(workspaces):
    with workspaces.make("lost") as workspace:
        messages = traffic(8, DAY, events=900, bad=0)
        workspace.topic.send(messages[:300])
        workspace.land()
        wanted = workspace.topic.ends()
        workspace.topic.send(messages[300:])
        gone = wanted[1] + 40
        survivors = [r for r in workspace.topic.records() if r.partition != 1 or not wanted[1] <= r.offset < gone]
        workspace.topic.delete_before({1: gone})

        before = workspace.lake.versions()
        for arguments in ([], ["--until-end"]):
            refused = workspace.start("speed-layer", "run", *arguments).expect(3)
            last = refused.err.strip().splitlines()[-1]
            for part in ("partition 1", str(wanted[1]), str(gone), "kafka.on_data_loss"):
                assert part in last, f"{part!r} is not in: {last}"
        assert workspace.lake.versions()["offset_gaps"] == before["offset_gaps"], "nothing may be noted as lost"

        workspace.configure(kafka__on_data_loss="accept")
        workspace.land()
        checks.coverage(workspace, {(1, "accepted_loss"): set(range(wanted[1], gone))})
        # Lateness follows from what was landed: the lost records moved no watermark.
        expected = oracle.land(survivors, workspace.rules)
        checks.events(workspace, expected.events)
        checks.provisional(workspace, expected.events)
        workspace.batch("audit")
