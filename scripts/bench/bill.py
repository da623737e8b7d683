"""What the whole pipeline costs on S3, with its default settings. Started by scripts/bench.sh.

1. The speed layer and the servings run on a real Kafka, and on MinIO through the store-proxy. Cameras report at a steady rate,
   on a day of the past, with the late events that are under way after long. A small load asks the servings. After a warm-up,
   requests and bytes are counted for so many minutes.
2. What has landed is a day for the night: `nightly` and `maintain` run on it, each twice, the second time with nothing to do.
`bill_model` multiplies that to a month, `prices` has what it costs.
"""

import datetime
import random
import threading
import time
import urllib.parse
from collections import Counter
from dataclasses import asdict, dataclass

import pyarrow as pa
import requests

from bench import bill_model, process
from bench.bed import a_bed, fail, tell
from bench.bill_model import Landed
from bench.bill_text import text
from bench.command_line import options
from bench.prices import usd
from bench.report import Steps, publish
from bench.store_proxy import Counts, store_proxy
from bench.written import by_table
from harness.lakehouse import free_port, until
from harness.machine import machine

SPEED = "speed-layer"
NIGHT = ("nightly", "maintain")
# When the cameras begin: late events of ten hours before and the whole run are in this day.
FROM = datetime.datetime(2025, 4, 5, 12, tzinfo=datetime.UTC)
MOST_MINUTES = 540
START_LIMIT_S = 120
WARM_UP_S = 60
# The time limit of a program beside the minutes of counting.
LIMIT_S = 2 * 3600
# The share of the rate that must have come.
REACHED = 0.97
# Requests a second to each serving.
LOAD_PER_SECOND = 1
LOAD_TIMEOUT_S = 30


def main():
    arguments = options(__doc__, "minutes", "rate", "cameras", "partitions", "servings").parse_args()
    if arguments.minutes > MOST_MINUTES:
        fail(f"--minutes {arguments.minutes}: expected at most {MOST_MINUTES}, so that all is in one day", code=2)
    steps, on = Steps(arguments.docs, "bill"), machine()
    programs = [SPEED, *servings(arguments), *NIGHT]
    limit_s = arguments.minutes * 60 + LIMIT_S
    with (
        a_bed() as bed,
        bed.topic(arguments.partitions) as topic,
        bed.lake("minio") as lake,
        store_proxy(bed, programs, limit_s=len(programs) * limit_s) as proxy,
    ):
        pipeline = Pipeline(bed, topic, lake, proxy, limit_s)
        measured = live(pipeline, arguments)
        steps.add(**measured)
        events = by_table(lake)["events"]
        landed = landed_of(measured, events)
        night = {command: on_the_day(pipeline, command) for command in NIGHT}
        steps.add(**night)
        stored = {table: asdict(held(lake, table)) for table in ("events", "avg_speed", "dead_letters") if lake.exists(table)}
        everything = proxy.counts()
    asked = {name: getattr(arguments, name) for name in ("minutes", "rate", "cameras", "partitions", "servings")}
    report = {"machine": on, "pipeline": asked, "measured": measured, "landed": asdict(landed), "night": night, "stored": stored}
    report |= {"bytes_as_landed": events.bytes, "unanswered": everything.total("unanswered"), "answers_5xx": everything.total("5xx")}
    report["month"] = month(measured, night, landed, stored)
    found = text(report)
    publish(arguments.docs, "bill", report, found)
    print(found)


def servings(arguments):
    """The names of the servings."""
    return [f"serving-{number}" for number in range(1, arguments.servings + 1)]


# ---- the runs ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pipeline:
    """A topic, a lake, and how programs come to them."""

    bed: object
    topic: object
    lake: object
    proxy: object
    limit_s: float

    def start(self, name, *arguments, client=None, **settings):
        """A program, by its name among the clients of the proxy."""
        lake = self.proxy.lake(self.lake, client or name)
        command, environment = self.bed.program_between(name, *arguments, topic=self.topic, lake=lake, **settings)
        return process.start(command, environment, self.bed.folder / self.bed.new_name(name), limit_s=self.limit_s)

    def cameras(self, number, rate):
        arguments = ("--live", "--from", FROM.isoformat(), "--rate", rate, "--cameras", number)
        command, environment = self.bed.simulator(self.topic, *arguments)
        log = self.bed.folder / self.bed.new_name("cameras")
        return process.start(command, environment, log, limit_s=self.limit_s)


@dataclass(frozen=True)
class Moment:
    """How far everything was at an instant."""

    at: float
    counts: Counts
    records: int
    rows: int
    files: int

    @classmethod
    def now(cls, pipeline):
        at, counts, ends = time.monotonic(), pipeline.proxy.counts(), sum(pipeline.topic.ends().values())
        events = by_table(pipeline.lake)["events"]
        return cls(at, counts, ends, events.rows, events.files)


def live(pipeline, arguments):
    """Everything that always runs, for so many minutes; then all that has come lands."""
    group = {"kafka__group": pipeline.bed.new_name("bill")}
    speed = pipeline.start(SPEED, "run", **group)
    until(lambda: pipeline.lake.exists("avg_speed"), "the tables are there", START_LIMIT_S)
    addresses = {name: f"127.0.0.1:{free_port()}" for name in servings(arguments)}
    running = [speed]
    for name, address in addresses.items():
        running.append(pipeline.start("serving", "run", client=name, serving__listen=address))
    running.append(pipeline.cameras(arguments.cameras, arguments.rate))
    process.wait_beside(running, WARM_UP_S)
    with Load(list(addresses.values())) as load:
        tell(f"counting for {arguments.minutes} minutes")
        before = Moment.now(pipeline)
        process.wait_beside(running, arguments.minutes * 60)
        after = Moment.now(pipeline)
    process.end(running)
    reached = (after.records - before.records) / (after.at - before.at)
    if reached < REACHED * arguments.rate:
        fail(f"only {reached:,.0f} records a second came, not {arguments.rate:,}: the machine has other work, or give a lower --rate")
    pipeline.start(SPEED, "run", "--until-end", **group).wait()
    check_all_counted(pipeline)
    if after.rows == before.rows:
        fail(f"nothing landed in {arguments.minutes} minutes: give more --minutes")
    if "200" not in load.answers:
        fail(f"no serving answered in {arguments.minutes} minutes: {dict(load.answers)}")
    counts = after.counts - before.counts
    return {
        "seconds": after.at - before.at,
        "records": after.records - before.records,
        "rows": after.rows - before.rows,
        "files": after.files - before.files,
        "requests": {SPEED: counts.requests(SPEED), "serving": added(counts.requests(name) for name in addresses)},
        "bytes_up": counts.total("bytes_up", SPEED),
        "bytes_down_serving": sum(counts.total("bytes_down", name) for name in addresses),
        "load_answers": dict(load.answers),
    }


def check_all_counted(pipeline):
    """Fails if the tables' logs have more than has passed through the proxy."""
    tables = by_table(pipeline.lake).values()
    named = sum(table.commits + table.files for table in tables)
    created = pipeline.proxy.counts().total("2xx", SPEED, ("PUT", "POST"))
    if created < named:
        fail(f"the logs have {named} entries and data files, but only {created} objects were created through the proxy", code=1)


def landed_of(measured, events):
    numbers = {name: measured[name] for name in ("seconds", "records", "rows", "files")}
    return Landed(**numbers, day_rows=events.rows, day_files=events.files)


def on_the_day(pipeline, command):
    """A command of the night on the run's day, and again."""
    first, again = run_counted(pipeline, command), run_counted(pipeline, command)
    tell(f"{command}: {first['seconds']:.0f} s, {first['requests']}")
    return {"first": first, "again": again["requests"]}


def run_counted(pipeline, command):
    before = pipeline.proxy.counts()
    used = pipeline.start("batch-layer", command, client=command).wait()
    counts = pipeline.proxy.counts() - before
    passed = {name: counts.total(name, command) for name in ("bytes_up", "bytes_down")}
    return {"seconds": used["wall_seconds"], "requests": counts.requests(command), **passed}


@dataclass(frozen=True)
class Held:
    """The data files that a table names now."""

    files: int
    bytes: int


def held(lake, table):
    sizes = pa.table(lake.delta(table).get_add_actions(flatten=True))["size_bytes"].to_pylist()
    return Held(len(sizes), sum(sizes))


class Load:
    """Asks each serving for the last hours of some camera, at a steady rate, until the context ends."""

    def __init__(self, addresses):
        self.addresses, self.answers = addresses, Counter()
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._ask, args=(address,), daemon=True) for address in addresses]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def _ask(self, address):
        """One request after the other: a serving that is slow is asked less often."""
        drawn, cameras = random.Random(address), []
        span = {"from": (FROM - datetime.timedelta(hours=3)).isoformat(), "to": (FROM + datetime.timedelta(hours=1)).isoformat()}
        with requests.Session() as session:
            while not self.ended.wait(1 / LOAD_PER_SECOND):
                if cameras:
                    path = f"/kvfv/{urllib.parse.quote(drawn.choice(cameras), safe='')}/avg-speed"
                    self._get(session, f"http://{address}{path}", span | {"interval": "5m"})
                else:
                    answer = self._get(session, f"http://{address}/kvfv", {"limit": 1000})
                    cameras = [camera["kvfv_id"] for camera in answer.get("cameras", [])]

    def _get(self, session, url, parameters):
        """An answer as JSON; nothing after a failure, which is counted."""
        try:
            answer = session.get(url, params=parameters, timeout=LOAD_TIMEOUT_S)
        except requests.RequestException as error:
            self.answers.update([type(error).__name__])
            return {}
        self.answers.update([str(answer.status_code)])
        return answer.json()


def added(mappings):
    """The sum of mappings to numbers, by key."""
    total = Counter()
    for mapping in mappings:
        total.update(mapping)
    return dict(total)


# ---- a month -----------------------------------------------------------------------------------------------------


def month(measured, night, landed, stored):
    """Requests by program and kind, bytes stored, and the price of both."""
    programs = {name: bill_model.always(kinds, measured["seconds"]) for name, kinds in measured["requests"].items()}
    for command, runs in night.items():
        programs[command] = bill_model.nightly(runs["first"]["requests"], runs["again"], landed)
    everything = added(programs.values())
    stored_bytes = bill_model.stored(landed, sum(table["bytes"] for table in stored.values()))
    return {
        "requests": programs,
        "usd": {name: usd(kinds) for name, kinds in programs.items()} | {"requests": usd(everything)},
        "files_landed_a_day": landed.files_a_day(),
        "stored_bytes": stored_bytes,
        "usd_stored": usd({}, stored_bytes),
    }


if __name__ == "__main__":
    main()
