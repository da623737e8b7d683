"""Fixtures: the real Kafka and MinIO, and workspaces on them."""

import pytest

from harness import checks, lakehouse
from harness.cluster import Cluster
from harness.data import DAYS, FIRST, traffic


@pytest.fixture(scope="session")
def stack():
    """The stack that STACK_DIR names; without it a new one, deleted at the end."""
    with lakehouse.a_stack() as stack:
        yield stack


@pytest.fixture(scope="session")
def workspaces(stack, tmp_path_factory):
    """Makes workspaces; each is a context manager."""
    return lakehouse.Workspaces(stack, tmp_path_factory.mktemp("lakehouse"))


@pytest.fixture(scope="module")
def cluster():
    """Three brokers; each has a listener for clients that come through a proxy."""
    with lakehouse.a_stack(brokers=3, proxies=1) as stack:
        yield Cluster(stack)


@pytest.fixture(scope="module")
def on_cluster(cluster, tmp_path_factory):
    """Makes workspaces on the cluster."""
    return lakehouse.Workspaces(cluster.stack, tmp_path_factory.mktemp("cluster"))


@pytest.fixture(scope="session")
def closed(workspaces):
    """Three closed days with late events, duplicates and bad records, landed; and what the oracle expects."""
    limits = {"speed_limits__default_kmh": 70, "speed_limits__cameras.KV00001": 62.5}
    with workspaces.make("nightly", **limits) as workspace:
        workspace.topic.send(traffic(31, FIRST, days=3, events=6000))
        workspace.land()
        expected = checks.landed(workspace)
        assert checks.days_of(expected.events, "UTC") == DAYS
        yield workspace, expected


@pytest.fixture(scope="session")
def finished(closed):
    """A copy after its first nightly run, with the versions of the tables before it."""
    workspace, expected = closed
    copy = workspace.fork("finished")
    before = copy.lake.versions()
    copy.batch("nightly")
    return copy, expected, before
