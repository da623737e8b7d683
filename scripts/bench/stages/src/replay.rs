//! The stages after fetching, one after another on one thread: what the engine does with batches, in its order.
//!
//! Batches are decoded and folded one by one, as they were when they were fetched. Whenever as many bytes wait as
//! `speed.landing_bytes` says, they land; whenever as many records were taken as come in a commit interval, averages are
//! committed. What the engine adds, which has other things to look after, is none of the stages.
//!
//! # Consistency
//! [`held`] reads back what the tables hold of it, and [`Replayed::check`] compares: every record decoded is in the tables,
//! and every event that was not late is in the window of its day.

mod average;
mod files;
pub mod held;
mod land;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use lake_config::Settings;
use lake_delta::Lake;
use lake_model::EventFormat;
use lake_tables::Table;
use speed_layer::decode::DecodedBatch;
use speed_layer::landing::Landing;
use speed_layer::partition::{Partition, Rules};
use speed_layer::provisional::Provisional;
use speed_layer::publish::{Published, Work, publish};
use speed_layer::tables::Tables;

use self::files::Files;
use self::held::Held;
use crate::costs::{Clock, Meter, Stage};
use crate::input::{Input, Log};
use crate::reading::BatchEnd;

/// The tag of the records; there is one assignment only.
const EPOCH: u64 = 1;

/// The speed layer's stages on their way through a topic.
pub struct Replay {
    format: EventFormat,
    landing_bytes: usize,
    rules: Rules,
    tables: Tables,
    files: Files,
    lanes: BTreeMap<i32, Lane>,
    meter: Meter,
    tally: Tally,
}

/// A partition, and the batch that its records are decoded into.
struct Lane {
    partition: Partition,
    pending: DecodedBatch,
}

/// What was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records decoded.
    pub records: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Events that were late.
    pub late: u64,
}

/// A replay that has come to its end.
#[derive(Debug)]
pub struct Replayed {
    /// Processor time of each stage.
    pub spent: BTreeMap<Stage, Duration>,
    /// What was taken.
    pub tally: Tally,
}

impl Replayed {
    /// Whether the tables hold what was taken.
    ///
    /// # Errors
    /// What differs.
    pub fn check(&self, held: &Held) -> Result<(), String> {
        let Tally { records, late, .. } = self.tally;
        if held.events + held.dead_letters != records {
            return Err(format!("{records} records were decoded, and the tables hold {held:?}"));
        }
        if held.counted + late != held.events {
            return Err(format!("{late} events were late, and the tables hold {held:?}"));
        }
        Ok(())
    }
}

impl Replay {
    /// Gets ready to take a topic into `lake`, where there must be nothing.
    ///
    /// # Errors
    /// A store that fails, and a lake that holds something.
    pub async fn new(lake: Lake, settings: &Settings, clock: Clock) -> anyhow::Result<Replay> {
        let tables = Tables::open(&lake, settings).await?;
        let is_new =
            tables.events.state().version() == 0 && tables.avg_speed.state().version() == 0;
        ensure!(is_new, "there is a lake at {}: name a new one", lake.uri());
        Ok(Replay {
            format: settings.event.clone(),
            landing_bytes: usize::try_from(settings.speed.landing_bytes)?,
            rules: Rules::new(settings)?,
            tables,
            files: Files::new(lake),
            lanes: BTreeMap::new(),
            meter: Meter::new(clock),
            tally: Tally::default(),
        })
    }

    /// Takes all records of `input` in these batches, with a commit of averages after every so many.
    ///
    /// # Errors
    /// A store that fails, another writer, and batches that are not all records in their order.
    pub async fn run(
        mut self,
        input: &Input,
        batches: &[BatchEnd],
        average_every: u64,
    ) -> anyhow::Result<Replayed> {
        self.lanes = input.keys().map(|partition| (*partition, Lane::new(*partition))).collect();
        let mut averaged = 0;
        for batch in batches {
            self.take(batch, input)?;
            if self.waiting_bytes() >= self.landing_bytes {
                self.land().await?;
            }
            if self.tally.records - averaged >= average_every {
                averaged = self.tally.records;
                self.average().await?;
            }
        }
        self.land().await?;
        self.average().await?;
        let has_ended =
            |(partition, lane): (&i32, &Lane)| lane.partition.position() == input[partition].end();
        ensure!(self.lanes.iter().all(has_ended), "records are missing from the batches");
        Ok(Replayed { spent: self.meter.finish(), tally: self.tally })
    }

    /// Decodes a batch and folds it.
    fn take(&mut self, batch: &BatchEnd, input: &Input) -> anyhow::Result<()> {
        let partition = batch.partition;
        let lane = self
            .lanes
            .get_mut(&partition)
            .with_context(|| format!("no records of partition {partition}"))?;
        self.meter.enter(Stage::Decode);
        let bytes = lane.decode(&input[&partition], batch.next_offset, &self.format)?;
        let decoded = lane.pending.take();
        self.meter.leave();
        self.tally.records += decoded.len() as u64;
        self.tally.bytes += bytes;
        self.meter.enter(Stage::Fold);
        lane.partition.take(decoded, &self.rules);
        self.meter.leave();
        Ok(())
    }

    fn waiting_bytes(&self) -> usize {
        self.lanes.values().map(|lane| lane.partition.landing.bytes()).sum()
    }

    /// Commits the partitions' work to a table; `committed` has each let go of what the table holds up to an offset.
    async fn publish(
        &mut self,
        table: Table,
        operation: &'static str,
        work: &[Work],
        committed: impl Fn(&mut Partition, Option<i64>),
    ) -> anyhow::Result<()> {
        self.meter.enter(Stage::Commit);
        let log = match table {
            Table::Events => &mut self.tables.events,
            Table::DeadLetters => &mut self.tables.dead_letters,
            _ => &mut self.tables.avg_speed,
        };
        let published =
            publish(log, &self.tables.app_ids, &self.rules.calendar, operation, work).await?;
        ensure!(published == Published::default(), "another writer commits to {table}");
        for work in work {
            if let Some(lane) = self.lanes.get_mut(&work.partition) {
                committed(&mut lane.partition, work.progress.next_offset);
            }
        }
        self.meter.leave();
        Ok(())
    }
}

impl Lane {
    fn new(id: i32) -> Lane {
        let (landing, provisional) = (Landing::default(), Provisional::default());
        let clock = speed_layer::clock::Clock::default();
        Lane {
            partition: Partition::new(id, EPOCH, 0, clock, landing, provisional, None),
            pending: DecodedBatch::new(id, EPOCH),
        }
    }

    /// Decodes the records up to `next_offset`. Returns the bytes of their payloads.
    fn decode(&mut self, log: &Log, next_offset: i64, format: &EventFormat) -> anyhow::Result<u64> {
        let mut bytes = 0;
        for offset in self.partition.position()..next_offset {
            let record =
                log.get(offset).with_context(|| format!("no record at offset {offset}"))?;
            bytes += record.payload.map_or(0, <[u8]>::len) as u64;
            self.pending.push(offset, record.kafka_timestamp, record.key, record.payload, format);
        }
        Ok(bytes)
    }
}
