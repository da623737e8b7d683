"""Lakes in every state that readers meet: landed, final, compacted, and one with times beyond what most programs know.

The real programs make them, on disk and on MinIO. All lakes of a store consume the same topic, and each is left in its
state, so that a reader is started once and sees all of them.
"""

import contextlib
from dataclasses import dataclass

from harness import checks, oracle
from harness.lakehouse import Workspace
from readers import samples

# What is run after landing, by the name of the state.
STATES = {"landed": [], "nightly": ["nightly"], "maintained": ["nightly", "maintain"]}
BEYOND = "far-off"
ALL = (*STATES, BEYOND)


@dataclass(frozen=True)
class State:
    """A lake that is left as it is, and the records that it holds."""

    store: str
    name: str
    workspace: Workspace
    expected: oracle.Landed
    final_days: set


@contextlib.contextmanager
def make(workspaces, store, events, states=ALL, days=3):
    """The lakes of a store, compared with the oracle."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(
            workspaces.make("readers", store=store, partitions=samples.PARTITIONS, **samples.LIMITS)
        )
        usual = {name: first.beside(name) for name in states if name in STATES}
        found = [*usual.items()]
        for number, portion in enumerate(samples.portions(events, days)):
            first.topic.send(portion)
            if number == 0:
                abort(first.topic)
            for workspace in usual.values():
                workspace.land()
        for name, workspace in usual.items():
            for command in STATES[name]:
                workspace.batch(command)
        if BEYOND in states:
            beyond = stack.enter_context(workspaces.make("beyond", store=store, partitions=samples.PARTITIONS))
            beyond.topic.send(samples.beyond())
            beyond.land()
            found.append((BEYOND, beyond))
        yield [left(store, name, workspace) for name, workspace in found]


def abort(topic):
    with topic.transaction(abort=True) as send:
        send(samples.aborted())


def left(store, name, workspace):
    """A lake in its state, in which every offset is covered. What its tables hold is compared by reference.py."""
    checks.coverage(workspace)
    expected = workspace.expected()
    days = set(checks.days_of(expected.events, "UTC")) if "nightly" in STATES.get(name, []) else set()
    return State(store, name, workspace, expected, {day for day in days if day.year < samples.OPEN_YEAR})
