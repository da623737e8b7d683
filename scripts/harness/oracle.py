"""What the tables must contain, computed from docs/contract.md alone.

It shares no code with the product and repeats its rules on purpose, as a second opinion: JSON by Python's own parser
with the contract's extra rules on top, days by zoneinfo, arithmetic by Python's whole numbers. Three steps, each a
function of the one before:

    records of a topic --land()--> events with their `late` flags, dead letters
    events             --provisional()--> rows per camera, window and partition
    events             --final()--> rows per camera and window, of distinct events

Times are microseconds since 1970 (`_us`), speeds thousandths of km/h.
"""

import datetime as dt
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

SIZES = {"5m": 5 * MINUTE_US, "1h": HOUR_US, "24h": None}
REASONS = [
    "empty",
    "too_large",
    "not_utf8",
    "not_json",
    "not_an_object",
    "missing_field",
    "wrong_type",
    "bad_camera_id",
    "bad_timestamp",
    "bad_speed",
    "future_event_time",
]


@dataclass(frozen=True)
class Rules:
    """The settings that determine what a record becomes and where it counts."""

    zone: str = "UTC"
    allowed_lateness_us: int = 3 * HOUR_US
    out_of_orderness_us: int = 30 * SECOND_US
    max_record_bytes: int = 1 << 20
    max_speed_kmh: float = 400.0
    max_future_skew_us: int = 10 * MINUTE_US
    default_limit_kmh: float | None = None
    limits_kmh: tuple = ()

    def limit(self, camera):
        """The camera's limit in thousandths, or None."""
        kmh = dict(self.limits_kmh).get(camera, self.default_limit_kmh)
        return None if kmh is None else thousandths(kmh)


@dataclass(frozen=True)
class Record:
    """A record as it is in Kafka."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    payload: bytes | None


# 9999-01-01T00:00:00Z: no timestamp and no event time goes beyond.
LATEST_US = 253_370_764_800 * 10**6


def kafka_timestamp_us(record):
    """The record's timestamp in microseconds; 0 stands for one that is absent or cannot be one in milliseconds."""
    stamp_us = record.timestamp_ms * 1000
    return stamp_us if 0 < stamp_us <= LATEST_US else 0


@dataclass(frozen=True)
class Event:
    """An accepted record. `extra` is parsed, None where there are no remaining fields."""

    camera: str
    time_us: int
    speed_kmh: float
    plate: str | None
    extra: object
    record: Record
    late: bool = False

    @property
    def thousandths(self):
        return thousandths(self.speed_kmh)

    @property
    def identity(self):
        return (self.camera, self.time_us, self.thousandths, self.plate)


@dataclass
class Landed:
    """What a topic's records become."""

    events: list = field(default_factory=list)
    letters: list = field(default_factory=list)  # (reason, record)
    max_event_time_us: dict = field(default_factory=dict)  # by partition


# ---- decoding ----------------------------------------------------------------------------------------------------


class Refused(Exception):
    """A record that can't be an event, with the reason."""

    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


class Members(tuple):
    """A JSON object: its members in order, repeated ones too."""


def _number(spelled):
    return ("number", spelled)


def _no_constant(_):
    raise ValueError("NaN and Infinity are no JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=Members, parse_int=_number, parse_float=_number, parse_constant=_no_constant, strict=True
)

CAMERA, TIMESTAMP, SPEED, PLATE = "kvfv_id", "timestamp", "vehicle_speed", "plate_number"


def parse_json(text):
    """A JSON text: objects as Members, arrays as lists, numbers as ("number", as spelled)."""
    if _depth(text) > 128:
        raise Refused("not_json")
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise Refused("not_json") from error


def _depth(text):
    """The deepest nesting of objects and arrays; brackets within strings do not count."""
    depth = deepest = 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text, re.DOTALL):
        if token[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token[0] in "]}":
            depth -= 1
    return deepest


def decode(record, rules=Rules()):
    """The record as an Event (not yet judged late); raises Refused with the first reason that applies."""
    payload = record.payload
    if not payload:
        raise Refused("empty")
    if len(payload) > rules.max_record_bytes:
        raise Refused("too_large")
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("not_utf8") from error
    members = parse_json(text)
    known, rest = _sort_out(members)
    for name in (CAMERA, TIMESTAMP, SPEED):
        if name not in known:
            raise Refused("missing_field")
    camera, plate = known[CAMERA], known.get(PLATE)
    texts_are_texts = isinstance(camera, str) and isinstance(known[TIMESTAMP], str)
    if not (texts_are_texts and _is_number(known[SPEED]) and (plate is None or isinstance(plate, str))):
        raise Refused("wrong_type")
    if not 1 <= len(camera.encode()) <= 128 or camera in (".", ".."):
        raise Refused("bad_camera_id")
    time_us = event_time(known[TIMESTAMP])
    if time_us is None:
        raise Refused("bad_timestamp")
    kmh = float(known[SPEED][1])
    if not 0 <= kmh <= rules.max_speed_kmh:
        raise Refused("bad_speed")
    stamp_us = kafka_timestamp_us(record)
    if time_us > LATEST_US or (stamp_us and time_us - stamp_us > rules.max_future_skew_us):
        raise Refused("future_event_time")
    return Event(camera, time_us, kmh + 0.0, plate, Members(rest) if rest else None, record)


def _sort_out(members):
    """The four known fields by name, and the others in order."""
    is_object = isinstance(members, Members)
    known, rest = {}, []
    for name, value in members if is_object else ():
        if _has_lone_surrogate(name):
            raise Refused("not_json")
        if name not in (CAMERA, TIMESTAMP, SPEED, PLATE):
            rest.append((name, value))
        elif name in known or _has_lone_surrogate(value):
            raise Refused("not_json")
        else:
            known[name] = value
    if not is_object:
        raise Refused("not_an_object")
    return known, rest


def _is_number(value):
    return isinstance(value, tuple) and not isinstance(value, Members) and value[0] == "number"


def _has_lone_surrogate(value):
    if isinstance(value, str):
        return any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, Members):
        return any(_has_lone_surrogate(name) or _has_lone_surrogate(inner) for name, inner in value)
    return isinstance(value, list) and any(map(_has_lone_surrogate, value))


_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII
)


def event_time(text):
    """Microseconds since 1970 of an RFC 3339 time from 1970 on, or None."""
    match = _RFC3339.fullmatch(text)
    if not match:
        return None
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    fraction, sign, offset_hours, offset_minutes = match.groups()[6:]
    try:
        local = dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)
    except ValueError:
        return None
    offset = 0
    if sign:
        if int(offset_hours) > 23 or int(offset_minutes) > 59:
            return None
        offset = (int(offset_hours) * 60 + int(offset_minutes)) * MINUTE_US * (-1 if sign == "-" else 1)
    micros = int((fraction or "").ljust(6, "0")[:6])
    time_us = (local - EPOCH) // dt.timedelta(microseconds=1) + micros - offset
    return time_us if time_us >= 0 else None


@lru_cache(maxsize=100_000)
def thousandths(kmh):
    """round(kmh * 1000): the product in double, half away from zero."""
    return int(Decimal(kmh * 1000.0).quantize(Decimal(1), ROUND_HALF_UP))


# ---- landing -----------------------------------------------------------------------------------------------------


def land(records, rules=Rules()):
    """Events and dead letters of the records, which are in the order of their offsets within each partition."""
    landed = Landed()
    greatest = landed.max_event_time_us
    for record in records:
        try:
            event = decode(record, rules)
        except Refused as refused:
            landed.letters.append((refused.reason, record))
            continue
        before = greatest.get(record.partition)
        late = before is not None and is_late(event.time_us, before, rules)
        landed.events.append(Event(**{**event.__dict__, "late": late}))
        greatest[record.partition] = max(event.time_us, before if before is not None else event.time_us)
    return landed


def is_late(time_us, greatest_us, rules):
    """Whether an event's 5-minute window ended more than the lateness before the watermark."""
    watermark = greatest_us - rules.out_of_orderness_us
    _, end = window("5m", time_us, rules.zone)
    return watermark - end > rules.allowed_lateness_us


# ---- days and windows ---------------------------------------------------------------------------------------------


def day_of(time_us, zone):
    """The calendar day of an instant."""
    return (EPOCH + dt.timedelta(seconds=time_us // SECOND_US)).astimezone(ZoneInfo(zone)).date()


@lru_cache(maxsize=10_000)
def day_span(day, zone):
    """The first instant of a day and that of the next."""
    return _midnight(day, zone), _midnight(day + dt.timedelta(days=1), zone)


def _midnight(day, zone):
    midnight = dt.datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return (midnight.astimezone(dt.UTC) - EPOCH) // dt.timedelta(microseconds=1)


def window(size, time_us, zone):
    """Start and end of the window of a size that holds an instant."""
    first, last = _span_at(time_us // (15 * MINUTE_US), zone)
    width = SIZES[size] or last - first
    start = first + (time_us - first) // width * width
    return start, min(start + width, last)


@lru_cache(maxsize=100_000)
def _span_at(quarter_hour, zone):
    """The span of the day that contains a quarter of an hour: no zone changes its offset within one."""
    return day_span(day_of(quarter_hour * 15 * MINUTE_US, zone), zone)


# ---- figures -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    """The figures of a window, quantiles exact."""

    window_end_us: int
    count: int
    total: int
    minimum: int
    maximum: int
    p50: int
    p85: int
    p95: int
    over_limit: int | None

    @property
    def average_kmh(self):
        return self.total / (1000 * self.count)

    @classmethod
    def of(cls, end, speeds, limit):
        """The figures of a window with this end, from speeds in thousandths."""
        speeds = sorted(speeds)
        quantiles = [nearest_rank(speeds, percent) for percent in (50, 85, 95)]
        over = None if limit is None else sum(speed > limit for speed in speeds)
        return cls(end, len(speeds), sum(speeds), speeds[0], speeds[-1], *quantiles, over)


def nearest_rank(ordered, percent):
    """The smallest value that at least this percentage of the values does not exceed."""
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(rank, 1) - 1]


def _fold(events, rules, key_of):
    """Figures by (camera, window size, window start) and what key_of adds."""
    speeds, ends = defaultdict(list), {}
    for event in events:
        for size in SIZES:
            start, end = window(size, event.time_us, rules.zone)
            key = (event.camera, size, start, *key_of(event))
            speeds[key].append(event.thousandths)
            ends[key] = end
    return {key: Figures.of(ends[key], values, rules.limit(key[0])) for key, values in speeds.items()}


def provisional(events, rules=Rules()):
    """The speed layer's rows: (camera, size, start, partition) to figures."""
    return _fold((e for e in events if not e.late), rules, lambda e: (e.record.partition,))


def per_window(events, rules=Rules()):
    """Figures of these events whatever their partition: (camera, size, start) to figures."""
    return _fold(events, rules, lambda _: ())


def distinct(events):
    """One event of each identity."""
    return list({event.identity: event for event in events}.values())


def final(events, rules=Rules()):
    """The batch's rows: (camera, size, start) to figures."""
    return per_window(distinct(events), rules)


@dataclass(frozen=True)
class Run:
    """What `batch_runs` must say of a recomputed day."""

    rows_read: int
    duplicates_dropped: int
    late_rows: int
    cameras: int
    rows_written: int
    drift_windows: int
    drift_max_kmh: float


def batch_run(events, replaced, day, rules=Rules()):
    """The run over the events of a day; `replaced` are the rows replaced, merged per window: key to (count, total)."""
    events = [e for e in events if day_of(e.time_us, rules.zone) == day]
    rows = {key: (row.count, row.total) for key, row in final(events, rules).items()}
    both = rows.keys() & replaced.keys()
    changed = len(rows.keys() ^ replaced.keys()) + sum(rows[key] != replaced[key] for key in both)
    change = [abs(_average(rows[key]) - _average(replaced[key])) for key in both]
    return Run(
        rows_read=len(events),
        duplicates_dropped=len(events) - len(distinct(events)),
        late_rows=sum(e.late for e in events),
        cameras=len({e.camera for e in events}),
        rows_written=len(rows),
        drift_windows=changed,
        drift_max_kmh=max(change, default=0.0),
    )


def _average(count_and_total):
    count, total = count_and_total
    return total / (1000 * count)
