"""Which faults strike when: a pure function of the seed and the number of cycles.

Kinds are dealt from a shuffled deck that holds each as often as its weight says, so that every kind comes up before one
comes up too often. A fault carries everything that is random about it.
"""

import random
from dataclasses import dataclass

SLOTS = 3  # instances of the speed layer on MinIO, each with its own connections; the batch has another
HOLD_S = (0.4, 2.2)

STREAMS = (("upstream",), ("downstream",), ("upstream", "downstream"))

OUTAGES = (
    "kafka-cut",
    "kafka-half-open",
    "store-cut",
    "store-half-open",
    "store-503",
    "store-lost-answer",
    "disk-full",
)

# Kind: how often it is in the deck, and what it is, for people.
KINDS = {
    "kill": (3, "an instance is killed (kill -9)"),
    "kill-all": (1, "all instances are killed at once"),
    "pause": (3, "an instance is paused (SIGSTOP) until its session has expired, then continues"),
    "zombie": (2, "an instance is paused for several cycles, and continues long after it was replaced"),
    "overtaken": (3, "an instance that cannot commit is cut off from Kafka and replaced; then it can commit again"),
    "leave": (2, "an instance leaves (SIGTERM), and joins again some cycles later"),
    "broker-restart": (1, "the broker is killed and started again"),
    "store-restart": (2, "MinIO is killed and started again"),
    "kafka-cut": (2, "the connection to Kafka is cut: connections break, and new ones fail"),
    "kafka-delay": (1, "the connection to Kafka is slow"),
    "kafka-throttle": (1, "the connection to Kafka has little bandwidth"),
    "kafka-half-open": (2, "the connection to Kafka discards what is sent, in one direction or both"),
    "kafka-reset": (1, "connections to Kafka are reset"),
    "kafka-torn": (1, "connections to Kafka break in the middle of a message"),
    "store-cut": (2, "the connection to the store is cut"),
    "store-delay": (1, "the connection to the store is slow"),
    "store-throttle": (1, "the connection to the store has little bandwidth"),
    "store-half-open": (2, "the connection to the store discards what is sent, in one direction or both"),
    "store-reset": (1, "connections to the store are reset"),
    "store-torn": (1, "connections to the store break in the middle of a message"),
    "store-503": (2, "the store refuses requests with 503"),
    "store-lost-answer": (3, "the store executes the request, and the response is lost or is a 503"),
    "store-late-put": (3, "a create is refused with 503, and arrives some time later"),
    "disk-full": (3, "the disk of the lake on local disk is full"),
    "nightly": (2, "a nightly run"),
    "nightly-killed": (2, "a nightly run that is killed"),
    "nightly-twice": (1, "two nightly runs at once"),
    "maintain": (1, "a maintain run"),
    "maintain-killed": (1, "a maintain run that is killed"),
    "audit": (1, "an audit during all of this"),
    "clock-ahead": (1, "a camera's clock is far ahead"),
    "clock-behind": (1, "a camera's clock is far behind"),
    "clock-vouched": (1, "a camera's clock is hours ahead, and so is that of its producer"),
    "aborted": (2, "a transaction is aborted"),
    "committed": (1, "a transaction is committed"),
    "abandoned": (1, "a producer dies in the middle of a transaction"),
}

# What only a cluster of brokers can have, in addition.
CLUSTER_KINDS = {
    "leader-killed": (3, "the leader of a partition is killed, and is back some cycles later"),
    "follower-killed": (2, "the replica that an instance fetches from is killed, and is back some cycles later"),
    "hanging": (2, "a transaction hangs, and is aborted some cycles later by fencing its producer"),
    "bit-flip": (2, "a bit of some record batches is flipped between broker and instance"),
}
# Losses: each begins when all other faults are over.
LOSS_KINDS = {
    "cut-log": (3, "an unclean election: records are lost, and others get their offsets"),
    "deleted-records": (1, "records are deleted before they have landed"),
    "remade-topic": (1, "the topic is deleted, and created again; it gets another lake"),
}


def kinds(brokers=1):
    """The kinds of a run: name, and as in KINDS."""
    return KINDS | (CLUSTER_KINDS | LOSS_KINDS if brokers > 1 else {})


@dataclass(frozen=True)
class Fault:
    """One fault: `slot` is the connection or instance that it affects, None for all; it lasts this cycle and `cycles` more."""

    kind: str
    slot: int | None
    cycles: int
    streams: tuple
    strength: float  # 0 to 1
    seed: int

    def __str__(self):
        where = "" if self.slot is None else f" {self.slot}"
        return f"{self.kind}{where}" + (f" +{self.cycles}" if self.cycles else "")


@dataclass(frozen=True)
class Cycle:
    """One cycle: its faults, and how long they last at least."""

    number: int
    faults: tuple
    hold_s: float

    def __str__(self):
        return f"cycle {self.number}: {', '.join(map(str, self.faults))} ({self.hold_s:.1f} s)"


def plan(seed, cycles, dealt=KINDS):
    """The schedule of a run, with faults of the kinds `dealt`."""
    chance = random.Random(f"chaos {seed}")
    deck = []
    return [a_cycle(chance, deck, dealt, number) for number in range(1, cycles + 1)]


def a_cycle(chance, deck, dealt, number):
    faults = tuple(a_fault(chance, deck, dealt) for _ in range(chance.choice((1, 2, 2))))
    return Cycle(number, faults, chance.uniform(*HOLD_S))


def a_fault(chance, deck, dealt):
    if not deck:
        deck.extend(kind for kind, (weight, _) in dealt.items() for _ in range(weight))
        chance.shuffle(deck)
    kind = deck.pop()
    return Fault(
        kind,
        a_slot(chance, kind),
        lasting(chance, kind),
        chance.choice(STREAMS),
        chance.random(),
        chance.randrange(1 << 30),
    )


def a_slot(chance, kind):
    """An instance for faults of instances; a connection, sometimes all of them, for faults of connections."""
    if kind in ("kill", "pause", "zombie", "overtaken", "leave", "bit-flip"):
        return chance.randrange(SLOTS)
    if kind == "follower-killed":  # the first instance fetches from leaders
        return chance.randrange(1, SLOTS)
    if kind.startswith(("kafka-", "store-")) and kind != "store-restart":
        return chance.choice((*range(SLOTS), None))
    return None


def lasting(chance, kind):
    """The number of further cycles: sometimes longer than the product keeps trying."""
    outage = chance.choice((0, 0, 1, 2)) if kind in OUTAGES else 0
    lasts = {"zombie": chance.randint(2, 8), "leave": chance.randint(0, 3)}
    if kind in ("leader-killed", "follower-killed", "hanging"):  # drawn for these alone: the schedules of others stay what they are
        return chance.randint(0, 3)
    return lasts.get(kind, outage)
