"""What was published at some time is computed once more, long after: from events that were compacted, with late ones among them."""

import datetime as dt
import json
import os

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import parquet

from harness import checks
from harness.data import at, event, traffic

FIRST = checks.day("2025-04-05")
# More of them by HISTORY_RUNS=50.
RUNS = int(os.environ.get("HISTORY_RUNS", "4"))
# So that nothing but the newest files is left for them.
VACUUM = {"lake__deleted_file_retention": "1s", "lake__log_retention": "1s", "lake__retry_timeout": "250ms"}
WINDOW = ("camera_id", "window_size", "window_start")


@pytest.fixture(scope="module", params=["disk", "minio"])
def published(workspaces, request):
    """A workspace, and the rows of each run as they were published, by the run; later runs have seen more events."""
    with workspaces.make("history", store=request.param, **VACUUM) as workspace:
        workspace.topic.send(traffic(91, FIRST, events=1500))
        workspace.land()
        rows = {}
        for run in range(RUNS):
            workspace.batch("nightly")
            [run_id] = {row["run_id"] for row in checks.runs(workspace) if row["event_date"] == FIRST} - rows.keys()
            rows[run_id] = published_rows(workspace.lake)
            workspace.topic.send([event(f"late-{run}", at(f"2025-04-05T{8 + run // 60:02}:{run % 60:02}:00+00:00"), 60.0)])
            workspace.land()
            workspace.batch("maintain")
        yield workspace, rows


def rows_of(table):
    """Every column that people rely on, in one order."""
    public = sorted(set(table.column_names) - {"speed_histogram", "event_date"})
    return table.select(public).sort_by([(name, "ascending") for name in WINDOW]).to_pylist()


def published_rows(lake):
    """The rows of the first day, as the table has them."""
    rows = pa.table(lake.delta("avg_speed").to_pyarrow_table())
    return rows_of(rows.filter(pc.equal(rows["event_date"], FIRST)))


def test_every_run_is_reproduced_bit_for_bit(published, tmp_path):
    workspace, rows = published
    for run_id, expected in rows.items():
        out = tmp_path / run_id
        report = workspace.batch("reproduce", "--run", run_id, "--date", str(FIRST), "--out", str(out))
        is_newest = run_id == list(rows)[-1]
        told = "equal to avg_speed bit for bit" if is_newest else "as batch_runs counts them"
        assert str(FIRST) in report.out and told in report.out, report.tail()
        [file] = out.iterdir()
        assert expected and rows_of(parquet.read_table(file)) == expected


def instant(micros):
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=micros)).isoformat()


def test_the_run_of_a_time_is_named(published):
    workspace, rows = published
    runs = [row for row in checks.runs(workspace) if row["event_date"] == FIRST]
    for run in runs:
        found = json.loads(workspace.batch("as-of", "--time", instant(run["finished_at"]), "--json").out)
        assert run["run_id"] in [one["run_id"] for one in found["runs"]]
    before = instant(min(run["started_at"] for run in runs) - 1)
    assert "no day was final" in workspace.batch("as-of", "--time", before).out
    assert {run["run_id"] for run in runs} == rows.keys()


def test_what_cannot_be_reproduced_is_said(published):
    workspace, _ = published
    refused = workspace.batch("reproduce", "--run", "nobody", code=2)
    assert "nobody" in refused.err and "as-of" in refused.err, refused.tail()
    assert "expected an instant" in workspace.batch("as-of", "--time", "yesterday", code=2).err
