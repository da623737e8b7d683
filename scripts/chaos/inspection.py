"""The proof: all faults are removed, all records processed, and then every row is compared with what was produced.

Kafka is compared with the ledger of what it acknowledged, less what it lost at the harness's request; the tables, read by
Python deltalake, with what the oracle of scripts/harness computes from Kafka's records, and from those that had landed
before they were lost (history.py). The product's own `audit` and `verify` must succeed too.
"""

from collections import Counter

from confluent_kafka import Consumer, TopicPartition

from harness import checks, oracle
from harness.lakehouse import until

PATIENCE_S = 600


def inspect(pipeline, *, to_the_end):
    """Stops the pipeline and compares everything. `to_the_end`: every day is made final, not only those over."""
    workspace, feed = pipeline.workspace, pipeline.feed
    feed.pause()
    until(lambda: is_stable(workspace.topic), "Kafka has ended every transaction", PATIENCE_S, 0.2)
    pipeline.catch_up()
    pipeline.stop()
    run(workspace, "speed-layer", "run", "--until-end")
    assert workspace.has_landed_all(), "speed-layer run --until-end ended with 0 before the end of the topic"
    records = workspace.topic.records()
    feed.ledger.compare(records)
    held = pipeline.history.held(records)
    expected = check_records(workspace, pipeline.history, held, workspace.topic.ends())
    checks.provisional(workspace, expected.events, final_days(workspace), pipeline.history.undecided())
    days = make_final(pipeline, expected, to_the_end)
    nothing_more(pipeline, days if to_the_end else days[-2:])
    return found(held, expected, days)


def check_records(workspace, history, held, ends):
    """Compares events, dead letters and gaps with the records that they must hold; every loss is on record."""
    expected = checks.landed(workspace, oracle.land(held, workspace.rules))
    checks.coverage(workspace, history.gaps(held, ends))
    for partition in ends:
        cuts, wanted = workspace.accepted_cuts(partition), history.cuts(partition)
        assert cuts == wanted, f"cuts of the log of partition {partition} on record: {cuts} instead of {wanted}"
    return expected


def run(workspace, program, *arguments):
    """Runs a program to its end, which must be successful; a long run leaves much to read."""
    workspace.start(program, *arguments).expect(0, PATIENCE_S)


def is_stable(topic):
    """Whether no transaction is open: the last stable offsets are the ends of the logs."""
    consumer = Consumer(
        {"bootstrap.servers": topic.brokers, "group.id": "chaos-ends", "isolation.level": "read_uncommitted"}
    )
    try:
        places = [TopicPartition(topic.name, partition) for partition in range(topic.partitions)]
        return {p.partition: consumer.get_watermark_offsets(p, 10)[1] for p in places} == topic.ends()
    finally:
        consumer.close()


def final_days(workspace):
    """The days that the batch has made final."""
    return {row["event_date"] for row in checks.status_rows(workspace, "final")}


def make_final(pipeline, expected, to_the_end):
    """Runs the nightly job, and compares what it made; returns the days that are final."""
    workspace = pipeline.workspace
    last = pipeline.last_closed_day()
    run(workspace, "batch-layer", "nightly", *([] if to_the_end else ["--to", str(last)]))
    days = set(checks.days_of(expected.events, workspace.rules.zone))
    days = days if to_the_end else {day for day in days if day <= last}
    checks.final(workspace, expected.events, days)
    checks.provisional(workspace, expected.events, days, pipeline.history.undecided())
    return sorted(days)


def nothing_more(pipeline, days):
    """Audit and verify succeed, and running anything again changes nothing."""
    workspace = pipeline.workspace
    before = workspace.lake.versions()
    run(workspace, "batch-layer", "audit")
    for day in days:
        run(workspace, "batch-layer", "verify", "--date", str(day))
    run(workspace, "batch-layer", "nightly", *(["--to", str(days[-1])] if days else ["--dry-run"]))
    run(workspace, "speed-layer", "run", "--until-end")
    assert workspace.lake.versions() == before, (
        f"running again changed the tables: {before}, {workspace.lake.versions()}"
    )


def found(records, expected, days):
    """Figures for the report."""
    reasons = Counter(reason for reason, _ in expected.letters)
    return {
        "records": len(records),
        "events": len(expected.events),
        "late": sum(event.late for event in expected.events),
        "repeated": len(expected.events) - len(oracle.distinct(expected.events)),
        "dead letters": len(expected.letters),
        "dead letters with event times in the future": reasons["future_event_time"],
        "days made final": len(days),
    }
