"""Drills: one fault of a cluster at a time, against a running pipeline. Started by scripts/chaos.sh --drill.

Most of these faults leave something wrong behind: a partition has other records at offsets that have landed, or a batch is not
readable. Then rows must be those that Kafka had delivered, and the product must say what is lost, or stop. What it must do
is written as `bench.must`. chaos.py causes some of these faults too, for a short time and among others. Here each fault is
alone, lasts as long as it needs, and comes in more variants.

    records ─▶ 3 brokers ─▶ wire_proxy.py, a door for each broker ─▶ 2 instances ─▶ a lake on local disk
"""

import argparse
import contextlib
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from chaos.bench import PARTITIONS, RECORDS, STRUCK, Bench
from chaos.report import say
from harness import checks
from harness.cluster import Cluster
from harness.lakehouse import QUICK, Workspaces, a_stack, until

BROKERS = 3
GAVE_UP, REFUSED = 3, 2
SETTINGS = QUICK | {
    "kafka__request_timeout": "3s",
    "kafka__properties.topic.metadata.refresh.interval.ms": 1000,
    "kafka__properties.reconnect.backoff.max.ms": 500,
}


# ---- faults that the product must overcome ------------------------------------------------------------------------


def leader_killed(bench):
    """The leader of a partition is killed while records come, and is back later."""
    bench.start()
    with bench.topic.feeding(bench.records(), portion=20):
        with bench.cluster.without_leader_of(bench.topic, STRUCK):
            bench.workspace.wait_for_commits(4, "commits while a broker is away")
    bench.must(bench.wait_until_landed(), "everything lands")
    bench.must_run_on()
    bench.must(set(bench.stop()) == {0}, "the instances end with 0")
    bench.must_be_right()


def hanging_transaction(bench):
    """A producer never ends its transaction; later it is fenced."""
    bench.start()
    hanging = bench.records_of_struck(60)
    with bench.cluster.hanging_transaction(bench.topic, hanging):
        bench.topic.send(bench.records())
        bench.must(bench.wait_until_landed(), "all other partitions land")
        behind = bench.topic.ends()[STRUCK]
        assert behind == bench.workspace.next_offsets("events")[STRUCK], "records behind the transaction have landed"
        bench.must_run_on()
    until(lambda: bench.topic.ends()[STRUCK] > behind + len(hanging), "the transaction is aborted")
    bench.must(bench.wait_until_landed(), "everything lands")
    bench.must(set(bench.stop()) == {0}, "the instances end with 0")
    bench.must_be_right()


def follower_fetch(bench):
    """Instances fetch from the replica in their rack, which is killed while records come."""
    [rack] = {bench.cluster.replicas(bench.topic, STRUCK).leader % BROKERS + 1}
    bench.start(**{"LAKEHOUSE__KAFKA__PROPERTIES__CLIENT.RACK": f"rack-{rack}"})
    bench.topic.send(bench.records())
    bench.must(bench.wait_until_landed(), "everything lands")
    before = bench.wire.counts()["fetched_bytes"]
    with bench.topic.feeding(bench.records(), portion=20):
        bench.workspace.wait_for_commits(4, "commits")
        fetched = [after - start for after, start in zip(bench.wire.counts()["fetched_bytes"], before)]
        assert fetched[rack - 1] > sum(fetched) / 2, f"most was not fetched from broker {rack}: {fetched}"
        bench.cluster.kill(rack)
        bench.workspace.wait_for_commits(4, "commits while the replica is away")
        bench.cluster.start(rack)
    bench.must(bench.wait_until_landed(), "everything lands")
    bench.must_run_on()
    bench.must(set(bench.stop()) == {0}, "the instances end with 0")
    bench.must_be_right()


def bit_flip(bench):
    """A few responses are altered on the wire: the product must fetch again."""
    bench.start()
    for door in range(BROKERS):
        bench.wire.flip(door, times=2)
    with bench.topic.feeding(bench.records(), portion=20):
        until(lambda: altered(bench) >= 4, "responses are altered")
    for door in range(BROKERS):
        bench.wire.stop_flipping(door)
    bench.must(bench.wait_until_landed(), "everything lands")
    bench.must_run_on()
    bench.stop()
    bench.must_be_right()


def altered(bench):
    """How many responses have been altered so far."""
    return sum(bench.wire.counts()["altered"])


# ---- faults at which the product must stop --------------------------------------------------------------------------


def bit_flip_lasting(bench):
    """Every response is altered: the product must stop, and go on where it was once that has ended."""
    for door in range(BROKERS):
        bench.wire.flip(door)
    bench.topic.send(bench.records())
    before = bench.workspace.next_offsets("events")
    bench.start()
    until(lambda: altered(bench) > 0, "responses are altered")
    bench.must_give_up({GAVE_UP}, "partition")
    bench.must(bench.workspace.next_offsets("events") == before, "nothing of an altered batch lands")
    for door in range(BROKERS):
        bench.wire.stop_flipping(door)
    bench.stop()
    bench.start()
    bench.must(bench.wait_until_landed(), "everything lands afterwards")
    bench.stop()
    bench.must_be_right()


def truncation(bench):
    """Records that have landed disappear in an unclean election, and others are written at their offsets."""
    bench.start()
    old, lost = truncate(bench, lambda: assert_landed(bench))
    bench.must_give_up({GAVE_UP}, f"partition {STRUCK}", str(lost.first), str(lost.end))
    bench.stop()
    still_truncated(bench, old, lost)


def truncation_while_stopped(bench):
    """The same, while no instance runs: the next one must notice."""
    old, lost = truncate(bench, bench.workspace.land)
    still_truncated(bench, old, lost)


def truncate(bench, see):
    """Truncates the partition that is struck; `see` returns when what is lost has landed. What was there before it."""
    old = []

    def lose():
        bench.topic.send(bench.records_of_struck(300))
        see()
        old.extend(bench.topic.records())

    replacing = bench.records_of_struck(900)
    lost = bench.cluster.truncate(bench.topic, STRUCK, lose, lambda: bench.topic.send(replacing))
    assert bench.topic.ends()[STRUCK] > lost.end, "the log must have grown past its old end"
    return old, lost


def assert_landed(bench):
    assert bench.wait_until_landed(), "what is to be lost has not landed"


def still_truncated(bench, old, lost):
    """Another start stops too, and the tables stay as they were."""
    bench.start(1)
    bench.must_give_up({GAVE_UP}, f"partition {STRUCK}", str(lost.first), str(lost.end))
    bench.stop()
    bench.must(bench.workspace.next_offsets("events")[STRUCK] == lost.end, "nothing of the new log lands")
    bench.must_hold(old)


def truncation_accepted(bench):
    """With `on_data_loss = "accept"` it goes on; rows are those of the old log, then those of the new one."""
    bench.workspace.configure(kafka__on_data_loss="accept")
    old, lost = truncate(bench, bench.workspace.land)
    bench.start(1)
    bench.must(bench.wait_until_landed(), "everything that can land does")
    [program] = bench.instances
    fields = f'"partition":{STRUCK},"end":{lost.first},'
    named = [line for line in program.err.splitlines() if fields in line]
    bench.must(named, "the log names the partition and the first offset that was lost")
    bench.stop()
    bench.must_hold(spliced(bench, old, lost))
    bench.must_pass(lambda: checks.coverage(bench.workspace), "every offset is covered once")
    bench.must_pass(lambda: bench.workspace.batch("audit"), "the audit succeeds")


def spliced(bench, old, lost):
    """The records that the tables may hold: of the struck partition, the old log up to what had landed, then the new."""
    new = bench.topic.records()
    kept = [record for record in old if record.partition == STRUCK]
    kept += [r for r in new if r.partition != STRUCK or r.offset >= lost.end]
    return sorted(kept, key=lambda record: (record.partition, record.offset))


def remade_topic(bench):
    """The topic is deleted and made again under its name, and grows past its old ends."""
    bench.start()
    assert_landed(bench)
    old = remake(bench)
    bench.must_give_up({GAVE_UP, REFUSED}, "topic")
    bench.stop()
    still_remade(bench, old)


def remade_topic_while_stopped(bench):
    """The same, while no instance runs."""
    old = remake(bench)
    still_remade(bench, old)


def remake(bench):
    old = bench.topic.records()
    bench.topic.recreate()
    bench.cluster.wait_until_whole(bench.topic)
    bench.topic.send(bench.records(3 * RECORDS))
    reached = bench.workspace.next_offsets("events")
    assert all(end > reached[p] for p, end in bench.topic.ends().items()), "the new topic must grow past the old one"
    return old


def still_remade(bench, old):
    bench.start(1)
    bench.must_give_up({GAVE_UP, REFUSED}, "topic")
    bench.stop()
    bench.must_hold(old)


DRILLS: dict[str, Callable] = {
    "leader-killed": leader_killed,
    "truncation": truncation,
    "truncation-while-stopped": truncation_while_stopped,
    "truncation-accepted": truncation_accepted,
    "bit-flip": bit_flip,
    "bit-flip-lasting": bit_flip_lasting,
    "hanging-transaction": hanging_transaction,
    "remade-topic": remade_topic,
    "remade-topic-while-stopped": remade_topic_while_stopped,
    "follower-fetch": follower_fetch,
}


# ---- a run -----------------------------------------------------------------------------------------------------------


def main():
    arguments = parse()
    try:
        failed = run(arguments)
    except Exception:  # a drill that could not be held says nothing about the product
        traceback.print_exc()
        say(f"a drill could not be held; logs: {arguments.work}")
        sys.exit(3)
    if failed:
        say(f"FAILED: {', '.join(failed)}; logs and tables: {arguments.work}")
        sys.exit(1)
    say("the product did what it must in every drill")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drill", required=True, help="names of drills with commas between them, or all")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--work", type=Path, required=True, help="a folder for logs and lakes")
    arguments = parser.parse_args()
    arguments.drill = list(DRILLS) if arguments.drill == "all" else arguments.drill.split(",")
    if unknown := [name for name in arguments.drill if name not in DRILLS]:
        say(f"--drill '{unknown[0]}': expected all, or some of {', '.join(DRILLS)}")
        sys.exit(2)
    return arguments


def run(arguments):
    """Holds the drills one after another on one cluster; the names of those that failed."""
    failed = []
    with a_stack(brokers=BROKERS, proxies=1) as stack:
        for name in arguments.drill:
            begun = time.monotonic()
            bench = drill(Cluster(stack), name, arguments.seed, arguments.work)
            verdict = "FAILED" if bench.unmet else "as it must"
            say(f"{name}: {verdict}, {time.monotonic() - begun:.0f} s")
            for what in bench.met:
                say(f"    holds: {what}")
            for what in bench.unmet:
                say(f"    does NOT hold: {what}")
            failed += [name] if bench.unmet else []
    return failed


def drill(cluster, name, seed, work):
    """Makes a topic, lands some records, and holds a drill."""
    with contextlib.ExitStack() as stack:
        spaces = Workspaces(cluster.stack, work)
        space = stack.enter_context(spaces.make(name, partitions=PARTITIONS, replicas=BROKERS, **SETTINGS))
        space.topic.alter({"min.insync.replicas": "2"})
        wire = cluster.wire_proxy(seed, sys.stderr)
        stack.callback(wire.close)
        cluster.wait_until_whole(space.topic)
        bench = Bench(cluster, space, wire, seed)
        space.topic.send(bench.records())
        space.land()
        DRILLS[name](bench)
        return bench


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
