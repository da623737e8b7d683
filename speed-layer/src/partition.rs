//! One assigned partition: its position, its clock, and what its records become.

use std::time::Duration;

use lake_config::Settings;
use lake_delta::DataFile;
use lake_model::kafka_timestamp;
use lake_model::{
    Calendar, DaySpan, DeadLetter, EventColumns, KafkaPartition, Lateness, LeaderEpoch, Offset,
    OffsetRange, SpeedLimits, Timestamp,
};
use lake_tables::Table;
use lake_tables::file_kind::ProvisionalGroup;
use lake_tables::offset_gaps::GapReason;
use lake_tables::txn::PartitionProgress;

use crate::clock::Clock;
use crate::decode::DecodedBatch;
use crate::landing::{LandingBuffer, LateMask};
use crate::ownership::Ownership;
use crate::provisional::{Provisional, WindowEvent};
use crate::publish::PartitionCommit;

/// What decides over events, the same for every partition.
#[derive(Debug)]
pub struct Rules {
    /// The days of the pipeline, by the rules in force in the lake.
    pub calendar: Calendar,
    /// When windows close to the speed layer.
    pub lateness: Lateness,
    /// Speed limits.
    pub limits: SpeedLimits,
}

impl Rules {
    /// The rules that the settings make, with the days of the lake.
    pub fn new(settings: &Settings, calendar: Calendar) -> Rules {
        let lateness = Lateness {
            allowed_us: micros(settings.speed.allowed_lateness),
            out_of_orderness_us: micros(settings.speed.out_of_orderness),
        };
        let limits = &settings.speed_limits;
        let limits = SpeedLimits::from_kmh(limits.default_kmh, &limits.cameras);
        Rules { calendar, lateness, limits }
    }
}

/// An assigned partition.
#[derive(Debug)]
pub struct Partition {
    id: KafkaPartition,
    epoch: u64,
    position: Offset,
    /// The epoch of the leader that appended what is before the position.
    leader_epoch: Option<LeaderEpoch>,
    /// What the tables hold was read from a log in which no record before any of these offsets has a greater epoch.
    held_under: Vec<(Offset, LeaderEpoch)>,
    /// Its greatest event time.
    pub clock: Clock,
    /// What waits to land.
    pub landing: LandingBuffer,
    /// The open windows.
    pub provisional: Provisional,
    /// The next offset that `avg_speed` holds.
    pub avg_speed_offset: Option<Offset>,
    /// Whose it is in each table.
    pub ownership: Ownership,
    span: Option<DaySpan>,
    newest_record: Option<Timestamp>,
}

impl Partition {
    /// A partition that continues at `position`.
    pub fn new(
        id: KafkaPartition,
        epoch: u64,
        position: Offset,
        mut clock: Clock,
        landing: LandingBuffer,
        provisional: Provisional,
        avg_speed_offset: Option<Offset>,
    ) -> Partition {
        clock.reach(position);
        Partition {
            id,
            epoch,
            position,
            leader_epoch: None,
            held_under: Vec::new(),
            clock,
            landing,
            provisional,
            avg_speed_offset,
            ownership: Ownership::default(),
            span: None,
            newest_record: None,
        }
    }

    /// The same partition with that owner.
    #[must_use]
    pub fn owned(self, ownership: Ownership) -> Partition {
        Partition { ownership, ..self }
    }

    /// The partition with the leader epochs that belong to its position, and to the next offsets of the tables.
    #[must_use]
    pub fn with_leader_epochs(
        mut self,
        of_position: Option<LeaderEpoch>,
        held_under: Vec<(Offset, LeaderEpoch)>,
    ) -> Partition {
        self.leader_epoch = of_position;
        self.held_under = held_under;
        self
    }

    /// The partition's number.
    pub fn id(&self) -> KafkaPartition {
        self.id
    }

    /// The tag of its records.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The next offset.
    pub fn position(&self) -> Offset {
        self.position
    }

    /// The epoch of the leader that appended what is before the position.
    pub fn leader_epoch(&self) -> Option<LeaderEpoch> {
        self.leader_epoch
    }

    /// Whether records of `batch` are others than those that a table holds under their offsets: a later
    /// leader appended them than the last of those. Epochs only grow along a log.
    pub fn is_contradicted_by(&self, batch: &DecodedBatch) -> bool {
        let Some((of_batch, first)) = batch.leader_epoch.zip(batch.first_offset()) else {
            return false;
        };
        let mut held = self.held_under.iter();
        held.any(|(next, epoch)| first < *next && of_batch > *epoch)
    }

    /// The Kafka timestamp of the last record accepted that has one.
    pub fn newest_record(&self) -> Option<Timestamp> {
        self.newest_record
    }

    /// Records how far the tables reach by Kafka's time, once all that is held is in them.
    pub fn record_landed(&self) {
        let Some(newest) = self.newest_record else { return };
        metrics::gauge!(
            "lambdalake_speed_landed_record_timestamp_seconds", "partition" => self.id.to_string()
        )
        .set(newest.micros() as f64 / 1e6);
    }

    /// What a commit of all that is held records.
    pub fn progress(&self) -> PartitionProgress {
        PartitionProgress {
            next_offset: Some(self.position),
            max_event_time: self.clock.now().max_event_time(),
            leader_epoch: self.leader_epoch,
        }
    }

    /// A commit to `table`, after which that table holds `progress`, of files of its own.
    pub fn commit_to(
        &self,
        table: Table,
        progress: PartitionProgress,
        files: Vec<(ProvisionalGroup, DataFile)>,
    ) -> PartitionCommit {
        let landed = self.landing.landed();
        let (built_on, resets) = match table {
            Table::Events => (landed.events, self.clock.resets()),
            Table::AvgSpeed => (self.avg_speed_offset, self.clock.resets()),
            // Lateness does not matter there.
            Table::DeadLetters => (landed.dead_letters, 0),
            Table::OffsetGaps => (landed.offset_gaps, 0),
            Table::BatchRuns => unreachable!("the speed layer commits nothing there"),
        };
        let owner = self.ownership.claim(table);
        PartitionCommit { partition: self.id, owner, built_on, resets, progress, files }
    }

    /// A commit to `table` that makes the partition ours there and changes nothing else.
    pub fn claim_of(&self, table: Table) -> PartitionCommit {
        let claim = self.commit_to(table, PartitionProgress::default(), Vec::new());
        let progress =
            PartitionProgress { next_offset: claim.built_on, ..PartitionProgress::default() };
        PartitionCommit { progress, ..claim }
    }

    /// Whether the position is ahead of what either table holds.
    pub fn is_ahead(&self) -> bool {
        let at = Some(self.position);
        (self.position > Offset::ZERO || self.clock.now().max_event_time().is_some())
            && (self.landing.landed().events < at || self.avg_speed_offset < at)
    }

    /// Accepts records in the order of their offsets; those before the position are passed over.
    pub fn accept(&mut self, batch: DecodedBatch, rules: &Rules) {
        let (before, leader_epoch) = (self.position, batch.leader_epoch);
        let (events, letters) = batch.into_parts();
        let mut late_mask = LateMask::with_room_for(events.len());
        let mut letters = letters.into_iter().peekable();
        for row in 0..events.len() {
            let offset = events.offset(row);
            while let Some(letter) = letters.next_if(|letter| letter.kafka_offset < offset) {
                self.accept_dead_letter(letter);
            }
            self.accept_event(&events, row, rules, &mut late_mask);
        }
        letters.for_each(|letter| self.accept_dead_letter(letter));
        self.landing.push_events(self.id, events, late_mask);
        if self.position > before {
            self.leader_epoch = leader_epoch;
        }
    }

    /// Notes that everything before `next` was delivered or never will be; what is before it is of `leader_epoch`.
    pub fn advance(&mut self, next: Offset, leader_epoch: Option<LeaderEpoch>) {
        if next > self.position {
            self.leader_epoch = leader_epoch;
        }
        self.advance_to(next);
    }

    fn advance_to(&mut self, next: Offset) {
        if next > self.position {
            let gap = OffsetRange::new(self.position, next);
            self.landing.push_gap(gap, GapReason::NotDelivered);
            self.position = next;
        }
        self.clock.reach(self.position);
    }

    fn accept_dead_letter(&mut self, letter: DeadLetter) {
        let is_new = self.reaches(letter.kafka_offset, letter.kafka_timestamp);
        if is_new && self.landing.wants(letter.kafka_offset) {
            self.landing.push_dead_letter(letter);
        }
    }

    fn accept_event(
        &mut self,
        events: &EventColumns,
        row: usize,
        rules: &Rules,
        late_mask: &mut LateMask,
    ) {
        let offset = events.offset(row);
        let is_new = self.reaches(offset, Timestamp::from_micros(events.kafka_timestamp[row]));
        // Where another owner has landed it as no event, it is none, whatever it looks like to us.
        if !is_new || self.landing.is_covered(offset) {
            late_mask.late.append(false);
            return;
        }
        let event_time = Timestamp::from_micros(events.event_time[row]);
        let span = self.span_at(event_time, &rules.calendar);
        let late = self.clock.observe(event_time, &span, rules.lateness);
        late_mask.late.append(late);
        if self.landing.wants(offset) {
            late_mask.land(row, span.day);
        }
        let is_new = self.avg_speed_offset.is_none_or(|next| offset >= next);
        if !late && is_new {
            let (camera_id, speed) = (events.camera_id.get(row), events.speed[row]);
            let limit = rules.limits.of(camera_id);
            self.provisional.add(&span, &WindowEvent { camera_id, event_time, speed, limit });
        }
    }

    /// Moves on to the record at `offset`, unless it was accepted before.
    fn reaches(&mut self, offset: Offset, kafka_timestamp: Timestamp) -> bool {
        if offset < self.position {
            return false;
        }
        self.advance_to(offset);
        self.position = offset.next();
        if kafka_timestamp != kafka_timestamp::ABSENT {
            self.newest_record = Some(kafka_timestamp);
        }
        true
    }

    /// The day of `time`; neighbours in the log are mostly of the same day.
    fn span_at(&mut self, time: Timestamp, calendar: &Calendar) -> DaySpan {
        match self.span {
            Some(span) if span.contains(time) => span,
            _ => *self.span.insert(calendar.span_at(time)),
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
