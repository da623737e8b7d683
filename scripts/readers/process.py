"""A reader in a process and an environment of its own, which answers the questions of a job (answer.py)."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from readers.catalogue import Reader


@dataclass(frozen=True)
class Environment:
    """Where a reader runs; `missing` is the reason why there is none."""

    python: str = sys.executable
    jars: str = "-"
    missing: str = ""


def read_environments(path):
    """The environments by the names of readers."""
    found = {}
    for line in Path(path).read_text().splitlines():
        name, python, rest = line.split("\t")
        found[name] = Environment(missing=rest) if python == "!" else Environment(python, rest)
    return found


@dataclass(frozen=True)
class Process:
    """A reader in a process of its own, which may crash on a table: it is started again for those that follow."""

    reader: Reader
    environment: Environment
    work: Path
    deadline: float

    @property
    def log(self):
        return self.work / f"{self.reader.name}.log"

    def answer(self, job):
        """The version, None if it never started, and the answers by the ids of the questions."""
        version, given = None, {}
        open_questions = [question for question, _ in job.asked]
        while open_questions:
            ended, lines = self.run(job.lakes, open_questions)
            if not lines:
                break
            version = lines[0]["version"]
            given |= {line["id"]: line for line in lines[1:]}
            unanswered = [question for question in open_questions if question["id"] not in given]
            # The question that the process ended with, and the rest of its table.
            lost = [question for question in unanswered if place(question) == place(unanswered[0])]
            given |= {question["id"]: {"lost": f"the process {ended}"} for question in lost}
            open_questions = unanswered[len(lost) :]
        return version, given

    def run(self, lakes_there, asked):
        """One run of the process: how it ended, in words, and the lines it wrote."""
        job, answers = self.work / f"{self.reader.name}.job", self.work / f"{self.reader.name}.answers"
        job.write_text(json.dumps({"lakes": lakes_there, "questions": asked}))
        answers.unlink(missing_ok=True)
        command = [self.environment.python, "-m", "readers.answer", self.reader.adapter, job, answers]
        variables = os.environ | {"READERS_JARS": self.environment.jars, "SPARK_LOCAL_IP": "127.0.0.1"}
        with self.log.open("w") as out:
            try:
                left_s = max(self.deadline - time.monotonic(), 0)
                ended = subprocess.run(command, env=variables, stdout=out, stderr=out, timeout=left_s, check=False)
                how = f"ended with {ended.returncode}"
            except subprocess.TimeoutExpired:
                how = "took longer than its limit"
        return how, complete_lines(answers)


def place(question):
    """The table of a question. Questions on a table follow one another."""
    return question["lake"], question["table"]


def complete_lines(path):
    """The lines of JSON in a file, without one that was not finished."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
