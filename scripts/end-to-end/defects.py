"""Whether the end-to-end tests find deliberate defects (lake/model/src/defects.rs): scripts/defects.sh --end-to-end.

For each defect the tests that guard what it breaks are run on programs that have it, and must fail. A test that stays
green is printed as such, and the exit code is 1 then. A guard may stand for several cases of a parametrized test, by
the beginning of their names; one that fails is enough, and it is told how many did.
"""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
from pathlib import Path

from harness import lakehouse, oracle

HERE = Path(__file__).resolve().parent

# Defect, what is guarded, and the tests that must turn red.
GUARDS = [
    ("gap-not-noted", "rule 1", ["test_gaps.py::test_aborted_transactions_and_markers_at_the_end_are_gaps"]),
    ("txn-off-by-one", "rule 1", ["test_landing.py::test_a_restart_goes_on_where_it_stopped"]),
    ("extra-dropped", "rule 1: nothing is dropped", ["test_decoding.py::test_extra_is_kept_as_spelled"]),
    (
        "wrong-reason",
        "every dead-letter reason",
        [f"test_decoding.py::test_a_record_becomes[{reason}" for reason in oracle.REASONS],
    ),
    (
        "lateness-off-by-one",
        "rule 2: lateness to the microsecond",
        [
            "test_lateness.py::test_lateness_is_decided_by_the_log_of_the_partition[at_once]",
            "test_lateness.py::test_lateness_and_disorder_are_settings[False]",
        ],
    ),
    (
        "watermark-global",
        "rule 2: a watermark for each partition",
        ["test_lateness.py::test_lateness_is_decided_by_the_log_of_the_partition[at_once]"],
    ),
    (
        "watermark-forgotten",
        "rule 2: a replay decides the same",
        [
            "test_lateness.py::test_lateness_is_decided_by_the_log_of_the_partition"
            "[with_a_restart_after_each_first_event]"
        ],
    ),
    (
        "late-event-folded",
        "rule 3",
        ["test_landing.py::test_provisional_rows_count_exactly_what_was_not_late[disk]"],
    ),
    (
        "windows-not-read-back",
        "rule 3: a restart goes on with open windows",
        ["test_landing.py::test_a_restart_goes_on_where_it_stopped"],
    ),
    ("stale-file-kept", "rule 3", ["test_landing.py::test_a_restart_goes_on_where_it_stopped"]),
    (
        "final-in-two-commits",
        "rule 4: one commit",
        ["test_nightly.py::test_a_day_is_replaced_in_one_commit"],
    ),
    (
        "duplicates-kept",
        "rule 4: distinct events",
        ["test_nightly.py::test_final_rows_equal_the_oracle_bit_for_bit"],
    ),
    (
        "pinned-version-wrong",
        "rule 4: the version pinned",
        [
            "test_nightly.py::test_final_rows_equal_the_oracle_bit_for_bit",
            "test_nightly.py::test_each_run_is_told_in_batch_runs",
        ],
    ),
    (
        "landing-not-awaited",
        "rule 4: what Kafka holds has landed",
        ["test_races.py::test_records_that_have_not_landed_hold_the_run_up_and_are_named"],
    ),
    (
        "day-closed-early",
        "rule 4: a day is closed",
        ["test_nightly.py::test_a_day_is_closed_only_some_time_after_its_end"],
    ),
    (
        "late-only-day-missed",
        "rule 4: a day of late events only",
        ["test_nightly.py::test_a_day_of_late_events_alone_is_made_final_too"],
    ),
    (
        "final-overwritten",
        "rule 4: a final day is the batch's",
        ["test_nightly.py::test_an_event_after_final_makes_exactly_its_day_run_again"],
    ),
    (
        "hour-short",
        "rule 5",
        ["test_nightly.py::test_without_late_events_and_duplicates_final_equals_the_merge_of_provisional"],
    ),
    (
        "late-after-final-clean",
        "rule 6: late after final",
        ["test_nightly.py::test_an_event_after_final_makes_exactly_its_day_run_again"],
    ),
    (
        "clean-day-recomputed",
        "rule 7: a second nightly run commits nothing",
        ["test_nightly.py::test_a_second_run_commits_nothing"],
    ),
    (
        "run-not-repaired",
        "a killed nightly run",
        ["test_races.py::test_a_killed_run_leaves_whole_days_and_the_next_one_completes[after_the_first_commit]"],
    ),
    (
        "day-of-24-hours",
        "days of 23 and 25 hours",
        ["test_days.py"],
    ),
    (
        "resumed-too-far",
        "kill -9 in mid-run",
        ["test_crashes.py::test_kill_9_at_any_moment_loses_and_repeats_nothing"],
    ),
    (
        "folded-twice",
        "kill -9 in mid-run",
        ["test_crashes.py::test_kill_9_at_any_moment_loses_and_repeats_nothing"],
    ),
    (
        "landed-twice",
        "kill -9 in mid-run",
        ["test_crashes.py::test_kill_9_at_any_moment_loses_and_repeats_nothing"],
    ),
    (
        "windows-not-read-back",
        "three instances and a rebalance",
        [
            "test_rebalances.py::test_partitions_change_hands_and_everything_lands_once[range]",
            "test_rebalances.py::test_partitions_change_hands_and_everything_lands_once[cooperative-sticky]",
        ],
    ),
    (
        "store-fault-fatal",
        "restart of MinIO",
        ["test_crashes.py::test_broker_and_object_store_may_be_killed_and_come_back"],
    ),
    (
        "rows-forgotten",
        "restart of MinIO",
        ["test_crashes.py::test_broker_and_object_store_may_be_killed_and_come_back"],
    ),
    (
        "kafka-fault-fatal",
        "restart of the broker",
        ["test_crashes.py::test_broker_and_object_store_may_be_killed_and_come_back"],
    ),
    (
        "stopped-uncommitted",
        "SIGTERM commits what is held",
        ["test_landing.py::test_sigterm_commits_what_is_held_and_leaves_the_group"],
    ),
    (
        "retention-unexpired",
        "retention waits for Kafka",
        ["test_maintain.py::test_days_past_retention_are_dropped_once_final_and_gone_from_kafka"],
    ),
    *(
        (
            defect,
            f"unusable configuration names the {part}",
            ["test_configuration.py::test_unusable_settings_are_refused"],
        )
        for defect, part in (("key-not-named", "key"), ("value-not-named", "value"), ("remedy-not-named", "remedy"))
    ),
]


def outcomes(tests, defect):
    """Whether each case that pytest ran failed, by its name."""
    chosen = sorted({test if test.endswith("]") else test.partition("[")[0] for test in tests})
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *chosen]
        variables = os.environ | {"LAMBDALAKE_DEFECT": defect}
        run = subprocess.run(command, cwd=HERE, env=variables, capture_output=True, text=True, check=False)
        if not report.exists():
            sys.exit(f"pytest did not run:\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
        cases = xml.etree.ElementTree.parse(report).iter("testcase")
        return {
            f"{case.get('classname').rpartition('.')[2]}.py::{case.get('name')}": bool(
                case.findall("failure") or case.findall("error")
            )
            for case in cases
        }


def variables_of(stack):
    """What tells pytest of a stack that runs already."""
    storage = {f"LAKEHOUSE__LAKE__STORAGE__{name.upper()}": value for name, value in stack.storage.items()}
    return {"STACK_DIR": stack.folder, "LAKEHOUSE__KAFKA__BROKERS": stack.brokers, **storage}


def main(chosen):
    """Prints a row for each pair of defect and test; returns the exit code."""
    known = {defect for defect, _, _ in GUARDS}
    if unknown := set(chosen) - known:
        print(f"no tests are known to guard against {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    is_green = False
    print("| defect | guards | test | cases red | |\n|---|---|---|---|---|", flush=True)
    with lakehouse.a_stack() as stack:
        os.environ |= variables_of(stack)
        for defect, what, tests in GUARDS:
            if chosen and defect not in chosen:
                continue
            found = outcomes(tests, defect)
            for test in tests:
                cases = [red for name, red in found.items() if name.startswith(test)]
                verdict = "red" if any(cases) else "GREEN"
                is_green |= verdict == "GREEN"
                shown = test.replace("|", "/")
                print(f"| {defect} | {what} | `{shown}` | {sum(cases)} of {len(cases)} | {verdict} |", flush=True)
    return int(is_green)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
