//! Commits to `avg_speed` as one Kafka partition of a speed layer makes them, one after the other, without the waiting.
//!
//! Each commit replaces the files of the present hour and of the day and records the next offset; an hour of event time has
//! as many commits as the default interval gives. Files are real, and are deleted once replaced, as maintenance would do. The
//! log is maintained as the speed layer does it: checkpoints and clean-up whenever they are due, here in turn, so that
//! the time of each is measured separately.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lake_delta::{Commit, CommitOutcome, DataFile, Lake, TableLog, data_file, housekeeping};
use lake_model::{Calendar, DaySpan, KafkaPartition, Offset, Pane, Speed, Timestamp, WindowSize};
use lake_tables::Table;
use lake_tables::avg_speed::{self, AvgSpeedRow};
use lake_tables::file_kind::{AvgSpeedFile, GroupWindows, ProvisionalGroup};
use lake_tables::txn::{AppIds, PartitionProgress};
use object_store::ObjectStoreExt;
use object_store::path::Path;

/// Event time from one commit to the next, in microseconds.
const INTERVAL_US: i64 = 5_000_000;
/// The day of the first commit.
const FIRST_DAY: &str = "2025-04-05T00:00:00Z";
const PARTITION: KafkaPartition = KafkaPartition(0);
/// Cameras of the partition, each a row in every window.
const CAMERAS: u32 = 10;

/// What one commit took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Took {
    /// Encoding and writing the data files.
    pub writing: Duration,
    /// The commit itself.
    pub committing: Duration,
    /// The checkpoint and the clean-up after it, if they were due.
    pub tidying: Option<Duration>,
}

/// A table that is committed to.
#[derive(Debug)]
pub struct Commits {
    lake: Lake,
    log: TableLog,
    app_ids: AppIds,
    calendar: Calendar,
    first: Timestamp,
    made: i64,
}

impl Commits {
    /// Creates the table in `lake`, where there must be none.
    ///
    /// # Errors
    /// A store that fails, and a table that is there.
    pub async fn new(lake: Lake) -> anyhow::Result<Commits> {
        let log = TableLog::open_or_create(&lake, Table::AvgSpeed, &[]).await?;
        ensure!(log.state().version().0 == 0, "there is a lake at {}: name a new one", lake.uri());
        let first = Timestamp::parse(FIRST_DAY).context("FIRST_DAY is a time")?;
        let app_ids = AppIds::new("bench", "bench");
        Ok(Commits { lake, log, app_ids, calendar: Calendar::utc(), first, made: 0 })
    }

    /// Makes the next commit.
    ///
    /// # Errors
    /// A store that fails, and another writer.
    pub async fn next(&mut self) -> anyhow::Result<Took> {
        let at = self.first.saturating_add(self.made * INTERVAL_US);
        let span = self.calendar.span_at(at);
        let begun = now();
        let (commit, replaced) = self.prepare(&span, at).await?;
        let writing = begun.elapsed();
        let begun = now();
        let CommitOutcome::Committed { version } = self.log.try_commit(&commit).await? else {
            anyhow::bail!("another writer commits to {}", self.lake.uri());
        };
        let committing = begun.elapsed();
        self.made += 1;
        self.delete(&replaced).await?;
        let begun = now();
        let is_due =
            version.0.unsigned_abs().is_multiple_of(self.lake.options().checkpoint_interval);
        let tidied =
            is_due && housekeeping::checkpoint_if_due(&self.lake, Table::AvgSpeed, version).await?;
        Ok(Took { writing, committing, tidying: tidied.then(|| begun.elapsed()) })
    }

    /// How long it takes to open the table as a process does that starts now.
    ///
    /// # Errors
    /// A store that fails, and a table that is not what was committed.
    pub async fn open(&self) -> anyhow::Result<Duration> {
        let begun = now();
        let opened = TableLog::open(&self.lake, Table::AvgSpeed).await?;
        let took = begun.elapsed();
        let (found, kept) = (opened.state(), self.log.state());
        ensure!(found.version() == kept.version(), "the table is opened at another version");
        ensure!(found.files().eq(kept.files()), "the table is opened with other files");
        Ok(took)
    }

    /// Writes the files of a commit. Returns it with the paths that it replaces.
    async fn prepare(
        &self,
        span: &DaySpan,
        at: Timestamp,
    ) -> anyhow::Result<(Commit, Vec<String>)> {
        let hour = GroupWindows::Hour(span.window_index(WindowSize::OneHour, at));
        let mut commit = Commit::new(&self.lake, "AVERAGES");
        let mut replaced = Vec::new();
        for (windows, size) in [(hour, WindowSize::OneHour), (GroupWindows::Day, WindowSize::Day)] {
            let group = ProvisionalGroup { day: span.day, kafka_partition: PARTITION, windows };
            let old = AvgSpeedFile::Provisional(group);
            let of_day = self.log.state().files_of(span.day);
            let old: Vec<_> = of_day
                .filter(|f| AvgSpeedFile::tagged(f).as_ref() == Some(&old))
                .cloned()
                .collect();
            replaced.extend(old.iter().map(|file| file.path.clone()));
            commit = commit.add([self.write(&group, span, size, at).await?]).remove(old);
        }
        let next_offset = Some(Offset(self.made + 1));
        let progress =
            PartitionProgress { next_offset, max_event_time: Some(at), leader_epoch: None };
        Ok((commit.txns(self.app_ids.record(PARTITION, progress)), replaced))
    }

    async fn write(
        &self,
        group: &ProvisionalGroup,
        span: &DaySpan,
        size: WindowSize,
        at: Timestamp,
    ) -> anyhow::Result<DataFile> {
        let mut pane = Pane::default();
        pane.add(Speed::from_thousandths(85_200), None);
        let window = span.window_at(size, at);
        let row = |camera: u32| {
            let id = Arc::from(format!("KV{camera}"));
            AvgSpeedRow::provisional(id, window, PARTITION, pane.clone(), at)
        };
        let rows: Vec<AvgSpeedRow> = (0..CAMERAS).map(row).collect();
        let new = group.new_file(self.lake.unique_id());
        let batch = avg_speed::batch(&rows);
        Ok(data_file::write(&self.lake, Table::AvgSpeed, new, &batch).await?)
    }

    async fn delete(&self, paths: &[String]) -> anyhow::Result<()> {
        let store = self.lake.table_store(Table::AvgSpeed);
        for path in paths {
            store.delete(&Path::parse(path)?).await?;
        }
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn now() -> Instant {
    Instant::now()
}
