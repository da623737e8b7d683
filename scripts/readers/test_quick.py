"""The part of the matrix that every change passes: the readers of the harness's venv, on a small lake in a folder.

`scripts/readers.sh` runs all of it.
"""

import pytest

from harness import lakehouse
from readers import lakes, reference, results
from readers.catalogue import QUICK
from readers.matrix import Job
from readers.process import Environment

EVENTS = 300
LIMIT_S = 150


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """The questions on a lake that is landed and on one that is compacted."""
    with lakehouse.a_stack() as stack:
        workspaces = lakehouse.Workspaces(stack, tmp_path_factory.mktemp("readers"))
        # Few days make few files.
        with lakes.make(workspaces, "disk", EVENTS, states=("landed", "maintained"), days=1) as states:
            yield Job.of(states)


@pytest.mark.parametrize("reader", QUICK, ids=lambda reader: reader.name)
def test_a_reader_sees_what_is_there(job, reader, tmp_path):
    result = job.ask(reader, Environment(), tmp_path, LIMIT_S)
    assert result.is_right, "\n".join(results.lines(result, job.lakes, reference.encodings))
