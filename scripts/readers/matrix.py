"""Runs the matrix: makes the lakes, lets every reader answer in a process of its own, and judges the answers.

    python -m readers.matrix --work DIR --environments FILE [--store disk|minio] [--state STATE] [--docs FILE] READER...

FILE has a line for each reader with a venv of its own: its name, its Python and the folder of its jars (or `-`), with
tabs between; or its name, `!` and the reason why it cannot be had. Exit codes: 0 all is right, 1 something is not or a
document is out of date, 3 a reader could not be had.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness import lakehouse
from readers import document, lakes, questions, reference, results
from readers.catalogue import BY_NAME
from readers.limits import LIMITS

EVENTS = 5000
STORES = ("disk", "minio")


@dataclass(frozen=True)
class Environment:
    """Where a reader runs; `missing` is the reason why there is none."""

    python: str = sys.executable
    jars: str = "-"
    missing: str = ""


def main():
    options = arguments()
    environments = read_environments(options.environments)
    work = Path(options.work)
    with contextlib.ExitStack() as stack:
        workspaces = lakehouse.Workspaces(stack.enter_context(lakehouse.a_stack()), work)
        job = Job.of(
            state
            for store in options.store
            for state in stack.enter_context(lakes.make(workspaces, store, EVENTS, options.state))
        )
        found = []
        for reader in map(BY_NAME.get, options.readers):
            environment = environments.get(reader.name, Environment())
            result = job.ask(reader, environment, work, options.limit_s)
            print(*results.lines(result, job.lakes, reference.encodings), sep="\n", flush=True)
            found.append(result)
    code = conclude(found, is_full=set(options.store) == set(STORES) and len(options.state) == len(lakes.ALL))
    if options.docs:
        Path(options.docs).write_text(document.text(found))
        print(f"{options.docs} is written")
    return code


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("readers", nargs="+", choices=list(BY_NAME))
    parser.add_argument("--store", action="append", choices=STORES)
    parser.add_argument("--state", action="append", choices=lakes.ALL)
    parser.add_argument("--work", required=True)
    parser.add_argument("--environments", required=True)
    parser.add_argument("--docs")
    parser.add_argument("--limit-s", type=int, default=3600)
    options = parser.parse_args()
    options.store = list(dict.fromkeys(options.store or STORES))
    options.state = list(dict.fromkeys(options.state or lakes.ALL))
    return options


def read_environments(path):
    """The environments by the names of readers."""
    found = {}
    for line in Path(path).read_text().splitlines():
        name, python, rest = line.split("\t")
        found[name] = Environment(missing=rest) if python == "!" else Environment(python, rest)
    return found


# ---- a job -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """Lakes as readers need them, by store and state, and the questions with their right answers."""

    lakes: dict
    asked: list

    @classmethod
    def of(cls, states):
        described, asked = {}, []
        for state in states:
            name = f"{state.store}/{state.name}"
            lake, rows = reference.lake_of(state)
            described[name] = lake
            for table, about in lake["tables"].items():
                for question, right in questions.questions(table, about["columns"], rows[table]):
                    asked.append(({"id": len(asked), "lake": name, "table": table, **question}, right))
        return cls(described, asked)

    def text(self):
        return json.dumps({"lakes": self.lakes, "questions": [question for question, _ in self.asked]})

    def ask(self, reader, environment, work, limit_s):
        """The result of a reader, run in its environment."""
        if environment.missing:
            return results.Result(reader, "", [], environment.missing)
        job, answers, log = (work / f"{reader.name}.{kind}" for kind in ("job", "answers", "log"))
        job.write_text(self.text())
        command = [environment.python, "-m", "readers.answer", reader.adapter, job, answers]
        variables = os.environ | {"READERS_JARS": environment.jars, "SPARK_LOCAL_IP": "127.0.0.1"}
        with log.open("w") as out:
            try:
                subprocess.run(command, env=variables, stdout=out, stderr=out, timeout=limit_s, check=False)
            except subprocess.TimeoutExpired:
                print(f"{reader.name} did not finish within {limit_s} s", flush=True)
        given = [json.loads(line) for line in answers.read_text().splitlines()] if answers.exists() else []
        if not given:
            return results.Result(reader, "", [], f"it did not start: {log.read_text()[-1000:]}")
        by_id = {answer["id"]: answer for answer in given[1:]}
        return results.judge(reader, given[0]["version"], by_id, self.asked, self.lakes)


# ---- the end -----------------------------------------------------------------------------------------------------


def conclude(found, is_full):
    """Prints what is to be said at the end; the exit code."""
    wrong = [result.reader.name for result in found if not result.unavailable and not result.is_right]
    missing = [result.reader.name for result in found if result.unavailable]
    gone = unmet_limits(found) if is_full else []
    for limit in gone:
        print(f"FAILED limits.py: no reader shows this limit any more: {limit.text}")
    print(f"{len(found) - len(wrong) - len(missing)} of {len(found)} readers see what is there", end="")
    print(f"; wrong: {', '.join(wrong)}" if wrong else "", end="")
    print(f"; could not be had: {', '.join(missing)}" if missing else "")
    return 1 if wrong or gone else 3 if missing else 0


def unmet_limits(found):
    """The limits of the readers that were asked which nothing showed."""
    import re

    met = {limit for result in found for limit in result.limits}
    names = [result.reader.name for result in found if not result.unavailable]
    return [limit for limit in LIMITS if limit not in met and any(re.fullmatch(limit.readers, name) for name in names)]


if __name__ == "__main__":
    sys.exit(main())
