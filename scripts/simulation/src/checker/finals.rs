//! Rules 4, 6 and 7: days are made final when they may be, in one commit each, from every distinct event of the version
//! that they name; they are made final again when events landed in them since, and not otherwise.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::averages::{self, Key, Speeds};
use super::expected::{Event, thousandths};
use super::log::{State, Version};
use super::rows::{self, AverageRow, EventRow, RunRow};
use super::violation::Violation;
use super::{AVG_SPEED, Case, EVENTS, zone};

/// A recomputation of a clean day counts as one if the run began that long after the last one; a run that began
/// before may not have seen it.
const OVERLAP_US: i64 = 12 * 3_600_000_000;

/// A commit that made a day final.
#[derive(Debug)]
pub(super) struct FinalCommit {
    pub(super) day: Date,
    pub(super) version: i64,
    pub(super) at_us: i64,
    pub(super) events_version: i64,
    /// Whether its log entry was deleted later.
    pub(super) is_cleaned: bool,
    /// The day's rows in `events` at that version.
    pub(super) events: Vec<EventRow>,
    pub(super) old: Vec<AverageRow>,
    pub(super) new: Vec<AverageRow>,
}

impl FinalCommit {
    fn offsets(&self) -> BTreeSet<(i32, i64)> {
        self.events.iter().map(|row| (row.partition, row.offset)).collect()
    }

    /// One of each set of equal events.
    pub(super) fn distinct(&self) -> BTreeSet<(&str, i64, i64, Option<&str>)> {
        self.events.iter().map(identity).collect()
    }
}

/// What makes an event the same as another.
fn identity(row: &EventRow) -> (&str, i64, i64, Option<&str>) {
    (&row.camera, row.time_us, thousandths(row.speed_kmh), row.plate.as_deref())
}

/// The commits that made days final, and what is wrong with them.
pub(super) fn check(case: &Case<'_>) -> Result<(Vec<FinalCommit>, Vec<Violation>), Box<Violation>> {
    let mut check = Check { case, state: State::default(), finals: Vec::new(), found: Vec::new() };
    for version in &case.avg_speed.versions {
        check.take(version)?;
        check.state.apply(version);
    }
    check.check_end()?;
    Ok((check.finals, check.found))
}

struct Check<'a> {
    case: &'a Case<'a>,
    /// The state before the version looked at.
    state: State,
    finals: Vec<FinalCommit>,
    found: Vec<Violation>,
}

impl Check<'_> {
    fn report(
        &mut self,
        rule: &'static str,
        version: i64,
        place: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        self.found.push(Violation::at(rule, AVG_SPEED, version, place, expected, found));
    }

    fn rows(&self, path: &str) -> Result<Vec<AverageRow>, Box<Violation>> {
        Ok(self.case.files.averages(path)?.to_vec())
    }

    fn last_final(&self, day: Date) -> Option<&FinalCommit> {
        self.finals.iter().rev().find(|commit| commit.day == day)
    }

    fn take(&mut self, version: &Version) -> Result<(), Box<Violation>> {
        let mut new: BTreeMap<Date, Vec<AverageRow>> = BTreeMap::new();
        for file in &version.adds {
            let Some(day) = file.day else { continue };
            new.entry(day).or_default().extend(self.rows(&file.path)?);
        }
        let gone: BTreeSet<&str> = version.removes.iter().map(|file| file.path.as_str()).collect();
        let held = self.state.files.values().filter(|file| gone.contains(file.path.as_str()));
        let mut days: BTreeSet<Date> = held.filter_map(|file| file.day).collect();
        days.extend(new.keys());
        for day in days {
            let rows = new.remove(&day).unwrap_or_default();
            if rows.iter().any(|row| row.status == "final") {
                self.take_final(version, day, rows, &gone)?;
            } else if self.last_final(day).is_some() {
                let found = format!("{} by {}", version.operation, version.writer);
                let expected = "a final day that only the batch replaces, whole";
                self.report("4", version.number, format!("day {day}"), expected, found);
            }
        }
        Ok(())
    }

    fn take_final(
        &mut self,
        version: &Version,
        day: Date,
        new: Vec<AverageRow>,
        gone: &BTreeSet<&str>,
    ) -> Result<(), Box<Violation>> {
        let place = format!("day {day}");
        let mut old = Vec::new();
        let before: Vec<String> = self.state.files_of(day).map(|file| file.path.clone()).collect();
        for path in before {
            if !gone.contains(path.as_str()) {
                let found = format!("{path} stays");
                let expected = "every row of the day replaced";
                self.report("4", version.number, &place, expected, found);
            }
            old.extend(self.rows(&path)?);
        }
        let versions: BTreeSet<Option<i64>> = new.iter().map(|row| row.events_version).collect();
        let is_final = |row: &AverageRow| row.status == "final" && row.partition.is_none();
        let events_version = versions.first().copied().flatten().unwrap_or(-1);
        let newest = self.case.events.newest_before(version.sequence);
        if versions.len() != 1
            || !new.iter().all(is_final)
            || !(0..=newest).contains(&events_version)
        {
            let expected = format!("final rows of one version of events up to {newest}");
            let found = format!("versions {versions:?}");
            self.report("4", version.number, &place, expected, found);
            return Ok(());
        }
        let state = self.case.events.state_at(events_version);
        let events = self.case.files.events_of(&state, day)?;
        let commit = FinalCommit {
            day,
            version: version.number,
            at_us: version.at_us,
            events_version,
            is_cleaned: version.is_cleaned,
            events,
            old,
            new,
        };
        self.check_figures(&commit);
        self.check_moment(version, &commit, &state);
        self.check_need(version, &commit)?;
        self.finals.push(commit);
        Ok(())
    }

    /// Final rows hold every distinct event of their window, and there are no others.
    fn check_figures(&mut self, commit: &FinalCommit) {
        let mut speeds = Speeds::new();
        for (camera, time_us, thousandths, _) in commit.distinct() {
            let windows = self.case.expected.zone.windows_at(time_us);
            averages::count(&mut speeds, camera, &windows, thousandths);
        }
        let at = format!("day {} from version {}", commit.day, commit.events_version);
        for row in &commit.new {
            let key = Key::of(row);
            let speeds = key.as_ref().and_then(|key| speeds.remove(key));
            let Some((key, speeds)) = key.zip(speeds) else {
                let expected = "rows of windows that hold events, one of each";
                self.report("4", commit.version, &at, expected, format!("{row:?}"));
                return;
            };
            let settings = &self.case.truth.settings;
            if let Some((expected, found)) = averages::difference(row, &speeds, settings, 0) {
                self.report("4", commit.version, format!("{at}, {key}"), expected, found);
                return;
            }
        }
        if let Some((key, speeds)) = speeds.first_key_value() {
            let expected = format!("a row of {} events", speeds.len());
            self.report("4", commit.version, format!("{at}, {key}"), expected, "none");
        }
    }

    /// The day was over for long enough, and the version reaches what Kafka held and what its rows counted.
    fn check_moment(&mut self, version: &Version, commit: &FinalCommit, events: &State) {
        let (case, day) = (self.case, commit.day);
        let truth = case.truth;
        let place = format!("day {day} from version {}", commit.events_version);
        let closes_us = case.expected.zone.bounds_of(day).1 + truth.settings.close_after_us;
        if version.at_us + truth.max_clock_skew_us < closes_us {
            let expected = format!("no final rows before {}", zone::shown(closes_us));
            self.report("4", version.number, &place, expected, zone::shown(version.at_us));
        }
        let reaches =
            |partition: i32| events.txns.get(&case.app_id(partition)).copied().unwrap_or(0);
        let counted = |(id, next): (i32, i64)| {
            let events = case.expected.events(id, 0, next);
            let is_counted = |event: &Event| event.is_sure() && event.late == Some(false);
            let last = events.filter(|(_, event)| is_counted(event) && event.day == day).last();
            (id, last.map_or(0, |(offset, _)| offset + 1))
        };
        let is_first = self.last_final(day).is_none();
        let before = self.state.txns.iter();
        let offsets = before.filter_map(|(id, next)| Some((case.partition_of(id)?, *next)));
        let offsets: Vec<_> = offsets.map(counted).filter(|_| is_first).collect();
        let mut questions = truth.nightly_questions.iter().rev();
        let asked = questions.find(|asked| asked.process == version.writer);
        let ends = asked.into_iter().flat_map(|asked| &asked.ends).map(|(id, end)| (*id, *end));
        for (what, wanted) in
            [("its provisional rows hold", offsets), ("Kafka held", ends.collect())]
        {
            let short = wanted.into_iter().find(|(id, next)| reaches(*id) < *next);
            if let Some((id, next)) = short {
                let expected = format!("every event that {what}, up to offset {next}");
                let found = format!("partition {id} up to offset {}", reaches(id));
                self.report("4", version.number, &place, expected, found);
            }
        }
        if asked.is_none() {
            let found = format!("{} asked nothing", version.writer);
            self.report("4", version.number, &place, "a run that asks what Kafka holds", found);
        }
    }

    /// Newer events win, and nothing is done twice.
    fn check_need(
        &mut self,
        version: &Version,
        commit: &FinalCommit,
    ) -> Result<(), Box<Violation>> {
        let case = self.case;
        let Some(last) = self.last_final(commit.day) else { return Ok(()) };
        let mut questions = case.truth.nightly_questions.iter().rev();
        let asked = questions.find(|asked| asked.process == version.writer);
        let asked_us = asked.map_or(version.at_us, |asked| asked.at_us);
        let recorded_us = recorded_at(case, last)?;
        let was_recorded = recorded_us.is_some_and(|at_us| at_us <= asked_us);
        let is_repeated =
            commit.events_version == last.events_version && last.at_us <= asked_us && !was_recorded;
        let place = format!("day {}", commit.day);
        let found = format!("version {} again", commit.events_version);
        if commit.events_version <= last.events_version && !is_repeated {
            let expected = format!("final rows of a version after {}", last.events_version);
            self.report("4", version.number, place, expected, found);
        } else if was_recorded
            && last.at_us + OVERLAP_US < asked_us
            && last.offsets() == commit.offsets()
        {
            let expected = "no commit, since nothing landed in the day";
            self.report("7", version.number, place, expected, found);
        }
        Ok(())
    }

    /// In the end every day with events is final from all of them, but for those whose events were dropped.
    fn check_end(&mut self) -> Result<(), Box<Violation>> {
        let case = self.case;
        let events = case.events.state_at(i64::MAX);
        let app_id = format!("{}:retention_floor_day", case.truth.settings.pipeline);
        let floor = events.txns.get(&app_id).copied().unwrap_or(i64::MIN);
        let days: BTreeSet<Date> = events.files.values().filter_map(|file| file.day).collect();
        let first = jiff::civil::date(1970, 1, 1);
        for day in days {
            let is_dropped = day.duration_since(first).as_hours() / 24 < floor;
            let closes_us =
                case.expected.zone.bounds_of(day).1 + case.truth.settings.close_after_us;
            let rows = case.files.events_of(&events, day)?;
            if is_dropped || closes_us > case.truth.ended_at_us || rows.is_empty() {
                continue;
            }
            let landed: BTreeSet<_> = rows.iter().map(|row| (row.partition, row.offset)).collect();
            let counted = self.last_final(day).map(FinalCommit::offsets);
            if counted.as_ref() != Some(&landed) {
                let found = counted.map_or("no final rows".to_owned(), |counted| {
                    format!("final rows of {} events", counted.len())
                });
                let expected = format!("final rows of the {} events in {EVENTS}", landed.len());
                let place = format!("day {day}");
                self.found.push(Violation::at_the_end("6", AVG_SPEED, place, expected, found));
            }
        }
        Ok(())
    }
}

/// When the run behind a final commit was recorded, if it was.
fn recorded_at(case: &Case<'_>, commit: &FinalCommit) -> Result<Option<i64>, Box<Violation>> {
    let mut runs = case.files.added(&case.batch_runs, rows::runs)?.into_iter();
    let is_of = |run: &RunRow| run.day == commit.day && run.events_version == commit.events_version;
    Ok(runs.find(|(_, run)| is_of(run)).map(|(version, _)| version.at_us))
}
