//! Landing what waits: `offset_gaps`, then `dead_letters`, then `events`.
//!
//! In this order, so that a version of `events` never reaches an offset that the others don't explain. Each
//! partition's rows are in files of their own, so that a fenced partition can be left out.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt, TryStreamExt};
use lake_delta::{DataFile, LakeError, data_file};
use lake_model::Day;
use lake_tables::file_kind;
use lake_tables::file_kind::ProvisionalGroup;
use lake_tables::offset_gaps::{self, OffsetGap};
use lake_tables::txn::PartitionProgress;
use lake_tables::{Table, dead_letters};

use super::averages::CONCURRENT_FILES;
use super::{Engine, EngineError};
use crate::partition::Partition;
use crate::publish::{Published, Work, publish};
use crate::source::Source;

impl<S: Source> Engine<S> {
    /// Commits the rows that wait, or, where `offsets_alone`, offsets that are ahead without rows too.
    pub(super) async fn land(&mut self, offsets_alone: bool) -> Result<(), EngineError> {
        let has_rows = self.partitions.values().any(|partition| !partition.landing.is_empty());
        let is_ahead = self.partitions.values().any(Partition::is_ahead);
        if !(has_rows || (offsets_alone && is_ahead)) {
            return Ok(());
        }
        let mut fenced = self.land_gaps().await?;
        fenced.extend(self.land_dead_letters().await?);
        fenced.extend(self.land_events(&fenced).await?);
        self.reload(fenced).await?;
        self.tell_group();
        Ok(())
    }

    async fn land_gaps(&mut self) -> Result<BTreeSet<i32>, LakeError> {
        let mut work = Vec::new();
        let noted_at = self.lake.now();
        for partition in self.partitions.values().filter(|p| !p.landing.gaps().is_empty()) {
            let gaps: Vec<OffsetGap> = partition
                .landing
                .gaps()
                .iter()
                .map(|(range, reason)| OffsetGap {
                    kafka_partition: partition.id(),
                    range: *range,
                    reason: *reason,
                    noted_at,
                })
                .collect();
            let new = file_kind::unpartitioned(self.lake.unique_id());
            let batch = offset_gaps::batch(&gaps);
            let file = data_file::write(&self.lake, Table::OffsetGaps, new, &batch).await?;
            let built_on = partition.landing.landed().offset_gaps;
            work.push(beside(partition, built_on, vec![file]));
        }
        let published = self.publish_to(Table::OffsetGaps, &work).await?;
        for (partition, next) in self.committed(&work, &published) {
            partition.landing.clear_gaps(next);
        }
        Ok(published.fenced)
    }

    async fn land_dead_letters(&mut self) -> Result<BTreeSet<i32>, LakeError> {
        let mut work = Vec::new();
        for partition in self.partitions.values().filter(|p| !p.landing.dead_letters().is_empty()) {
            let mut days: BTreeMap<Day, Vec<_>> = BTreeMap::new();
            for letter in partition.landing.dead_letters() {
                let day = self.rules.calendar.span_at(letter.kafka_timestamp).day;
                days.entry(day).or_default().push(letter);
            }
            let mut files = Vec::new();
            for (day, letters) in days {
                let id = self.lake.unique_id();
                let new = file_kind::landed(Table::DeadLetters, day, partition.id(), id);
                let batch = dead_letters::batch(letters);
                files.push(data_file::write(&self.lake, Table::DeadLetters, new, &batch).await?);
            }
            work.push(beside(partition, partition.landing.landed().dead_letters, files));
        }
        let published = self.publish_to(Table::DeadLetters, &work).await?;
        for (partition, next) in self.committed(&work, &published) {
            for letter in partition.landing.dead_letters() {
                let reason = letter.reason.as_str();
                metrics::counter!("lambdalake_speed_dead_letters_total", "reason" => reason)
                    .increment(1);
            }
            partition.landing.clear_dead_letters(next);
        }
        Ok(published.fenced)
    }

    async fn land_events(&mut self, fenced: &BTreeSet<i32>) -> Result<BTreeSet<i32>, LakeError> {
        let mut files = self.write_events(fenced).await?;
        let mut work = Vec::new();
        for partition in self.partitions.values().filter(|p| !fenced.contains(&p.id())) {
            let (id, progress) = (partition.id(), partition.progress());
            let built_on = partition.landing.landed().events;
            if built_on < progress.next_offset && partition.is_ahead() {
                let (resets, files) = (partition.clock.resets(), files.remove(&id));
                let files = files.unwrap_or_default();
                work.push(Work { partition: id, built_on, resets, progress, files });
            }
        }
        let published = self.publish_to(Table::Events, &work).await?;
        for (partition, next) in self.committed(&work, &published) {
            metrics::counter!("lambdalake_speed_late_events_total")
                .increment(partition.landing.late_rows());
            partition.landing.clear_events(next);
        }
        let landed = work.iter().filter(|work| !published.fenced.contains(&work.partition));
        let rows: u64 = landed.flat_map(|work| &work.files).map(|(_, file)| file.rows).sum();
        metrics::counter!("lambdalake_speed_events_landed_total").increment(rows);
        Ok(published.fenced)
    }

    /// Writes the rows that wait, a file for each partition and day. While one is uploaded the next is encoded.
    async fn write_events(
        &mut self,
        fenced: &BTreeSet<i32>,
    ) -> Result<BTreeMap<i32, Vec<(Option<ProvisionalGroup>, DataFile)>>, LakeError> {
        let lake = &self.lake;
        let mut writes = Vec::new();
        for partition in self.partitions.values_mut().filter(|p| !fenced.contains(&p.id())) {
            let id = partition.id();
            for (day, rows) in partition.landing.days_mut() {
                let new = file_kind::landed(Table::Events, *day, id, lake.unique_id());
                let batches = rows.batches().to_vec();
                writes.push(async move {
                    let mut writer = data_file::FileWriter::new(Table::Events, new)?;
                    batches.iter().try_for_each(|batch| writer.push(batch))?;
                    Ok::<_, LakeError>((id, writer.upload(lake).await?))
                });
            }
        }
        let mut files: BTreeMap<i32, Vec<_>> = BTreeMap::new();
        let mut written = stream::iter(writes).buffered(CONCURRENT_FILES);
        while let Some((id, file)) = written.try_next().await? {
            files.entry(id).or_default().push((None, file));
        }
        Ok(files)
    }

    pub(super) async fn publish_to(
        &mut self,
        table: Table,
        work: &[Work],
    ) -> Result<Published, LakeError> {
        if work.is_empty() {
            return Ok(Published::default());
        }
        let started = self.lake.now();
        let tables = &mut self.tables;
        let (log, operation) = match table {
            Table::Events => (&mut tables.events, "LAND EVENTS"),
            Table::DeadLetters => (&mut tables.dead_letters, "LAND DEAD LETTERS"),
            Table::OffsetGaps => (&mut tables.offset_gaps, "NOTE OFFSET GAPS"),
            Table::AvgSpeed => (&mut tables.avg_speed, "UPDATE PROVISIONAL AVERAGES"),
            Table::BatchRuns => unreachable!("the speed layer commits nothing there"),
        };
        let published =
            publish(log, &tables.app_ids, &self.rules.calendar, operation, work).await?;
        self.tidy.after_commit(&self.lake, table, log.state().version());
        let ended = self.lake.now();
        metrics::histogram!("lambdalake_speed_commit_duration_seconds", "table" => table.as_str())
            .record(ended.saturating_since(started) as f64 / 1e6);
        metrics::gauge!("lambdalake_speed_last_commit_timestamp_seconds", "table" => table.as_str())
            .set(ended.micros() as f64 / 1e6);
        Ok(published)
    }

    /// The partitions whose work went in, with the next offset that the table now holds of them.
    pub(super) fn committed<'a>(
        &'a mut self,
        work: &[Work],
        published: &Published,
    ) -> Vec<(&'a mut Partition, Option<i64>)> {
        let next: BTreeMap<i32, Option<i64>> = work
            .iter()
            .filter(|work| !published.fenced.contains(&work.partition))
            .map(|work| (work.partition, work.progress.next_offset))
            .collect();
        let partitions = self.partitions.values_mut();
        partitions.filter_map(|p| next.get(&p.id()).map(|next| (p, *next))).collect()
    }
}

/// Work for a table beside `events`, whose offsets need only grow with every commit: what it covers is read
/// from its rows.
fn beside(partition: &Partition, built_on: Option<i64>, files: Vec<DataFile>) -> Work {
    let next =
        built_on.map_or(partition.position(), |built_on| partition.position().max(built_on + 1));
    Work {
        partition: partition.id(),
        built_on,
        resets: 0,
        progress: PartitionProgress { next_offset: Some(next), max_event_time: None },
        files: files.into_iter().map(|file| (None, file)).collect(),
    }
}
