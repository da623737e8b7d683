//! What each offset of each partition must have become, and which windows each event counts in.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::record::{self, Fields};
use super::zone::{Window, Zone};
use crate::truth::{AcceptedCut, TruePartition, TrueRecord, Truth, WatermarkReset};

/// What every partition's log means.
pub(super) struct Expected {
    pub(super) zone: Zone,
    pub(super) partitions: BTreeMap<i32, Partition>,
}

/// What a partition's log means.
#[derive(Default)]
pub(super) struct Partition {
    /// The fate of every offset below its end, and below where what a cut left ahead of it ends.
    pub(super) fates: Vec<Fate>,
    /// The end that the tables must reach.
    pub(super) end: i64,
    /// The greatest event time of accepted events before each offset, and before the end: the least and the most that it
    /// may be, since not every process accepts the same.
    pub(super) max_event_times: Vec<(Option<i64>, Option<i64>)>,
    /// Events that averages may have counted, though their offsets have become something else: of a log that was cut, or
    /// by another release.
    pub(super) alternatives: Vec<Event>,
}

/// What an offset must have become.
#[derive(Debug)]
pub(super) enum Fate {
    Event(Box<Event>),
    Letter {
        /// Any of these.
        reasons: Vec<&'static str>,
        record: Box<TrueRecord>,
    },
    /// Nothing is delivered there.
    Nothing,
    /// It is older than the first record consumed.
    BeforeStart,
    /// Its record is gone, as a setting accepts. An event may have been counted before it went.
    Lost(Option<Box<Event>>),
}

/// An accepted event.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) fields: Fields,
    pub(super) kafka_timestamp_us: i64,
    pub(super) day: Date,
    pub(super) windows: [Window; 3],
    /// None if that is up to which processes decoded the events before it.
    pub(super) late: Option<bool>,
    /// Whether every process accepts it.
    pub(super) is_accepted_by_all: bool,
}

impl Event {
    /// Whether every process counts it in the same windows, or in none.
    pub(super) fn is_sure(&self) -> bool {
        self.is_accepted_by_all && self.late.is_some()
    }

    pub(super) fn thousandths(&self) -> i64 {
        thousandths(self.fields.speed_kmh)
    }
}

/// Thousandths of km/h, half away from zero.
#[expect(clippy::cast_possible_truncation, reason = "accepted speeds are at most 10,000 km/h")]
pub(super) fn thousandths(kmh: f64) -> i64 {
    (kmh * 1000.0).round() as i64
}

/// The offsets that have rows.
#[derive(Debug, Default)]
pub(super) struct Landed {
    /// In `events`.
    pub(super) events: BTreeSet<(i32, i64)>,
    /// In `dead_letters`.
    pub(super) letters: BTreeSet<(i32, i64)>,
    /// In `dead_letters` or `offset_gaps`, with the place of the commit in the order of puts.
    pub(super) beside: BTreeMap<(i32, i64), u64>,
}

impl Landed {
    /// The offsets from the position of an accepted cut on that were covered by the log before it.
    pub(super) fn ahead_of(&self, cut: &AcceptedCut) -> impl Iterator<Item = i64> {
        let from = (cut.partition, cut.position);
        let beside = self.beside.range(from..=(cut.partition, i64::MAX));
        let sequence = cut.sequence;
        beside.filter(move |(_, at)| **at < sequence).map(|((_, offset), _)| *offset)
    }
}

impl Expected {
    /// What `truth` means by the days of `zone`. What has `landed` decides over records that may be lost, and over those
    /// that are an event to some processes only.
    pub(super) fn of(truth: &Truth, zone: Zone, landed: &Landed) -> Expected {
        let partition = |(id, log): (&i32, &TruePartition)| {
            let resets: Vec<WatermarkReset> =
                truth.watermark_resets.iter().filter(|r| r.partition == *id).copied().collect();
            let logs = Logs::of(log, super::cuts::accepted(truth, *id), landed);
            (*id, Partition::of(*id, &logs, truth, &zone, &resets, landed))
        };
        let partitions = truth.partitions.iter().map(partition).collect();
        Expected { zone, partitions }
    }

    /// The fate of an offset; `None` beyond the end.
    pub(super) fn fate(&self, partition: i32, offset: i64) -> Option<&Fate> {
        let fates = &self.partitions.get(&partition)?.fates;
        fates.get(usize::try_from(offset).ok()?)
    }

    /// The events that are lost though they may have been counted.
    pub(super) fn lost(&self) -> impl Iterator<Item = (i32, &Event)> {
        self.partitions.iter().flat_map(|(id, log)| {
            log.fates.iter().filter_map(|fate| match fate {
                Fate::Lost(Some(event)) => Some((*id, &**event)),
                _ => None,
            })
        })
    }

    /// The accepted events of a partition from one offset up to another.
    pub(super) fn events(
        &self,
        partition: i32,
        from: i64,
        to: i64,
    ) -> impl Iterator<Item = (i64, &Event)> {
        let offsets = from.max(0)..to;
        offsets.filter_map(move |offset| match self.fate(partition, offset)? {
            Fate::Event(event) => Some((offset, &**event)),
            _ => None,
        })
    }
}

/// What a partition's log was to whoever lands it.
struct Logs<'a> {
    log: &'a TruePartition,
    records: BTreeMap<i64, &'a TrueRecord>,
    /// Visible records under offsets that have another fate, where averages may have counted them.
    of_other_log: Vec<&'a TrueRecord>,
    end: i64,
    /// Where the offsets end that were covered by the log before an accepted cut.
    covered_to: i64,
}

impl<'a> Logs<'a> {
    /// The log, of which the offsets before the position of the accepted cut, and some beyond it, were landed before it.
    fn of(log: &'a TruePartition, accepted: Option<AcceptedCut>, landed: &Landed) -> Logs<'a> {
        let Some((cut, accepted)) = log.cut.as_ref().zip(accepted) else {
            let records = log.records.iter().map(|record| (record.offset, record)).collect();
            return Logs { log, records, of_other_log: Vec::new(), end: log.end, covered_to: 0 };
        };
        let ahead: BTreeSet<i64> = landed.ahead_of(&accepted).collect();
        let is_kept = |record: &&TrueRecord| {
            record.offset < accepted.position || ahead.contains(&record.offset)
        };
        let before = cut.records.iter().filter(|record| record.offset < cut.stable_end);
        let (kept, cut_off): (Vec<_>, Vec<_>) = before.partition(is_kept);
        let (hidden, after): (Vec<_>, Vec<_>) =
            log.records.iter().partition(|record| record.offset >= cut.offset && is_kept(record));
        Logs {
            log,
            records: after.into_iter().chain(kept).map(|record| (record.offset, record)).collect(),
            of_other_log: cut_off.into_iter().chain(hidden).filter(|r| r.is_visible).collect(),
            end: log.end.max(accepted.position),
            covered_to: ahead.last().map_or(0, |offset| offset + 1),
        }
    }
}

impl Partition {
    fn of(
        id: i32,
        logs: &Logs<'_>,
        truth: &Truth,
        zone: &Zone,
        resets: &[WatermarkReset],
        landed: &Landed,
    ) -> Partition {
        let Logs { log, records, .. } = logs;
        let mut partition = Partition { end: logs.end, ..Partition::default() };
        let mut clock = Clock { least_us: None, most_us: None, truth };
        for offset in 0..logs.end.max(logs.covered_to) {
            if let Some(reset) = resets.iter().rfind(|reset| reset.from_offset == offset) {
                (clock.least_us, clock.most_us) = (Some(reset.to_us), Some(reset.to_us));
            }
            let is_letter = landed.letters.contains(&(id, offset));
            let is_landed = is_letter || landed.events.contains(&(id, offset));
            let may_be_lost = log.losses.iter().any(|(from, to)| (*from..*to).contains(&offset));
            let visible = records.get(&offset).filter(|record| record.is_visible);
            partition.max_event_times.push((clock.least_us, clock.most_us));
            let fate = match visible {
                _ if log.first_consumed.is_none_or(|first| offset < first) => Fate::BeforeStart,
                // What is never delivered can't be lost: it may be on record as such from before the loss.
                Some(record) if may_be_lost && !is_landed => {
                    let mut clock = Clock { ..clock };
                    Fate::Lost(meaning(record, zone, &mut clock).event.map(Box::new))
                }
                None => Fate::Nothing,
                Some(record) => match meaning(record, zone, &mut clock) {
                    Meaning { event: Some(event), reasons } if !is_letter || reasons.is_empty() => {
                        Fate::Event(Box::new(event))
                    }
                    Meaning { event, reasons } => {
                        partition.alternatives.extend(event);
                        Fate::Letter { reasons, record: Box::new((*record).clone()) }
                    }
                },
            };
            partition.fates.push(fate);
        }
        partition.max_event_times.push((clock.least_us, clock.most_us));
        let other = |record: &&TrueRecord| meaning(record, zone, &mut Clock { ..clock }).event;
        partition.alternatives.extend(logs.of_other_log.iter().filter_map(other));
        partition
    }

    /// The first offset that nothing is expected at.
    pub(super) fn end(&self) -> i64 {
        i64::try_from(self.fates.len()).unwrap_or(i64::MAX)
    }
}

/// A partition's greatest event time so far: the least and the most that it may be.
struct Clock<'a> {
    least_us: Option<i64>,
    most_us: Option<i64>,
    truth: &'a Truth,
}

impl Clock<'_> {
    /// Whether the partition's next event is late, whose 5-minute window ends at `end_us`, if that is sure.
    fn observe(&mut self, time_us: i64, end_us: i64, is_accepted_by_all: bool) -> Option<bool> {
        let settings = &self.truth.settings;
        let late = [self.least_us, self.most_us].map(|max_us| {
            let watermark = max_us.map(|max_us| max_us - settings.out_of_orderness_us);
            watermark.is_some_and(|watermark| end_us + settings.allowed_lateness_us < watermark)
        });
        self.most_us = self.most_us.max(Some(time_us));
        if is_accepted_by_all {
            self.least_us = self.least_us.max(Some(time_us));
        }
        (late[0] == late[1]).then_some(late[0])
    }
}

/// What a record is: an event to those who accept it, and a dead letter with one of these reasons to those who don't.
struct Meaning {
    event: Option<Event>,
    reasons: Vec<&'static str>,
}

fn meaning(record: &TrueRecord, zone: &Zone, clock: &mut Clock<'_>) -> Meaning {
    let kafka_timestamp_us = record.kafka_timestamp_us;
    let settings = &clock.truth.settings;
    let parse = |max_speed_kmh| {
        record::parse(record.payload.as_deref(), kafka_timestamp_us, settings, max_speed_kmh)
    };
    let fields = parse(settings.max_speed_kmh);
    let by_other = settings.other_max_speed_kmh.and_then(|max_kmh| parse(max_kmh).err());
    let reasons: Vec<_> = fields.as_ref().err().copied().into_iter().chain(by_other).collect();
    let event = fields.ok().map(|fields| {
        let windows = zone.windows_at(fields.time_us);
        let is_accepted_by_all = reasons.is_empty();
        let late = clock.observe(fields.time_us, windows[0].end_us, is_accepted_by_all);
        let day = zone.day_of(fields.time_us);
        Event { fields, kafka_timestamp_us, day, windows, late, is_accepted_by_all }
    });
    Meaning { event, reasons }
}
