//! What each offset of each partition must have become, and which windows each event counts in.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::record::{self, Fields};
use super::violation::Violation;
use super::zone::{Window, Zone};
use crate::truth::{TruePartition, TrueRecord, Truth, WatermarkReset};

/// What every partition's log means.
pub(super) struct Expected {
    pub(super) zone: Zone,
    pub(super) partitions: BTreeMap<i32, Partition>,
}

/// What a partition's log means.
#[derive(Default)]
pub(super) struct Partition {
    /// The fate of every offset below its end.
    pub(super) fates: Vec<Fate>,
    /// The greatest event time of accepted events before each offset, and before the end.
    pub(super) max_event_times: Vec<Option<i64>>,
    /// Accepted events of the other log, where the log was cut: those that are not the fate of their offsets.
    pub(super) of_other_log: Vec<(i64, Event)>,
}

/// What an offset must have become.
#[derive(Debug)]
pub(super) enum Fate {
    Event(Box<Event>),
    Letter {
        reason: &'static str,
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
    pub(super) late: bool,
}

impl Event {
    pub(super) fn thousandths(&self) -> i64 {
        thousandths(self.fields.speed_kmh)
    }
}

/// Thousandths of km/h, half away from zero.
#[expect(clippy::cast_possible_truncation, reason = "accepted speeds are at most 10,000 km/h")]
pub(super) fn thousandths(kmh: f64) -> i64 {
    (kmh * 1000.0).round() as i64
}

impl Expected {
    /// What `truth` means. `landed` are the offsets that have a row, which decides over those that may be lost.
    pub(super) fn of(
        truth: &Truth,
        landed: &BTreeSet<(i32, i64)>,
    ) -> Result<Expected, Box<Violation>> {
        let zone = Zone::new(&truth.settings.timezone)?;
        let partition = |(id, log): (&i32, &TruePartition)| {
            let is_landed = |offset| landed.contains(&(*id, offset));
            let kept_before = super::cuts::accepted(truth, *id).map_or(0, |cut| cut.position);
            let resets: Vec<WatermarkReset> =
                truth.watermark_resets.iter().filter(|r| r.partition == *id).copied().collect();
            (*id, Partition::of(&Logs::of(log, kept_before), truth, &zone, &resets, is_landed))
        };
        let partitions = truth.partitions.iter().map(partition).collect();
        Ok(Expected { zone, partitions })
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
    /// Visible records under offsets that have another fate.
    of_other_log: Vec<&'a TrueRecord>,
    end: i64,
}

impl<'a> Logs<'a> {
    /// The log, of which the offsets before `kept_before` were landed before it was cut.
    fn of(log: &'a TruePartition, kept_before: i64) -> Logs<'a> {
        let cut = log.cut.as_ref();
        let is_kept = |offset: i64| cut.is_some() && offset < kept_before;
        let cut_at = cut.map_or(i64::MAX, |cut| cut.offset);
        let stable = |record: &&TrueRecord| cut.is_some_and(|c| record.offset < c.stable_end);
        let before = cut.into_iter().flat_map(|cut| &cut.records).filter(stable);
        let (kept, cut_off): (Vec<_>, Vec<_>) = before.partition(|record| is_kept(record.offset));
        let (hidden, after): (Vec<_>, Vec<_>) = log
            .records
            .iter()
            .partition(|record| record.offset >= cut_at && is_kept(record.offset));
        Logs {
            log,
            records: after.into_iter().chain(kept).map(|record| (record.offset, record)).collect(),
            of_other_log: cut_off.into_iter().chain(hidden).filter(|r| r.is_visible).collect(),
            end: log.end.max(if cut.is_some() { kept_before } else { 0 }),
        }
    }
}

impl Partition {
    fn of(
        logs: &Logs<'_>,
        truth: &Truth,
        zone: &Zone,
        resets: &[WatermarkReset],
        is_landed: impl Fn(i64) -> bool,
    ) -> Partition {
        let Logs { log, records, .. } = logs;
        let mut partition = Partition::default();
        let mut clock = Clock { max_us: None, truth };
        for offset in 0..logs.end {
            if let Some(reset) = resets.iter().rfind(|reset| reset.from_offset == offset) {
                clock.max_us = Some(reset.to_us);
            }
            let may_be_lost = log.losses.iter().any(|(from, to)| (*from..*to).contains(&offset));
            let visible = records.get(&offset).filter(|record| record.is_visible);
            partition.max_event_times.push(clock.max_us);
            partition.fates.push(match visible {
                _ if log.first_consumed.is_none_or(|first| offset < first) => Fate::BeforeStart,
                visible if may_be_lost && !is_landed(offset) => {
                    let mut clock = Clock { ..clock };
                    match visible.map(|record| fate(record, zone, &mut clock)) {
                        Some(Fate::Event(event)) => Fate::Lost(Some(event)),
                        _ => Fate::Lost(None),
                    }
                }
                None => Fate::Nothing,
                Some(record) => fate(record, zone, &mut clock),
            });
        }
        partition.max_event_times.push(clock.max_us);
        let other = |record: &&TrueRecord| match fate(record, zone, &mut Clock { ..clock }) {
            Fate::Event(event) => Some((record.offset, *event)),
            _ => None,
        };
        partition.of_other_log = logs.of_other_log.iter().filter_map(other).collect();
        partition
    }

    /// The first offset that nothing is expected at.
    pub(super) fn end(&self) -> i64 {
        i64::try_from(self.fates.len()).unwrap_or(i64::MAX)
    }
}

/// A partition's greatest event time so far.
struct Clock<'a> {
    max_us: Option<i64>,
    truth: &'a Truth,
}

impl Clock<'_> {
    /// Whether the partition's next event is late, whose 5-minute window ends at `end_us`.
    fn observe(&mut self, time_us: i64, end_us: i64) -> bool {
        let settings = &self.truth.settings;
        let watermark = self.max_us.map(|max_us| max_us - settings.out_of_orderness_us);
        self.max_us = self.max_us.max(Some(time_us));
        watermark.is_some_and(|watermark| end_us + settings.allowed_lateness_us < watermark)
    }
}

fn fate(record: &TrueRecord, zone: &Zone, clock: &mut Clock<'_>) -> Fate {
    let kafka_timestamp_us = record.kafka_timestamp_us;
    let settings = &clock.truth.settings;
    match record::parse(record.payload.as_deref(), kafka_timestamp_us, settings) {
        Err(reason) => Fate::Letter { reason, record: Box::new(record.clone()) },
        Ok(fields) => {
            let windows = zone.windows_at(fields.time_us);
            let late = clock.observe(fields.time_us, windows[0].end_us);
            let day = zone.day_of(fields.time_us);
            Fate::Event(Box::new(Event { fields, kafka_timestamp_us, day, windows, late }))
        }
    }
}
