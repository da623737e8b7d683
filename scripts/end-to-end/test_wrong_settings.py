"""Wrong settings, and connections and stores that fail: whether the program ends, how soon, and what it says.

The table in docs/operations.md is made of these cases; a test checks that its exit codes and messages are current.

    WRITE_TABLE=1 python -m pytest scripts/end-to-end/test_wrong_settings.py    # writes it, with the seconds that it took
"""

import json
import os
import re
import subprocess
import time

import pytest
from wrong_settings import CASES, environment_of, settings_of

from harness import fake_store
from harness.lakehouse import REPOSITORY, toml, until

PAGE = REPOSITORY / "docs" / "operations.md"
BEGIN, END = "<!-- wrong settings: begin -->\n", "<!-- wrong settings: end -->"
HEAD = "| what is wrong | exit code | ends within | message |\n|---|---|---|---|\n"
BOUNDS_S = (2, 5, 10, 20, 40)
KEEPS_TRYING = "keeps trying"
LONGEST_MESSAGE = 420
MOST_LINES = 4


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """What makes calls of the system fail."""
    built = tmp_path_factory.mktemp("refuse") / "refuse.so"
    source = REPOSITORY / "scripts" / "harness" / "refuse.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", built, source, "-ldl"], check=True)
    return built


@pytest.fixture(scope="module")
def rows():
    """The rows of the table so far, written at the end if that is asked for."""
    found = {}
    yield found
    if os.environ.get("WRITE_TABLE"):
        before, _, rest = PAGE.read_text().partition(BEGIN)
        table = HEAD + "".join(f"| {' | '.join(row)} |\n" for row in found.values())
        PAGE.write_text(before + BEGIN + table + END + rest.partition(END)[2])


def identity(case):
    return f"{CASES.index(case) + 1:02} {case.what}"


def messages(program):
    """The messages of warnings and errors, with their errors."""
    lines = [json.loads(line) for line in program.err.splitlines() if line.startswith("{")]
    fields = [line["fields"] for line in lines if line["level"] in ("WARN", "ERROR")]
    texts = [": ".join(f[name] for name in ("message", "error", "problem", "reason") if name in f) for f in fields]
    return [f"{text} (brokers: {f['brokers']})" if "brokers" in f else text for text, f in zip(texts, fields, strict=True)]


def normal(message, workspace):
    """A message without what differs from run to run."""
    message = message.replace(str(workspace.folder), "/folder").replace(workspace.folder.name, "prefix")
    message = message.replace(workspace.topic.name, "camera-events")
    message = re.sub(r"127\.0\.0\.1:(?!9092\b)\d+", "127.0.0.1:PORT", message)
    message = re.sub(r"(?<!ipv4)#\d+", "#N", message)
    message = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", message)
    message = re.sub(r" \(after \d+ms in state \w+(, \d+ identical error\(s\) suppressed)?\)", "", message)
    message = re.sub(r" in \d+(\.\d+)?(ms|µs|s)\b", "", message)
    # librdkafka's words depend on what it was at when the broker closed the connection.
    closed = r"Disconnected: SSL connection closed by peer(: connecting to a PLAINTEXT broker listener\?)?"
    message = re.sub(rf"(SSL handshake failed: )?{closed}", "SSL connection closed by peer", message)
    message = " ".join(message.split()).replace("|", "\\|").replace("<", "&lt;")
    return message if len(message) <= LONGEST_MESSAGE else message[:LONGEST_MESSAGE] + "…"


def bound(seconds):
    return f"{next((bound for bound in BOUNDS_S if seconds <= bound), BOUNDS_S[-1])} s"


@pytest.mark.parametrize("case", CASES, ids=identity)
def test_what_is_wrong_is_named_and_no_retry_hides_it(workspaces, stack, library, rows, case):
    with workspaces.make("wrong", partitions=1) as workspace, settings_of(case, workspace, stack) as settings:
        workspace.config.write_text(toml(settings))
        variables = environment_of(case, library, workspace.folder)
        began = time.monotonic()
        program = workspace.start("speed-layer", "run", *case.arguments, **variables)
        if case.code is None:
            until(lambda: messages(program), f"{case.what} is reported")
            message, took = messages(program)[0], KEEPS_TRYING
            assert program.is_running(), program.tail()
            assert len(program.err.splitlines()) <= MOST_LINES, program.tail(100)
            assert program.terminate() == 0, program.tail()
        else:
            program.expect(case.code, limit_s=BOUNDS_S[-1])
            message, took = messages(program)[-1], bound(time.monotonic() - began)
        for word in case.words:
            assert word in message, f"{word!r} is not in: {message}"
        assert "hunter2" not in program.err
        code = "" if case.code is None else str(case.code)
        row = (case.what, code, took, normal(message, workspace))
        rows[identity(case)] = row
        if not os.environ.get("WRITE_TABLE"):
            assert (row[1], row[3]) in table_rows(case.what), f"the table in {PAGE} is not current: {row}"


def test_a_store_of_an_authority_that_is_named_is_trusted(workspaces, stack):
    """As the message says to."""
    with workspaces.make("trusted", partitions=3) as workspace:
        context = fake_store.tls_of_own_authority(workspace.folder)
        with fake_store.fake_store(context=context) as store:
            storage = {f"lake__storage.{name}": value for name, value in stack.storage.items()}
            storage |= {"lake__storage.endpoint": store.endpoint, "lake__storage.allow_http": "false"}
            workspace.configure(lake__uri="s3://bucket/lake", **storage)
            trusted = {"SSL_CERT_FILE": str(workspace.folder / "authority.pem")}
            workspace.start("speed-layer", "run", "--until-end", **trusted).expect(0)
            assert any(key.startswith("lake/events/_delta_log/") for key in store.objects)
            assert not any("_probe" in key for key in store.objects)


def table_rows(what):
    """The exit codes and messages that the page has for it."""
    table = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    cells = [re.split(r"(?<!\\)\|", line) for line in table.splitlines()]
    return [(row[2].strip(), row[4].strip()) for row in cells if len(row) == 6 and row[1].strip() == what]


def test_the_table_has_a_row_for_each_case_and_no_other():
    table = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    assert rows == [case.what for case in CASES]
    assert len(CASES) >= 40
