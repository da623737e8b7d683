//! Rules 1 and 2: every offset is landed once, as what it has to be, and marked late as the log before it decides.
//!
//! Rule 1 is checked after every commit of `events`: below the next offset that it records nothing is missing.

use std::collections::BTreeMap;

use super::expected::{Event, Fate, Landed, Partition};
use super::files::Files;
use super::log::{Added, Log, Version};
use super::rows::{self, EventRow, GapRow, LetterRow};
use super::violation::Violation;
use super::{Case, DEAD_LETTERS, EVENTS, OFFSET_GAPS, cuts, record, zone};
use crate::truth::{TrueRecord, WatermarkReset};

type Offset = (i32, i64);

/// The offsets that have ever had a row.
pub(super) fn landed_offsets(
    files: &Files<'_>,
    [events, letters, gaps]: [&Log; 3],
) -> Result<Landed, Box<Violation>> {
    let events = files.added(events, rows::events)?;
    let letters = files.added(letters, rows::letters)?;
    let gaps = files.added(gaps, rows::gaps)?;
    let of_letters = letters.iter().map(|(put, row)| ((row.partition, row.offset), put.sequence));
    // A floor of retention covers what had other rows before.
    let gaps = gaps.iter().filter(|(_, gap)| gap.reason != "retention");
    let of_gaps = gaps.flat_map(|(put, gap)| {
        (gap.first..gap.next).map(|offset| ((gap.partition, offset), put.sequence))
    });
    Ok(Landed {
        beside: of_letters.chain(of_gaps).collect(),
        events: events.iter().map(|(_, row)| (row.partition, row.offset)).collect(),
        letters: letters.iter().map(|(_, row)| (row.partition, row.offset)).collect(),
    })
}

pub(super) fn check(case: &Case<'_>) -> Result<Vec<Violation>, Box<Violation>> {
    let mut check = Check { case, covered: BTreeMap::new(), next: BTreeMap::new(), found: vec![] };
    let logs = [&case.offset_gaps, &case.dead_letters, &case.events];
    let mut all: Vec<(&'static str, &Version)> =
        logs.iter().flat_map(|log| log.versions.iter().map(|v| (log.table, v))).collect();
    all.sort_by_key(|(_, version)| version.sequence);
    for (table, version) in all {
        for file in version.adds.iter().filter(|file| file.is_change) {
            check.take_file(table, version.number, file)?;
        }
        if table == EVENTS {
            check.check_coverage(version);
            check.check_dropped(version)?;
        } else if let Some(gone) = version.removes.iter().find(|file| file.is_change) {
            let expected = "rows that stay for ever";
            check.report("1", table, version.number, &gone.path, expected, "a removed file");
        }
    }
    for log in [&case.events, &case.avg_speed] {
        log.versions.iter().for_each(|version| check.check_clocks(log.table, version));
    }
    check.check_ends();
    Ok(check.found)
}

struct Check<'a> {
    case: &'a Case<'a>,
    /// What covers each offset.
    covered: BTreeMap<Offset, &'static str>,
    /// The next offset of each partition by `events`.
    next: BTreeMap<i32, i64>,
    found: Vec<Violation>,
}

impl Check<'_> {
    fn report(
        &mut self,
        rule: &'static str,
        table: &'static str,
        version: i64,
        place: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        self.found.push(Violation::at(rule, table, version, place, expected, found));
    }

    fn take_file(
        &mut self,
        table: &'static str,
        version: i64,
        file: &Added,
    ) -> Result<(), Box<Violation>> {
        let files = &self.case.files;
        match table {
            EVENTS => {
                for row in files.events(&file.path)?.iter() {
                    self.cover(table, version, (row.partition, row.offset));
                    self.check_event(version, file, row);
                }
            }
            DEAD_LETTERS => {
                for row in files.read(table, &file.path, rows::letters)? {
                    self.cover(table, version, (row.partition, row.offset));
                    self.check_letter(version, file, &row);
                }
            }
            _ => {
                for row in files.read(table, &file.path, rows::gaps)? {
                    self.take_gap(version, &row);
                }
            }
        }
        Ok(())
    }

    fn cover(&mut self, table: &'static str, version: i64, offset: Offset) {
        if let Some(before) = self.covered.insert(offset, table) {
            let found = format!("it is in {before} already");
            self.report("1", table, version, place(offset), "each offset once", found);
        }
    }

    fn check_event(&mut self, version: i64, file: &Added, row: &EventRow) {
        let offset = (row.partition, row.offset);
        let case = self.case;
        match case.expected.fate(row.partition, row.offset) {
            Some(Fate::Event(event)) if event.late.is_some_and(|late| late != row.late) => {
                let (expected, found) = (format!("late = {:?}", event.late), row.late.to_string());
                self.report("2", EVENTS, version, place(offset), expected, found);
            }
            Some(Fate::Event(event)) if is_same(event, row) && file.day == Some(event.day) => {}
            fate => {
                let found = format!("{row:?} of day {:?}", file.day);
                self.report("1", EVENTS, version, place(offset), format!("{fate:?}"), found);
            }
        }
    }

    fn check_letter(&mut self, version: i64, file: &Added, row: &LetterRow) {
        let offset = (row.partition, row.offset);
        let case = self.case;
        // Nothing is computed from that day: it may be one by the rules of whoever landed the record.
        let days = case.zones.iter().map(|zone| zone.day_of(row.kafka_timestamp_us));
        let is_day = days.map(Some).any(|day| day == file.day);
        match case.expected.fate(row.partition, row.offset) {
            Some(Fate::Letter { reasons, record })
                if reasons.contains(&&*row.reason) && is_whole(record, row) && is_day => {}
            fate => {
                let found = format!("{row:?} of day {:?}", file.day);
                self.report("1", DEAD_LETTERS, version, place(offset), format!("{fate:?}"), found);
            }
        }
    }

    fn take_gap(&mut self, version: i64, row: &GapRow) {
        if row.reason == "retention" {
            let log = self.case.truth.partitions.get(&row.partition);
            let is_expired = log.is_some_and(|log| row.next <= log.first_available);
            if row.first != 0 || !is_expired {
                let expected = "a floor that Kafka has expired everything below";
                let place = format!("partition {}", row.partition);
                self.report("1", OFFSET_GAPS, version, place, expected, format!("{row:?}"));
            }
            return;
        }
        let is_new = !self.next.contains_key(&row.partition);
        for offset in row.first..row.next {
            let at = (row.partition, offset);
            self.cover(OFFSET_GAPS, version, at);
            let case = self.case;
            let fate = case.expected.fate(row.partition, offset);
            let is_right = match fate {
                Some(Fate::Nothing) => ["not_delivered", "before_start"].contains(&&*row.reason),
                Some(Fate::BeforeStart) => row.reason == "before_start",
                // What went before anything of the partition was committed was never consumed, as the tables know.
                Some(Fate::Lost(_)) if row.reason == "before_start" => is_new,
                Some(Fate::Lost(_)) => row.reason == "accepted_loss",
                _ => false,
            };
            let may_be_lost = row.reason == "accepted_loss" && matches!(fate, Some(Fate::Nothing));
            if !is_right && !may_be_lost {
                let found = format!("a gap, {}", row.reason);
                self.report("1", OFFSET_GAPS, version, place(at), format!("{fate:?}"), found);
            }
        }
    }

    /// Below the offsets that a version records everything is covered, and beyond them nothing is in `events`.
    fn check_coverage(&mut self, version: &Version) {
        let case = self.case;
        for (app_id, next) in &version.txns {
            let Some(partition) = case.partition_of(app_id) else { continue };
            let from = self.next.insert(partition, *next).unwrap_or(0);
            let missing = (from..*next).find(|at| !self.covered.contains_key(&(partition, *at)));
            if let Some(offset) = missing {
                let expected = format!("every offset before {next} in one of the three tables");
                let at = place((partition, offset));
                self.report("1", EVENTS, version.number, at, expected, "it is in none");
            }
            let beyond = self.covered.range((partition, *next)..(partition, i64::MAX));
            let beyond =
                beyond.map(|(at, table)| (*at, *table)).find(|(_, table)| *table == EVENTS);
            if let Some((at, _)) = beyond {
                let expected = format!("no row from offset {next} on");
                self.report("1", EVENTS, version.number, place(at), expected, "a row");
            }
        }
    }

    /// The greatest event time that is recorded beside an offset is that of the events before it.
    fn check_clocks(&mut self, table: &'static str, version: &Version) {
        let case = self.case;
        for (app_id, next) in &version.txns {
            let Some(partition) = case.partition_of(app_id) else { continue };
            let name = format!("{app_id}:max_event_time");
            let recorded = version.txns.iter().find(|(id, _)| *id == name).map(|(_, at)| *at);
            let log = case.expected.partitions.get(&partition);
            let times = log.map(|log| log.max_event_times.as_slice()).unwrap_or_default();
            let exact = usize::try_from(*next).ok().and_then(|at| times.get(at).copied());
            let resets = &case.truth.watermark_resets;
            let is_reset = |r: &WatermarkReset| r.partition == partition && r.from_offset == *next;
            if let Some(exact) = exact.filter(|(least, most)| !(*least..=*most).contains(&recorded))
                && !resets.iter().any(is_reset)
                && !case.expected.lost().any(|(id, _)| id == partition)
                && (table == EVENTS || cuts::accepted(case.truth, partition).is_none())
            {
                let shown = |at: Option<i64>| at.map_or("none".to_owned(), zone::shown);
                let (least, most) = (shown(exact.0), shown(exact.1));
                let expected = format!("{least} to {most} before offset {next}");
                let place = format!("greatest event time of partition {partition}");
                self.report("2", table, version.number, place, expected, shown(recorded));
            }
        }
    }

    /// Files of `events` go only with whole days that are past retention and that Kafka has expired.
    fn check_dropped(&mut self, version: &Version) -> Result<(), Box<Violation>> {
        let case = self.case;
        let gone = version.removes.iter().filter(|file| file.is_change);
        for file in gone {
            for row in case.files.events(&file.path)?.iter() {
                let log = case.truth.partitions.get(&row.partition);
                let end_us = case.expected.zone.windows_at(row.time_us)[2].end_us;
                let may_go = case.truth.settings.event_retention_us.is_some_and(|kept_us| {
                    end_us + kept_us <= version.at_us + case.truth.max_clock_skew_us
                });
                if !may_go || log.is_none_or(|log| row.offset >= log.first_available) {
                    let expected = "rows until they are past retention and expired in Kafka";
                    let at = place((row.partition, row.offset));
                    self.report("1", EVENTS, version.number, at, expected, "a removed file");
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// In the end everything has landed, and both tables are at the ends of the partitions. Averages that were ahead when
    /// the log was cut stay there.
    fn check_ends(&mut self) {
        let case = self.case;
        for (partition, log) in &case.truth.partitions {
            let Some(expected) = case.expected.partitions.get(partition) else { continue };
            if log.first_consumed.is_none() {
                continue;
            }
            let ahead = cuts::doubtful(case, *partition).map_or(0, |offsets| offsets.end);
            for log_of in [&case.events, &case.avg_speed] {
                let state = log_of.state_at(i64::MAX);
                let next = state.txns.get(&case.app_id(*partition)).copied().unwrap_or(0);
                let (end, most) = (expected.end, if log_of.table == EVENTS { 0 } else { ahead });
                if !(end..=end.max(most)).contains(&next) {
                    self.found.push(Violation::at_the_end(
                        "1",
                        log_of.table,
                        format!("partition {partition}"),
                        format!("everything up to its end {end}"),
                        format!("the next offset {next}"),
                    ));
                }
            }
        }
        let end = |id: i32| case.expected.partitions.get(&id).map_or(0, Partition::end);
        let beyond = self.covered.iter().find(|((id, at), _)| *at >= end(*id));
        if let Some((at, table)) = beyond {
            let expected = "no row beyond the partition's end";
            self.found.push(Violation::at_the_end("1", table, place(*at), expected, "a row"));
        }
    }
}

fn place((partition, offset): Offset) -> String {
    format!("partition {partition} offset {offset}")
}

fn is_same(event: &Event, row: &EventRow) -> bool {
    let extra = match &row.extra {
        None => Some(Vec::new()),
        Some(text) => record::members_of(text).filter(|members| !members.is_empty()),
    };
    let fields = &event.fields;
    fields.camera == row.camera
        && fields.time_us == row.time_us
        && fields.speed_kmh.to_bits() == row.speed_kmh.to_bits()
        && fields.plate == row.plate
        && Some(&fields.extra) == extra.as_ref()
        && event.kafka_timestamp_us == row.kafka_timestamp_us
}

fn is_whole(record: &TrueRecord, row: &LetterRow) -> bool {
    record.key == row.key
        && record.payload == row.payload
        && record.kafka_timestamp_us == row.kafka_timestamp_us
}
