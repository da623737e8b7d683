"""The part of the matrix that every change passes: the readers of the harness's venv, on a small lake in a folder.

`scripts/readers.sh` runs all of it.
"""

import importlib
import json

import pytest

from harness import lakehouse
from readers import answer, lakes, reference, results
from readers.catalogue import QUICK
from readers.matrix import Job

EVENTS = 300


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """The questions on a lake that is landed and on one that is compacted."""
    with lakehouse.a_stack() as stack:
        workspaces = lakehouse.Workspaces(stack, tmp_path_factory.mktemp("readers"))
        with lakes.make(workspaces, "disk", EVENTS, states=("landed", "maintained")) as states:
            yield Job.of(states)


@pytest.mark.parametrize("reader", QUICK, ids=lambda reader: reader.name)
def test_a_reader_sees_what_is_there(job, reader):
    adapter = importlib.import_module(f"readers.adapters.{reader.adapter}")
    version, *given = answer.answers(adapter, json.loads(job.text()))
    result = results.judge(reader, version["version"], {one["id"]: one for one in given}, job.asked, job.lakes)
    assert result.is_right, "\n".join(results.lines(result, job.lakes, reference.encodings))
