"""Records to send: seeded traffic with all kinds of problems, and single records written by hand.

The same arguments give the same records. A record to send knows its partition, timestamp and key, so that a test
determines every byte of Kafka's log.
"""

import datetime as dt
import json
import random
from dataclasses import dataclass

from harness.oracle import HOUR_US, MINUTE_US, SECOND_US, day_span

# Three days in the past, for tests that need some closed days.
FIRST = dt.date(2025, 4, 5)
DAYS = [FIRST + dt.timedelta(days=n) for n in range(3)]


@dataclass(frozen=True)
class Message:
    """A record to be sent to Kafka."""

    partition: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


def event(camera, time, speed=60.0, *, plate="А123ВС77", partition=0, arrival_us=None, **extra):
    """An event as a message; `time` in microseconds. It arrives at that time unless given otherwise."""
    fields = {"kvfv_id": camera, "timestamp": rfc3339(time), "vehicle_speed": speed, "plate_number": plate, **extra}
    payload = json.dumps(fields, ensure_ascii=False).encode()
    arrival_us = time if arrival_us is None else arrival_us
    return Message(partition, -(-arrival_us // 1000), camera.encode(), payload)


def at(text):
    """Microseconds since 1970 of an ISO time with an offset."""
    return (dt.datetime.fromisoformat(text) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def rfc3339(time_us, offset_minutes=0):
    """A time as RFC 3339, with microseconds."""
    moment = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=time_us, minutes=offset_minutes)
    sign, minutes = "-" if offset_minutes < 0 else "+", abs(offset_minutes)
    zone = "Z" if offset_minutes == 0 else f"{sign}{minutes // 60:02}:{minutes % 60:02}"
    return moment.isoformat(timespec="microseconds") + zone


def traffic(
    seed,
    first_day,
    *,
    days=1,
    zone="UTC",
    cameras=8,
    events=4000,
    partitions=3,
    late=0.04,
    duplicates=0.02,
    bad=0.02,
    spread=0.25,
):
    """Messages in the order of their arrival.

    A camera keeps to one partition, except for a share of them (`spread`), whose events go anywhere. Late events are
    delayed by 3 to 10 hours; duplicates repeat an event to the byte, half of them in another partition.
    """
    chance = random.Random(seed)
    start, _ = day_span(first_day, zone)
    _, end = day_span(first_day + dt.timedelta(days=days - 1), zone)
    sent = []
    for _ in range(events):
        camera = chance.randrange(cameras)
        name = f"KV{camera:05}" if camera % 4 else f"КВ-{camera:03}"
        time = chance.randrange(start, end)
        arrival = time + chance.randrange(20 * SECOND_US)
        if chance.random() < late:
            arrival += chance.randrange(3 * HOUR_US, 10 * HOUR_US)
        partition = chance.randrange(partitions) if camera < cameras * spread else camera % partitions
        payload = event_payload(chance, name, time)
        sent.append((arrival, Message(partition, arrival // 1000 + 1, name.encode(), payload)))
        if chance.random() < duplicates:
            arrival += chance.randrange(SECOND_US, 30 * MINUTE_US)
            partition = chance.choice([partition, chance.randrange(partitions)])
            sent.append((arrival, Message(partition, arrival // 1000 + 1, name.encode(), payload)))
        if chance.random() < bad:
            spoilt = spoil(chance, payload, arrival)
            key = chance.choice([None, b"", b"\x00\xff key"])
            sent.append((arrival, Message(chance.randrange(partitions), arrival // 1000 + 1, key, spoilt)))
    return [message for _, message in sorted(sent, key=lambda pair: pair[0])]


def event_payload(chance, camera, time):
    """An event spelled in one of the ways that the contract allows."""
    speed = chance.choice(
        [f"{chance.gauss(70, 18):.1f}", f"{chance.gauss(70, 18):.6f}", f"{chance.randrange(30, 140)}", "7.25e1"]
    )
    speed = speed if 0 <= float(speed) <= 400 else "0"
    plate = chance.choice([f'"А{chance.randrange(1000):03}ВС{chance.randrange(1, 200)}"', "null", None])
    members = [
        f'"kvfv_id":"{camera}"',
        f'"timestamp":"{rfc3339(time, chance.choice([0, 0, 180, -210]))}"',
        f'"vehicle_speed":{speed}',
        *([f'"plate_number":{plate}'] if plate else []),
        *(['"lane":2', '"raw":{"a":[1.50,-0,1E2],"a":null}'] if chance.random() < 0.2 else []),
    ]
    chance.shuffle(members)
    return ("{" + ",".join(members) + "}").encode()


def spoil(chance, payload, arrival_us):
    """An event as a faulty camera would send it."""
    fields = json.loads(payload)
    ahead = rfc3339(arrival_us + HOUR_US)
    broken = [
        None,
        b"",
        b"\xef\xbb\xbf" + payload,
        payload + b"\xff",
        payload[:-1],
        b"[" + payload + b"]",
        {name: value for name, value in fields.items() if name != "vehicle_speed"},
        {**fields, "kvfv_id": 5},
        {**fields, "kvfv_id": ".."},
        {**fields, "timestamp": "2025-02-30T10:15:30Z"},
        {**fields, "vehicle_speed": -1.5},
        {**fields, "timestamp": ahead},
    ]
    chosen = chance.choice(broken)
    return json.dumps(chosen).encode() if isinstance(chosen, dict) else chosen
