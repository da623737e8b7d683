"""Polars: scan_delta, lazily, so that filters reach statistics and partitions."""

import polars as pl

from readers import values
from readers.adapters.base import Table, aggregated, arrow_rows
from readers.adapters.deltalake import storage_options


def version():
    return f"Polars {pl.__version__}"


class Scanned(Table):
    def __init__(self, lake, name):
        super().__init__(lake, name)
        self.frame = pl.scan_delta(f"{lake['uri']}/{name}", storage_options=storage_options(lake) or None)

    def rows(self, _question):
        found = self.frame.select([name for name, _ in self.columns]).collect()
        return self.plain_rows(arrow_rows(found.to_arrow()))

    def filter(self, question):
        found = self.frame.filter(condition(question)).select(pl.len(), *(pl.col(name).sum() for name in self.measures))
        return self.plain_measures(found.collect().row(0))

    def aggregates(self, _question):
        parts = [part for name, kind in self.columns for part in aggregates_of(pl.col(name), kind)]
        found = self.frame.select(part.alias(f"{number}") for number, part in enumerate(parts)).collect()
        return self.plain_aggregates(next(iter(arrow_rows(found.to_arrow()))))


def aggregates_of(column, kind):
    spelled = {
        "rows": pl.len(),
        "values": column.count(),
        "least": column.min(),
        "greatest": column.max(),
        "sum": pl.when(column.count() > 0).then(column.sum()),
    }
    return [spelled[name] for name in aggregated(kind)]


def condition(question):
    column, kind, operator, value = (question[name] for name in ("column", "type", "operator", "value"))
    field = pl.col(column)
    if operator in ("is null", "is not null"):
        return field.is_null() if operator == "is null" else field.is_not_null()
    there = pl.lit(values.python(value, kind), dtype=polars_type(kind))
    return {"=": field == there, "!=": field != there, ">=": field >= there}[operator]


def polars_type(kind):
    if kind.startswith("decimal"):
        return pl.Decimal(*map(int, kind[len("decimal(") : -1].split(",")))
    return {
        "string": pl.String,
        "timestamp": pl.Datetime("us", "UTC"),
        "date": pl.Date,
        "double": pl.Float64,
        "integer": pl.Int32,
        "long": pl.Int64,
        "boolean": pl.Boolean,
        "binary": pl.Binary,
    }[kind]


def open_table(lake, name):
    return Scanned(lake, name)
