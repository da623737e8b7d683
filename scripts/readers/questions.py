"""What every reader is asked of every table, and the right answers, computed in plain Python from the rows.

Three kinds: all `rows`; `aggregates` of all columns (which some readers answer from statistics alone); and a `filter` on
every column by every operator, whose result is the number of rows that match and two exact sums over them. Rows that are
lost through statistics or partition values, or matched wrongly, are noticed there.
"""

from readers import values

# The columns that are summed over the rows that a filter finds.
MEASURES = {
    "events": ("kafka_partition", "kafka_offset"),
    "dead_letters": ("kafka_partition", "kafka_offset"),
    "avg_speed": ("vehicle_count", "speed_sum_kmh"),
    "offset_gaps": ("first_offset", "next_offset"),
    "batch_runs": ("rows_read", "rows_written"),
}
NUMBERS = ("integer", "long")
# Without an order: no range, least or greatest value is asked for.
WITHOUT_ORDER = ("boolean", "binary")


def questions(table, columns, rows):
    """The questions on a table with these columns (name, type) and these rows of plain values, with their answers."""
    found = {name: [row[place] for row in rows] for place, (name, _) in enumerate(columns)}
    asked = [
        ({"kind": "rows"}, rows),
        ({"kind": "aggregates"}, [aggregate(found[name], kind) for name, kind in columns]),
    ]
    for name, kind in columns:
        for operator, value in filters(found[name], kind):
            question = {"kind": "filter", "column": name, "type": kind, "operator": operator, "value": value}
            matching = [row for row, there in zip(rows, found[name]) if matches(operator, there, value, kind)]
            asked.append((question, measured(table, columns, matching)))
    return asked


def filters(found, kind):
    """The filters on a column that holds these values: (operator, value)."""
    present = sorted({value for value in found if value is not None}, key=lambda value: values.order(value, kind))
    asked = [("is null", None), ("is not null", None)]
    if not present:
        return asked
    middle = present[len(present) // 2]
    unusual = max(present, key=len) if kind == "string" else present[-1]
    asked += [("=", value) for value in dict.fromkeys([present[0], unusual])]
    asked.append(("!=", middle))
    if kind not in WITHOUT_ORDER:
        asked.append((">=", middle))
    return asked


def matches(operator, found, value, kind):
    """Whether a row with this value is in the result of a filter, as SQL says."""
    if operator in ("is null", "is not null"):
        return (found is None) == (operator == "is null")
    if found is None:
        return False
    here, there = values.order(found, kind), values.order(value, kind)
    return {"=": here == there, "!=": here != there, ">=": here >= there}[operator]


def measured(table, columns, rows):
    """The number of rows and the sums of the table's measures."""
    names = [name for name, _ in columns]
    sums = []
    for measure in MEASURES[table]:
        place = names.index(measure)
        sums.append(values.total([row[place] for row in rows], columns[place][1]))
    return [len(rows), *sums]


def aggregate(found, kind):
    """The number of rows and of values, the least and greatest of them, and their sum where it is exact."""
    present = [value for value in found if value is not None]
    answer = {"rows": len(found), "values": len(present)}
    if kind not in WITHOUT_ORDER:
        least = min(present, key=lambda value: values.order(value, kind), default=None)
        greatest = max(present, key=lambda value: values.order(value, kind), default=None)
        answer |= {"least": least, "greatest": greatest}
    if kind in NUMBERS or kind.startswith("decimal"):
        answer["sum"] = values.total(present, kind) if present else None
    return answer
