"""Runs the matrix: makes the lakes, lets every reader answer in a process of its own, and judges the answers.

    python -m readers.matrix --work DIR --environments FILE [--store disk|minio] [--state STATE] [--docs FILE] READER...

FILE has a line for each reader with a venv of its own: its name, its Python and the folder of its jars (or `-`), with
tabs between; or its name, `!` and the reason why it cannot be had. Exit codes: 0 all is right, 1 something is not or a
document is out of date, 3 a reader could not be had.
"""

import argparse
import contextlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from harness import lakehouse
from readers import document, lakes, questions, reference, results
from readers.catalogue import BY_NAME
from readers.limits import LIMITS
from readers.process import Environment, Process, read_environments

EVENTS = 5000
STORES = ("disk", "minio")


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

    def ask(self, reader, environment, work, limit_s):
        """The result of a reader, run in its environment."""
        if environment.missing:
            return results.Result(reader, "", [], environment.missing)
        process = Process(reader, environment, work, time.monotonic() + limit_s)
        version, given = process.answer(self)
        if version is None:
            return results.Result(reader, "", [], f"it did not start: {process.log.read_text()[-1000:]}")
        return results.judge(reader, version, given, self.asked, self.lakes)


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
