"""Values of the tables in a form that JSON carries exactly and that is equal only where the values are.

Times are microseconds since 1970, dates ISO text, decimals text with all digits, binaries hexadecimal text, doubles
themselves (Python writes and reads them to the bit). Only Python's own library is used: this runs in the venv of every
reader.
"""

import datetime as dt
from decimal import Decimal

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def plain(value, kind):
    """A value that a reader returned for a column of this Delta type."""
    if value is None:
        return None
    if kind == "timestamp":
        return value if isinstance(value, int) else micros(value)
    if kind == "date":
        return value if isinstance(value, str) else f"{value.year:04}-{value.month:02}-{value.day:02}"
    if kind.startswith("decimal"):
        return format(Decimal(value).quantize(Decimal(1).scaleb(-scale(kind))), "f")
    if kind == "binary":
        return bytes(value).hex()
    return {"string": str, "double": float, "boolean": bool}.get(kind, int)(value)


def micros(moment):
    """Microseconds since 1970 of a time, which is UTC where it names no zone."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return (aware - EPOCH) // dt.timedelta(microseconds=1)


def scale(kind):
    """The scale of `decimal(20,3)`."""
    return int(kind.rstrip(")").rpartition(",")[2])


def python(value, kind):
    """A plain value as Python programs pass it to a reader."""
    if kind == "timestamp":
        return EPOCH + dt.timedelta(microseconds=value)
    if kind == "date":
        return dt.date.fromisoformat(value)
    if kind.startswith("decimal"):
        return Decimal(value)
    return bytes.fromhex(value) if kind == "binary" else value


def order(value, kind):
    """What plain values are compared by: texts by their bytes in UTF-8."""
    if kind.startswith("decimal"):
        return Decimal(value)
    return value.encode() if kind == "string" else value


def total(values, kind):
    """The exact sum of plain integers, decimals or times; for doubles the sum that Python's fsum gives."""
    if kind.startswith("decimal"):
        return format(sum(map(Decimal, values), Decimal(0)).quantize(Decimal(1).scaleb(-scale(kind))), "f")
    return sum(values)
