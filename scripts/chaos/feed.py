"""The cameras: a thread that produces continuously, and the ledger of what Kafka has acknowledged.

Records are those of scripts/harness/data.py, day after simulated day: late ones, repeated ones, bad ones. They are sent
to the broker directly, with idempotence and without a time-out, so each of them is acknowledged once and at a known
place, however often the broker is killed (which may leave an unacknowledged copy of it before that). What a cycle requests in addition, faulty clocks and transactions, is queued
and produced by the same thread.
"""

import datetime as dt
import hashlib
import random
import threading
import time
import uuid
from array import array
from collections import Counter, deque
from dataclasses import replace
from functools import partial

from confluent_kafka import KafkaException, Producer

from harness import data
from harness.oracle import HOUR_US, MINUTE_US, SECOND_US

PORTION_S = 0.05
SLOWER = 10
UNANSWERED = 2000
PATIENCE_S = 20
TRANSACTIONAL = {"transaction.timeout.ms": 3000, "message.timeout.ms": 3000, "socket.timeout.ms": 3000}
LONG = {"transaction.timeout.ms": 15 * 60 * 1000}  # the longest that brokers allow
FENCING_S = 300
ANCIENT = [data.at(f"{day}T12:00:00+00:00") for day in ("1999-12-31", "2020-02-29", "2024-12-31")]


class Ledger:
    """By partition and offset, a digest of every record that must exist, and the outcome of transactions.

    Eight bytes per record, whatever its size. 0 marks an offset at which no record may be.
    """

    def __init__(self, partitions):
        self.digests = [array("Q") for _ in range(partitions)]
        self.unsure = []  # Counter of (partition, digest): a transaction whose end the producer did not learn
        self.repeated = 0  # records that Kafka appended once more, after its broker was killed
        self.unplaced = Counter()  # (partition, digest) of records that Kafka has at an unknown offset

    def enter(self, partition, offset, digest):
        """A record that Kafka has; without an offset if Kafka recognised a repeated request."""
        if offset is None:
            self.unplaced[partition, digest] += 1
            return
        page = self.digests[partition]
        if offset >= len(page):
            page.extend([0] * (offset + 1 - len(page)))
        assert page[offset] == 0, f"Kafka acknowledged two records at offset {offset} of partition {partition}"
        page[offset] = digest

    def cut(self, partition, end):
        """The records from this offset on are lost, and other records will have their offsets."""
        del self.digests[partition][end:]

    def forget(self, partition, first):
        """The records before this offset are deleted."""
        page = self.digests[partition]
        page[:first] = array("Q", bytes(8 * min(first, len(page))))

    def compare(self, records):
        """Asserts that these records, which are all that Kafka delivers, are those of the ledger."""
        found = {(record.partition, record.offset): digest_of(record) for record in records}
        wanted = {
            (p, offset): digest for p, page in enumerate(self.digests) for offset, digest in enumerate(page) if digest
        }
        for transaction in self.unsure:
            left = Counter(transaction)
            places = []
            for place in sorted(found.keys() - wanted.keys()):
                known = (place[0], found[place])
                if left[known]:
                    left[known] -= 1
                    places.append(place)
            total = transaction.total()
            assert len(places) in (0, total), f"{len(places)} of {total} records of a transaction are visible: {places[:5]}"
            for place in places:
                self.enter(*place, found[place])
                wanted[place] = found[place]
        self.unsure = []
        for place in sorted(found.keys() - wanted.keys()):
            known = (place[0], found[place])
            if self.unplaced[known]:
                self.unplaced[known] -= 1
                self.enter(*place, found[place])
                wanted[place] = found[place]
        # A broker that is killed can forget the last sequence numbers of a producer, and append a batch that it had
        # written, but not acknowledged, once more when the producer repeats it.
        acknowledged = {(p, known): offset for (p, offset), known in sorted(wanted.items())}
        for p, offset in sorted(found.keys() - wanted.keys()):
            if acknowledged.get((p, found[p, offset]), -1) > offset:
                self.enter(p, offset, found[p, offset])
                wanted[p, offset] = found[p, offset]
                self.repeated += 1
        missing = (wanted.keys() - found.keys()) | set(+self.unplaced)
        surplus = found.keys() - wanted.keys()
        differing = [place for place in wanted.keys() & found.keys() if wanted[place] != found[place]]
        assert not (missing or surplus or differing), (
            f"Kafka does not hold what it acknowledged: {len(missing)} missing {sorted(missing)[:5]}, "
            f"{len(surplus)} too much {sorted(surplus)[:5]}, {len(differing)} differ {differing[:5]}"
        )


def digest_of(record):
    """A number other than 0 for a record's timestamp, key and payload."""
    return digest(record.timestamp_ms, record.key, record.payload)


def digest(timestamp_ms, key, payload):
    parts = repr((timestamp_ms, key, payload)).encode()
    return int.from_bytes(hashlib.blake2b(parts, digest_size=8).digest()) or 1


class Feed(threading.Thread):
    """Produces to a topic until closed: at `rate` records a second up to the allowance, and slowly beyond it.

    `day_records` are the events of a simulated day. So what a run produces depends little on how long it takes.
    """

    def __init__(self, topic, seed, zone, *, rate, day_records):
        super().__init__(name=f"feed-{topic.name}", daemon=True)
        self.topic, self.seed, self.zone = topic, seed, zone
        self.rate, self.day_records = rate, day_records
        self.ledger = Ledger(topic.partitions)
        self.sent = self.allowance = 0
        self.arrived_us = data.day_span(data.FIRST, zone)[0]
        self.transactions = Counter()
        self.hanging = deque()  # (transactional id, producer), the oldest first
        self.wishes = deque()
        self.running, self.closing, self.idle = threading.Event(), False, threading.Event()
        self.failure = None
        self.producer = self._producer()

    # -- for the harness

    def resume(self):
        """Continues to produce."""
        self.idle.clear()
        self.running.set()

    def allow(self, records):
        """Allows so many more records at full speed."""
        self.allowance = self.sent + records

    def pause(self, limit_s=300):
        """Stops producing; returns when Kafka has acknowledged everything and no request is left."""
        self.running.clear()
        assert self.idle.wait(limit_s), f"{self.name}: Kafka did not acknowledge everything within {limit_s} s"
        self.check()

    def check(self):
        """Raises the error that ended the thread, if any."""
        if self.failure:
            raise self.failure

    def close(self):
        """Ends the thread, even while it waits."""
        self.closing = True
        self.running.set()
        self.join(PATIENCE_S)

    def wish(self, kind, seed):
        """Requests unusual records, to be produced soon."""
        self.wishes.append((getattr(self, "_" + kind.replace("-", "_")), random.Random(seed)))

    # -- for losses, which strike while nothing is produced

    def send_at_once(self, camera, partition, count, chance):
        """Sends so many records of a camera to a partition; returns when Kafka has acknowledged them."""
        assert self.idle.is_set(), "the thread must be paused"
        producer = self._producer()
        for _ in range(count):
            time_us = self.arrived_us - chance.randrange(MINUTE_US)
            message = data.event(
                camera, time_us, chance.randrange(30, 120), partition=partition, arrival_us=self.arrived_us
            )
            self._produce(producer, message, self.ledger.enter)
        left = producer.flush(PATIENCE_S)
        assert left == 0, f"Kafka did not acknowledge {left} of {count} records within {PATIENCE_S} s"
        self.check()

    def reset(self):
        """The topic is another one, and empty."""
        assert self.idle.is_set(), "the thread must be paused"
        self.ledger, self.producer = Ledger(self.topic.partitions), self._producer()

    # -- the thread

    def run(self):
        try:
            for portion in self._portions():
                self.running.wait()
                if self.closing:
                    return
                self._send(portion)
                self._grant_wishes()
                self._wait_for_answers()
        except Exception as error:  # raised by the next check
            self.failure = error
        finally:
            self.idle.set()

    def _portions(self):
        """The messages in the order of their arrival, a portion at a time: late ones arrive in the days that follow."""
        size, late, number = max(1, round(self.rate * PORTION_S)), [], 0
        while True:
            day = data.FIRST + dt.timedelta(days=number)
            messages = late + data.traffic(
                self.seed * 1000 + number,
                day,
                zone=self.zone,
                cameras=24,
                events=self.day_records,
                partitions=self.topic.partitions,
            )
            messages.sort(key=lambda message: message.timestamp_ms)
            _, end_us = data.day_span(day, self.zone)
            late = [message for message in messages if message.timestamp_ms * 1000 >= end_us]
            for start in range(0, len(messages) - len(late), size):
                yield messages[start : min(start + size, len(messages) - len(late))]
            number += 1

    def _send(self, messages):
        for message in messages:
            self._produce(self.producer, message, self.ledger.enter)
            self.sent += 1
            self.arrived_us = max(self.arrived_us, message.timestamp_ms * 1000)

    def _wait_for_answers(self):
        """Paces the thread, bounds the number of unacknowledged records, and waits while paused."""
        end = time.monotonic() + PORTION_S * (1 if self.sent < self.allowance else SLOWER)
        while not self.closing:
            self.producer.poll(0.01)
            if not self.running.is_set():
                self._grant_wishes()
                if len(self.producer) == 0 and not self.wishes:
                    self.idle.set()
                    self.running.wait()
                    end = time.monotonic()
            elif time.monotonic() >= end and len(self.producer) < UNANSWERED:
                return

    def _grant_wishes(self):
        while self.wishes and not self.closing:
            grant, chance = self.wishes[0]
            grant(chance)
            self.wishes.popleft()

    def _produce(self, producer, message, enter):
        known = digest(message.timestamp_ms, message.key, message.value)
        producer.produce(
            self.topic.name,
            value=message.value,
            key=message.key,
            partition=message.partition,
            timestamp=message.timestamp_ms,
            on_delivery=partial(self._delivered, enter, known),
        )

    def _delivered(self, enter, known, error, message):
        """Called by the Kafka library; no exception may reach it."""
        try:
            if error is None:
                enter(message.partition(), message.offset(), known)
            elif enter == self.ledger.enter:
                raise AssertionError(f"Kafka did not accept a record: {error}")
        except Exception as problem:  # raised by the next check
            self.failure = self.failure or problem

    def _producer(self, **more):
        return Producer(
            {
                "bootstrap.servers": self.topic.brokers,
                "enable.idempotence": True,
                # With more, librdkafka takes a request without an answer for received once a later one is answered. A
                # leader that has lost the producer's state may have appended the later one alone.
                "max.in.flight": 1,
                "message.timeout.ms": 0,
                "linger.ms": 5,
                "socket.timeout.ms": 5000,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
                **more,
            }
        )

    # -- requests: faulty clocks

    def _clock_ahead(self, chance):
        """Event times far after their Kafka timestamps: dead letters."""
        self._send(
            self._of_camera(
                chance, "KV-AHEAD", lambda: self.arrived_us + chance.randrange(11 * MINUTE_US, 9000 * HOUR_US)
            )
        )

    def _clock_behind(self, chance):
        """Event times in the distant past: late, in separate days."""
        self._send(self._of_camera(chance, "KV-BEHIND", lambda: chance.choice(ANCIENT) + chance.randrange(MINUTE_US)))

    def _clock_vouched(self, chance):
        """Hours ahead, as are the Kafka timestamps: accepted, and all others in the partition are late for a while."""
        ahead_us = chance.randrange(4 * HOUR_US, 6 * HOUR_US)
        [message] = self._of_camera(chance, "KV-VOUCHED", lambda: self.arrived_us + ahead_us, count=1)
        self._produce(
            self.producer, replace(message, timestamp_ms=message.timestamp_ms + ahead_us // 1000), self.ledger.enter
        )

    def _of_camera(self, chance, camera, time_us, count=20):
        """Messages of one camera that arrive now."""
        partitions = range(self.topic.partitions)
        return [
            data.event(
                camera,
                time_us(),
                chance.randrange(30, 120),
                partition=chance.choice(partitions),
                arrival_us=self.arrived_us,
            )
            for _ in range(count)
        ]

    # -- requests: transactions

    def _aborted(self, chance):
        self._transaction(chance, "abort_transaction")

    def _committed(self, chance):
        self._transaction(chance, "commit_transaction")

    def _abandoned(self, chance):
        """It is never ended: the broker aborts it after its time-out, and until then no later record is stable."""
        self._transaction(chance, None)

    def _hanging(self, chance):
        """It is open until `fenced`: no later record of the partition is stable."""
        messages = self._of_camera(chance, "KV-HANGING", lambda: self.arrived_us)
        partition, name = chance.randrange(self.topic.partitions), uuid.uuid4().hex
        producer = self._producer(**TRANSACTIONAL | LONG, **{"transactional.id": name})
        try:
            producer.init_transactions(PATIENCE_S)
            producer.begin_transaction()
            for message in messages:
                self._produce(producer, replace(message, partition=partition), lambda *_: None)
            producer.flush(PATIENCE_S)
        except KafkaException:
            self.transactions["unknown"] += 1  # it is aborted all the same
        self.transactions["hanging"] += 1
        self.hanging.append((name, producer))

    def _fenced(self, _):
        """Another producer with the same transactional id: the oldest transaction that hangs is aborted."""
        name, _ = self.hanging.popleft()
        end = time.monotonic() + FENCING_S
        while not self.closing:
            try:
                return self._producer(**TRANSACTIONAL, **{"transactional.id": name}).init_transactions(PATIENCE_S)
            except KafkaException:
                if time.monotonic() > end:
                    raise

    def _transaction(self, chance, end):
        """Sends records in a transaction and ends it. If the broker is killed meanwhile, its outcome may be unknown."""
        places = []
        messages = self._of_camera(
            chance, f"KV-{end or 'abandoned'}", lambda: self.arrived_us - chance.randrange(SECOND_US, MINUTE_US)
        )
        producer = self._producer(**TRANSACTIONAL, **{"transactional.id": uuid.uuid4().hex})
        try:
            producer.init_transactions(PATIENCE_S)
            producer.begin_transaction()
            for message in messages:
                self._produce(producer, message, lambda *place: places.append(place))
            producer.flush(PATIENCE_S)
            if end:
                getattr(producer, end)(PATIENCE_S)
        except KafkaException:
            end = "unknown"
        self.transactions[
            {"abort_transaction": "aborted", "commit_transaction": "committed", None: "abandoned"}.get(end, end)
        ] += 1
        if end == "commit_transaction":
            for place in places:
                self.ledger.enter(*place)
        elif end == "unknown":
            # Whether or not their offsets are known.
            sent = ((message.partition, digest(message.timestamp_ms, message.key, message.value)) for message in messages)
            self.ledger.unsure.append(Counter(sent))
