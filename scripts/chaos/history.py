"""Which of Kafka's records the tables hold, where Kafka lost records that had landed, or that had not.

Kafka's log alone does not say that any more: below the offset at which consuming went on, the tables hold the log as it
was before the loss. So a partition's records are spliced from the logs before its losses and the log of today.
"""

from dataclasses import dataclass, field

ACCEPTED = "accepted_loss"


@dataclass(frozen=True)
class Loss:
    """A loss of one partition, as the harness caused it.

    `held` is the next offset of `events` then, and `went_on` where consuming went on: `held`, or the first offset that
    Kafka still has. `cut_at` is where the log was cut, None if its beginning was deleted instead.
    """

    partition: int
    held: int
    went_on: int
    cut_at: int | None
    undecided: frozenset = frozenset()  # (camera, partition) whose provisional rows may or may not have what was lost


@dataclass
class History:
    """The losses of a lake, in their order."""

    losses: list = field(default_factory=list)
    kept: dict = field(default_factory=dict)  # by partition, the records of earlier logs that the tables hold

    def note(self, loss, before):
        """A loss that is accepted; `before` are the records that Kafka had just before it."""
        kept = [record for record in self.held(before) if record.partition == loss.partition]
        self.kept[loss.partition] = [record for record in kept if record.offset < loss.held]
        self.losses.append(loss)

    def held(self, records):
        """The records that the tables must hold once everything has landed; `records` are those that Kafka has now."""
        went_on = {loss.partition: loss.went_on for loss in self.losses}
        now = [record for record in records if record.offset >= went_on.get(record.partition, 0)]
        earlier = [record for kept in self.kept.values() for record in kept]
        return sorted(earlier + now, key=lambda record: (record.partition, record.offset))

    def gaps(self, held, ends):
        """The gaps that the tables must have: aborted records and markers, and what was lost before it landed."""
        gaps = {(partition, ACCEPTED): set() for partition in ends}
        for loss in self.losses:
            gaps[loss.partition, ACCEPTED].update(range(loss.held, loss.went_on))
        delivered = {partition: set() for partition in ends}
        for record in held:
            delivered[record.partition].add(record.offset)
        for partition, end in ends.items():
            others = set(range(end)) - delivered[partition] - gaps[partition, ACCEPTED]
            gaps[partition, "not_delivered"] = others
        return gaps

    def cuts(self, partition):
        """What must be on record of a partition whose log was cut: where, and where consuming went on."""
        losses = [loss for loss in self.losses if loss.partition == partition and loss.cut_at is not None]
        return [(loss.cut_at, loss.went_on) for loss in losses]

    def undecided(self):
        """Cameras of partitions whose provisional rows the product does not promise (docs/guarantees.md)."""
        return frozenset().union(*(loss.undecided for loss in self.losses))
