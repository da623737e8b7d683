"""What writers that were killed leave where no table names it and no listing shows it: `batch-layer maintain` deletes it once it
is as old as an orphan has to be, and nothing else."""

import datetime
import os
import time

from harness import checks
from harness.data import traffic
from harness.fake_store import fake_store

DAY = checks.day("2025-04-05")
TWO_DAYS_S = 2 * 24 * 3600
RETENTION = {"maintain__orphan_retention": "1d"}


def leave(path, age_s):
    """A file of that age."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * 10)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_staging_files_go_when_they_are_as_old_as_orphans(workspaces):
    with workspaces.make("staging", **RETENTION) as workspace:
        workspace.topic.send(traffic(95, DAY, events=200))
        workspace.land()
        lake = workspace.folder / "lake"
        day = lake / "events" / f"event_date={DAY}"
        old = [
            leave(day / "landed-x.parquet#1", TWO_DAYS_S),
            leave(lake / "avg_speed" / "_delta_log" / "00000000000000000009.json#12", TWO_DAYS_S),
            leave(lake / "events" / ".tmp-1", TWO_DAYS_S),
            leave(lake / "_probe-1", TWO_DAYS_S),
        ]
        kept = [
            leave(day / "landed-y.parquet#1", 60),
            leave(lake / "_probe-2", 60),
            leave(lake / "another-tool" / "z#1", TWO_DAYS_S),
            leave(lake / "notes#1", TWO_DAYS_S),
        ]
        dry = workspace.batch("maintain", "--dry-run")
        assert "4 staging file(s) of 40 bytes" in dry.out, dry.tail()
        assert all(path.exists() for path in old + kept)
        workspace.batch("maintain")
        assert [path for path in old if path.exists()] == []
        assert [path for path in kept if not path.exists()] == []
        checks.landed(workspace)
        workspace.batch("audit")
        assert "staging" not in workspace.batch("maintain").out


def test_unfinished_uploads_are_ended_when_they_are_as_old_as_orphans(workspaces, stack):
    storage = {f"lake__storage.{name}": value for name, value in stack.storage.items()}
    with fake_store() as store, workspaces.make("uploads", **RETENTION, **storage) as workspace:
        workspace.configure(**{"lake__uri": "s3://bucket/a & b/lake", "lake__storage.endpoint": store.endpoint})
        workspace.topic.send(traffic(96, DAY, events=200))
        workspace.land()
        long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=TWO_DAYS_S)
        store.begin_upload("a & b/lake/events/event_date=2025-04-05/old.parquet", long_ago)
        store.begin_upload("a & b/lake/avg_speed/old.parquet", long_ago)
        young = store.begin_upload("a & b/lake/events/event_date=2025-04-05/young.parquet")
        others = [
            store.begin_upload("a & b/lake2/events/old.parquet", long_ago),
            store.begin_upload("a & b/lake/another-table/old.parquet", long_ago),
        ]
        assert "2 unfinished upload(s)" in workspace.batch("maintain", "--dry-run").out
        assert len(store.uploads) == 5
        workspace.batch("maintain")
        assert set(store.uploads) == {young, *others}
        workspace.batch("audit")


def test_minio_is_maintained_though_it_lists_no_uploads(workspaces):
    with workspaces.make("minio-uploads", store="minio", **RETENTION) as workspace:
        workspace.topic.send(traffic(97, DAY, events=200))
        workspace.land()
        assert "can't be listed" not in workspace.batch("maintain").err
        workspace.batch("audit")
