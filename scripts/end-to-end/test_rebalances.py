"""Rule 1 of docs/contract.md with several instances: one joins later, one is terminated, one is killed; with the eager and
the cooperative protocol."""

import pytest

from harness import checks
from harness.data import traffic
from harness.lakehouse import QUICK, until

DAY = checks.day("2025-04-05")
PARTITIONS = 6


@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_partitions_change_hands_and_everything_lands_once(workspaces, strategy):
    strategies = {"kafka__properties.partition.assignment.strategy": strategy}
    with workspaces.make("rebalance", partitions=PARTITIONS, **QUICK, **strategies) as workspace:
        group = workspace.settings["kafka.group"]

        def shared(*shares):
            until(
                lambda: workspace.topic.shares(group) == list(shares),
                f"the partitions are shared {shares}",
                pause_s=0.1,
            )
            workspace.wait_for_commits(4, f"commits while shared {shares}")

        messages = traffic(13, DAY, days=2, events=20_000, cameras=12, partitions=PARTITIONS)
        with workspace.topic.feeding(messages, portion=30) as fed:
            first = workspace.speed()
            shared(6)
            second = workspace.speed()
            shared(3, 3)
            third = workspace.speed()
            shared(2, 2, 2)
            assert second.terminate() == 0, second.tail()
            shared(3, 3)
            first.kill()
            shared(6)
            assert third.is_running(), third.tail()
            assert not fed.done(), "records must still be coming in the last rebalance"
        until(workspace.has_landed_all, "everything landed")
        assert third.terminate() == 0, third.tail()
        assert workspace.topic.assignments(group) == {}
        expected = checks.landed(workspace)
        checks.provisional(workspace, expected.events)
        checks.coverage(workspace, gaps={})
        before = workspace.lake.versions()
        workspace.land()
        assert workspace.lake.versions() == before
        workspace.batch("audit")
