"""scripts/chaos.sh itself: the schedule, the ledger, the supervisor and the proxy of the store, on which its verdict is
based.
"""

import datetime as dt
import http.server
import json
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow
import pytest
from deltalake import write_deltalake

from chaos import faults, feed, schedule
from chaos.history import History, Loss
from chaos.pipeline import Pipeline, Stop
from harness.data import at
from harness.lakehouse import Program, Workspace, until
from harness.oracle import Record
from harness.readers import Lake

STORE_PROXY = Path(__file__).resolve().parent / "store_proxy.py"
RECORDS = [Record(partition, offset, 1000 + offset, b"KV1", b"{}") for partition in (0, 1) for offset in (0, 1, 3)]


# ---- the schedule ------------------------------------------------------------------------------------------------


def test_a_seed_decides_the_schedule_and_a_longer_run_begins_alike():
    assert schedule.plan(1, 500)[:20] == schedule.plan(1, 20)
    assert schedule.plan(1, 20) != schedule.plan(2, 20)


def test_every_kind_of_fault_can_be_struck_and_comes_up():
    every = schedule.kinds(brokers=3)
    assert faults.KINDS_OF_FAULT.keys() == every.keys()
    for kinds in (schedule.KINDS, every):
        assert {fault.kind for cycle in schedule.plan(3, 100, kinds) for fault in cycle.faults} == kinds.keys()


# ---- the ledger --------------------------------------------------------------------------------------------------


def ledger_of(records):
    ledger = feed.Ledger(partitions=2)
    for record in records:
        ledger.enter(record.partition, record.offset, feed.digest_of(record))
    return ledger


def test_records_as_acknowledged_agree_with_the_ledger():
    ledger_of(RECORDS).compare(RECORDS)


@pytest.mark.parametrize(
    "found",
    [
        RECORDS[:-1],
        [*RECORDS, Record(1, 4, 1004, b"KV1", b"{}")],
        [*RECORDS[:-1], Record(1, 3, 1003, b"KV1", b"{ }")],
        [*RECORDS[:-1], Record(1, 3, 1004, b"KV1", b"{}")],
        [*RECORDS[:-1], Record(1, 3, 1003, None, b"{}")],
    ],
    ids=["missing", "surplus", "other_payload", "other_timestamp", "other_key"],
)
def test_a_record_that_differs_from_the_ledger_is_found(found):
    with pytest.raises(AssertionError, match="does not hold what it acknowledged"):
        ledger_of(RECORDS).compare(found)


def test_an_unacknowledged_copy_before_the_acknowledged_record_is_no_error_and_counted():
    last = RECORDS[-1]
    acknowledged = replace(last, offset=last.offset + 1)
    ledger = ledger_of([*RECORDS[:-1], acknowledged])
    ledger.compare([*RECORDS, acknowledged])
    assert ledger.repeated == 1
    with pytest.raises(AssertionError, match="1 too much"):
        ledger_of(RECORDS).compare([*RECORDS, acknowledged])


def test_two_records_at_one_offset_are_found():
    with pytest.raises(AssertionError, match="two records"):
        ledger_of([*RECORDS, RECORDS[0]])


def test_a_record_acknowledged_without_an_offset_must_be_there_once():
    for found in (RECORDS, RECORDS[:-1], [*RECORDS, Record(1, 4, 1003, b"KV1", b"{}")]):
        ledger = ledger_of(RECORDS[:-1])
        ledger.enter(1, None, feed.digest_of(RECORDS[-1]))
        if found == RECORDS:
            ledger.compare(found)
        else:
            with pytest.raises(AssertionError, match="does not hold what it acknowledged"):
                ledger.compare(found)


def test_a_transaction_of_unknown_end_is_visible_whole_or_not_at_all():
    transaction = Counter((record.partition, feed.digest_of(record)) for record in RECORDS[-2:])
    for found in (RECORDS, RECORDS[:-2]):
        ledger = ledger_of(RECORDS[:-2])
        ledger.unsure = [transaction]
        ledger.compare(found)
    ledger = ledger_of(RECORDS[:-2])
    ledger.unsure = [transaction]
    with pytest.raises(AssertionError, match="1 of 2 records of a transaction"):
        ledger.compare(RECORDS[:-1])


# ---- the supervisor ----------------------------------------------------------------------------------------------

# Ends with 0 when it is asked to, gives up with 3 at SIGUSR1 and with an error and 2 at SIGUSR2; logs a line once it
# handles them.
INSTANCE = """
import signal, sys
def refuse(*_):
    print("ERROR kafka.topic is another one", file=sys.stderr)
    sys.exit(2)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(3))
signal.signal(signal.SIGUSR2, refuse)
print("ready", file=sys.stderr, flush=True)
signal.pause()
"""


class Instances:
    """A workspace whose speed layer does nothing until it is asked to end."""

    def __init__(self, folder):
        self.folder, self.programs = folder, []

    def speed(self, **_):
        program = Program([sys.executable, "-c", INSTANCE], self.folder, {})
        self.programs.append(program)
        until(lambda: program.err, "an instance handles signals")
        return program


@pytest.fixture
def pipeline(tmp_path):
    supervised = Pipeline(Instances(tmp_path), feed=None, slots=2)
    supervised.supervise()
    yield supervised
    for program in supervised.workspace.programs:
        program.kill()


def test_a_pipeline_stops_although_an_instance_that_was_asked_to_leave_is_still_leaving(pipeline):
    pipeline.let_go(0)
    pipeline.stop()
    assert pipeline.instances == [None, None] and pipeline.workspace.programs == []


def test_a_pipeline_stops_although_an_instance_gave_up_and_was_not_started_again(pipeline):
    pipeline.signal(1, signal.SIGUSR1)
    pipeline.instances[1].process.wait()
    pipeline.stop()
    assert pipeline.instances == [None, None] and pipeline.workspace.programs == []


def test_a_pipeline_with_another_lake_has_no_closed_day_before_that_lake_has_averages(tmp_path):
    old, new = (Lake(str(tmp_path / name)) for name in ("old", "new"))
    workspace = Workspace(None, tmp_path, None, old, {"pipeline.timezone": "UTC"})
    pipeline = Pipeline(workspace, SimpleNamespace(arrived_us=at("2025-04-05T12:00:00+00:00")), slots=1)
    averages = pyarrow.table({"vehicle_count": [1]})
    write_deltalake(old.path("avg_speed"), averages)
    pipeline.history.note(Loss(0, held=0, went_on=1, cut_at=None), [])
    assert pipeline.last_closed_day() == dt.date(2025, 4, 4)
    pipeline.use_lake(new)
    assert pipeline.last_closed_day() is None and pipeline.history == History()
    assert workspace.settings["lake.uri"] == new.uri
    write_deltalake(new.path("avg_speed"), averages)
    assert pipeline.last_closed_day() == dt.date(2025, 4, 4)


def test_an_instance_that_stops_otherwise_than_it_must_is_a_finding(pipeline):
    pipeline.stop_wanted = Stop("a remade topic", {2}, "kafka.topic")
    pipeline.signal(0, signal.SIGUSR2)
    pipeline.instances[0].process.wait()
    pipeline.supervise()
    assert pipeline.stop_wanted.seen == 1
    pipeline.stop_wanted = Stop("a remade topic", {2}, "another lake.uri")
    pipeline.signal(1, signal.SIGUSR2)
    pipeline.instances[1].process.wait()
    with pytest.raises(AssertionError, match="ended with 2"):
        pipeline.supervise()


# ---- the proxy of the store --------------------------------------------------------------------------------------


class Store(http.server.BaseHTTPRequestHandler):
    """A store that only remembers what was put."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.puts[self.path] = body
        self.answer(b"done")

    def do_GET(self):
        self.answer(self.server.puts[self.path])

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Door:
    """The proxy, with one door, before a store of its own."""

    def __init__(self):
        self.store = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Store)
        self.store.puts = {}
        threading.Thread(target=self.store.serve_forever, daemon=True).start()
        command = [sys.executable, STORE_PROXY, str(self.store.server_port), "1", "7"]
        self.proxy = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        [self.port] = json.loads(self.proxy.stdout.readline())

    def set(self, **shares):
        self.proxy.stdin.write(json.dumps({"door": 0} | shares).encode() + b"\n")
        self.proxy.stdin.flush()
        return json.loads(self.proxy.stdout.readline())

    def ask(self, method, path, body=None, **headers):
        """The response; None for a refusal or if the proxy closes the connection."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            return opener.open(request, timeout=20).read()
        except urllib.error.HTTPError as error:
            assert error.code == 503
        except OSError:
            pass
        return None

    def close(self):
        self.proxy.stdin.close()
        assert self.proxy.wait(20) == 0, "the proxy ends with its input"
        self.store.shutdown()
        self.store.server_close()


@pytest.fixture
def door():
    opened = Door()
    yield opened
    opened.close()


def test_the_proxy_passes_requests_and_answers_on(door):
    body = bytes(range(256)) * 1000
    assert door.ask("PUT", "/a", body) == b"done"
    assert door.ask("GET", "/a") == body


def test_a_refused_request_has_no_effect(door):
    door.set(refuse=1)
    assert door.ask("PUT", "/a", b"1") is None
    assert door.store.puts == {}
    assert door.set(refuse=0) == {"refuse": 1}
    assert door.ask("PUT", "/a", b"1") == b"done"


def test_a_lost_answer_leaves_the_effect(door):
    door.set(lose=1)
    for path in ("/a", "/b", "/c", "/d"):
        assert door.ask("PUT", path, b"1") is None
    assert len(door.store.puts) == 4


def test_a_late_create_is_refused_and_arrives_and_other_requests_pass(door):
    door.set(late=1)
    assert door.ask("PUT", "/plain", b"1") == b"done"
    assert door.ask("PUT", "/late", b"2", If_None_Match="*") is None
    until(lambda: door.store.puts.get("/late") == b"2", "the late create arrives")
