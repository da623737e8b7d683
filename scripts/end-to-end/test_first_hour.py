"""A new user's first hour: other field names, another time zone, a wrong broker, a missing topic, then the right one.

Every step uses what the programs print, and nothing from the source: what is to be changed is in the messages.
"""

import datetime as dt
import json
import tomllib

import polars

from harness.data import Message, at
from harness.lakehouse import free_port, until
from harness.rest import Client, serving

NOON = at("2025-04-05T12:00:00+03:00")
# In Moscow this is the 6th of April.
AFTER_MIDNIGHT = at("2025-04-06T00:30:00+03:00")


def record(camera, time_us, speed, partition):
    """A record as somebody else's gateway sends it."""
    moment = dt.datetime.fromtimestamp(time_us / 1e6, dt.timezone(dt.timedelta(hours=3)))
    payload = {"device_id": camera, "seen_at": moment.isoformat(), "speed_kmh": speed, "lane": 2}
    return Message(partition, time_us // 1000, camera.encode(), json.dumps(payload).encode())


def records():
    first = [record(f"C{n % 4}", NOON + n * 1_000_000, 50.0 + n, n % 2) for n in range(40)]
    return first + [record("C0", AFTER_MIDNIGHT, 90.0, 0)]


def waits_without_a_trace(workspace, named):
    """A speed layer that waits for Kafka says for what, makes nothing, and stops when it is asked to."""
    program = workspace.speed()
    until(lambda: "waiting for the topic" in program.err, "it says what it waits for")
    assert named in program.err, program.tail()
    assert not (workspace.folder / "lake").exists()
    assert program.terminate() == 0, program.tail()


def proposed(text):
    """The settings that `speed-layer check` proposes, as keys of the harness."""
    section = text[text.index("[event]") :].partition("\n\n")[0]
    return {f"event__{key}": value for key, value in tomllib.loads(section)["event"].items()}


def test_a_new_users_first_hour(workspaces):
    with workspaces.make("first-hour", partitions=2, lake__uri="./lake") as workspace:
        brokers, topic, group = workspace.topic.brokers, workspace.topic.name, workspace.settings["kafka.group"]
        lake = workspace.folder / "lake"

        # Commands that read make no folder.
        audit = workspace.batch("audit", code=2)
        assert "speed-layer run" in audit.err and not lake.exists()

        # A wrong broker, then a missing topic.
        wrong = f"127.0.0.1:{free_port()}"
        workspace.configure(kafka__brokers=wrong, kafka__request_timeout="2s")
        waits_without_a_trace(workspace, wrong)
        workspace.configure(kafka__brokers=brokers, kafka__topic="no-such-topic")
        waits_without_a_trace(workspace, "no-such-topic")

        # The right topic, and a first try in the wrong zone, before anything has come.
        workspace.configure(kafka__topic=topic, kafka__request_timeout="30s")
        workspace.land()
        workspace.configure(pipeline__timezone="Europe/Moscow")

        # Everything would be dead; the check says what to set, and leaves no trace.
        workspace.topic.send(records())
        before, committed = workspace.lake.versions(), workspace.topic.committed(group)
        check = workspace.start("speed-layer", "check").expect(1)
        assert "0 would become events and 41 dead letters" in check.out, check.out
        workspace.configure(**proposed(check.out))
        check = workspace.start("speed-layer", "check", "--records", "10").expect(0)
        assert "10 would become events and 0 dead letters" in check.out, check.out
        assert (workspace.lake.versions(), workspace.topic.committed(group)) == (before, committed)

        landed = workspace.land()
        assert '"events":41' in landed.err and '"dead_letters":0' in landed.err, landed.tail()
        workspace.batch("audit")

        # REST takes the pipeline's days.
        with serving(workspace) as client:
            span = {"from": "2025-04-05", "to": "2025-04-06", "interval": "24h"}
            answer = client.get("/kvfv/C0/avg-speed", **span).json()
            assert [window["window_start"] for window in answer["windows"]] == ["2025-04-04T21:00:00Z"]
            assert answer["windows"][0]["count"] == 10
            refused = client.get("/kvfv/C0/avg-speed", **(span | {"interval": "1d"}))
            assert refused.status_code == 400 and "did you mean 24h?" in refused.text

        # An open day is left, with the time at which it closes; closed ones become final.
        tomorrow = (dt.datetime.now(dt.UTC) + dt.timedelta(days=2)).date()
        left = workspace.batch("nightly", "--date", str(tomorrow), code=1)
        closes = f"it closes at {tomorrow + dt.timedelta(days=1)}T04:00:00+03:00 (Europe/Moscow)"
        assert closes in left.out, left.out
        workspace.batch("nightly")
        rows = polars.read_delta(str(lake / "avg_speed")).filter(polars.col("window_size") == "24h")
        assert set(rows["status"]) == {"final"}
        days = dict(rows.group_by("event_date").agg(polars.col("vehicle_count").sum()).rows())
        assert days == {dt.date(2025, 4, 5): 40, dt.date(2025, 4, 6): 1}


def test_a_run_whose_records_are_all_dead_warns_and_counts_them(workspaces):
    with workspaces.make("all-dead", partitions=2) as workspace:
        workspace.topic.send(records())
        program = workspace.land()
        # It warns at the first records that it reads, however many of the 41 they are.
        for part in ("100.0 % of the last ", "missing_field", "event.camera_field", "speed-layer check"):
            assert part in program.err, program.tail()
        assert '"dead_letters":41' in program.err, program.tail()


def test_the_speed_layer_is_not_ready_before_kafka_answers_nor_while_records_die(workspaces):
    address = f"127.0.0.1:{free_port()}"
    with workspaces.make("ready", partitions=2, speed__metrics_listen=address) as workspace:
        brokers = workspace.topic.brokers
        workspace.configure(kafka__brokers=f"127.0.0.1:{free_port()}")
        waiting = Client(address, workspace.speed())
        until(waiting.answers, "it is live")
        answer = waiting.get("/health/ready")
        assert answer.status_code == 503 and answer.text.startswith("start: "), answer.text
        assert waiting.program.terminate() == 0

        workspace.configure(kafka__brokers=brokers)
        running = Client(address, workspace.speed())
        until(running.is_ready, "it is ready")
        workspace.topic.send(records())
        until(lambda: not running.is_ready(), "it has seen that the records are dead letters")
        answer = running.get("/health/ready")
        assert answer.status_code == 503, answer.text
        assert "100.0 % of the last" in answer.text and "event.camera_field" in answer.text, answer.text
        assert running.program.terminate() == 0
