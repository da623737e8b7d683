//! `batch_runs`: a row for every commit that made a day final, in order, with the right figures.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::averages::Key;
use super::finals::FinalCommit;
use super::rows::{self, AverageRow, RunRow};
use super::violation::Violation;
use super::{BATCH_RUNS, Case};

const RULE: &str = "batch_runs";

pub(super) fn check(
    case: &Case<'_>,
    finals: &[FinalCommit],
) -> Result<Vec<Violation>, Box<Violation>> {
    let mut runs: BTreeMap<Date, Vec<(i64, RunRow)>> = BTreeMap::new();
    for (version, row) in case.files.added(&case.batch_runs, rows::runs)? {
        runs.entry(row.day).or_default().push((version.number, row));
    }
    let mut found = Vec::new();
    let days: BTreeSet<Date> = finals.iter().map(|f| f.day).chain(runs.keys().copied()).collect();
    for day in days {
        let mut recorded = runs.remove(&day).unwrap_or_default().into_iter().peekable();
        for commit in finals.iter().filter(|commit| commit.day == day) {
            let is_next = |(_, run): &(i64, RunRow)| run.events_version == commit.events_version;
            match recorded.next_if(is_next) {
                Some((version, run)) => found.extend(check_figures(case, commit, version, &run)),
                // Once its entry is cleaned away nothing tells of it, and the day is made final anew.
                None if commit.is_cleaned => {}
                None => {
                    let expected = format!("a row of version {}", commit.events_version);
                    let next = recorded.peek().map(|(_, run)| run.events_version);
                    let next = format!("next is that of {next:?}");
                    let place = format!("day {day}, final by version {}", commit.version);
                    found.push(Violation::at_the_end(RULE, BATCH_RUNS, place, expected, next));
                }
            }
        }
        for (version, run) in recorded {
            let (place, run) = (format!("day {day}"), format!("{run:?}"));
            let expected = "one row for each commit that made the day final";
            found.push(Violation::at(RULE, BATCH_RUNS, version, place, expected, run));
        }
    }
    Ok(found)
}

fn check_figures(
    case: &Case<'_>,
    commit: &FinalCommit,
    version: i64,
    run: &RunRow,
) -> Option<Violation> {
    let number = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
    let cameras: BTreeSet<&str> = commit.events.iter().map(|row| row.camera.as_str()).collect();
    let (windows, max_kmh) = drift(&commit.old, &commit.new);
    let late = commit.events.iter().filter(|row| row.late).count();
    let exact = [
        ("rows_read", number(commit.events.len()), run.rows_read),
        (
            "duplicates_dropped",
            number(commit.events.len() - commit.distinct().len()),
            run.duplicates,
        ),
        ("late_rows", number(late), run.late_rows),
        ("cameras", number(cameras.len()), run.cameras),
        ("rows_written", number(commit.new.len()), run.rows_written),
        ("drift_windows", number(windows), run.drift_windows),
    ];
    let violation = |name: &str, expected: String, found: String| {
        let place = format!("day {}, run {}, {name}", commit.day, run.run_id);
        Some(Violation::at(RULE, BATCH_RUNS, version, place, expected, found))
    };
    if let Some((name, expected, found)) = exact.into_iter().find(|(_, e, found)| e != found) {
        return violation(name, expected.to_string(), found.to_string());
    }
    // The product rounds to thousandths.
    if (run.drift_max_kmh - max_kmh).abs() > 0.000_5 + 1e-9 {
        return violation("drift_max_kmh", max_kmh.to_string(), run.drift_max_kmh.to_string());
    }
    let state = case.events.state_at(commit.events_version);
    let next = |(id, next): (&String, &i64)| Some((case.partition_of(id)?.to_string(), *next));
    let offsets: BTreeMap<String, i64> = state.txns.iter().filter_map(next).collect();
    if serde_json::from_str(&run.kafka_offsets).ok().as_ref() != Some(&offsets) {
        return violation("kafka_offsets", format!("{offsets:?}"), run.kafka_offsets.clone());
    }
    if run.finished_us < run.started_us - 2 * case.truth.max_clock_skew_us {
        let (from, to) = (run.started_us.to_string(), run.finished_us.to_string());
        return violation("finished_at", format!("no earlier than {from}"), to);
    }
    None
}

/// Windows whose count or sum changed or that one side lacks, and the greatest change of an average.
#[expect(clippy::cast_precision_loss, reason = "sums of a simulated day are far below 2^53")]
fn drift(old: &[AverageRow], new: &[AverageRow]) -> (usize, f64) {
    let merged = |rows: &[AverageRow]| {
        let mut windows: BTreeMap<Option<Key>, (i64, i128)> = BTreeMap::new();
        for row in rows {
            let (count, sum) = windows.entry(Key::of(row)).or_default();
            *count += row.count;
            *sum += row.sum;
        }
        windows
    };
    let (old, new) = (merged(old), merged(new));
    let average = |(count, sum): &(i64, i128)| *sum as f64 / (1000 * *count) as f64;
    let keys: BTreeSet<&Option<Key>> = old.keys().chain(new.keys()).collect();
    let changed = keys.iter().filter(|key| old.get(**key) != new.get(**key)).count();
    let both = keys.iter().filter_map(|key| Some((old.get(*key)?, new.get(*key)?)));
    let changes = both.map(|(old, new)| (average(old) - average(new)).abs());
    (changed, changes.fold(0.0, f64::max))
}
