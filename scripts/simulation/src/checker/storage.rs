//! The logs as such: every version put once, its files in the store for as long as it needs them, rows unchanged where
//! only files are rearranged, offsets that never go back, and news in every commit.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;

use super::log::{Added, Log, Removed, State, Version};
use super::violation::Violation;
use super::{AVG_SPEED, BATCH_RUNS, Case, DEAD_LETTERS, EVENTS, rows};

pub(super) fn check(case: &Case<'_>) -> Result<Vec<Violation>, Box<Violation>> {
    let mut found = Vec::new();
    for log in case.logs() {
        check_log(case, log, &mut found)?;
    }
    Ok(found)
}

fn check_log(case: &Case<'_>, log: &Log, found: &mut Vec<Violation>) -> Result<(), Box<Violation>> {
    let mut state = State::default();
    let mut removed_at: BTreeMap<String, i64> = BTreeMap::new();
    let mut named = BTreeSet::new();
    for (place, version) in log.versions.iter().enumerate() {
        let mut report = |place: &str, expected: &str, problem: String| {
            let (table, number) = (log.table, version.number);
            found.push(Violation::at("commits", table, number, place, expected, problem));
        };
        if i64::try_from(place) != Ok(version.number) {
            report("the log", "one entry after the other", format!("entry {place} is missing"));
        }
        if version.is_overwritten {
            report("the entry", "an entry that is put once", "another in its place".to_owned());
        }
        if !brings_news(version, &state) {
            report("the entry", "files, newer offsets or other rules", version.operation.clone());
        }
        for (app_id, next) in &version.txns {
            let before = state.txns.get(app_id).copied();
            if case.partition_of(app_id).is_some() && before > Some(*next) {
                report(app_id, "an offset that only grows", format!("{next} after {before:?}"));
            }
        }
        for removed in &version.removes {
            if !state.files.contains_key(&removed.path) {
                report(&removed.path, "an active file", "a remove of one that is none".to_owned());
            }
            removed_at.insert(removed.path.clone(), version.at_us);
        }
        for added in &version.adds {
            if !named.insert(added.path.clone()) {
                report(&added.path, "a file that is added once", "it was added before".to_owned());
            }
            if let Some(problem) = problem_of(case, log.table, added, version)? {
                report(&added.path, "the file as the log describes it", problem);
            }
        }
        found.extend(rearranged(case, log.table, version)?);
        state.apply(version);
    }
    found.extend(missing_files(case, log, &state, &removed_at));
    Ok(())
}

fn brings_news(version: &Version, before: &State) -> bool {
    let has_files = !version.adds.is_empty() || !version.removes.is_empty();
    let is_own = version.number == 0 || version.operation.starts_with("VACUUM");
    let is_new = |(app_id, next): &(String, i64)| before.txns.get(app_id) != Some(next);
    let has_rules = version.zone_rules.is_some() && version.zone_rules != before.zone_rules;
    has_files || is_own || has_rules || version.txns.iter().any(is_new)
}

/// What the store has in place of the file that an entry describes.
fn problem_of(
    case: &Case<'_>,
    table: &'static str,
    added: &Added,
    version: &Version,
) -> Result<Option<String>, Box<Violation>> {
    let Some(object) = case.files.object_at(&added.path, version.sequence) else {
        return Ok(Some("no such object".to_owned()));
    };
    if object.ended.as_ref().is_some_and(|ended| ended.sequence < version.sequence) {
        return Ok(Some("it was deleted before".to_owned()));
    }
    if added.size.is_some_and(|size| size != object.bytes.len() as u64) {
        return Ok(Some(format!("{} bytes, not {:?}", object.bytes.len(), added.size)));
    }
    let rows = case.files.read(table, &added.path, |batch| Ok(vec![batch.num_rows() as u64]))?;
    let rows: u64 = rows.iter().sum();
    Ok((added.rows != Some(rows)).then(|| format!("{rows} rows, not {:?}", added.rows)))
}

/// Files that went while a version that is to be readable still needed them.
fn missing_files(
    case: &Case<'_>,
    log: &Log,
    newest: &State,
    removed_at: &BTreeMap<String, i64>,
) -> Vec<Violation> {
    let mut found = Vec::new();
    let kept_us = case.truth.settings.deleted_file_retention_us - 2 * case.truth.max_clock_skew_us;
    for version in &log.versions {
        for added in &version.adds {
            let object = case.files.object_at(&added.path, version.sequence);
            let Some(ended) = object.and_then(|object| object.ended.as_ref()) else { continue };
            let is_active = newest.files.contains_key(&added.path);
            let may_go_at = removed_at.get(&added.path).map_or(i64::MAX, |at| at + kept_us);
            if is_active || ended.at_us < may_go_at {
                found.push(Violation::at(
                    "files in the store",
                    log.table,
                    version.number,
                    &added.path,
                    "the file for as long as versions within the retention name it",
                    format!("{} deleted it at {}", ended.by, super::zone::shown(ended.at_us)),
                ));
            }
        }
    }
    found
}

/// What is wrong with an entry that says that it changes no data, or with one that has to say so.
fn rearranged(
    case: &Case<'_>,
    table: &'static str,
    version: &Version,
) -> Result<Option<Violation>, Box<Violation>> {
    let (adds, removes) = (&version.adds, &version.removes);
    let violation = |expected: &str, problem: String| {
        let rule = "compaction changes no data";
        Some(Violation::at(rule, table, version.number, "its files", expected, problem))
    };
    let quiet = adds.iter().filter(|f| !f.is_change).count()
        + removes.iter().filter(|f| !f.is_change).count();
    if quiet == 0 {
        let must_be_quiet = table != AVG_SPEED && !adds.is_empty() && !removes.is_empty();
        let expected = "dataChange = false where rows move between files";
        return Ok(must_be_quiet.then(|| violation(expected, version.operation.clone())).flatten());
    }
    if quiet < adds.len() + removes.len() {
        return Ok(violation("all of it changes data or none", format!("{quiet} that do not")));
    }
    let (before, after) = (removed_rows(case, table, removes)?, added_rows(case, table, adds)?);
    let is_same = before == after;
    let problem = format!("{} rows before, {} after", before.len(), after.len());
    Ok((!is_same).then(|| violation("the same rows as before", problem)).flatten())
}

fn removed_rows(
    case: &Case<'_>,
    table: &'static str,
    files: &[Removed],
) -> Result<Vec<String>, Box<Violation>> {
    rows_of(case, table, files.iter().map(|file| file.path.as_str()))
}

fn added_rows(
    case: &Case<'_>,
    table: &'static str,
    files: &[Added],
) -> Result<Vec<String>, Box<Violation>> {
    rows_of(case, table, files.iter().map(|file| file.path.as_str()))
}

/// The rows of files in full, in an order of their own.
fn rows_of<'p>(
    case: &Case<'_>,
    table: &'static str,
    paths: impl Iterator<Item = &'p str>,
) -> Result<Vec<String>, Box<Violation>> {
    let mut all = Vec::new();
    for path in paths {
        all.extend(case.files.read(table, path, |batch| shown(table, batch))?);
    }
    all.sort_unstable();
    Ok(all)
}

fn shown(table: &str, batch: &RecordBatch) -> Result<Vec<String>, String> {
    fn lines<T: std::fmt::Debug>(rows: Vec<T>) -> Vec<String> {
        rows.into_iter().map(|row| format!("{row:?}")).collect()
    }
    Ok(match table {
        EVENTS => lines(rows::events(batch)?),
        DEAD_LETTERS => lines(rows::letters(batch)?),
        AVG_SPEED => lines(rows::averages(batch)?),
        BATCH_RUNS => lines(rows::runs(batch)?),
        _ => lines(rows::gaps(batch)?),
    })
}
