"""Metrics as Prometheus reads them: correct by its own checks, labelled, and there when something goes wrong.

The alerts on them are tested in scripts/deploy.
"""

import re
import subprocess
from pathlib import Path

import requests

from harness import checks
from harness.data import at, event, traffic
from harness.lakehouse import binary, free_port, until
from harness.promtool import promtool
from harness.rest import metrics, serving

DAY = checks.day("2025-04-05")
NOON = at("2025-04-05T12:00:00+00:00")
LAST_SUCCESS = 'lambdalake_batch_last_success_timestamp_seconds{pipeline="tested"}'
LAST_RUN = 'lambdalake_batch_last_run_timestamp_seconds{pipeline="tested"}'
DAYS_LEFT = 'lambdalake_batch_dates_left_total{pipeline="tested"}'
# Serving looks at the records of runs every 30 s.
RUNS_DEADLINE_S = 60


def assert_page(page, program):
    """Prometheus has no complaint, and every series has our prefix, its pipeline and a description."""
    promtool("check", "metrics", stdin=page)
    samples = metrics(page)
    assert all(series.startswith("lambdalake_") and 'pipeline="tested"' in series for series in samples), page
    described = set(re.findall(r"^# HELP (\w+) ", page, re.MULTILINE))
    typed = set(re.findall(r"^# TYPE (\w+) ", page, re.MULTILINE))
    assert typed and described == typed
    printed = subprocess.run([binary(program), "--version"], capture_output=True, text=True, check=True, timeout=30)
    version = printed.stdout.split()[1]
    labels = f'{{pipeline="tested",program="{program}",version="{version}"}}'
    assert samples[f"lambdalake_build_info{labels}"] == 1


def totals(page, names):
    """Metrics, each summed over its labels."""
    samples = metrics(page).items()
    return {name: sum(value for series, value in samples if series.partition("{")[0] == name) for name in names}


def test_every_program_s_metrics_are_described_and_name_pipeline_and_version(workspaces):
    port = free_port()
    with workspaces.make("described", partitions=2, speed__metrics_listen=f"127.0.0.1:{port}") as workspace:
        file = workspace.folder / "batch.prom"
        workspace.configure(batch__metrics_file=str(file))
        workspace.topic.send(traffic(23, DAY, events=500, partitions=2))
        expected = workspace.expected()
        counts = {
            "lambdalake_speed_events_landed_total": len(expected.events),
            "lambdalake_speed_late_events_total": sum(e.late for e in expected.events),
            "lambdalake_speed_dead_letters_total": len(expected.letters),
        }
        speed = workspace.speed()
        until(workspace.has_landed_all, "everything landed")

        def page():
            return requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text

        until(lambda: "consumer_lag_records{" in page(), "librdkafka has reported", deadline_s=15)
        until(lambda: totals(page(), counts) == counts, f"the speed layer has counted {counts}", deadline_s=5)
        found = page()
        assert_page(found, "speed-layer")
        assert "lambdalake_speed_commit_duration_seconds" in found and "lambdalake_speed_freshness_seconds" in found
        landed = [value for key, value in metrics(found).items() if "landed_record_timestamp" in key]
        assert len(landed) == 2 and all(landed), "each partition says how far it has landed"
        assert speed.terminate() == 0
        workspace.batch("nightly")
        assert_page(file.read_text(), "batch-layer")
        with serving(workspace) as client:
            assert_page(client.get("/metrics").text, "serving")


def test_the_time_of_the_last_success_survives_a_night_that_fails(workspaces):
    with workspaces.make("nights", partitions=1) as workspace:
        file = workspace.folder / "batch.prom"
        workspace.configure(batch__metrics_file=str(file))
        workspace.topic.send([event("KV1", NOON, 60.0)])
        workspace.land()
        workspace.batch("nightly", "--dry-run")
        assert not file.exists(), "a dry run writes nothing"
        workspace.batch("nightly")
        good = metrics(file.read_text())
        assert good[LAST_SUCCESS] == good[LAST_RUN] and good[DAYS_LEFT] == 0

        # The day is dirty, and one more record has not landed.
        workspace.topic.send([event("KV1", NOON + 1, 61.0)])
        workspace.land()
        workspace.topic.send([event("KV1", NOON + 2, 62.0)])
        workspace.batch("nightly", "--wait", "0s", code=1)
        bad = metrics(file.read_text())
        assert bad[LAST_SUCCESS] == good[LAST_SUCCESS] and bad[LAST_RUN] > good[LAST_RUN]
        assert bad[DAYS_LEFT] == 1

        # One day in order says nothing of the others.
        workspace.land()
        workspace.batch("nightly", "--date", str(DAY))
        assert metrics(file.read_text())[LAST_SUCCESS] == good[LAST_SUCCESS]


def test_two_pipelines_that_name_one_file_do_not_overwrite_each_other(workspaces):
    with workspaces.make("mine", partitions=1) as mine, workspaces.make("theirs", partitions=1) as theirs:
        file = mine.folder / "batch.prom"
        mine.configure(batch__metrics_file=str(file))
        theirs.configure(batch__metrics_file=str(file), pipeline__name="theirs")
        for workspace in (mine, theirs):
            workspace.topic.send([event("KV1", NOON, 60.0)])
            workspace.land()
        mine.batch("nightly")
        kept = file.read_text()
        refused = theirs.batch("nightly", code=3)
        assert 'pipeline "tested"; give each pipeline a file of its own' in refused.err.replace("\\", ""), refused.err
        assert file.read_text() == kept


def test_serving_shows_when_each_command_last_ran_and_succeeded(workspaces):
    """Without a text file, and although a run that has nothing to do commits nothing."""
    with workspaces.make("runs", partitions=1) as workspace:
        workspace.topic.send(traffic(24, DAY, events=200, partitions=1))
        workspace.land()
        with serving(workspace) as client:

            def samples():
                return metrics(client.get("/metrics").text)

            def last(kind, command):
                labels = f'{{pipeline="tested",command="{command}"}}'
                return samples().get(f"lambdalake_serving_last_{kind}_timestamp_seconds{labels}")

            assert samples()['lambdalake_serving_day_overdue_seconds{pipeline="tested"}'] > 0
            assert last("run", "nightly") is None
            for command in ("nightly", "maintain", "audit"):
                workspace.batch(command)
            versions = workspace.lake.versions()
            for command in ("nightly", "maintain", "audit"):
                until(lambda: last("run", command), f"{command} is shown", RUNS_DEADLINE_S)
                assert last("success", command) == last("run", command)
            assert samples()['lambdalake_serving_day_overdue_seconds{pipeline="tested"}'] == 0
            assert samples()['lambdalake_serving_last_final_timestamp_seconds{pipeline="tested"}'] > 0

            first = last("run", "nightly")
            workspace.batch("nightly")
            until(lambda: last("run", "nightly") > first, "a night without work is shown", RUNS_DEADLINE_S)
            assert workspace.lake.versions() == versions

            first = last("success", "audit")
            # One that the log names: compaction has left others.
            Path(workspace.lake.delta("events").file_uris()[0]).unlink()
            workspace.batch("audit", code=1)
            until(lambda: last("run", "audit") > first, "the audit that failed is shown", RUNS_DEADLINE_S)
            assert last("success", "audit") == first
