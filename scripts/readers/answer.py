"""Lets one reader answer the questions of a job, in the venv of that reader.

    python -m readers.answer ADAPTER JOB ANSWERS

Answers are lines of JSON, written as they come, so that those before a crash are known.
"""

import importlib
import itertools
import json
import sys

from readers.adapters.base import described


def main(adapter_name, job_path, answers_path):
    with open(job_path) as file:
        job = json.load(file)
    adapter = importlib.import_module(f"readers.adapters.{adapter_name}")
    with open(answers_path, "w") as out:
        for line in answers(adapter, job):
            print(json.dumps(line), file=out, flush=True)


def answers(adapter, job):
    """The version of the reader, then the answers, table by table."""
    yield {"version": adapter.version()}
    for (lake, table), group in itertools.groupby(
        job["questions"], key=lambda question: (question["lake"], question["table"])
    ):
        asked = list(group)
        try:
            opened = adapter.open_table(job["lakes"][lake], table)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            yield from ({"id": question["id"], "error": described(error)} for question in asked)
            continue
        for identifier, answer in opened.answers(asked):
            yield {"id": identifier, **answer}


if __name__ == "__main__":
    main(*sys.argv[1:])
