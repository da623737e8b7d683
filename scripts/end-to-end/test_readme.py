"""The examples of README.md work: each fenced block after `<!-- test: NAME -->` is run in a folder with ./lake.

Python blocks run as programs, SQL blocks in DuckDB, with the extensions of the wheels installed where DuckDB looks for
them, so that `INSTALL delta; LOAD delta;` downloads nothing.
"""

import importlib.resources
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from harness import checks
from harness.data import at, event, traffic
from harness.lakehouse import REPOSITORY

BLOCK = re.compile(r"<!-- test: (?P<name>[\w -]+) -->\s*```(?P<language>python|sql)\n(?P<code>.*?)```", re.DOTALL)


def examples():
    readme = REPOSITORY / "README.md"
    text = readme.read_text() if readme.exists() else ""
    return {match["name"]: match for match in BLOCK.finditer(text)}


@pytest.fixture(scope="module")
def folder(workspaces):
    """A folder with ./lake: a final day, a provisional one, a camera KV12345."""
    with workspaces.make("readme") as workspace:
        seen = [event("KV12345", at(f"2025-04-05T{hour:02}:15:30+00:00"), 50.0 + hour) for hour in range(24)]
        workspace.topic.send(
            sorted([*seen, *traffic(71, checks.day("2025-04-05"), days=2, events=1000)], key=lambda m: m.timestamp_ms)
        )
        workspace.land()
        workspace.batch("nightly", "--date", "2025-04-05")
        yield workspace.folder


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home folder whose DuckDB has the delta and httpfs extensions installed."""
    home = tmp_path_factory.mktemp("home")
    [(platform,)] = duckdb.execute("PRAGMA platform").fetchall()
    place = home / ".duckdb" / "extensions" / f"v{duckdb.__version__}" / platform
    place.mkdir(parents=True)
    for name in ("delta", "httpfs"):
        for path in Path(str(importlib.resources.files(f"duckdb_extension_{name}"))).rglob(f"{name}.duckdb_extension*"):
            shutil.copy(path, place)
    return home


def test_there_is_an_example_for_polars_for_duckdb_and_in_sql():
    found = examples()
    assert found.keys() >= {"polars", "duckdb", "sql"}, "README.md must have these tested examples"
    assert "SELECT" in found["sql"]["code"]


def output(program, folder, home):
    """What a Python program prints in a folder."""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=os.environ | {"HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.mark.parametrize("name", examples())
def test_an_example_of_the_readme_works(folder, home, name):
    example = examples()[name]
    program = {
        "python": example["code"],
        "sql": f"import duckdb\nprint(*duckdb.sql({example['code']!r}).fetchall(), sep='\\n')",
    }
    assert output(program[example["language"]], folder, home), "the example shows nothing"


# The rows of `distinct`, as each example has them.
DISTINCT = {
    "polars": "distinct.rows()",
    "duckdb": "distinct",
    "sql": "[tuple(row.values()) for row in pyarrow.table(distinct).to_pylist()]",
}


@pytest.mark.parametrize("name", DISTINCT)
def test_the_query_for_distinct_events_counts_what_final_rows_count(finished, home, name):
    workspace = finished[0]
    code = examples()[name]["code"]
    program = f"import pyarrow\n{code}\nprint(*sorted((camera, str(day), count) for camera, day, count in {DISTINCT[name]}), sep='\\n')"
    final = checks.read(workspace.lake, "avg_speed")
    assert {row["status"] for row in final} == {"final"}
    wanted = sorted(
        (row["camera_id"], str(row["event_date"]), row["vehicle_count"]) for row in final if row["window_size"] == "24h"
    )
    assert output(program, workspace.folder, home).splitlines()[-len(wanted) :] == [str(row) for row in wanted]
    assert len(checks.read(workspace.lake, "events")) > sum(count for _, _, count in wanted), "some events are repeated"


@pytest.mark.parametrize("name, rows", [("history in duckdb", "day_averages"), ("history in polars", "day_averages.rows()")])
def test_the_query_for_an_earlier_run_has_what_the_run_published(finished, home, name, rows):
    workspace = finished[0]
    program = f"{examples()[name]['code']}\nprint(*({rows}), sep='\\n')"
    day = checks.day("2025-04-05")
    final = checks.read(workspace.lake, "avg_speed")
    wanted = sorted(
        (row["camera_id"], row["vehicle_count"], row["avg_speed_kmh"])
        for row in final
        if row["window_size"] == "24h" and row["event_date"] == day
    )
    assert wanted and output(program, workspace.folder, home).splitlines()[-len(wanted) :] == [str(row) for row in wanted]
