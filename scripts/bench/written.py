"""What a run wrote, according to the logs of its tables: commits, files, bytes, rows. On disk and on S3."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow.fs

READERS = 8
LANDED = ("events", "dead_letters")


def open_lake(lake):
    """The file system that a lake is on, and its root there."""
    if not lake.storage:
        return pyarrow.fs.LocalFileSystem(), lake.uri
    options = lake.storage
    files = pyarrow.fs.S3FileSystem(
        access_key=options["access_key_id"],
        secret_key=options["secret_access_key"],
        region=options["region"],
        endpoint_override=options["endpoint"].removeprefix("http://"),
        scheme="http",
    )
    return files, lake.uri.removeprefix("s3://")


@dataclass
class Written:
    """What the entries of a table's log name."""

    commits: int = 0
    files: int = 0
    bytes: int = 0
    rows: int = 0


def by_table(lake):
    """What was written to each table. Entries must not have been deleted yet."""
    files, root = open_lake(lake)
    written = {}
    with ThreadPoolExecutor(READERS) as pool:
        found = files.get_file_info(pyarrow.fs.FileSelector(root, recursive=True))
        entries = [info.path for info in found if info.path.endswith(".json") and "/_delta_log/" in info.path]
        for path, text in zip(entries, pool.map(lambda path: read(files, path), entries)):
            table = written.setdefault(path.split("/")[-3], Written())
            table.commits += 1
            for line in text.splitlines():
                add = json.loads(line).get("add")
                if add:
                    count(table, add)
    return written


def count(table, add):
    """Counts one file."""
    table.files += 1
    table.bytes += add["size"]
    table.rows += json.loads(add["stats"])["numRecords"]


def what_was_written(lake):
    """Commits and data files of all tables, and the rows landed. Entries must not have been deleted yet."""
    tables = by_table(lake)
    return {
        "commits": sum(table.commits for table in tables.values()),
        "files": sum(table.files for table in tables.values()),
        "mebibytes": sum(table.bytes for table in tables.values()) / 2**20,
        "landed": sum(table.rows for name, table in tables.items() if name in LANDED),
    }


def read(files, path):
    with files.open_input_stream(path) as stream:
        return stream.read().decode()
