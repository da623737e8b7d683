"""Fixtures: the real Kafka and MinIO, and workspaces on them."""

import sys

import pytest

import lakehouse

sys.dont_write_bytecode = True


@pytest.fixture(scope="session")
def stack():
    """The stack that STACK_DIR names; without it one of our own, deleted at the end."""
    with lakehouse.a_stack() as stack:
        yield stack


@pytest.fixture(scope="session")
def workspaces(stack, tmp_path_factory):
    """Makes workspaces; each is a context manager."""
    return lakehouse.Workspaces(stack, tmp_path_factory.mktemp("lakehouse"))
