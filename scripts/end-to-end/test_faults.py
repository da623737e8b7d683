"""A day whose data can't be used is left and named, everything else goes on, and quarantine accounts for the file."""

import json
from urllib.parse import urlparse

import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from harness import checks
from harness.data import DAYS, FIRST, traffic

MIDDLE = DAYS[1]


class Objects:
    """The data files of a lake, on disk or in MinIO, with neither Delta nor the product in between."""

    def __init__(self, lake):
        self.root = lake.uri.removeprefix("s3://")
        self.files = fs.LocalFileSystem()
        if lake.storage:
            endpoint = urlparse(lake.storage["endpoint"])
            self.files = fs.S3FileSystem(
                access_key=lake.storage["access_key_id"],
                secret_key=lake.storage["secret_access_key"],
                region=lake.storage["region"],
                scheme=endpoint.scheme,
                endpoint_override=endpoint.netloc,
            )

    def path(self, file):
        return f"{self.root}/{file}"

    def read(self, file):
        with self.files.open_input_file(self.path(file)) as stream:
            return stream.read()

    def tear(self, file):
        """Leaves the first half of an object."""
        content = self.read(file)
        with self.files.open_output_stream(self.path(file)) as stream:
            stream.write(content[: len(content) // 2])

    def lose(self, file):
        self.files.delete_file(self.path(file))

    def offsets(self, file):
        """The (partition, offset) of every row."""
        with self.files.open_input_file(self.path(file)) as stream:
            rows = pq.read_table(stream, columns=["kafka_partition", "kafka_offset"]).to_pylist()
        return {(row["kafka_partition"], row["kafka_offset"]) for row in rows}


def files_of(workspace, table, day):
    """The data files of a day, relative to the lake."""
    uris = workspace.lake.delta(table).file_uris()
    paths = [table + uri.rpartition(f"/{table}")[2] for uri in uris]
    return sorted(path for path in paths if f"event_date={day}/" in path)


def landed_days(workspace, seed):
    """Three closed days, landed in two portions, so that a day has several files."""
    messages = traffic(seed, FIRST, days=3, events=1800)
    for part in (messages[:900], messages[900:]):
        workspace.topic.send(part)
        workspace.land()
    return checks.landed(workspace)


def assert_in_order_without(workspace, expected, offsets):
    """Asserts that everything is as if the records at these offsets had been quarantined, and nothing else."""
    rest = [event for event in expected.events if checks.place(event.record) not in offsets]
    assert len(rest) == len(expected.events) - len(offsets)
    checks.events(workspace, rest)
    gaps = {}
    for partition, offset in offsets:
        gaps.setdefault((partition, "quarantined"), set()).add(offset)
    checks.coverage(workspace, gaps)
    checks.final(workspace, rest, set(DAYS))
    workspace.batch("audit")
    workspace.batch("verify", "--date", str(MIDDLE))


@pytest.mark.parametrize("store", ["disk", "minio"])
def test_a_day_with_a_torn_file_is_left_until_the_file_is_quarantined(workspaces, store):
    with workspaces.make("torn", store=store) as workspace:
        expected = landed_days(workspace, 81)
        objects, file = Objects(workspace.lake), files_of(workspace, "events", MIDDLE)[0]
        offsets = objects.offsets(file)
        objects.tear(file)

        told = workspace.batch("nightly", code=1)
        assert f"{MIDDLE}  LEFT: {file}" in told.out and "quarantine --file" in told.out, told.tail()
        others = {day for day in DAYS if day != MIDDLE}
        checks.final(workspace, expected.events, others)
        assert {run["event_date"] for run in checks.runs(workspace)} == others
        [left] = json.loads(workspace.batch("nightly", "--json", code=1).out)["left"]
        assert (left["day"], left["fault"]["file"]) == (str(MIDDLE), file)

        named = workspace.batch("maintain", code=1)
        assert f"events {MIDDLE}: LEFT" in named.out and file in named.out, named.tail()
        assert all(len(files_of(workspace, "events", day)) == 1 for day in others)
        verdict = json.loads(workspace.batch("audit", "--json", code=1).out)
        assert [fault["file"] for fault in verdict["unreadable_files"]] == [file]
        assert len(verdict["problems"]) == 1 and {day["status"] for day in verdict["days"]} == {"clean"}

        before = workspace.lake.versions()
        workspace.batch("quarantine", "--file", file, "--dry-run")
        assert workspace.lake.versions() == before
        workspace.batch("quarantine", "--file", file)
        assert objects.read(file.replace("events/", "events/_quarantine/", 1)) == objects.read(file)
        workspace.batch("nightly")
        assert_in_order_without(workspace, expected, offsets)
        workspace.land()  # a speed layer that starts over such gaps lands nothing again
        assert_in_order_without(workspace, expected, offsets)


@pytest.mark.parametrize("store", ["disk", "minio"])
def test_a_final_day_that_loses_an_object_is_named_by_all_and_recomputed_without_it(workspaces, store):
    with workspaces.make("lost", store=store) as workspace:
        expected = landed_days(workspace, 82)
        workspace.batch("nightly")
        objects, file = Objects(workspace.lake), files_of(workspace, "events", MIDDLE)[0]
        offsets = objects.offsets(file)
        objects.lose(file)

        told = workspace.batch("maintain", code=1)
        assert f"events {MIDDLE}: LEFT: {file}" in told.out, told.tail()
        assert all(len(files_of(workspace, "events", day)) == 1 for day in DAYS if day != MIDDLE)
        for command in (["audit"], ["verify", "--date", str(MIDDLE)], ["nightly", "--force"]):
            told = workspace.batch(*command, code=1)
            assert file in told.out, told.tail()
        workspace.batch("verify", "--date", str(DAYS[0]))
        checks.final(workspace, expected.events, set(DAYS))

        workspace.batch("quarantine", "--file", file)
        workspace.batch("quarantine", "--file", file, code=2)
        workspace.batch("nightly")
        assert_in_order_without(workspace, expected, offsets)
        workspace.batch("maintain")


def test_averages_that_are_lost_are_written_anew_from_the_events(finished):
    workspace, expected, _ = finished[0].fork("averages"), finished[1], finished[2]
    Objects(workspace.lake).lose(files_of(workspace, "avg_speed", MIDDLE)[0])
    told = workspace.batch("audit", code=1)
    assert f"nightly --date {MIDDLE} --force" in told.out, told.tail()
    workspace.batch("nightly", "--date", str(MIDDLE), "--force")
    checks.final(workspace, expected.events, set(DAYS))
    workspace.batch("audit")
