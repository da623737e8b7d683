"""A cluster of brokers (scripts/stack.sh up --brokers 3), and what can happen to its topics.

Each function does one thing, waits until the cluster has reached the state that it names, and can be used with any
pipeline: whoever calls it decides what must follow from it.
"""

import contextlib
import json
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from harness.lakehouse import Stack, until
from harness.topics import PATIENCE_S

WIRE_PROXY = Path(__file__).resolve().parent / "wire_proxy.py"
LONGEST_TRANSACTION_MS = 15 * 60 * 1000  # the longest that brokers allow
ELECTION_S = 180
ANSWER_S = 5
CARELESS = {"unclean.leader.election.enable": "true", "min.insync.replicas": "1"}


@dataclass(frozen=True)
class Replicas:
    """The brokers of a partition: all of them, the leader (None while there is none), and those in sync."""

    leader: int | None
    assigned: tuple
    in_sync: frozenset


@dataclass(frozen=True)
class Truncation:
    """What a partition lost: the records from `first` to before `end` are gone, and `first` is given to another one."""

    partition: int
    first: int
    end: int


@dataclass(frozen=True)
class Cluster:
    """The brokers of a stack, by their numbers from 1."""

    stack: Stack

    def wire_proxy(self, seed, log=None):
        """A proxy before the brokers, a door for each. The stack has listeners for it (`a_stack(proxies=1)`)."""
        folders = sorted(Path(self.stack.folder).glob("kafka-*"))
        port = lambda folder, name: int((folder / f"{name}-1-port").read_text())  # noqa: E731
        return WireProxy([(port(folder, "proxy"), port(folder, "proxied")) for folder in folders], seed, log)

    # -- state

    def replicas(self, topic, partition):
        """The brokers of a partition, as the cluster says now."""
        client = AdminClient({"bootstrap.servers": topic.brokers, "log_level": 0})
        known = client.list_topics(topic.name, timeout=ANSWER_S).topics[topic.name].partitions
        if partition not in known:  # a broker that has not learnt of a new topic was asked
            return Replicas(None, (), frozenset())
        found = known[partition]
        return Replicas(found.leader if found.leader >= 0 else None, tuple(found.replicas), frozenset(found.isrs))

    def wait_for(self, topic, partition, condition, what):
        """Polls the brokers of a partition until they fulfil the condition; returns them."""

        def met():
            with contextlib.suppress(KafkaException):  # a broker that was just killed was asked
                replicas = self.replicas(topic, partition)
                return replicas if condition(replicas) else None
            return None

        return until(met, f"partition {partition} of {topic.name}: {what}", ELECTION_S, 0.1)

    def end_of(self, topic, partition):
        """The last stable offset of a partition; asked again while its leader does not know yet that it is."""

        def known():
            with contextlib.suppress(KafkaException):
                return topic.ends()[partition] + 1
            return None

        return until(known, f"partition {partition} of {topic.name}: the end is known", ELECTION_S, 0.1) - 1

    def wait_until_whole(self, topic):
        """Returns when every replica of every partition is in sync."""
        for partition in range(topic.partitions):
            self.wait_for(topic, partition, lambda r: r.leader and r.in_sync == set(r.assigned), "all are in sync")

    # -- brokers

    def kill(self, broker):
        """kill -9; it stays away."""
        self.stack.kill(f"kafka-{broker}")

    def start(self, broker):
        """Starts a broker again; returns when it responds."""
        self.stack.start(f"kafka-{broker}")

    def start_all(self):
        """Starts all brokers that were killed; returns when they respond."""
        self.stack.start("kafka")

    @contextlib.contextmanager
    def without_leader_of(self, topic, partition):
        """Kills the leader of a partition; another one leads within the block. It is back, and in sync, after it."""
        leader = self.wait_for(topic, partition, lambda r: r.leader, "there is a leader").leader
        self.kill(leader)
        try:
            self.wait_for(topic, partition, lambda r: r.leader not in (None, leader), "another broker leads")
            yield leader
        finally:
            self.start(leader)
        self.wait_until_whole(topic)

    def truncate(self, topic, partition, lose: Callable, replace: Callable):
        """An unclean election: records that were delivered disappear, and other ones are written at their offsets.

        The followers are killed; `lose` writes to the leader alone, and returns when consumers have what it wrote. Then
        the leader is killed, a follower that lags behind is elected, and `replace` writes to it. At last all are back,
        and the old leader has cut its log. Meanwhile the topic has settings that nobody should have.
        """
        usual = {name: topic.setting(name) for name in CARELESS}
        topic.alter(CARELESS)
        before = self.wait_for(topic, partition, lambda r: r.leader and r.in_sync == set(r.assigned), "all are in sync")
        followers = [broker for broker in before.assigned if broker != before.leader]
        assert followers, f"partition {partition} of {topic.name} has one replica: nothing could be elected"
        for follower in followers:
            self.kill(follower)
        self.wait_for(topic, partition, lambda r: r.in_sync == {before.leader}, "the followers are not in sync")
        first = self.end_of(topic, partition)
        lose()
        end = self.end_of(topic, partition)
        assert end > first, "nothing was written that could be lost"
        self.kill(before.leader)
        self.start(followers[0])
        self.wait_for(topic, partition, lambda r: r.leader == followers[0], "a follower that lagged behind leads")
        replace()
        self.start_all()
        self.wait_until_whole(topic)
        topic.alter(usual)
        return Truncation(partition, first, end)

    # -- transactions

    @contextlib.contextmanager
    def hanging_transaction(self, topic, messages):
        """A producer that never ends its transaction; the brokers would wait for a quarter of an hour.

        It is aborted after the block by another producer with its transactional id, as by a restarted application.
        """
        name = uuid.uuid4().hex
        hanging = transactional(topic, name)
        hanging.begin_transaction()
        for message in messages:
            hanging.produce(
                topic.name, message.value, message.key, partition=message.partition, timestamp=message.timestamp_ms
            )
        assert hanging.flush(PATIENCE_S) == 0, "Kafka did not accept all messages"
        try:
            yield hanging
        finally:
            transactional(topic, name)

    def abort_transaction_at(self, topic, partition, offset):
        """Aborts the transaction whose first record in the partition has this offset, by Kafka's own tool."""
        arguments = ["--bootstrap-server", topic.brokers, "abort", "--topic", topic.name]
        arguments += ["--partition", str(partition), "--start-offset", str(offset)]
        self.stack.kafka_tool("org.apache.kafka.tools.TransactionsCommand", *arguments)


def transactional(topic, name):
    """A producer of transactions; one that had the name before is fenced, and its transaction aborted."""
    settings = {"transactional.id": name, "transaction.timeout.ms": LONGEST_TRANSACTION_MS, "log_level": 0}
    producer = Producer({"bootstrap.servers": topic.brokers, **settings})
    producer.init_transactions(PATIENCE_S)
    return producer


class WireProxy:
    """The process of wire_proxy.py. `ports` are where its doors listen; `pairs` are (port or 0, port of a broker)."""

    def __init__(self, pairs, seed=0, log=None):
        command = [sys.executable, WIRE_PROXY, str(seed), *(f"{listen}:{to}" for listen, to in pairs)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        self.ports = json.loads(self.process.stdout.readline())
        self.last_counts = {}

    def flip(self, door, share=1.0, times=None):
        """From now on, alters responses at a door: see wire_proxy.py."""
        self._ask(door=door, share=share, times=times)

    def stop_flipping(self, door):
        """From now on, passes on everything at a door as it is."""
        self._ask(door=door, share=0, times=None)

    def counts(self):
        """What each door has done so far, or until it was closed: `altered` responses, `fetched_bytes`."""
        return self.last_counts if self.process.stdin.closed else self._ask()

    def _ask(self, **wish):
        self.process.stdin.write(json.dumps(wish).encode() + b"\n")
        self.process.stdin.flush()
        self.last_counts = json.loads(self.process.stdout.readline())
        return self.last_counts

    def close(self):
        """Ends the process."""
        self.counts()
        self.process.stdin.close()
        assert self.process.wait(PATIENCE_S) == 0, "the proxy ends with its input"
        self.process.stdout.close()
