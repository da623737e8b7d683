"""Rules 1, 3 and 7 of docs/contract.md when processes are killed: the speed layer (kill -9), the broker, the object
store.

Records are sent during the whole test. Moments are chosen from a seed by the versions of the tables, not by a clock.
"""

import random

from harness import checks
from harness.data import traffic
from harness.lakehouse import QUICK, until

DAY = checks.day("2025-04-05")


def consistent(workspace, expected):
    """Asserts that the tables contain exactly what their offsets say, wherever the speed layer is."""
    checks.events(workspace, checks.up_to(expected.events, workspace.next_offsets("events")))
    checks.provisional(workspace, checks.up_to(expected.events, workspace.next_offsets("avg_speed")))
    checks.coverage(workspace, gaps={})


def checkpointed(workspace):
    """Whether those that come later begin with a checkpoint."""
    return workspace.has_checkpoint("events") and workspace.has_checkpoint("avg_speed")


def test_kill_9_at_any_moment_loses_and_repeats_nothing(workspaces):
    moments = random.Random(11)
    with workspaces.make("killed", lake__checkpoint_interval=7, **QUICK) as workspace:
        with workspace.topic.feeding(traffic(11, DAY, days=2, events=20_000, cameras=12), portion=30) as fed:
            for kill in range(6):
                speed = workspace.speed()
                workspace.wait_for_commits(moments.randint(1, 8), "the speed layer commits")
                if kill == 3:
                    until(lambda: checkpointed(workspace), "a process lives until its checkpoints are made")
                assert speed.is_running(), speed.tail()
                speed.kill()
                consistent(workspace, workspace.expected())
            assert not fed.done(), "records must still be coming when the last one is killed"
        workspace.land()
        expected = checks.landed(workspace)
        checks.provisional(workspace, expected.events)
        checks.coverage(workspace, gaps={})
        workspace.batch("audit")


def test_broker_and_object_store_may_be_killed_and_come_back(workspaces, stack):
    """The speed layer continues without help, and its rows are exact, although a single commit is not retried for that long."""
    with workspaces.make("outage", store="minio", **QUICK, lake__retry_timeout="250ms") as workspace:
        with workspace.topic.feeding(traffic(12, DAY, events=12000), portion=20):
            speed = workspace.speed()
            for service in ("minio", "kafka", "minio"):
                workspace.wait_for_commits(3, f"commits before {service} is killed")
                stack.restart(service)
                workspace.wait_for_commits(3, f"commits after {service} came back")
                assert speed.is_running(), speed.tail()
        until(workspace.has_landed_all, "everything landed")
        assert speed.terminate() == 0, speed.tail()
        expected = checks.landed(workspace)
        checks.provisional(workspace, expected.events)
        checks.coverage(workspace, gaps={})
        workspace.batch("audit")


def test_a_start_while_the_servers_are_away_says_so(workspaces):
    """External failures end with 3 and name what cannot be reached."""
    with workspaces.make("away", partitions=1) as workspace:
        workspace.configure(kafka__brokers="127.0.0.1:1", kafka__request_timeout="500ms")
        ended = workspace.start("speed-layer", "run", "--until-end").expect(3)
        assert "127.0.0.1:1" in ended.err, ended.tail()
    with workspaces.make("away", store="minio", partitions=1) as workspace:
        unreachable = {
            "lake__storage.endpoint": "http://127.0.0.1:1",
            "lake__retry_timeout": "500ms",
            "lake__request_timeout": "500ms",
        }
        workspace.configure(**unreachable)
        for program, argument in (("speed-layer", "run"), ("batch-layer", "audit")):
            ended = workspace.start(program, argument).expect(3)
            assert "127.0.0.1:1" in ended.err or workspace.lake.uri in ended.err, ended.tail()


def test_a_start_with_the_wrong_credentials_says_what_to_correct(workspaces):
    """It does not keep trying for as long as in an outage."""
    with workspaces.make("denied", store="minio", partitions=1) as workspace:
        workspace.configure(**{"lake__storage.secret_access_key": "wrong"})
        for program, argument in (("speed-layer", "run"), ("batch-layer", "audit")):
            ended = workspace.start(program, argument).expect(2, limit_s=30)
            assert "lake.storage" in ended.err, ended.tail()
