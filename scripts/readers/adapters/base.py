"""What the adapters share: a table that answers questions one after the other, in SQL or from Arrow.

A lake is the job's: `uri`, `storage` (the names of object_store) and `tables`, each with `columns`, `measures` and
`files` of the newest version.
"""

import datetime as dt

from readers import values

MESSAGE_LENGTH = 300


class Table:
    """A table that a reader has opened. Subclasses have `rows`, `filter` and `aggregates`, each for one question."""

    def __init__(self, lake, name):
        about = lake["tables"][name]
        self.lake, self.name = lake, name
        self.columns = [tuple(column) for column in about["columns"]]
        self.kinds = dict(self.columns)
        self.measures = about["measures"]
        self.files = about["files"]

    def answers(self, questions):
        """The answer to each question, or the error that came instead."""
        for question in questions:
            yield question["id"], self.answer(question)

    def answer(self, question):
        # Panics of programs in Rust are no Exception.
        try:
            return {"value": getattr(self, question["kind"])(question)}
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            return {"error": self.described(error)}

    def described(self, error):
        return described(error)

    def plain_rows(self, rows):
        """Rows of values in the order of the columns."""
        return [[values.plain(value, kind) for value, (_, kind) in zip(row, self.columns)] for row in rows]

    def plain_measures(self, row):
        """The number of rows and the sums, nothing being 0."""
        count, *sums = row
        kinds = [self.kinds[measure] for measure in self.measures]
        return [int(count), *(values.plain(found or 0, kind) for found, kind in zip(sums, kinds))]

    def plain_aggregates(self, row):
        """The answer to the aggregates: the values of a row that has what `aggregated` names, column by column."""
        found, answer = iter(row), []
        for _, kind in self.columns:
            names = aggregated(kind)
            values_there = {name: next(found) for name in names}
            plain = {name: values.plain(values_there[name], kind) for name in names if name not in COUNTS}
            answer.append({name: int(values_there[name]) for name in COUNTS} | plain)
        return answer


# What is counted of every column.
COUNTS = ("rows", "values")


def aggregated(kind):
    """The names of what an aggregate of a column of this type has."""
    names = [*COUNTS]
    if kind not in ("boolean", "binary"):
        names += ["least", "greatest"]
    if kind in ("integer", "long") or kind.startswith("decimal"):
        names.append("sum")
    return names


def described(error):
    """An error on one line."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text[:MESSAGE_LENGTH]


class SqlTable(Table):
    """A table in a program that speaks SQL: subclasses have `relation` and `query`, and change the spelling of values."""

    relation = ""

    def query(self, sql):
        """The rows of a query."""
        raise NotImplementedError

    def rows(self, _question):
        names = ", ".join(self.selected(name, kind) for name, kind in self.columns)
        return self.plain_rows(self.query(f"SELECT {names} FROM {self.relation}"))

    def filter(self, question):
        [row] = self.query(self.filter_query(question))
        return self.plain_measures(row)

    def filter_query(self, question):
        sums = ", ".join(f"sum({measure})" for measure in self.measures)
        return f"SELECT count(*), {sums} FROM {self.relation} WHERE {self.condition(question)}"

    def aggregates(self, _question):
        [row] = self.query(self.aggregates_query())
        return self.plain_aggregates(row)

    def aggregates_query(self):
        parts = [part for column, kind in self.columns for part in self.aggregates_of(column, kind)]
        return f"SELECT {', '.join(f'{part} AS a{number}' for number, part in enumerate(parts))} FROM {self.relation}"

    def aggregates_of(self, column, kind):
        spelled = {
            "rows": "count(*)",
            "values": f"count({column})",
            "least": self.selected(f"min({column})", kind),
            "greatest": self.selected(f"max({column})", kind),
            "sum": f"sum({column})",
        }
        return [spelled[name] for name in aggregated(kind)]

    def condition(self, question):
        column, kind, operator, value = (question[name] for name in ("column", "type", "operator", "value"))
        if operator in ("is null", "is not null"):
            return f"{column} {operator.upper()}"
        return f"{column} {operator} {self.literal(value, kind)}"

    def selected(self, expression, _kind):
        """An expression of a type as it is selected."""
        return expression

    def literal(self, value, kind):
        """A plain value in SQL."""
        spelled = {
            "string": self.text,
            "timestamp": self.timestamp,
            "date": lambda date: f"DATE '{date}'",
            "double": lambda number: f"CAST('{number!r}' AS DOUBLE)",
            "binary": lambda hexadecimal: f"X'{hexadecimal}'",
            "boolean": lambda truth: str(truth).lower(),
        }
        if kind.startswith("decimal"):
            return f"CAST('{value}' AS {kind})"
        return spelled.get(kind, str)(value)

    def text(self, text):
        return "'" + text.replace("'", "''") + "'"

    def timestamp(self, micros):
        return f"TIMESTAMP '{utc(micros)}+00:00'"


def utc(micros):
    """A time in UTC as SQL spells it, with all digits."""
    return (values.EPOCH + dt.timedelta(microseconds=micros)).replace(tzinfo=None).isoformat(" ", "microseconds")


class ArrowTable(Table):
    """A table whose reader gives Arrow: subclasses have `scan(columns, question)`, filtered by the question's filter."""

    def rows(self, _question):
        table = self.scan([name for name, _ in self.columns], None)
        return self.plain_rows(arrow_rows(table))

    def filter(self, question):
        import pyarrow.compute as pc

        found = self.scan(self.measures, question)
        return self.plain_measures([found.num_rows, *(pc.sum(found[measure]).as_py() for measure in self.measures)])

    def aggregates(self, _question):
        table = self.scan([name for name, _ in self.columns], None)
        return self.plain_aggregates(
            [part for name, kind in self.columns for part in self.aggregates_of(table[name], kind)]
        )

    def aggregates_of(self, column, kind):
        import pyarrow.compute as pc

        bounds = pc.min_max(micros_of(column)) if "least" in aggregated(kind) else None
        computed = {
            "rows": lambda: len(column),
            "values": lambda: len(column) - column.null_count,
            "least": lambda: bounds["min"].as_py(),
            "greatest": lambda: bounds["max"].as_py(),
            "sum": lambda: pc.sum(column).as_py(),
        }
        return [computed[name]() for name in aggregated(kind)]


def arrow_rows(table):
    """The rows of an Arrow table, times as microseconds."""
    return zip(*(micros_of(column).to_pylist() for column in table.columns)) if table.num_rows else []


def micros_of(column):
    """An Arrow column whose times are numbers of microseconds."""
    import pyarrow as pa

    if not pa.types.is_timestamp(column.type):
        return column
    return column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
