"""What a run wrote, according to the logs of its tables: commits, files, bytes, rows. On disk and on S3."""

import json
from concurrent.futures import ThreadPoolExecutor

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


def what_was_written(lake):
    """Commits and data files of all tables, and the rows landed. Entries must not have been deleted yet."""
    files, root = open_lake(lake)
    written = {"commits": 0, "files": 0, "mebibytes": 0.0, "landed": 0}
    with ThreadPoolExecutor(READERS) as pool:
        found = files.get_file_info(pyarrow.fs.FileSelector(root, recursive=True))
        entries = [info.path for info in found if info.path.endswith(".json") and "/_delta_log/" in info.path]
        for path, text in zip(entries, pool.map(lambda path: read(files, path), entries)):
            written["commits"] += 1
            for line in text.splitlines():
                add = json.loads(line).get("add")
                if add:
                    count(written, add, path.split("/")[-3])
    return written


def count(written, add, table):
    """Counts one file."""
    written["files"] += 1
    written["mebibytes"] += add["size"] / 2**20
    if table in LANDED:
        written["landed"] += json.loads(add["stats"])["numRecords"]


def read(files, path):
    with files.open_input_stream(path) as stream:
        return stream.read().decode()
