"""Whether the end-to-end tests find a deliberate defect: the part of scripts/defects.sh --end-to-end in Python.

  defects.py --names      the defects that tests are known to guard against
  defects.py NAME         runs those tests on the programs in LAMBDALAKE_BIN, which have the defect, and prints a row each

The tests that guard what a defect breaks must fail. A test that passes is printed as such, and the exit code is 1 then.
A guard may stand for several cases of a parametrized test, by the beginning of their names; one that fails is enough,
and the row says how many did.
"""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
from pathlib import Path

from harness import lakehouse

HERE = Path(__file__).resolve().parent

# Defect, what is guarded, and the tests that must turn red.
GUARDS = [
    ("gap-not-noted", "rule 1", ["test_gaps.py::test_aborted_transactions_and_markers_at_the_end_are_gaps"]),
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
        "landing-not-awaited",
        "rule 4: what Kafka holds has landed",
        ["test_races.py::test_records_that_have_not_landed_hold_the_run_up_and_are_named"],
    ),
    (
        "run-not-repaired",
        "a killed nightly run",
        ["test_races.py::test_a_killed_run_leaves_whole_days_and_the_next_one_completes[after_the_first_commit]"],
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
    (
        "key-not-named",
        "unusable configuration names the key",
        ["test_configuration.py::test_unusable_settings_are_refused"],
    ),
    (
        "fault-passed-over",
        "a batch that cannot be read is not skipped",
        ["test_broken_logs.py::test_a_batch_that_is_damaged_on_disk_stops_the_speed_layer_with_its_place"],
    ),
    (
        "pipeline-not-compared",
        "a lake of another pipeline is refused",
        [
            "test_configuration.py::test_a_lake_made_with_other_settings_is_refused[name]",
            "test_rename.py::test_a_renamed_pipeline_goes_on_and_its_former_name_is_refused",
        ],
    ),
    (
        "folder-decoded",
        "a lake never touches another",
        ["test_neighbours.py::test_no_command_touches_a_neighbour_whose_name_is_easily_confused"],
    ),
    (
        "day-at-fault-fatal",
        "a day that cannot be computed stops no other",
        ["test_faults.py::test_a_day_with_a_torn_file_is_left_until_the_file_is_quarantined[disk]"],
    ),
]


def outcomes(tests):
    """Whether each case that pytest ran failed, by its name."""
    chosen = sorted({test if test.endswith("]") else test.partition("[")[0] for test in tests})
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *chosen]
        run = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
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


def main(arguments):
    """Prints the names, or a row for each test that guards against the defect; returns the exit code."""
    known = list(dict.fromkeys(defect for defect, _, _ in GUARDS))
    if arguments == ["--names"]:
        print("\n".join(known))
        return 0
    if len(arguments) != 1 or arguments[0] not in known:
        print(f"usage: defects.py --names | NAME, which is one of {', '.join(known)}", file=sys.stderr)
        return 2
    is_green = False
    with lakehouse.a_stack() as stack:
        os.environ |= variables_of(stack)
        for defect, what, tests in GUARDS:
            if defect not in arguments:
                continue
            found = outcomes(tests)
            for test in tests:
                cases = [red for name, red in found.items() if name.startswith(test)]
                verdict = "red" if any(cases) else "GREEN"
                is_green |= verdict == "GREEN"
                shown = test.replace("|", "/")
                print(f"| {defect} | {what} | `{shown}` | {sum(cases)} of {len(cases)} | {verdict} |", flush=True)
    return int(is_green)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
