"""Daft: read_deltalake."""

import os
import warnings
from urllib.parse import urlparse

os.environ["DAFT_PROGRESS_BAR"] = "0"
os.environ["DAFT_ANALYTICS_ENABLED"] = "0"

import daft
from daft.io import IOConfig, S3Config

from readers import values
from readers.adapters.base import Table, aggregated, arrow_rows

warnings.simplefilter("ignore")


def version():
    return f"Daft {daft.__version__}"


class Scanned(Table):
    def __init__(self, lake, name):
        super().__init__(lake, name)
        self.frame = daft.read_deltalake(f"{lake['uri']}/{name}", io_config=access(lake["storage"]))

    def rows(self, _question):
        found = self.frame.select(*(daft.col(name) for name, _ in self.columns))
        return self.plain_rows(arrow_rows(found.to_arrow()))

    def filter(self, question):
        found = self.frame.where(condition(question)).agg(
            daft.col(self.measures[0]).count().alias("count"), *(daft.col(name).sum() for name in self.measures)
        )
        return self.plain_measures(next(iter(arrow_rows(found.to_arrow()))))

    def aggregates(self, _question):
        parts = [part for name, kind in self.columns for part in aggregates_of(daft.col(name), kind)]
        found = self.frame.agg(*(part.alias(f"a{number}") for number, part in enumerate(parts)))
        return self.plain_aggregates(next(iter(arrow_rows(found.to_arrow()))))


def aggregates_of(column, kind):
    spelled = {
        "rows": column.count("all"),
        "values": column.count(),
        "least": column.min(),
        "greatest": column.max(),
        "sum": column.sum(),
    }
    return [spelled[name] for name in aggregated(kind)]


def access(storage):
    """How Daft reaches the store; None for a folder."""
    if not storage:
        return None
    return IOConfig(
        s3=S3Config(
            endpoint_url=storage["endpoint"],
            key_id=storage["access_key_id"],
            access_key=storage["secret_access_key"],
            region_name=storage["region"],
            use_ssl=urlparse(storage["endpoint"]).scheme == "https",
        )
    )


def condition(question):
    column, kind, operator, value = (question[name] for name in ("column", "type", "operator", "value"))
    field = daft.col(column)
    if operator in ("is null", "is not null"):
        return field.is_null() if operator == "is null" else field.not_null()
    there = daft.lit(values.python(value, kind))
    return {"=": field == there, "!=": field != there, ">=": field >= there}[operator]


def open_table(lake, name):
    return Scanned(lake, name)
