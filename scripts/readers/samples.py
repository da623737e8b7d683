"""The records that the lakes of the matrix are made of: everything that a reader may stumble over.

They come in portions, each of which is landed by a run of its own, so that tables have several files per day. Plates are
null between values, missing in whole files, empty, Cyrillic and longer than the bounds in statistics; payloads are null
and empty; Kafka's timestamps are far off.
"""

from harness.data import FIRST, Message, at, event, traffic

# 0 to 2 are the traffic's. The others have clocks of their own, so that a far-off time makes no other event late.
PARTITIONS = 5
PAST, FUTURE = 3, 4
# Days from this year on are not over.
OPEN_YEAR = 2100
# The bounds in statistics are cut after 32 characters, here and in most writers.
LONG_CAMERA = "КВ-" + "9" * 100
LONG_PLATE = "Ж" * 300
# Only these cameras have a limit: over_limit_count of the others is null.
LIMITS = {"speed_limits__cameras.KV00001": 62.5, "speed_limits__cameras.KV00002": 400}


def portions(events, days=3):
    """Messages of closed days, of 1970 and of 2100, about `events` of them, in the portions that they land in."""
    usual = [message for message in traffic(91, FIRST, days=days, events=12 * events) if hour(message) % 12 == 0]
    third = len(usual) // 3
    without_plates = [
        event("KV00002", time, 60 + n, plate=None) for n, time in enumerate(minutes("2025-04-07", 12, 40))
    ]
    return [
        [*usual[:third], *special()],
        [*usual[third : 2 * third], *far_off()],
        [*usual[2 * third :], *without_plates],
    ]


def special():
    """Events of the first day with plates, speeds and extra fields that are unusual."""
    texts = ["", " ", "А123ВС77", "a'b\"c\\d\n\t", LONG_PLATE, LONG_PLATE[:-1] + "А", "\U0001f697", None, "", None]
    times = minutes("2025-04-05", 10, len(texts))
    plates = [event("KV00001", time, 62.5, plate=plate) for time, plate in zip(times, texts)]
    long_ones = [event(LONG_CAMERA, time, 0, partition=1, note=LONG_PLATE) for time in times]
    extremes = [event("k", times[0], 400.0, partition=2), event("k", times[1], -0.0, partition=2, empty="")]
    return [*plates, *long_ones, *extremes]


def far_off():
    """Events of 1970 and 2100, and dead letters whose Kafka timestamps are in 1900, just before 1970, and in 2100."""
    old, new = at("1970-01-01T00:00:01+00:00"), at("2100-12-31T12:00:00+00:00")
    letters = {at("1900-01-01T00:00:00+00:00"): PAST, -1000: PAST, old: PAST, new: FUTURE}
    return [
        event("KV00001", old, partition=PAST),
        event("KV00003", old + 1, plate=None, partition=PAST, arrival_us=old + 1000),
        event("KV00001", new, partition=FUTURE),
        *(Message(partition, time // 1000, b"\xff\x00", b"\x00 no event") for time, partition in letters.items()),
        Message(PAST, 1, None, None),
        Message(FUTURE, new // 1000, b"", b""),
    ]


def beyond():
    """Records with times that many programs have no type for: the first and the last that Kafka and the tables accept."""
    times = [
        "0001-01-01T00:00:00",
        "1582-10-10T00:00:00",
        "1899-12-31T23:59:59",
        "2299-12-31T00:00:00",
        "9999-12-30T12:00:00",
    ]
    letters = [Message(PAST, at(f"{time}+00:00") // 1000, b"key", b"no event") for time in times]
    return [*letters, event("KV00001", at("9999-12-30T12:00:00+00:00"), partition=FUTURE)]


def aborted():
    """Records of a transaction that is not committed: their offsets become gaps."""
    return [event("KV00009", at("2025-04-05T11:00:00+00:00"), partition=partition) for partition in (0, 1)]


def hour(message):
    """The hour of the day that a record arrives in. Few hours make few files: tables are opened sooner."""
    return message.timestamp_ms // 3_600_000 % 24


def minutes(day, hour, count):
    """So many times from an hour of a day on, a minute apart."""
    first = at(f"{day}T{hour:02}:00:00+00:00")
    return [first + n * 60_000_000 for n in range(count)]
