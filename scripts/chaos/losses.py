"""Losses: Kafka had records, and does not have them any more. Started by the schedule, in a cluster.

Other faults leave nothing wrong behind. After these, the product must stop and name what is lost, or, where
`kafka.on_data_loss` accepts it, go on and put it on record; and a topic of the same name that is another one must be
refused until the operator gives it another lake. A loss begins with all other faults removed, the cameras silent and
everything landed, so that the harness knows what is lost, and what the tables hold of it. What the tables hold is
compared at the next inspection, row by row, with what history.py says.

    cut_log         an unclean election: records disappear, and others get their offsets
    delete_records  records are deleted, as by retention, before they have landed
    remake_topic    the topic is deleted, and another of its name created
"""

import contextlib
import random

from confluent_kafka import KafkaException

from chaos.history import Loss
from chaos.inspection import check_records, final_days, inspect, is_stable
from chaos.pipeline import GAVE_UP, Stop
from chaos.report import say
from harness import checks
from harness.lakehouse import until
from harness.readers import Lake

REFUSED = 2
LOST = 60
PATIENCE_S = 300
STOPS = 2  # a supervisor starts what has stopped again: it must stop again
MOMENTS = ("landed", "partly landed", "not landed")
# The records of the new topic, by partition: none, fewer than the old one had, or more.
SIZES = {"empty": lambda _: 0, "shorter": lambda end: end // 4, "longer": lambda end: end + 50}
LONGEST = 2000
# The commands that ask Kafka, beside `speed-layer run`; maintain does so before it drops days.
ASKING = (("speed-layer", "run", "--until-end"), ("batch-layer", "nightly", "--wait", "1s"), ("batch-layer", "maintain"))
WITH_RETENTION = {"LAKEHOUSE__MAINTAIN__EVENT_RETENTION": "36500d"}


class Scene:
    """A loss that is about to strike the pipeline on MinIO, which holds everything that Kafka has."""

    def __init__(self, world, fault):
        self.world, self.pipeline, self.chance = world, world.main, random.Random(fault.seed)
        self.workspace, self.feed, self.topic = world.main.workspace, world.main.feed, world.main.workspace.topic
        self.partition = self.chance.randrange(self.topic.partitions)
        self.number = self.pipeline.losses = self.pipeline.losses + 1
        self.before = []  # the records of Kafka at its last moment
        self.feed.pause()
        self.wait_for(lambda: is_stable(self.topic), "Kafka has ended every transaction")
        self.pipeline.catch_up()
        self.remember()
        self.first = self.held("events")

    # -- waiting

    def wait_for(self, condition, what):
        """Supervises both pipelines until the condition holds. Brokers may be away meanwhile."""

        def holds():
            self.world.main.supervise()
            self.world.small.supervise()
            with contextlib.suppress(KafkaException):
                return condition()
            return False

        until(holds, what, PATIENCE_S, 0.2)

    def wait_until_landed(self):
        self.wait_for(self.workspace.has_landed_all, "everything has landed after a loss")

    # -- records

    def remember(self):
        """Reads what Kafka has, which must be what it acknowledged."""
        self.before = self.topic.records()
        self.feed.ledger.compare(self.before)

    def send(self, camera, count, partition=None):
        """So many records of a camera; to the partition that is struck, unless another one is named."""
        partition = self.partition if partition is None else partition
        self.feed.send_at_once(f"KV-{camera}-{self.number}", partition, count, self.chance)

    def held(self, table):
        return self.workspace.next_offsets(table)[self.partition]

    # -- instances

    def kill_instances(self):
        """kill -9, and no supervisor starts them again."""
        for slot in range(len(self.pipeline.instances)):
            self.pipeline.resting.add(slot)
            self.pipeline.kill(slot)

    def on_data_loss(self, policy):
        self.workspace.configure(kafka__on_data_loss=policy)

    def restart_with(self, policy):
        """The operator changes the setting: all end cleanly, and are started again."""
        self.pipeline.stop()
        self.on_data_loss(policy)
        self.pipeline.wake_all()

    def must_stop(self, stop):
        """Every start stops with this error, and nothing more lands; then no instance runs."""
        held, cuts = self.workspace.next_offsets("events"), self.cuts()
        self.pipeline.stop_wanted = stop
        self.pipeline.wake_all()
        self.wait_for(lambda: stop.seen >= STOPS, f"the speed layer stops with {stop}")
        self.kill_instances()
        self.pipeline.stop_wanted = None
        assert self.workspace.next_offsets("events") == held, f"records landed although it had stopped with {stop}"
        assert self.cuts() == cuts, "a loss is on record although no setting accepts it"
        self.pipeline.tally[f"{stop.of}: stopped, as it must"] += stop.seen

    def cuts(self):
        return self.workspace.accepted_cuts(self.partition)

    def go_on(self, loss):
        """The loss is accepted and on record, everything else lands, and the setting is `fail` again."""
        self.pipeline.history.note(loss, self.before)
        self.pipeline.wake_all()
        wanted = self.pipeline.history.cuts(self.partition)
        self.wait_for(lambda: self.cuts() == wanted, f"the loss is on record: {wanted}")
        if (missing := loss.went_on - self.topic.ends()[self.partition]) >= 0:
            self.send("AFTER", missing + 10)
        self.wait_until_landed()
        self.restart_with("fail")
        self.pipeline.tally["losses accepted, on record"] += 1


# ---- an unclean election ------------------------------------------------------------------------------------------


def cut_log(world, fault):
    """The records that are lost had landed, or some of them, or none; the log grows less far than before, or further."""
    scene = Scene(world, fault)
    moment, accepts = scene.chance.choice(MOMENTS), scene.chance.random() < 0.5
    if moment == "landed" and accepts:
        scene.restart_with("accept")
    if moment == "not landed":
        scene.kill_instances()
    place = f"partition {scene.partition}: Kafka's log was truncated"
    stop = Stop("a cut log", {GAVE_UP}, place, f"offsets {scene.first} to ", "kafka.on_data_loss")
    if moment == "landed" and not accepts:
        scene.pipeline.stop_wanted = stop
    regrown = scene.chance.choice((LOST // 4, LOST, 2 * LOST))
    policy = "accept" if accepts else "fail, then accept"
    say(f"partition {scene.partition} is cut at {scene.first}: {moment} (if so: {policy}), {regrown} new records")
    cut = world.cluster.truncate(
        scene.topic, scene.partition, lambda: lose(scene, moment), lambda: scene.send("NEW", regrown)
    )
    assert cut.first == scene.first, f"the log was cut at {cut.first}, and {scene.first} was wanted"
    held, averaged = scene.held("events"), scene.held("avg_speed")
    if held <= cut.first:
        scene.pipeline.wake_all()
        scene.wait_until_landed()
        scene.pipeline.tally["logs cut where nothing had landed"] += 1
        return
    if not accepts:
        scene.must_stop(stop)
    scene.on_data_loss("accept")
    cameras = {f"KV-LOST-{scene.number}", f"KV-NEW-{scene.number}"} if held != averaged else ()
    undecided = frozenset((camera, scene.partition) for camera in cameras)
    scene.go_on(Loss(scene.partition, held, held, cut.first, undecided))


def lose(scene, moment):
    """Sends the records that the election will take away."""
    scene.send("LOST", LOST)
    if moment == "landed":
        scene.wait_until_landed()
    if moment == "partly landed":
        scene.wait_for(lambda: scene.held("events") > scene.first, "some of what will be lost has landed")
        scene.kill_instances()
        scene.send("LOST", LOST)
    scene.feed.ledger.cut(scene.partition, scene.first)
    scene.before = scene.topic.records()


# ---- retention -----------------------------------------------------------------------------------------------------


def delete_records(world, fault):
    """Records are deleted before they have landed."""
    scene = Scene(world, fault)
    scene.kill_instances()
    scene.send("LOST", LOST)
    scene.remember()
    deleted = scene.first + scene.chance.randrange(1, LOST)
    say(f"partition {scene.partition}, whose records before {scene.first} have landed, is deleted up to {deleted}")
    scene.topic.delete_before({scene.partition: deleted})
    scene.feed.ledger.forget(scene.partition, deleted)
    place = f"partition {scene.partition}: offset {scene.first} is wanted and {deleted} is the first"
    scene.must_stop(Stop("deleted records", {GAVE_UP}, place, "kafka.on_data_loss"))
    scene.on_data_loss("accept")
    scene.go_on(Loss(scene.partition, scene.first, deleted, None))


# ---- another topic -------------------------------------------------------------------------------------------------


def remake_topic(world, fault):
    """After an inspection of the lake, which is the last that can compare all of it with Kafka."""
    inspect(world.main, to_the_end=False)
    world.main.feed.resume()
    world.main.wake_all()
    scene = Scene(world, fault)
    runs, name = scene.chance.random() < 0.5, scene.chance.choice(list(SIZES))
    say(f"the topic is made again, {name}, while the speed layer {'runs' if runs else 'is stopped'}")
    if not runs:
        scene.kill_instances()
    scene.send("LOST", LOST)
    if runs:
        scene.wait_until_landed()
    scene.remember()
    sizes = [min(SIZES[name](end), LONGEST) for end in scene.topic.ends().values()]
    stop = Stop("a remade topic", {REFUSED}, "kafka.topic", "deleted and created again", "another lake.uri")
    scene.pipeline.stop_wanted = stop
    scene.topic.recreate()
    scene.topic.alter({"min.insync.replicas": "2"})
    world.cluster.wait_until_whole(scene.topic)
    scene.feed.reset()
    for partition, count in enumerate(sizes):
        scene.send("NEW", count, partition)
    scene.must_stop(stop)
    before = scene.workspace.lake.versions()
    for command in ASKING:
        refused = scene.workspace.start(*command, **WITH_RETENTION).expect(REFUSED)
        assert stop.is_of(refused), f"{command} does not say {stop}:\n{refused.tail()}"
    assert scene.workspace.lake.versions() == before, "a command that refused the topic has changed the tables"
    compare_with_old_log(scene)
    old = scene.workspace.lake
    scene.pipeline.use_lake(Lake(f"{old.uri}-{scene.number}", old.storage))
    scene.pipeline.wake_all()
    scene.wait_until_landed()
    scene.pipeline.tally["topics remade, each with another lake"] += 1


def compare_with_old_log(scene):
    """The lake holds what it held of the old topic, and nothing of the new one."""
    workspace, history = scene.workspace, scene.pipeline.history
    reached, averaged = workspace.next_offsets("events"), workspace.next_offsets("avg_speed")
    held = [record for record in history.held(scene.before) if record.offset < reached[record.partition]]
    expected = check_records(workspace, history, held, reached)
    assert averaged == reached, f"avg_speed is at {averaged}, and events at {reached}"
    checks.provisional(workspace, expected.events, final_days(workspace), history.undecided())
    workspace.batch("audit", "--kafka", "skip")
