"""Applies the faults of the schedule to the real processes, and removes them.

`strike` begins a fault and returns a function without arguments that ends it, or None if there is nothing to end. Each
kind of the schedule has its function in KINDS_OF_FAULT.
"""

import contextlib
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from confluent_kafka import KafkaException

from chaos import losses
from chaos.disk import Disk
from chaos.pipeline import GAVE_UP, Pipeline
from chaos.proxies import Proxies
from harness.cluster import Cluster
from harness.lakehouse import Stack, until

# Under faults, a run of the batch may end with 1 (days that must wait, files that another run replaced) or 3 (a server is
# unavailable); killed runs end with -9.
UNDER_FIRE = {0, 1, GAVE_UP}
AWAY = {0, GAVE_UP}
KILLED = -signal.SIGKILL
SESSION_S = 2
GATHER_S = 0.8
FLIPPING_S = 10


@dataclass
class World:
    """Everything that faults apply to."""

    stack: Stack
    proxies: Proxies
    main: Pipeline
    small: Pipeline
    disk: Disk
    cluster: Cluster | None = None  # None: one broker
    away: set = field(default_factory=set)  # brokers that are killed or on their way back
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    restarts: list = field(default_factory=list)

    def restart(self, service):
        """Kills a server and starts it again in the background, however many cycles that takes."""
        self.restarts.append(self.pool.submit(self.stack.restart, service))

    def kill_broker(self, broker):
        """Kills a broker of the cluster; whether it did: not if it is on its way back."""
        if broker in self.away:
            return False
        self.away.add(broker)
        self.cluster.kill(broker)
        return True

    def bring_back(self, broker):
        """Starts a killed broker again, in the background."""

        def start():
            self.cluster.start(broker)
            self.away.discard(broker)

        self.restarts.append(self.pool.submit(start))

    def wait_for_restarts(self):
        """Returns when the restarted servers are ready again."""
        while self.restarts:
            self.restarts.pop(0).result()

    def heal(self):
        """Opens all connections and makes sure that all servers run."""
        self.wait_for_restarts()
        for way in self.proxies.ways:
            self.proxies.cure(f"kafka-{way.slot}")
            self.proxies.cure(f"store-{way.slot}")
            self.proxies.answer_falsely(way.slot)
            if self.cluster:
                self.proxies.stop_flipping(way.slot)
        if self.cluster:
            for pipeline in (self.main, self.small):
                self.cluster.wait_until_whole(pipeline.workspace.topic)
        self.disk.empty()


def strike(world, fault):
    """Begins a fault; returns what ends it, or None."""
    return KINDS_OF_FAULT[fault.kind](world, fault)


# ---- processes ---------------------------------------------------------------------------------------------------


def kill(world, fault):
    world.main.kill(fault.slot)


def kill_all(world, _):
    for slot in range(len(world.main.instances)):
        world.main.kill(slot)
    world.small.kill(0)


def pause(world, fault):
    """Pauses it at least until its session has expired; then it continues."""
    stop_in_the_act(world, fault)
    expelled_at = time.monotonic() + SESSION_S * (1 + fault.strength / 2)

    def go_on():
        time.sleep(max(0, expelled_at - time.monotonic()))
        world.main.signal(fault.slot, signal.SIGCONT)

    return go_on


def zombie(world, fault):
    """Another instance works in its place; the zombie's slot is not reused."""
    stop_in_the_act(world, fault)
    return lambda: world.main.signal(fault.slot, signal.SIGCONT)


def stop_in_the_act(world, fault):
    """SIGSTOP, usually in the middle of a commit: the connection to the store is cut until records have accumulated."""
    store = f"store-{fault.slot}"
    if fault.strength < 0.3:
        world.main.signal(fault.slot, signal.SIGSTOP)
        return
    world.proxies.cut(store)
    time.sleep(GATHER_S)
    world.main.signal(fault.slot, signal.SIGSTOP)
    world.proxies.cure(store)


def overtaken(world, fault):
    """It stays alive: it accumulates what it cannot commit, leaves the group, and reaches the store again before Kafka."""
    kafka, store = f"kafka-{fault.slot}", f"store-{fault.slot}"
    world.proxies.cut(store)
    time.sleep(GATHER_S)
    half_open(world.proxies, kafka, fault)
    time.sleep(SESSION_S * (1.3 + fault.strength / 2))
    world.proxies.cure(store)
    return lambda: world.proxies.cure(kafka)


def leave(world, fault):
    world.main.let_go(fault.slot)
    return lambda: world.main.resting.discard(fault.slot)


# ---- servers and connections -------------------------------------------------------------------------------------


def broker_restart(world, fault):
    """In a cluster, one of the brokers."""
    if not world.cluster:
        world.restart("kafka")
        return
    broker = 1 + fault.seed % world.proxies.brokers
    if world.kill_broker(broker):
        world.bring_back(broker)


def leader_killed(world, fault):
    topic = world.main.workspace.topic
    try:
        leader = world.cluster.replicas(topic, fault.seed % topic.partitions).leader
    except KafkaException:  # other brokers are away, too
        return None
    return (lambda: world.bring_back(leader)) if leader and world.kill_broker(leader) else None


def follower_killed(world, fault):
    broker = int(world.proxies.ways[fault.slot].rack.removeprefix("rack-"))
    return (lambda: world.bring_back(broker)) if world.kill_broker(broker) else None


def bit_flip(world, fault):
    """A few times, and until it has happened, unless the instance fetches nothing for a while."""
    before = world.proxies.flipped(fault.slot)
    world.proxies.flip_bits(fault.slot, 1 + fault.seed % 4)

    def stop():
        with contextlib.suppress(AssertionError):
            until(lambda: world.proxies.flipped(fault.slot) > before, "a bit is flipped", FLIPPING_S, 0.1)
        world.proxies.stop_flipping(fault.slot)

    return stop


def store_restart(world, _):
    world.restart("minio")


def on_ways(act):
    """A fault of the connections to a server: `act` is applied to each proxy concerned, and each is reset afterwards."""

    def begin(world, fault):
        server = fault.kind.split("-")[0]
        ways = world.proxies.ways if fault.slot is None else [world.proxies.ways[fault.slot]]
        struck = [f"{server}-{way.slot}" for way in ways]
        for proxy in struck:
            act(world.proxies, proxy, fault)
        return lambda: [world.proxies.cure(proxy) for proxy in struck]

    return begin


def cut(proxies, proxy, _):
    proxies.cut(proxy)


def delay(proxies, proxy, fault):
    latency = round(50 + 400 * fault.strength)
    proxies.poison(proxy, "latency", fault.streams, {"latency": latency, "jitter": latency // 2})


def throttle(proxies, proxy, fault):
    proxies.poison(proxy, "bandwidth", fault.streams, {"rate": round(2 + 60 * fault.strength)})


def half_open(proxies, proxy, fault):
    proxies.poison(proxy, "timeout", fault.streams, {"timeout": 0})


def reset(proxies, proxy, fault):
    proxies.poison(proxy, "reset_peer", fault.streams, {"timeout": round(300 * fault.strength)})


def torn(proxies, proxy, fault):
    proxies.poison(proxy, "limit_data", fault.streams, {"bytes": round(500 + 20_000 * fault.strength)})


def answers(share):
    """A fault of the store's responses at the doors of the connections concerned."""

    def begin(world, fault):
        doors = range(len(world.proxies.ways)) if fault.slot is None else [fault.slot]
        for door in doors:
            world.proxies.answer_falsely(door, **{share: 0.2 + 0.7 * fault.strength})
        return lambda: [world.proxies.answer_falsely(door) for door in doors]

    return begin


def disk_full(world, fault):
    """In half of the cases its writer is killed in that state."""
    world.disk.fill()

    def free():
        if fault.strength < 0.5:
            world.small.kill(0)
        world.disk.empty()

    return free


# ---- the batch, the cameras --------------------------------------------------------------------------------------


def nightly(world, _):
    world.main.nightly(UNDER_FIRE)


def nightly_twice(world, _):
    world.main.nightly(UNDER_FIRE)
    world.main.nightly(UNDER_FIRE)


def nightly_killed(world, fault):
    return killed_after(world.main.nightly(UNDER_FIRE | {KILLED}), fault)


def maintain(world, _):
    world.main.begin("maintain", codes=UNDER_FIRE)


def maintain_killed(world, fault):
    return killed_after(world.main.begin("maintain", codes=UNDER_FIRE | {KILLED}), fault)


def killed_after(program, fault):
    """Kills a run some time after its start, at whatever point it is."""
    if program is None:
        return None
    timer = threading.Timer(0.05 + 2 * fault.strength, program.process.kill)
    timer.daemon = True
    timer.start()
    return timer.join


def audit(world, _):
    """The tables are consistent at every moment, unless the store is unavailable. Records may wait in Kafka meanwhile."""
    world.main.begin("audit", "--kafka", "skip", codes=AWAY)


def wished(world, fault):
    world.main.feed.wish(fault.kind, fault.seed)


def hanging(world, fault):
    wished(world, fault)
    return lambda: world.main.feed.wish("fenced", fault.seed)


KINDS_OF_FAULT = {
    "kill": kill,
    "kill-all": kill_all,
    "pause": pause,
    "zombie": zombie,
    "overtaken": overtaken,
    "leave": leave,
    "broker-restart": broker_restart,
    "leader-killed": leader_killed,
    "follower-killed": follower_killed,
    "bit-flip": bit_flip,
    "hanging": hanging,
    "cut-log": losses.cut_log,
    "deleted-records": losses.delete_records,
    "remade-topic": losses.remake_topic,
    "store-restart": store_restart,
    "store-503": answers("refuse"),
    "store-lost-answer": answers("lose"),
    "store-late-put": answers("late"),
    "disk-full": disk_full,
    "nightly": nightly,
    "nightly-killed": nightly_killed,
    "nightly-twice": nightly_twice,
    "maintain": maintain,
    "maintain-killed": maintain_killed,
    "audit": audit,
    **dict.fromkeys(("clock-ahead", "clock-behind", "clock-vouched", "aborted", "committed", "abandoned"), wished),
    **{
        f"{server}-{kind}": on_ways(act)
        for server in ("kafka", "store")
        for kind, act in {
            "cut": cut,
            "delay": delay,
            "throttle": throttle,
            "half-open": half_open,
            "reset": reset,
            "torn": torn,
        }.items()
    },
}
