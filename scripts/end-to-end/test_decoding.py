"""What a record becomes: every dead-letter reason with the edges that the contract names, and what is still an event.

The expectations are written by hand, next to each payload; all records are landed in one run, and each case looks at
its own offset. The oracle is checked against the same expectations, so that other tests can rely on it.
"""

from dataclasses import dataclass

import pytest

from harness import checks, oracle
from harness.data import Message, at
from harness.readers import read

NOW = at("2025-04-05T10:15:30+00:00")
TIME = b'"2025-04-05T10:15:30Z"'
GOOD = b'{"kvfv_id":"KV1","timestamp":%s,"vehicle_speed":85.2,"plate_number":"\xd0\x90123\xd0\x92\xd0\xa177"}' % TIME
MAX = 1 << 20


@dataclass
class Case:
    """A record, and either the reason of its dead letter or the columns that its event must have."""

    name: str
    payload: bytes | None
    reason: str | None = None
    columns: dict | None = None
    key: bytes | None = b"KV1"
    timestamp_ms: int = NOW // 1000


def dead(reason, **payloads):
    return [Case(f"{reason}-{name}", payload, reason) for name, payload in payloads.items()]


def accepted(name, payload, **columns):
    return Case(f"event-{name}", payload, columns=columns)


def with_time(time):
    return b'{"kvfv_id":"KV1","timestamp":"%s","vehicle_speed":1}' % time.encode()


def with_speed(speed):
    return b'{"kvfv_id":"KV1","timestamp":%s,"vehicle_speed":%s}' % (TIME, speed.encode())


def with_camera(camera):
    return b'{"kvfv_id":%s,"timestamp":%s,"vehicle_speed":1}' % (camera.encode(), TIME)


def with_more(members):
    return b'{"kvfv_id":"KV1","timestamp":%s,"vehicle_speed":1,%s}' % (TIME, members)


def nested(levels, opening=b"[", closing=b"]"):
    """An event whose object is nested to this depth, with the object itself as level 1."""
    return with_more(b'"deep":' + opening * (levels - 1) + b"1" * (opening != b"[") + closing * (levels - 1))


def padded(size):
    """A valid event of exactly this many bytes."""
    body = with_more(b'"pad":""')
    return body[:-2] + b"x" * (size - len(body)) + body[-2:]


def skewed(name, micros, reason=None):
    """An event this many microseconds after its Kafka timestamp."""
    time = oracle.EPOCH + oracle.dt.timedelta(microseconds=NOW + micros)
    columns = None if reason else {"event_time": NOW + micros}
    return Case(name, with_time(time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")), reason, columns)


SKEW = 10 * oracle.MINUTE_US
CASES = [
    *dead("empty", no_payload=None, no_bytes=b""),
    *dead("too_large", by_one_byte=padded(MAX + 1), though_it_is_garbage=b"\xff" * (MAX + 1)),
    *dead(
        "not_utf8",
        stray_byte=GOOD + b"\xff",
        within_a_string=GOOD.replace(b"KV1", b"K\xc3"),
        surrogate=GOOD.replace(b"KV1", b"\xed\xa0\x80"),
    ),
    *dead(
        "not_json",
        blank=b" \t\r\n",
        byte_order_mark=b"\xef\xbb\xbf" + GOOD,
        text_after=GOOD + b"x",
        second_object=GOOD + GOOD,
        half=GOOD[:-1],
        trailing_comma=GOOD[:-1] + b",}",
        single_quotes=GOOD.replace(b'"', b"'"),
        nan=with_speed("NaN"),
        infinity=with_more(b'"x":-Infinity'),
        leading_zero=with_speed("085"),
        leading_plus=with_speed("+85"),
        bare_point=with_speed("85."),
        no_integer_part=with_speed(".5"),
        hexadecimal=with_speed("0x10"),
        control_character=with_camera('"a\tb"'),
        bad_escape=with_camera('"\\x41"'),
        comment=GOOD + b"//",
        nesting_129=nested(129),
        nesting_129_of_objects=nested(129, b'{"a":', b"}"),
        nesting_100000=nested(100_000),
        nesting_unclosed=b"[" * 100_000,
        camera_twice=with_more(b'"kvfv_id":"KV1"'),
        camera_twice_by_escape=with_more(b'"kvfv_i\\u0064":"KV1"'),
        plate_twice=with_more(b'"plate_number":"A","plate_number":null'),
        speed_twice_though_wrong=with_more(b'"vehicle_speed":"x"'),
        lone_surrogate_in_camera=with_camera('"\\ud800"'),
        lone_low_surrogate_in_plate=with_more(b'"plate_number":"a\\udc00"'),
        surrogates_swapped=with_more(b'"plate_number":"\\udc00\\ud800"'),
        lone_surrogate_in_a_name=with_more(b'"\\ud83d":1'),
        array_half=b"[1,",
        word=b"nul",
    ),
    *dead(
        "not_an_object",
        array=b"[" + GOOD + b"]",
        string=b'"' + b"x" + b'"',
        number=b"85.2",
        null=b"null",
        true=b"true",
        padded=b" [ ] ",
    ),
    *dead(
        "missing_field",
        all_of_them=b"{}",
        camera=b'{"timestamp":%s,"vehicle_speed":1}' % TIME,
        timestamp=b'{"kvfv_id":"KV1","vehicle_speed":1}',
        speed=b'{"kvfv_id":"KV1","timestamp":%s}' % TIME,
        before_wrong_type=b'{"kvfv_id":5,"timestamp":%s}' % TIME,
        names_are_case_sensitive=GOOD.replace(b"kvfv_id", b"KVFV_ID"),
    ),
    *dead(
        "wrong_type",
        camera_number=with_camera("5"),
        camera_null=with_camera("null"),
        camera_array=with_camera('["KV1"]'),
        timestamp_number=b'{"kvfv_id":"KV1","timestamp":1743848130,"vehicle_speed":1}',
        timestamp_null=b'{"kvfv_id":"KV1","timestamp":null,"vehicle_speed":1}',
        speed_string=with_speed('"85.2"'),
        speed_null=with_speed("null"),
        speed_true=with_speed("true"),
        plate_number=with_more(b'"plate_number":77'),
        plate_false=with_more(b'"plate_number":false'),
        before_bad_camera=b'{"kvfv_id":"","timestamp":5,"vehicle_speed":1}',
    ),
    *dead(
        "bad_camera_id",
        of_no_bytes=with_camera('""'),
        dot=with_camera('"."'),
        dots=with_camera('".."'),
        dots_by_escape=with_camera('"\\u002e\\u002e"'),
        of_129_bytes=with_camera('"' + "a" * 129 + '"'),
        of_65_letters_of_2_bytes=with_camera('"' + "я" * 65 + '"'),
        before_bad_timestamp=b'{"kvfv_id":".","timestamp":"x","vehicle_speed":1}',
    ),
    *(
        Case(f"bad_timestamp-{time or 'nothing'}", with_time(time), "bad_timestamp")
        for time in (
            "",
            "yesterday",
            "2025-04-05 10:15:30Z",
            "2025-04-05T10:15:30,5Z",
            "2025-04-05T10:15:30+0300",
            "2025-04-05T10:15:30+03",
            "2025-04-05T10:15:30[Europe/Moscow]",
            "2025-04-05T10:15:30Z[UTC]",
            "2025-04-05T10:15:60Z",
            "2016-12-31T23:59:60Z",
            "2025-04-05T24:00:00Z",
            "2025-04-05T10:60:00Z",
            "2025-02-29T10:15:30Z",
            "2025-13-01T10:15:30Z",
            "2025-00-01T10:15:30Z",
            "2025-04-31T10:15:30Z",
            "2025-04-05T10:15:30",
            "2025-04-05T10:15Z",
            "2025-04-05",
            "2025-4-5T10:15:30Z",
            "2025-04-05T10:15:30.Z",
            "2025-04-05T10:15:30+24:00",
            "2025-04-05T10:15:30+03:60",
            "1969-12-31T23:59:59.999999Z",
            "1970-01-01T00:59:59+01:00",
            " 2025-04-05T10:15:30Z",
            "2025-04-05T10:15:30Z ",
            "+2025-04-05T10:15:30Z",
            "12025-04-05T10:15:30Z",
            "-2025-04-05T10:15:30Z",
            "２０２５-04-05T10:15:30Z",
            "2025-04-05T10:15:30−03:00",
            "2025-04-05T10:15:30.1.2Z",
            "20250405T101530Z",
            "2025-W14-6T10:15:30Z",
        )
    ),
    *(
        Case(f"bad_speed-{speed}", with_speed(speed), "bad_speed")
        for speed in ("-0.1", "-1e-3", "400.0000001", "400.1", "1e3", "1e309", "1e400", "-1e400", "9" * 400)
    ),
    *dead("bad_speed", before_future=with_speed("-1").replace(TIME, b'"2035-01-01T00:00:00Z"')),
    skewed("future_event_time-by_a_microsecond", SKEW + 1, "future_event_time"),
    skewed("event-at_the_edge_of_the_future", SKEW),
    skewed("event-in_the_near_future", SKEW - 1),
    Case(
        "event-nanoseconds_beyond_the_edge",
        with_time("2025-04-05T10:25:30.000000999Z"),
        columns={"event_time": NOW + SKEW},
    ),
    Case("future_event_time-in_year_9999", with_time("9999-12-31T23:59:59Z"), "future_event_time"),
    Case("empty-without_a_key", None, "empty", key=None),
    Case("not_json-with_an_empty_key", b"{", "not_json", key=b""),
    Case("not_json-with_a_key_of_any_bytes", b"{", "not_json", key=bytes(range(256))),
    accepted(
        "as_in_the_contract", GOOD, camera_id="KV1", event_time=NOW, speed_kmh=85.2, plate_number="А123ВС77", extra=None
    ),
    Case("event-without_a_key", GOOD, columns={"camera_id": "KV1"}, key=None),
    Case("event-with_another_key", GOOD, columns={"camera_id": "KV1"}, key=b"KV2"),
    Case("event-long_before_its_record", with_time("1970-01-01T00:00:00Z"), columns={"event_time": 0, "late": True}),
    accepted("of_exactly_the_greatest_size", padded(MAX), camera_id="KV1"),
    accepted("white_space_around", b" \t\r\n" + GOOD + b"\r\n", extra=None),
    accepted("lower_case_t_and_z", with_time("2025-04-05t10:15:30z"), event_time=NOW),
    accepted("minus_zero_offset", with_time("2025-04-05T10:15:30-00:00"), event_time=NOW),
    accepted("greatest_offset", with_time("2025-04-06T10:14:30+23:59"), event_time=NOW),
    accepted("least_offset", with_time("2025-04-04T10:16:30-23:59"), event_time=NOW),
    accepted("microseconds_kept", with_time("2025-04-05T10:15:30.123456Z"), event_time=NOW + 123456),
    accepted("one_digit_of_a_second", with_time("2025-04-05T10:15:30.1Z"), event_time=NOW + 100000),
    accepted("nanoseconds_cut", with_time("2025-04-05T10:15:30.123456999Z"), event_time=NOW + 123456),
    accepted("seventy_digits", with_time("2025-04-05T10:15:30." + "9" * 70 + "Z"), event_time=NOW + 999999),
    accepted("leap_day", with_time("2024-02-29T23:59:59Z"), event_time=at("2024-02-29T23:59:59+00:00")),
    accepted("first_microsecond_of_1970", with_time("1970-01-01T00:00:00.000001Z"), event_time=1),
    accepted("1969_by_the_local_clock", with_time("1969-12-31T23:30:00-01:00"), event_time=30 * oracle.MINUTE_US),
    accepted("time_by_escapes", with_time("2025-04-05\\u005410:15:30Z"), event_time=NOW),
    accepted("speed_0", with_speed("0"), speed_kmh=0.0),
    accepted("speed_minus_0", with_speed("-0"), speed_kmh=0.0),
    accepted("speed_minus_0_0", with_speed("-0.0"), speed_kmh=0.0),
    accepted("speed_400", with_speed("400"), speed_kmh=400.0),
    accepted("speed_4e2", with_speed("4e2"), speed_kmh=400.0),
    accepted("speed_of_many_digits", with_speed("85.2000000000000000000000001"), speed_kmh=85.2),
    accepted("speed_too_small_for_a_double", with_speed("1e-400"), speed_kmh=0.0),
    accepted("speed_that_rounds_up", with_speed("0.0005"), speed_kmh=0.0005),
    accepted("speed_whose_product_rounds_down", with_speed("0.5005"), speed_kmh=0.5005),
    accepted("least_camera", with_camera('"a"'), camera_id="a"),
    accepted("camera_of_128_bytes", with_camera('"' + "a" * 128 + '"'), camera_id="a" * 128),
    accepted("camera_of_64_letters_of_2_bytes", with_camera('"' + "я" * 64 + '"'), camera_id="я" * 64),
    accepted("camera_untrimmed", with_camera('" KV1 "'), camera_id=" KV1 "),
    accepted("camera_of_three_dots", with_camera('"..."'), camera_id="..."),
    accepted("camera_with_a_path", with_camera('"../a/b%2F"'), camera_id="../a/b%2F"),
    accepted("camera_by_escapes", with_camera('"\\u041a\\ud83d\\ude97\\n"'), camera_id="К🚗\n"),
    accepted("plate_null", with_more(b'"plate_number":null'), plate_number=None),
    accepted("plate_of_no_bytes", with_more(b'"plate_number":""'), plate_number=""),
    accepted("plate_untrimmed", with_more(b'"plate_number":" a "'), plate_number=" a "),
    accepted("nesting_128", nested(128)),
    accepted("nesting_128_of_objects", nested(128, b'{"a":', b"}")),
    accepted("brackets_in_a_string", with_more(b'"x":"' + b"[" * 500 + b'\\"{"')),
    accepted(
        "extra_in_order_repeated_as_spelled",
        with_more(b'"z":1.50,"a":-0,"z":1E+2,"b":[1.0,{"y":10000000000000000000000,"y":2}]'),
    ),
    accepted("extra_number_too_great_for_a_double", with_more(b'"x":1e400')),
    accepted("extra_with_a_lone_surrogate_in_a_value", with_more(b'"x":"\\ud800"')),
    accepted("extra_null", with_more(b'"x":null')),
    accepted("extra_with_an_empty_name", with_more(b'"":{}')),
    accepted("known_names_within_extra", with_more(b'"x":{"kvfv_id":"a","kvfv_id":"b"}')),
    accepted("extra_of_escapes", with_more(b'"\\u0061\\"\\\\":"\\u0000\\/\\ud83d\\ude97"')),
]


@pytest.fixture(scope="module")
def landed(workspaces):
    """All cases landed, each in the place that `place` gives; rows of events and dead letters by place."""
    with workspaces.make("decoding", partitions=len(CASES) // 20 + 1) as workspace:
        workspace.topic.send(
            [Message(place(at)[0], case.timestamp_ms, case.key, case.payload) for at, case in enumerate(CASES)]
        )
        workspace.land()
        tables = [read(workspace.lake, table) for table in ("events", "dead_letters")]
        rows = [checks.by_key(table, lambda row: (row["kafka_partition"], row["kafka_offset"])) for table in tables]
        yield workspace, *rows


def place(at):
    """The partition and offset of a case."""
    return at // 20, at % 20


@pytest.mark.parametrize("at", range(len(CASES)), ids=[case.name[:60] for case in CASES])
def test_a_record_becomes(landed, at):
    _, events, letters = landed
    case = CASES[at]
    if case.reason:
        letter = letters.get(place(at))
        assert letter, f"not a dead letter, but {events.get(place(at))}"
        assert (letter["reason"], letter["key"], letter["payload"]) == (case.reason, case.key, case.payload), letter[
            "detail"
        ]
        return
    event = events.get(place(at))
    assert event, f"no event, but {letters.get(place(at))}"
    got = {column: event[column] for column in case.columns}
    assert got == case.columns
    assert checks.bits(event["speed_kmh"]) == checks.bits(abs(event["speed_kmh"])), "-0 is 0"


@pytest.mark.parametrize("at", range(len(CASES)), ids=[case.name[:60] for case in CASES])
def test_the_oracle_agrees(at):
    case = CASES[at]
    record = oracle.Record(*place(at), case.timestamp_ms, case.key, case.payload)
    try:
        event = oracle.decode(record)
    except oracle.Refused as refused:
        assert refused.reason == case.reason
    else:
        own = {
            "camera_id": event.camera,
            "event_time": event.time_us,
            "speed_kmh": event.speed_kmh,
            "plate_number": event.plate,
        }
        assert case.reason is None and case.columns.items() <= {**own, "extra": event.extra, "late": True}.items()


def test_all_of_it_is_as_the_oracle_says(landed):
    """`extra` whole, late flags, timestamps, days, coverage, provisional rows."""
    workspace, _, _ = landed
    expected = checks.landed(workspace)
    checks.coverage(workspace, gaps={})
    checks.provisional(workspace, expected.events)
    assert {reason for reason, _ in expected.letters} == set(oracle.REASONS)


def test_extra_is_kept_as_spelled(landed):
    _, events, _ = landed
    at = next(index for index, case in enumerate(CASES) if case.name == "event-extra_in_order_repeated_as_spelled")
    spelled = '{"z":1.50,"a":-0,"z":1E+2,"b":[1.0,{"y":10000000000000000000000,"y":2}]}'
    assert "".join(events[place(at)]["extra"].split()) == spelled


def test_other_field_names_and_limits(workspaces):
    """The four names and the limits are settings; members with the usual names are further members then."""
    names = {
        "event__camera_field": "cam",
        "event__timestamp_field": "ts",
        "event__speed_field": "v",
        "event__plate_field": "p",
    }
    limits = {"event__max_speed_kmh": 90, "event__max_record_bytes": 100, "event__max_future_skew": "1s"}
    start = b'{"cam":"C","ts":"2025-04-05T10:15:3%d.%06dZ","v":%s'
    payloads = {
        start % (0, 0, b"90") + b',"kvfv_id":7}': None,
        start % (0, 0, b"90.001") + b"}": "bad_speed",
        start % (1, 0, b"1") + b"}": None,
        start % (1, 1, b"1") + b"}": "future_event_time",
        (start % (0, 0, b"1") + b',"x":"').ljust(98, b"x") + b'"}': None,
        (start % (0, 0, b"1") + b',"x":"').ljust(99, b"x") + b'"}': "too_large",
        GOOD: "too_large",
        b'{"kvfv_id":"C","timestamp":"2025-04-05T10:15:30Z","vehicle_speed":1}': "missing_field",
    }
    with workspaces.make("names", partitions=1, **names, **limits) as workspace:
        workspace.topic.send([Message(0, NOW // 1000, None, payload) for payload in payloads])
        workspace.land()
        found = {row["kafka_offset"]: row["reason"] for row in read(workspace.lake, "dead_letters")}
        assert found == {offset: reason for offset, reason in enumerate(payloads.values()) if reason}
        events = {row["kafka_offset"]: row["extra"] for row in read(workspace.lake, "events")}
        assert events.keys() | found.keys() == set(range(len(payloads))) and events[0] == '{"kvfv_id":7}'
