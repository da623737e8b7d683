//! The stages after fetching, one after another on one thread: what the engine does with batches, in its order.
//!
//! Batches are decoded and folded one by one, as they were when they were fetched. Whenever as many bytes wait as
//! `speed.landing_bytes` says, they land; whenever as many records were taken as come in a commit interval, averages are
//! committed. What the engine adds, which has other things to look after, is none of the stages.
//!
//! # Consistency
//! [`held`] reads back what the tables hold of it, and [`Replayed::check`] compares: every record decoded is in the tables,
//! and every event that was not late is in the window of its day.

pub mod held;
mod metering;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use lake_config::Settings;
use lake_delta::Lake;
use lake_model::{EventFormat, KafkaPartition, Offset, OffsetRange};
use lake_testing::stores::Intercepted;
use speed_layer::averages_writer::AveragesWriter;
use speed_layer::committer::Committer;
use speed_layer::decode::DecodedBatch;
use speed_layer::lander::Lander;
use speed_layer::landing::LandingBuffer;
use speed_layer::partition::{Partition, Rules};
use speed_layer::partition_set::PartitionSet;
use speed_layer::provisional::Provisional;

use self::held::Held;
use self::metering::Metering;
use crate::costs::{Clock, SharedMeter, Stage};
use crate::input::{Input, Log};
use crate::reading::BatchEnd;

/// The tag of the records; there is one assignment only.
const EPOCH: u64 = 1;
/// Files that are under way at once, so that encoding and uploading are measured apart.
const ONE_FILE: usize = 1;

/// The speed layer's stages on their way through a topic.
pub struct Replay {
    format: EventFormat,
    landing_bytes: usize,
    rules: Rules,
    partitions: PartitionSet,
    committer: Committer,
    lander: Lander,
    averages: AveragesWriter,
    /// The batches that records are decoded into.
    pending: BTreeMap<KafkaPartition, DecodedBatch>,
    meter: SharedMeter,
    tally: Tally,
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
        let meter = SharedMeter::new(clock);
        let metered = meter.clone();
        let lake = lake.decorated(|store| Intercepted::new(store, Metering(metered)));
        let committer = Committer::open(&lake, settings).await?;
        let rules = Rules::new(settings, committer.calendar().clone());
        let tables = committer.tables();
        let is_new =
            tables.events.state().version().0 == 0 && tables.avg_speed.state().version().0 == 0;
        ensure!(is_new, "there is a lake at {}: name a new one", lake.uri());
        // Creating the tables is no stage.
        meter.finish();
        Ok(Replay {
            format: settings.event.clone(),
            landing_bytes: usize::try_from(settings.speed.landing_bytes)?,
            lander: Lander::new(ONE_FILE),
            averages: AveragesWriter::new(rules.lateness, ONE_FILE),
            rules,
            partitions: PartitionSet::default(),
            committer,
            pending: BTreeMap::new(),
            meter,
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
        for partition in input.keys() {
            self.partitions.insert(new_partition(*partition));
            self.pending.insert(*partition, DecodedBatch::new(*partition, EPOCH));
        }
        let mut averaged = 0;
        for batch in batches {
            self.take(batch, input)?;
            if self.partitions.waiting_bytes() >= self.landing_bytes {
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
            |partition: &Partition| partition.position() == input[&partition.id()].end();
        ensure!(self.partitions.iter().all(has_ended), "records are missing from the batches");
        Ok(Replayed { spent: self.meter.finish(), tally: self.tally })
    }

    /// Decodes a batch and folds it.
    fn take(&mut self, batch: &BatchEnd, input: &Input) -> anyhow::Result<()> {
        let id = batch.partition;
        let partition = self.partitions.current(id, EPOCH);
        let (partition, pending) = partition
            .zip(self.pending.get_mut(&id))
            .with_context(|| format!("no records of partition {id}"))?;
        self.meter.enter(Stage::Decode);
        let offsets = OffsetRange::new(partition.position(), batch.next_offset);
        self.tally.bytes += decode(pending, &input[&id], offsets, &self.format)?;
        let decoded = pending.take();
        self.tally.records += decoded.len() as u64;
        self.meter.enter(Stage::Fold);
        partition.accept(decoded, &self.rules);
        self.meter.leave();
        Ok(())
    }

    /// Commits the rows that wait.
    async fn land(&mut self) -> anyhow::Result<()> {
        self.tally.late +=
            self.partitions.iter().map(|partition| partition.landing.late_rows()).sum::<u64>();
        self.meter.enter(Stage::Encode);
        let fenced = self.lander.land(&mut self.partitions, &mut self.committer).await?;
        self.meter.leave();
        ensure!(fenced.is_empty(), "another writer lands events");
        Ok(())
    }

    /// Commits the windows that changed.
    async fn average(&mut self) -> anyhow::Result<()> {
        self.meter.enter(Stage::Average);
        let (partitions, committer) = (&mut self.partitions, &mut self.committer);
        let fenced = self.averages.commit(partitions, committer, false).await?;
        self.meter.leave();
        ensure!(fenced.is_none_or(|fenced| fenced.is_empty()), "another writer commits averages");
        Ok(())
    }
}

fn new_partition(id: KafkaPartition) -> Partition {
    let (landing, provisional) = (LandingBuffer::default(), Provisional::default());
    let clock = speed_layer::clock::Clock::default();
    Partition::new(id, EPOCH, Offset::ZERO, clock, landing, provisional, None)
}

/// Decodes the records at `offsets` into `pending`. Returns the bytes of their payloads.
fn decode(
    pending: &mut DecodedBatch,
    log: &Log,
    offsets: OffsetRange,
    format: &EventFormat,
) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for offset in offsets.offsets() {
        let record = log.get(offset).with_context(|| format!("no record at offset {offset}"))?;
        bytes += record.payload.map_or(0, <[u8]>::len) as u64;
        pending.push(offset, record.kafka_timestamp, record.key, record.payload, format);
    }
    Ok(bytes)
}
