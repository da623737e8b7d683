"""pyarrow: the data files that the newest version of a table names, as a dataset, with their partition values."""

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs

from readers import values
from readers.adapters.base import ArrowTable

TYPES = {
    "string": pa.string(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
    "double": pa.float64(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "boolean": pa.bool_(),
    "binary": pa.binary(),
}


def version():
    return f"pyarrow {pa.__version__}"


def filesystem(lake):
    """The filesystem of a lake, and what its paths begin with there."""
    from urllib.parse import urlparse

    storage = lake["storage"]
    if not storage:
        return pafs.LocalFileSystem(), lake["uri"]
    endpoint = urlparse(storage["endpoint"])
    s3 = pafs.S3FileSystem(
        access_key=storage["access_key_id"],
        secret_key=storage["secret_access_key"],
        region=storage["region"],
        scheme=endpoint.scheme,
        endpoint_override=endpoint.netloc,
    )
    return s3, lake["uri"].removeprefix("s3://")


def arrow_type(kind):
    return TYPES[kind] if kind in TYPES else pa.decimal128(*map(int, kind[len("decimal(") : -1].split(",")))


def expression(question):
    """The question's filter as an expression of pyarrow; None for no filter."""
    if question is None:
        return None
    column, kind, operator, value = (question[name] for name in ("column", "type", "operator", "value"))
    field = ds.field(column)
    if operator in ("is null", "is not null"):
        return field.is_null() if operator == "is null" else field.is_valid()
    there = pa.scalar(values.python(value, kind), arrow_type(kind))
    return {"=": field == there, "!=": field != there, ">=": field >= there}[operator]


class Files(ArrowTable):
    def __init__(self, lake, name):
        super().__init__(lake, name)
        schema = pa.schema([pa.field(column, arrow_type(kind)) for column, kind in self.columns])
        system, root = filesystem(lake)
        file_format = ds.ParquetFileFormat()
        fragments = [
            file_format.make_fragment(f"{root}/{name}/{file['path']}", system, self.partition(file))
            for file in self.files
        ]
        self.dataset = ds.FileSystemDataset(fragments, schema, file_format, system)

    def partition(self, file):
        parts = [
            (ds.field(column), values.python(value, self.kinds[column])) for column, value in file["partition"].items()
        ]
        return parts[0][0] == parts[0][1] if parts else None

    def scan(self, columns, question):
        return self.dataset.to_table(columns=columns, filter=expression(question))


def open_table(lake, name):
    return Files(lake, name)
