"""Topics of the real Kafka: creates them, fills them with exact messages, reads them back and queries their state.

A topic is read with a consumer of committed records, so the oracle uses what Kafka really delivers.
"""

import contextlib
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from harness.oracle import Record

PATIENCE_S = 30
# Errors that brokers return for a group for a moment after its first member has joined.
NO_COORDINATOR = {
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
}
LARGEST_MESSAGE = 4 << 20


@dataclass(frozen=True)
class Topic:
    """A topic with this number of partitions, each on this number of brokers."""

    brokers: str
    name: str
    partitions: int
    replicas: int = 1

    @classmethod
    def create(cls, brokers, name, partitions, replicas=1):
        """Creates the topic. It accepts large messages and any timestamp, and keeps them without limit."""
        settings = {"retention.ms": "-1", "max.message.bytes": str(LARGEST_MESSAGE)}
        topic = NewTopic(name, partitions, replicas, config=settings)
        ask(brokers, lambda admin: admin.create_topics([topic], operation_timeout=PATIENCE_S))
        return cls(brokers, name, partitions, replicas)

    def alter(self, settings):
        """Changes settings of the topic."""
        entries = [ConfigEntry(k, v, incremental_operation=AlterConfigOpType.SET) for k, v in settings.items()]
        resource = ConfigResource(ResourceType.TOPIC, self.name, incremental_configs=entries)
        ask(self.brokers, lambda admin: admin.incremental_alter_configs([resource]))

    def setting(self, name):
        """The value of a setting of the topic."""
        resource = ConfigResource(ResourceType.TOPIC, self.name)
        return ask(self.brokers, lambda admin: admin.describe_configs([resource]))[resource][name].value

    def delete(self):
        """Deletes the topic."""
        ask(self.brokers, lambda admin: admin.delete_topics([self.name], operation_timeout=PATIENCE_S))

    def recreate(self, partitions=None):
        """Deletes the topic, creates another with the same name, and returns it."""
        self.delete()
        return Topic.create(self.brokers, self.name, partitions or self.partitions, self.replicas)

    # ---- writing

    def send(self, messages, **settings):
        """Sends the messages in their order, and returns when Kafka has received all of them."""
        producer = self._producer(**settings)
        self._produce(producer, messages)
        assert producer.flush(PATIENCE_S) == 0, "Kafka did not accept all messages"

    @contextlib.contextmanager
    def feeding(self, messages, portion, every_s=0.05):
        """Sends the messages from a thread, a portion at a time; the rest of them at once when the block ends."""
        hurry = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            fed = pool.submit(self._feed, messages, portion, every_s, hurry)
            try:
                yield fed
            finally:
                hurry.set()
            fed.result()

    def _feed(self, messages, portion, every_s, hurry):
        producer, sent = self._producer(), 0
        while sent < len(messages):
            part = messages[sent:] if hurry.is_set() else messages[sent : sent + portion]
            self._produce(producer, part)
            # A broker that is killed meanwhile is started again.
            assert producer.flush(3 * PATIENCE_S) == 0, "Kafka did not accept all messages"
            sent += len(part)
            hurry.wait(every_s)

    @contextlib.contextmanager
    def transaction(self, *, abort=False):
        """A producer function whose messages are committed, or aborted, at the end of the block."""
        producer = self._producer(**{"transactional.id": uuid.uuid4().hex})
        producer.init_transactions(PATIENCE_S)
        producer.begin_transaction()

        def send(messages):
            self._produce(producer, messages)
            assert producer.flush(PATIENCE_S) == 0, "Kafka did not accept all messages"

        yield send
        producer.abort_transaction(PATIENCE_S) if abort else producer.commit_transaction(PATIENCE_S)

    def _producer(self, **settings):
        defaults = {
            "log_level": 0,
            "linger.ms": 5,
            "message.max.bytes": LARGEST_MESSAGE,
            "queue.buffering.max.messages": 1_000_000,
        }
        return Producer({"bootstrap.servers": self.brokers, "enable.idempotence": True, **defaults, **settings})

    def _produce(self, producer, messages):
        def delivered(error, _):
            assert error is None, error

        for message in messages:
            options = {"partition": message.partition, "timestamp": message.timestamp_ms, "on_delivery": delivered}
            producer.produce(self.name, value=message.value, key=message.key, **options)

    def delete_before(self, offsets):
        """Deletes the records before these offsets, given by partition, as retention would."""
        places = [TopicPartition(self.name, partition, offset) for partition, offset in offsets.items()]
        ask(self.brokers, lambda admin: admin.delete_records(places))

    # ---- reading

    def records(self):
        """Every committed record, partition by partition in the order of offsets."""
        consumer = Consumer(
            {"bootstrap.servers": self.brokers, "group.id": uuid.uuid4().hex, "enable.partition.eof": True}
        )
        starts = self.starts()
        consumer.assign(
            [TopicPartition(self.name, partition, starts[partition]) for partition in range(self.partitions)]
        )
        try:
            records = list(self._consume(consumer))
        finally:
            consumer.close()
        return sorted(records, key=lambda record: (record.partition, record.offset))

    def _consume(self, consumer):
        at_end = set()
        while len(at_end) < self.partitions:
            message = consumer.poll(PATIENCE_S)
            assert message is not None, f"Kafka delivers nothing of {self.name} for {PATIENCE_S} s"
            error = message.error()
            if error is None:
                yield Record(
                    message.partition(), message.offset(), message.timestamp()[1], message.key(), message.value()
                )
            elif error.code() == KafkaError._PARTITION_EOF:
                at_end.add(message.partition())
            else:
                raise AssertionError(error)

    def starts(self):
        """The first offsets by partition."""
        return self._offsets(OffsetSpec.earliest())

    def ends(self):
        """The last stable offsets by partition."""
        return self._offsets(OffsetSpec.latest())

    def _offsets(self, spec):
        asked = {TopicPartition(self.name, partition): spec for partition in range(self.partitions)}
        options = {"isolation_level": IsolationLevel.READ_COMMITTED, "request_timeout": PATIENCE_S}
        found = ask(self.brokers, lambda admin: admin.list_offsets(asked, **options))
        return {place.partition: result.offset for place, result in found.items()}

    # ---- the group

    def assignments(self, group):
        """The partitions of each member of a consumer group, by member; none while it has no coordinator yet."""
        try:
            described = ask(self.brokers, lambda admin: admin.describe_consumer_groups([group], request_timeout=PATIENCE_S))
        except KafkaException as error:
            if error.args[0].code() not in NO_COORDINATOR:
                raise
            return {}
        return {
            m.member_id: sorted(p.partition for p in m.assignment.topic_partitions) for m in described[group].members
        }

    def committed(self, group):
        """The offsets that a consumer group has committed, by partition."""
        asked = [ConsumerGroupTopicPartitions(group)]
        last_try = time.monotonic() + PATIENCE_S
        while True:
            try:
                options = {"request_timeout": PATIENCE_S}
                found = ask(self.brokers, lambda admin: admin.list_consumer_group_offsets(asked, **options))
                break
            except KafkaException as error:
                # The coordinator may only be reading what the group has committed.
                if error.args[0].code() not in NO_COORDINATOR or time.monotonic() > last_try:
                    raise
                time.sleep(0.1)
        return {place.partition: place.offset for place in found[group].topic_partitions if place.offset >= 0}

    def shares(self, group):
        """How many partitions each member has, descending; empty while not all partitions are assigned."""
        shares = [len(partitions) for partitions in self.assignments(group).values()]
        return sorted(shares, reverse=True) if sum(shares) == self.partitions else []


def ask(brokers, request):
    """The responses to a request of an administration client, which is created for each request: none outlives a broker."""
    client = AdminClient({"bootstrap.servers": brokers, "log_level": 0})
    return {subject: answer.result(PATIENCE_S) for subject, answer in request(client).items()}
