//! A lake in memory for tests, with a clock that is set by hand, and a speed layer of a few lines that lands
//! events and keeps provisional rows as docs/contract.md has them.

mod damage;
mod rewriting;
mod rows;
mod speed;

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use lake_config::Settings;
use lake_delta::data_file::NewFile;
use lake_delta::log::FileEntry;
use lake_delta::{Commit, CommitOutcome, TableLog, data_file, read};
use lake_model::{
    Calendar, Day, KafkaPartition, Offset, OffsetRange, TableVersion, Timestamp, TopicIdentity,
    WindowSize,
};
use lake_tables::Table;
use lake_tables::avg_speed::{self, AvgSpeedRow};
use lake_tables::file_kind::{self, AvgSpeedFile};
use lake_tables::identity::LakeIdentity;
use lake_tables::zone_rules::{self, ZONE_RULES};
use lake_tables::{batch_runs, offset_gaps};
use lake_testing::memory::lake_in_memory_with;
use lake_testing::{CountedIds, ManualClock};
use object_store::ObjectStoreExt;
use object_store::path::Path;

pub(crate) use self::damage::Damage;
pub(crate) use self::rewriting::Aftermath;
pub(crate) use self::speed::{Seen, seen};
use crate::nightly::{self, DayFilter, NightlyOptions, NightlyReport};
use crate::{Context, Shutdown};
use lake_kafka::{ClientError, LogEnds, PartitionExtent, TopicExtent};

/// Microseconds of a minute and of an hour.
pub(crate) const MINUTE_US: i64 = 60_000_000;
pub(crate) const HOUR_US: i64 = 60 * MINUTE_US;

/// What Kafka has of the topic.
#[derive(Debug, Default)]
pub(crate) struct FixedEnds(Mutex<TopicExtent>);

#[async_trait]
impl LogEnds for FixedEnds {
    async fn ends(&self) -> Result<TopicExtent, ClientError> {
        Ok(self.topic().clone())
    }

    async fn identity(&self) -> Result<TopicIdentity, ClientError> {
        Ok(self.topic().identity.clone())
    }
}

impl FixedEnds {
    /// What Kafka has, to be read or changed.
    pub(crate) fn topic(&self) -> MutexGuard<'_, TopicExtent> {
        self.0.lock().expect("no test panics while it holds the lock")
    }
}

/// A broker that must not be asked.
pub(crate) struct NobodyAsks;

#[async_trait]
impl LogEnds for NobodyAsks {
    async fn ends(&self) -> Result<TopicExtent, ClientError> {
        panic!("Kafka was asked though nothing depends on it");
    }

    async fn identity(&self) -> Result<TopicIdentity, ClientError> {
        panic!("Kafka was asked though nothing depends on it");
    }
}

pub(crate) fn at(time: &str) -> Timestamp {
    Timestamp::parse(time).expect("tests write good times")
}

pub(crate) fn day(day: &str) -> Day {
    Day::parse(day).expect("tests write good days")
}

/// A lake with everything that a command needs.
pub(crate) struct World {
    pub(crate) context: Context,
    pub(crate) clock: ManualClock,
    pub(crate) kafka: FixedEnds,
    /// The events that provisional rows hold.
    averaged: Vec<Seen>,
}

impl World {
    /// An empty lake of the zone `timezone`, whose clock stands at `now`.
    pub(crate) async fn new(timezone: &str, now: &str) -> World {
        let mut settings = Settings::default();
        settings.pipeline.timezone = timezone.to_owned();
        World::with_settings(settings, now).await
    }

    pub(crate) async fn with_settings(settings: Settings, now: &str) -> World {
        let clock = ManualClock::at(at(now));
        let lake = lake_in_memory_with(Arc::new(clock.clone()), Arc::new(CountedIds::default()));
        let identity = LakeIdentity::of(&settings);
        for table in Table::ALL {
            identity.open_or_create(&lake, table).await.expect("memory holds tables");
        }
        let context = Context::new(settings, lake).expect("the zone is known");
        World { context, clock, kafka: FixedEnds::default(), averaged: Vec::new() }
    }

    pub(crate) fn set_clock(&self, now: &str) {
        self.clock.set(at(now));
    }

    /// Moves the clock to that many microseconds after `now`.
    pub(crate) fn set_clock_after(&self, now: Timestamp, micros: i64) {
        self.clock.set(now.saturating_add(micros));
    }

    pub(crate) async fn log(&self, table: Table) -> TableLog {
        TableLog::open(&self.context.lake, table).await.expect("the table exists")
    }

    /// The days of the lake.
    pub(crate) async fn days(&self) -> Calendar {
        let log = self.log(Table::Events).await;
        self.context.calendar_at(log.state()).expect("the rules can be read")
    }

    /// Puts the rules of `days` into force, as a speed layer does.
    pub(crate) async fn set_days(&self, days: &Calendar) {
        for table in Table::ALL {
            let rules = vec![(ZONE_RULES.to_owned(), zone_rules::text(days))];
            let mut log = self.log(table).await;
            let changed = log.change_properties(|state| match state.property(ZONE_RULES) {
                Some(found) if found == rules[0].1 => Vec::new(),
                _ => rules.clone(),
            });
            changed.await.expect("memory accepts commits");
        }
    }

    pub(crate) async fn version(&self, table: Table) -> TableVersion {
        self.log(table).await.state().version()
    }

    /// The next offset of a partition in the log of `table`.
    async fn next_offset(&self, table: Table, partition: KafkaPartition) -> Offset {
        let log = self.log(table).await;
        self.context.app_ids.progress(log.state(), partition).next_offset.unwrap_or(Offset::ZERO)
    }

    /// Sets what Kafka has of a partition, from offset 0 on.
    pub(crate) fn kafka_reaches(&self, partition: i32, next: i64) {
        self.kafka_has(partition, 0..next);
    }

    pub(crate) fn kafka_has(&self, partition: i32, offsets: Range<i64>) {
        let range = OffsetRange::new(Offset(offsets.start), Offset(offsets.end));
        let extent = PartitionExtent::all_stable(range);
        self.kafka.topic().partitions.insert(KafkaPartition(partition), extent);
    }

    pub(crate) async fn write(
        &self,
        table: Table,
        new: NewFile,
        batch: &RecordBatch,
    ) -> lake_delta::DataFile {
        let lake = &self.context.lake;
        data_file::write(lake, table, new, batch).await.expect("memory accepts files")
    }

    pub(crate) async fn commit(&self, table: Table, commit: &Commit) {
        let outcome =
            self.log(table).await.try_commit(commit).await.expect("memory accepts commits");
        assert!(matches!(outcome, CommitOutcome::Committed { .. }), "nobody else commits");
    }

    /// Deletes the entries of the log of `table` but the newest, as if a checkpoint held them for long.
    pub(crate) async fn drop_log_entries(&self, table: Table) {
        let (store, newest) = (self.context.lake.table_store(table), self.version(table).await);
        for version in 0..newest.0 {
            let entry = Path::from(format!("_delta_log/{version:020}.json"));
            store.delete(&entry).await.expect("the entry is there");
        }
    }

    /// Notes gaps as the speed layer does.
    pub(crate) async fn note_gaps(&self, gaps: &[offset_gaps::OffsetGap]) {
        let new = file_kind::unpartitioned(self.context.lake.unique_id());
        let (lake, batch) = (&self.context.lake, offset_gaps::batch(gaps));
        let file = data_file::write(lake, Table::OffsetGaps, new, &batch).await;
        let commit = Commit::new(lake, "NOTE GAPS").add([file.expect("memory accepts files")]);
        self.commit(Table::OffsetGaps, &commit).await;
    }

    /// Swaps the rows of the only file of `day` that holds windows of `size` for what `change` makes of them.
    pub(crate) async fn tamper(
        &self,
        day: Day,
        size: WindowSize,
        change: impl Fn(&mut Vec<AvgSpeedRow>),
    ) {
        let log = self.log(Table::AvgSpeed).await;
        let holds = |file: &&FileEntry| matches!(AvgSpeedFile::tagged(file), Some(AvgSpeedFile::Final { size: Some(held), .. }) if held == size);
        let old = log.state().files_of(day).find(holds);
        let old = old.expect("the day is final").clone();
        let lake = &self.context.lake;
        let rows = read::collect(lake, Table::AvgSpeed, [&old], &[], avg_speed::rows).await;
        let mut rows = rows.expect("the file can be read");
        change(&mut rows);
        let run_id = AvgSpeedFile::run_id(&old).expect("its files name the run that wrote them");
        let new = AvgSpeedFile::new_final(day, &run_id, size, lake.unique_id());
        let new = self.write(Table::AvgSpeed, new, &avg_speed::batch(&rows)).await;
        let commit = Commit::new(lake, "TAMPER").remove([old]).add([new]);
        self.commit(Table::AvgSpeed, &commit).await;
    }

    /// Runs the nightly job without waiting for anything.
    pub(crate) async fn nightly(&self) -> NightlyReport {
        self.nightly_with(options()).await
    }

    pub(crate) async fn nightly_with(&self, options: NightlyOptions) -> NightlyReport {
        nightly::run(&self.context, &self.kafka, &options, &Shutdown::never())
            .await
            .expect("nothing fails in memory")
    }

    /// The rows of `avg_speed` of a day, by camera, size and start.
    pub(crate) async fn served(&self, day: Day) -> Vec<AvgSpeedRow> {
        let log = self.log(Table::AvgSpeed).await;
        let (lake, files) = (&self.context.lake, log.state().files_of(day));
        let rows = read::collect(lake, Table::AvgSpeed, files, &[], avg_speed::rows).await;
        let mut rows = rows.expect("the files can be read");
        rows.sort_by(|a, b| {
            (&a.camera_id, a.window, a.kafka_partition).cmp(&(
                &b.camera_id,
                b.window,
                b.kafka_partition,
            ))
        });
        rows
    }

    /// The rows of `batch_runs`, by day and end.
    pub(crate) async fn runs(&self) -> Vec<batch_runs::BatchRun> {
        let log = self.log(Table::BatchRuns).await;
        let (lake, files) = (&self.context.lake, log.state().files());
        let rows = read::collect(lake, Table::BatchRuns, files, &[], batch_runs::rows).await;
        let mut rows = rows.expect("the files can be read");
        rows.sort_by_key(|run| (run.event_date, run.finished_at));
        rows
    }
}

/// Options that change every closed day that needs it, without waiting.
pub(crate) fn options() -> NightlyOptions {
    NightlyOptions {
        days: DayFilter::default(),
        dry_run: false,
        force: false,
        wait: Duration::ZERO,
    }
}
