"""Another Delta program rewrites files of the tables (Python's deltalake): what follows is right, or is refused by name.

OPTIMIZE keeps every row and moves it into files of its own, without our tags. Rows may be moved like that at any time;
provisional ones of several Kafka partitions and hours in one file are split by the speed layer before it goes on. A file
whose rows belong to no group is refused, until the table is restored.
"""

import contextlib

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from deltalake.exceptions import CommitFailedError
from ending import assert_everything_final

from harness import checks, oracle
from harness.data import DAYS, FIRST, at, event, traffic
from harness.lakehouse import QUICK, until

SECOND = DAYS[1]
# Hours of the second day before this are landed first; some of them are open then.
PAUSE_MS = at("2025-04-06T18:30:00+00:00") // 1000


def compact(delta, **which):
    delta.optimize.compact(**which)


def z_order(delta, **which):
    delta.optimize.z_order(["camera_id"], **which)


def compact_and_vacuum(delta, **which):
    delta.optimize.compact(**which)
    delta.vacuum(0, dry_run=False, enforce_retention_duration=False)


def compact_and_checkpoint(delta, **which):
    delta.optimize.compact(**which)
    delta.create_checkpoint()


TOOLS = [compact, z_order, compact_and_vacuum, compact_and_checkpoint]


def of(day):
    """The files of a day, for a tool."""
    return {"partition_filters": [("event_date", "=", str(day))]}


def use(tool, workspace, table, **which):
    """The tool, which must have changed files; returns the version before."""
    delta = workspace.lake.delta(table)
    before = delta.version(), set(delta.file_uris())
    tool(delta, **which)
    assert set(workspace.lake.delta(table).file_uris()) != before[1], "the tool had something to do"
    return before[0]


@contextlib.contextmanager
def two_days(workspaces, **settings):
    """A workspace whose first day is final and whose second is open, and the messages that are still to come."""
    sent = traffic(71, FIRST, days=2, events=2000)
    landed = [message for message in sent if message.timestamp_ms < PAUSE_MS]
    with workspaces.make("tools", **settings) as workspace:
        for part in (landed[:700], landed[700:]):
            workspace.topic.send(part)
            workspace.land()
        workspace.batch("nightly", "--date", str(FIRST))
        yield workspace, sent[len(landed) :]


def go_on(workspace, messages, final_days):
    """Lands the messages; provisional rows and landed ones must be right, as must everything be that follows."""
    workspace.topic.send(messages)
    workspace.land()
    expected = checks.landed(workspace)
    checks.coverage(workspace)
    checks.provisional(workspace, expected.events, final_days=final_days)
    workspace.batch("audit")
    assert_everything_final(workspace, expected)


def late_event():
    """One for the day that is final."""
    return event("KV00001", at("2025-04-05T12:00:00+00:00"), arrival_us=PAUSE_MS * 1000)


# ---- logs --------------------------------------------------------------------------------------------------------


def test_logs_may_be_checkpointed_and_cleaned(workspaces):
    """Whoever opens a table then has nothing but the checkpoint, and tags have to be there too."""
    retention = {"lake__log_retention": "1s", "lake__deleted_file_retention": "1s", "lake__retry_timeout": "250ms"}
    with two_days(workspaces, **retention) as (workspace, messages):
        for table in ("events", "avg_speed"):
            workspace.lake.delta(table).create_checkpoint()
            first = workspace.folder / "lake" / table / "_delta_log" / f"{0:020}.json"
            until(lambda: is_cleaned(workspace.lake.delta(table), first), "the first entry is deleted", pause_s=0.3)
        go_on(workspace, [late_event(), *messages], {FIRST})


def is_cleaned(delta, entry):
    delta.cleanup_metadata()
    return not entry.exists()


# ---- events ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", TOOLS)
def test_events_may_be_rewritten_between_two_runs(workspaces, tool):
    with two_days(workspaces) as (workspace, messages):
        use(tool, workspace, "events")
        workspace.batch("audit")
        workspace.batch("verify", "--date", str(FIRST))
        go_on(workspace, [late_event(), *messages], {FIRST})


@pytest.mark.parametrize("tool", TOOLS)
def test_events_may_be_rewritten_beside_a_speed_layer(workspaces, tool):
    with two_days(workspaces, **QUICK) as (workspace, messages):
        with workspace.topic.feeding([late_event(), *messages], portion=10):
            speed = workspace.speed()
            for _ in range(4):
                workspace.wait_for_commits(3, "the speed layer commits")
                use(tool, workspace, "events")
        until(workspace.has_landed_all, "everything landed")
        assert speed.terminate() == 0, speed.tail()
        go_on(workspace, [], {FIRST})


# ---- final rows --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", TOOLS)
def test_a_final_day_may_be_rewritten(workspaces, tool):
    """Its day is still final, by the same run, and dirty once an event comes."""
    with two_days(workspaces) as (workspace, messages):
        use(tool, workspace, "avg_speed", **of(FIRST))
        workspace.batch("audit")
        workspace.batch("verify", "--date", str(FIRST))
        before = workspace.lake.versions()
        workspace.batch("nightly", "--date", str(FIRST))
        assert workspace.lake.versions() == before, "the day is clean"
        go_on(workspace, [late_event(), *messages], {FIRST})


# ---- provisional rows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", TOOLS)
def test_an_open_day_may_be_rewritten_between_two_runs(workspaces, tool):
    with two_days(workspaces) as (workspace, messages):
        use(tool, workspace, "avg_speed", **of(SECOND))
        workspace.batch("audit")
        go_on(workspace, messages, {FIRST})


def test_a_whole_table_may_be_rewritten_between_two_runs(workspaces):
    with two_days(workspaces) as (workspace, messages):
        use(compact, workspace, "avg_speed")
        go_on(workspace, [late_event(), *messages], {FIRST})


@pytest.mark.parametrize("tool", TOOLS)
def test_an_open_day_may_be_rewritten_beside_a_speed_layer(workspaces, tool):
    with two_days(workspaces, **QUICK) as (workspace, messages):
        with workspace.topic.feeding(messages, portion=10) as fed:
            speed = workspace.speed()
            for turn in range(4):
                enough = workspace.commits() + 3
                # A slow tool may still be busy when all is landed; then there is nothing more for it to do.
                until(lambda enough=enough: workspace.commits() >= enough or fed.done(), "the speed layer commits")
                if turn and fed.done():
                    break
                at_last(lambda: use(tool, workspace, "avg_speed", **of(SECOND)))
        until(workspace.has_landed_all, "everything landed")
        assert speed.terminate() == 0, speed.tail()
        go_on(workspace, [], {FIRST})


def test_a_day_that_only_one_partition_still_writes_may_be_rewritten(workspaces):
    """The partition finds the file long after the others went on to the next day."""
    with workspaces.make("behind", partitions=2, **QUICK) as workspace:
        first, second = (
            [event(f"KV{partition}", at(start) + n * 10 * oracle.MINUTE_US, partition=partition) for n in range(12)]
            for partition, start in enumerate(("2025-04-05T20:00:00+00:00", "2025-04-06T10:00:00+00:00"))
        )
        speed = workspace.speed()
        workspace.topic.send([*first, *second[:4]])
        until(workspace.has_landed_all, "the first records landed")
        use(compact, workspace, "avg_speed", **of(FIRST))
        for part in (second[4:], [event("KV0", at("2025-04-05T22:30:00+00:00"))]):
            workspace.topic.send(part)
            until(workspace.has_landed_all, "everything landed")
        assert speed.terminate() == 0, speed.tail()
        go_on(workspace, [], set())


def test_a_file_with_final_rows_among_provisional_ones_is_refused_by_name(workspaces):
    """What no group can be told of is left alone: the table is restored, or the day made final."""
    with two_days(workspaces) as (workspace, messages):
        version = workspace.lake.version("avg_speed")
        rows = workspace.lake.delta("avg_speed").to_pyarrow_table()
        place = rows.column_names.index("event_date")
        moved = rows.set_column(place, rows.schema.field(place), pa.array([SECOND] * len(rows), pa.date32()))
        write_deltalake(workspace.lake.delta("avg_speed"), moved, mode="append")
        rewritten = workspace.lake.versions()
        workspace.topic.send(messages)
        for arguments in (["--until-end"], []):
            refused(workspace, workspace.start("speed-layer", "run", *arguments))
        assert workspace.lake.versions() == rewritten, "nothing is committed beside it"
        workspace.lake.delta("avg_speed").restore(version)
        go_on(workspace, [], {FIRST})


def refused(workspace, speed):
    """The speed layer ends because of a file that the table names, and says what to do."""
    speed.expect(3)
    last = speed.err.strip().splitlines()[-1]
    named = [uri for uri in workspace.lake.delta("avg_speed").file_uris() if uri.rpartition("/")[2] in last]
    assert len(named) == 1 and "restore" in last, speed.tail()


def at_last(rewrite):
    """Tries until no other writer takes away what is being rewritten."""
    while True:
        with contextlib.suppress(CommitFailedError):
            return rewrite()


@pytest.mark.parametrize("tool", TOOLS)
def test_a_provisional_day_that_was_rewritten_is_made_final(workspaces, tool):
    """The nightly run replaces all of its files, whatever they hold."""
    with two_days(workspaces) as (workspace, messages):
        use(tool, workspace, "avg_speed", **of(SECOND))
        workspace.batch("audit")
        workspace.batch("nightly", "--date", str(SECOND))
        expected = checks.landed(workspace)
        checks.final(workspace, expected.events, {FIRST, SECOND})
        go_on(workspace, messages, {FIRST, SECOND})
