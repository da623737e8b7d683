"""fastparquet, on the data files that the newest version of a table names. It knows no Delta: the list is given."""

import fastparquet
import pandas

from readers import values
from readers.adapters.base import Table, aggregated
from readers.adapters.pyarrow import filesystem


def version():
    return f"fastparquet {fastparquet.__version__}, pandas {pandas.__version__}"


class Files(Table):
    def __init__(self, lake, name):
        super().__init__(lake, name)
        self.system, self.root = filesystem(lake)

    def scan(self, columns, question=None):
        """Rows of plain values of these columns; fastparquet prunes row groups by its own filter, rows are filtered here."""
        found = []
        for file in self.files:
            found += self.scan_file(file, columns, question)
        return found

    def scan_file(self, file, columns, question):
        path = f"{self.root}/{self.name}/{file['path']}"
        parquet = fastparquet.ParquetFile(path, open_with=lambda path, _mode="rb": self.system.open_input_file(path))
        wanted = list(dict.fromkeys([*columns, *([question["column"]] if question else [])]))
        inside = [name for name in wanted if name not in file["partition"]]
        filters = triples(question) if question and question["column"] in inside else []
        frame = parquet.to_pandas(columns=inside or parquet.columns[:1], filters=filters)
        series = {name: self.plain_column(frame[name], self.kinds[name]) for name in inside}
        series |= {name: [value] * len(frame) for name, value in file["partition"].items()}
        rows = zip(*(series[name] for name in wanted))
        if question:
            place = wanted.index(question["column"])
            rows = [row for row in rows if matches(question, row[place])]
        return [row[: len(columns)] for row in rows]

    def plain_column(self, series, kind):
        if kind == "timestamp":
            numbers = series.astype("datetime64[us, UTC]" if series.dt.tz else "datetime64[us]").astype("int64")
            return [None if missing else int(number) for missing, number in zip(series.isna(), numbers)]
        return [
            None if missing else values.plain(value, kind) for missing, value in zip(series.isna(), series.tolist())
        ]

    def rows(self, _question):
        return [list(row) for row in self.scan([name for name, _ in self.columns])]

    def filter(self, question):
        found = self.scan(self.measures, question)
        sums = [
            values.total([row[place] for row in found], self.kinds[name]) for place, name in enumerate(self.measures)
        ]
        return [len(found), *sums]

    def aggregates(self, _question):
        rows = self.scan([name for name, _ in self.columns])
        found = [
            part
            for place, (_, kind) in enumerate(self.columns)
            for part in self.aggregates_of([row[place] for row in rows], kind)
        ]
        return self.plain_aggregates(found)

    def aggregates_of(self, found, kind):
        present = sorted((value for value in found if value is not None), key=lambda value: values.order(value, kind))
        spelled = {
            "rows": len(found),
            "values": len(present),
            "least": present[0] if present else None,
            "greatest": present[-1] if present else None,
        }
        if "sum" in aggregated(kind):
            spelled["sum"] = values.total(present, kind) if present else None
        return [spelled[name] for name in aggregated(kind)]


def triples(question):
    """The question as fastparquet's filter, which skips row groups by their statistics; it knows nothing of null."""
    kind, operator, value = (question[name] for name in ("type", "operator", "value"))
    if operator.startswith("is"):
        return []
    there = values.python(value, kind)
    if kind == "timestamp":
        there = there.replace(tzinfo=None)  # times in statistics have no zone there
    if kind.startswith("decimal"):
        there = float(there)  # decimals are doubles there
    return [(question["column"], {"=": "=="}.get(operator, operator), there)]


def matches(question, found):
    from readers.questions import matches as by_sql

    return by_sql(question["operator"], found, question["value"], question["type"])


def open_table(lake, name):
    return Files(lake, name)
