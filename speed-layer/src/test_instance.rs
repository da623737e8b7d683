//! For unit tests: an instance of the speed layer without its engine, on a lake in memory, and what the tables hold.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use lake_config::Settings;
use lake_delta::{Lake, TableLog, read};
use lake_model::{KafkaPartition, LeaderEpoch, Offset, OffsetRange, TableVersion, Timestamp};
use lake_tables::Table;
use lake_testing::memory::lake_in_memory_with;
use lake_testing::{CountedIds, ManualClock};

use crate::averages_writer::AveragesWriter;
use crate::committer::Committer;
use crate::decode::DecodedBatch;
use crate::lander::Lander;
use crate::partition::Rules;
use crate::partition_set::PartitionSet;
use crate::source::{AssignedPartition, Start};
use crate::tables::Tables;
use crate::takeover::Takeover;

const MINUTE_US: i64 = 60_000_000;
/// The day of all events, counted from 1970-01-01.
const DAY: i64 = 20_000;
const CONCURRENT_FILES: usize = 2;

/// The parts that an engine works with.
pub(crate) struct Instance {
    pub(crate) settings: Settings,
    pub(crate) rules: Rules,
    pub(crate) committer: Committer,
    pub(crate) partitions: PartitionSet,
    pub(crate) takeover: Takeover,
    pub(crate) lander: Lander,
    pub(crate) averages: AveragesWriter,
}

/// An empty lake whose clock stands still, after all events.
pub(crate) fn lake() -> Lake {
    lake_with_clock().0
}

/// Such a lake, with its clock.
pub(crate) fn lake_with_clock() -> (Lake, ManualClock) {
    let clock = ManualClock::at(minute(48 * 60));
    (lake_in_memory_with(Arc::new(clock.clone()), Arc::new(CountedIds::default())), clock)
}

/// The time so many minutes after the day began.
pub(crate) fn minute(minutes: i64) -> Timestamp {
    Timestamp::from_micros((DAY * 24 * 60 + minutes) * MINUTE_US)
}

impl Instance {
    /// An instance that holds no partition yet.
    pub(crate) async fn on(lake: &Lake) -> Instance {
        let settings = Settings::default();
        let tables = Tables::open(lake, &settings).await.unwrap();
        Instance::with(settings, tables)
    }

    /// An instance on tables that are open, which holds no partition yet.
    pub(crate) fn with(settings: Settings, tables: Tables) -> Instance {
        let calendar = tables.calendar().unwrap();
        let committer = Committer::new(tables, &calendar);
        let rules = Rules::new(&settings, calendar);
        Instance {
            committer,
            partitions: PartitionSet::default(),
            takeover: Takeover::new(false),
            lander: Lander::new(CONCURRENT_FILES),
            averages: AveragesWriter::new(rules.lateness, CONCURRENT_FILES),
            settings,
            rules,
        }
    }

    /// An instance that has taken over these partitions.
    pub(crate) async fn holding(lake: &Lake, partitions: &[i32]) -> Instance {
        let mut instance = Instance::on(lake).await;
        instance.take_over(partitions).await;
        instance
    }

    /// Loads partitions, of which Kafka has every offset.
    pub(crate) async fn take_over(&mut self, partitions: &[i32]) -> Vec<Start> {
        let assigned: Vec<AssignedPartition> = partitions.iter().map(|id| whole(*id)).collect();
        let (held, committer) = (&mut self.partitions, &mut self.committer);
        self.takeover.load(&assigned, held, committer, &self.rules).await.unwrap()
    }

    /// Receives records of a partition: offsets with the minutes of their events, or garbage where there is none.
    pub(crate) fn receive(&mut self, partition: i32, records: &[(i64, Option<i64>)]) {
        let batch = self.batch(partition, records);
        self.accept(batch);
    }

    /// Receives events, one a minute, with offsets from `first` on, which the leader of that epoch appended.
    pub(crate) fn receive_under(&mut self, leader_epoch: i64, first: i64, count: i64) {
        let records: Vec<_> = (first..first + count).map(|at| (at, Some(at))).collect();
        self.receive_records_under(leader_epoch, &records);
    }

    /// Receives records of partition 0 as [`Instance::receive`] has them, which the leader of that epoch appended.
    pub(crate) fn receive_records_under(
        &mut self,
        leader_epoch: i64,
        records: &[(i64, Option<i64>)],
    ) {
        let mut batch = self.batch(0, records);
        batch.leader_epoch = LeaderEpoch::new(leader_epoch);
        self.accept(batch);
    }

    fn accept(&mut self, batch: DecodedBatch) {
        let mut held = self.partitions.iter_mut();
        held.find(|held| held.id() == batch.partition).unwrap().accept(batch, &self.rules);
    }

    /// Records as [`Instance::receive`] has them.
    pub(crate) fn batch(&self, partition: i32, records: &[(i64, Option<i64>)]) -> DecodedBatch {
        let partition = KafkaPartition(partition);
        let mut batch = DecodedBatch::new(partition, 0);
        for (offset, minutes) in records {
            let payload = minutes.map_or_else(|| "{".to_owned(), |minutes| event(minute(minutes)));
            // Beyond every event time, so that only the log's order matters.
            let kafka_timestamp = minute(48 * 60);
            let payload = Some(payload.as_bytes());
            batch.push(Offset(*offset), kafka_timestamp, None, payload, &self.settings.event);
        }
        batch
    }

    /// Receives events, one a minute, with offsets from `first` on.
    pub(crate) fn receive_events(&mut self, partition: i32, first: i64, count: i64) {
        let records: Vec<_> = (first..first + count).map(|at| (at, Some(at))).collect();
        self.receive(partition, &records);
    }

    /// Lands what waits. Returns the fenced partitions.
    pub(crate) async fn land(&mut self) -> BTreeSet<KafkaPartition> {
        self.lander.land(&mut self.partitions, &mut self.committer).await.unwrap()
    }

    /// Lands what waits but events.
    pub(crate) async fn land_beside_events(&mut self) {
        let (held, committer) = (&mut self.partitions, &mut self.committer);
        let fenced = self.lander.land_beside_events(held, committer).await.unwrap();
        assert_eq!(fenced, BTreeSet::new());
    }

    /// Commits averages. Returns the fenced partitions, if there was anything to commit.
    pub(crate) async fn average(
        &mut self,
        offsets_alone: bool,
    ) -> Option<BTreeSet<KafkaPartition>> {
        let (held, committer) = (&mut self.partitions, &mut self.committer);
        self.averages.commit(held, committer, offsets_alone).await.unwrap()
    }
}

/// A partition of which Kafka has every offset.
pub(crate) fn whole(partition: i32) -> AssignedPartition {
    assigned(partition, 0, i64::MAX)
}

/// A partition of which Kafka has the offsets from `low` up to `high`.
pub(crate) fn assigned(partition: i32, low: i64, high: i64) -> AssignedPartition {
    let (low, high) = (Offset(low), Offset(high));
    AssignedPartition { partition: KafkaPartition(partition), low, high, truncation: None }
}

/// An event of one camera at that time, as it is sent.
pub(crate) fn event(time: Timestamp) -> String {
    format!(r#"{{"kvfv_id":"KV1","timestamp":"{time}","vehicle_speed":85.2}}"#)
}

/// The partitions and offsets of a table's rows as plain numbers, in order; of `offset_gaps`, those that they cover.
pub(crate) async fn offsets(lake: &Lake, table: Table) -> Vec<(i32, i64)> {
    let log = TableLog::open(lake, table).await.unwrap();
    let files = log.state().files();
    let found: Vec<(KafkaPartition, Offset)> = match table {
        Table::OffsetGaps => {
            let ranges = lake_tables::offset_gaps::ranges;
            let found = read::collect(lake, table, files, &[], ranges).await.unwrap();
            let each = |(id, range): (KafkaPartition, OffsetRange)| {
                range.offsets().map(move |offset| (id, offset))
            };
            found.into_iter().flat_map(each).collect()
        }
        _ => read::collect(lake, table, files, &[], lake_tables::offsets).await.unwrap(),
    };
    let mut offsets: Vec<_> = found.iter().map(|(id, offset)| (id.0, offset.0)).collect();
    offsets.sort_unstable();
    offsets
}

/// The version of a table's log.
pub(crate) async fn version(lake: &Lake, table: Table) -> TableVersion {
    TableLog::open(lake, table).await.unwrap().state().version()
}
