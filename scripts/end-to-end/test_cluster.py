"""A cluster of three brokers: each fault of scripts/harness/cluster.py does what it says, seen by a plain consumer, and
the product over one of them.
"""

import uuid

import pytest
from confluent_kafka import Consumer, KafkaError, TopicCollection, TopicPartition

from harness import checks
from harness.data import event, traffic
from harness.lakehouse import QUICK, until
from harness.topics import PATIENCE_S, Topic, ask

BROKERS = 3
DAY = checks.day("2025-04-05")

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def topic(cluster):
    """A topic with one partition on all brokers, which holds ten records."""
    made = Topic.create(cluster.stack.brokers, f"faults-{uuid.uuid4().hex}", 1, BROKERS)
    cluster.wait_until_whole(made)
    made.send(events("KV-FIRST", 10))
    yield made
    made.delete()


@pytest.fixture
def proxy(cluster):
    """A proxy before the brokers, a door for each."""
    started = cluster.wire_proxy(seed=5)
    yield started
    started.close()


def events(camera, count, partition=0):
    return [event(camera, number, partition=partition) for number in range(count)]


def reader(address, topic, offset=0, **settings):
    """A consumer of the only partition of a topic, from an offset."""
    defaults = {"bootstrap.servers": address, "group.id": uuid.uuid4().hex, "log_level": 0}
    consumer = Consumer(defaults | settings)
    consumer.assign([TopicPartition(topic.name, 0, offset)])
    return consumer


def read(consumer, count):
    """So many records or errors of a consumer, as they come."""
    found = []
    until(lambda: found.extend(consumer.consume(1, 1)) or len(found) >= count, f"{count} records come")
    return found


# ---- leaders -----------------------------------------------------------------------------------------------------


def test_a_killed_leader_costs_no_record_and_no_record_lands_twice(cluster, on_cluster):
    """The speed layer runs and records come while the leader of a partition is away, and while it comes back."""
    with on_cluster.make("leader", partitions=3, replicas=BROKERS, **QUICK) as workspace:
        topic = workspace.topic
        topic.alter({"min.insync.replicas": "2"})
        with topic.feeding(traffic(17, DAY, events=9000), portion=10) as fed:
            speed = workspace.speed()
            workspace.wait_for_commits(4, "commits before")
            with cluster.without_leader_of(topic, 0):
                workspace.wait_for_commits(6, "commits while a broker is away")
            assert not fed.done(), "records must still be coming when the broker is back"
        until(workspace.has_landed_all, "everything landed", 100)
        assert speed.terminate() == 0, speed.tail()
        expected = checks.landed(workspace)
        checks.provisional(workspace, expected.events)
        checks.coverage(workspace, gaps={})
        workspace.batch("audit")


def test_an_unclean_election_takes_back_records_that_were_delivered(cluster, topic):
    before = topic.records()
    consumer = reader(topic.brokers, topic)

    def lose():
        topic.send(events("KV-LOST", 20))
        cameras = [message.key() for message in read(consumer, 30)]
        assert cameras[10:] == [b"KV-LOST"] * 20, "a consumer must have the records that are lost"

    truncation = cluster.truncate(topic, 0, lose, lambda: topic.send(events("KV-OTHER", 40)))
    consumer.close()
    assert (truncation.first, truncation.end) == (10, 30)
    after = topic.records()
    assert after[:10] == before
    assert [(record.offset, record.key) for record in after[10:]] == [(10 + n, b"KV-OTHER") for n in range(40)]
    assert topic.setting("unclean.leader.election.enable") == "false"


# ---- the wire ----------------------------------------------------------------------------------------------------


def test_a_flipped_bit_reaches_the_client(topic, proxy):
    """With `check.crcs` it gets an error instead of the records; without, whatever the bit made of them."""
    address = f"127.0.0.1:{proxy.ports[0]}"
    right = [record.payload for record in topic.records()]
    for door in range(BROKERS):
        proxy.flip(door)
    checking = reader(address, topic, **{"check.crcs": True})
    [answer] = read(checking, 1)
    assert answer.error() and answer.error().code() == KafkaError._BAD_MSG, answer.error() or answer.value()
    checking.close()
    trusting = reader(address, topic)
    until(lambda: sum(proxy.counts()["altered"]) > 1, "a response to the other consumer is altered")
    trusting.close()
    for door in range(BROKERS):
        proxy.stop_flipping(door)
    unharmed = reader(address, topic, **{"check.crcs": True})
    assert [message.value() for message in read(unharmed, 10)] == right
    unharmed.close()


def test_as_many_responses_are_altered_as_were_wished(topic, proxy):
    for door in range(BROKERS):
        proxy.flip(door, times=1)
    right, address = [record.payload for record in topic.records()], f"127.0.0.1:{proxy.ports[0]}"
    answers = []
    for _ in range(2):
        consumer = reader(address, topic, **{"check.crcs": True})
        answers.append([message.value() for message in read(consumer, 10 if answers else 1)])
        consumer.close()
    assert answers[0] != right[:1] and answers[1] == right
    assert sum(proxy.counts()["altered"]) == 1


def test_a_consumer_with_a_rack_fetches_from_the_replica_there(cluster, topic, proxy):
    leader = cluster.replicas(topic, 0).leader
    follower = next(number for number in range(1, BROKERS + 1) if number != leader)
    consumer = reader(f"127.0.0.1:{proxy.ports[0]}", topic, **{"client.rack": f"rack-{follower}"})
    assert len(read(consumer, 10)) == 10
    topic.send([event("KV-LARGE", number, remark="x" * 100_000) for number in range(20)])
    assert len(read(consumer, 20)) == 20
    consumer.close()
    fetched = proxy.counts()["fetched_bytes"]
    assert fetched[follower - 1] > 20 * 100_000 > fetched[leader - 1], fetched


# ---- transactions ------------------------------------------------------------------------------------------------


def high_watermark(topic):
    consumer = reader(topic.brokers, topic, **{"isolation.level": "read_uncommitted"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic.name, 0), PATIENCE_S)[1]
    finally:
        consumer.close()


def test_a_hanging_transaction_holds_back_the_records_behind_it_until_it_is_fenced(cluster, topic):
    with cluster.hanging_transaction(topic, events("KV-HANGING", 5)):
        topic.send(events("KV-BEHIND", 5))
        assert topic.ends() == {0: 10}
        assert high_watermark(topic) == 20
    until(lambda: topic.ends() == {0: 21}, "the aborted transaction and its marker are passed")
    assert [record.key for record in topic.records()[10:]] == [b"KV-BEHIND"] * 5


def test_a_hanging_transaction_can_be_aborted_by_kafkas_tool(cluster, topic):
    with cluster.hanging_transaction(topic, events("KV-HANGING", 5)):
        cluster.abort_transaction_at(topic, 0, 10)
        until(lambda: topic.ends() == {0: 16}, "the aborted transaction and its marker are passed")
    assert len(topic.records()) == 10


# ---- topics ------------------------------------------------------------------------------------------------------


def test_a_remade_topic_has_another_identity_and_other_records(topic):
    def identity():
        [found] = ask(topic.brokers, lambda admin: admin.describe_topics(TopicCollection([topic.name]))).values()
        return str(found.topic_id)

    before = identity()
    topic.recreate()
    topic.send(events("KV-REMADE", 12))
    assert identity() != before
    assert [record.key for record in topic.records()] == [b"KV-REMADE"] * 12
