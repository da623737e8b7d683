"""Judges answers: what differs from the right ones, in words that name column, filter and difference."""

from collections import Counter
from dataclasses import dataclass

FEW = 3
SHOWN = 60
# What a row is known by, as far as the table has it.
KEYS = {
    "events": ("kafka_partition", "kafka_offset"),
    "dead_letters": ("kafka_partition", "kafka_offset"),
    "avg_speed": ("camera_id", "window_size", "window_start", "kafka_partition"),
    "offset_gaps": ("kafka_partition", "first_offset"),
    "batch_runs": ("run_id", "event_date"),
}


@dataclass(frozen=True)
class Difference:
    """Something that a reader got wrong: `what` is the column and how it was asked, without values."""

    column: str
    what: str
    text: str


def differences(table, columns, question, answer, right):
    """What an answer gets wrong; nothing for a right one. No answer is a difference too."""
    column = question.get("column", "*")
    what = f"{question['kind']} {question.get('operator', '')}".strip()
    if answer is None or "lost" in answer:
        # It says something of the reader, and nothing of the column.
        return [Difference("*", what, f"no answer: {answer['lost']}" if answer else "no answer")]
    if "error" in answer:
        return [Difference(column, what, f"{asked(question)}: {answer['error']}")]
    given = answer["value"]
    if question["kind"] == "rows":
        return differing_rows(table, columns, given, right)
    if question["kind"] == "aggregates":
        return differing_aggregates(columns, given, right)
    if given == right:
        return []
    text = f"{asked(question)}: {given[0]} rows instead of {right[0]}"
    return [
        Difference(column, what, text if given[0] != right[0] else f"{asked(question)}: other rows than it should be")
    ]


def asked(question):
    """A question in words."""
    if question["kind"] != "filter":
        return question["kind"]
    value = question["value"]
    return f"WHERE {question['column']} {question['operator'].upper()}" + ("" if value is None else f" {short(value)}")


def short(value):
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def differing_rows(table, columns, given, right):
    names = [name for name, _ in columns]
    places = [names.index(name) for name in KEYS[table]]
    got, wanted = by_key(given, places), by_key(right, places)
    found = []
    if Counter(map(key_of(places), given)) != Counter(wanted.keys()):
        missing, surplus = len(wanted.keys() - got.keys()), len(given) - len(wanted.keys() & got.keys())
        text = f"{len(given)} rows instead of {len(right)}: {missing} missing, {surplus} that are not in the table"
        found.append(Difference("*", "rows", text))
    both = [key for key in wanted if key in got]
    for place, name in enumerate(names):
        differing = [key for key in both if not same(got[key][place], wanted[key][place])]
        if differing:
            some = "; ".join(
                f"{short(got[key][place])} instead of {short(wanted[key][place])} at {key}" for key in differing[:FEW]
            )
            found.append(Difference(name, "rows", f"{len(differing)} of {len(both)} values differ: {some}"))
    return found


def key_of(places):
    return lambda row: tuple(row[place] for place in places)


def by_key(rows, places):
    key = key_of(places)
    return {key(row): row for row in rows}


def same(given, right):
    """Equal to the bit: -0.0 is not 0.0."""
    return given == right and (not isinstance(right, float) or given.hex() == right.hex())


def differing_aggregates(columns, given, right):
    found = []
    for (name, _), answer, wanted in zip(columns, given, right):
        wrong = [part for part in wanted if answer.get(part) != wanted[part]]
        if wrong:
            text = ", ".join(f"{part} is {short(answer.get(part))} instead of {short(wanted[part])}" for part in wrong)
            found.append(Difference(name, "aggregates", text))
    return found
