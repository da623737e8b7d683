//! What the engine holds, and everything that is done with the tables for it: loading partitions, landing, averages.
//!
//! Nothing here knows of the source. What a commit or a load says about where to fetch from is returned as [`Start`]s.

use std::collections::{BTreeMap, BTreeSet};

use lake_config::Settings;
use lake_model::{KafkaPartition, Offset};

use super::EngineError;
use crate::averages_writer::AveragesWriter;
use crate::committer::Committer;
use crate::decode::DecodedBatch;
use crate::lander::Lander;
use crate::partition::{Partition, Rules};
use crate::partition_set::PartitionSet;
use crate::source::{AssignedPartition, Start};
use crate::tables::Tables;
use crate::takeover::Takeover;
use crate::topic_check::TopicCheck;

/// Files that are uploaded at once.
const CONCURRENT_FILES: usize = 16;

/// The partitions with the parts that load and commit them.
pub(super) struct Work {
    pub(super) partitions: PartitionSet,
    pub(super) committer: Committer,
    rules: Rules,
    lander: Lander,
    averages: AveragesWriter,
    takeover: Takeover,
    topic: TopicCheck,
}

impl Work {
    pub(super) fn new(tables: Tables, settings: &Settings) -> Result<Work, EngineError> {
        let rules = Rules::new(settings, tables.calendar()?);
        let accept_loss = settings.kafka.on_data_loss == lake_config::OnDataLoss::Accept;
        Ok(Work {
            partitions: PartitionSet::default(),
            committer: Committer::new(tables, &rules.calendar),
            lander: Lander::new(CONCURRENT_FILES),
            averages: AveragesWriter::new(rules.lateness, CONCURRENT_FILES),
            takeover: Takeover::new(accept_loss),
            topic: TopicCheck::Unchecked,
            rules,
        })
    }

    /// From now on `topic` is asked before commits.
    pub(super) fn check(&mut self, topic: TopicCheck) {
        self.topic = topic;
    }

    /// Whether the topic is still the one whose offsets the tables hold, as far as is known.
    pub(super) async fn check_topic(&self) -> Result<(), EngineError> {
        Ok(self.topic.check(&self.committer.tables().events).await?)
    }

    /// Where the partitions of the topic end; none while Kafka does not answer.
    pub(super) async fn ends(&self) -> BTreeMap<KafkaPartition, Offset> {
        self.topic.ends().await
    }

    /// Another topic's log would be taken for one that was cut, and the cut be accepted for good.
    async fn insist_on_topic(&self) -> Result<(), EngineError> {
        Ok(self.topic.insist(&self.committer.tables().events).await?)
    }

    /// Records how far the watermarks are ahead of the clock.
    pub(super) fn record_watermarks(&self) {
        self.partitions.record_watermarks(self.committer.lake().now(), self.rules.lateness);
    }

    /// Accepts the records of a partition, unless they are of an assignment that is over. Returns where to go on with the
    /// partition, if its log turns out to have been cut.
    pub(super) async fn accept(&mut self, batch: DecodedBatch) -> Result<Vec<Start>, EngineError> {
        let Some(partition) = self.partitions.current(batch.partition, batch.epoch) else {
            return Ok(Vec::new());
        };
        if partition.is_contradicted_by(&batch) {
            return self.reload_truncated(&batch).await;
        }
        partition.accept(batch, &self.rules);
        Ok(Vec::new())
    }

    /// Loads partitions that were assigned; returns where they start.
    pub(super) async fn load(
        &mut self,
        assigned: &[AssignedPartition],
    ) -> Result<Vec<Start>, EngineError> {
        self.insist_on_topic().await?;
        let (held, committer) = (&mut self.partitions, &mut self.committer);
        Ok(self.takeover.load(assigned, held, committer, &self.rules).await?)
    }

    /// Lands what waits, and, where `offsets_alone`, offsets that are ahead without rows. Returns where partitions go on that
    /// another writer moved; `None` if nothing is due.
    pub(super) async fn land(
        &mut self,
        offsets_alone: bool,
    ) -> Result<Option<Vec<Start>>, EngineError> {
        if !self.lander.is_due(&self.partitions, offsets_alone) {
            return Ok(None);
        }
        self.check_topic().await?;
        let fenced = self.lander.land(&mut self.partitions, &mut self.committer).await?;
        self.reload(fenced).await.map(Some)
    }

    /// As [`Work::land`], of averages.
    pub(super) async fn average(
        &mut self,
        offsets_alone: bool,
    ) -> Result<Option<Vec<Start>>, EngineError> {
        self.check_topic().await?;
        let (partitions, committer) = (&mut self.partitions, &mut self.committer);
        let fenced = self.averages.commit(partitions, committer, offsets_alone).await?;
        let Some(fenced) = fenced else { return Ok(None) };
        self.partitions.record_windows(self.committer.lake().now());
        self.reload(fenced).await.map(Some)
    }

    /// Drops and reloads partitions that another writer moved; returns where they go on. All are reloaded if the rules of the
    /// time zone have changed, since what is held of them is of other days.
    async fn reload(
        &mut self,
        fenced: BTreeSet<KafkaPartition>,
    ) -> Result<Vec<Start>, EngineError> {
        if fenced.is_empty() {
            return Ok(Vec::new());
        }
        let (held, committer) = (&mut self.partitions, &mut self.committer);
        let has_other_days = self.takeover.follow_calendar(committer, &mut self.rules).await?;
        let stale = if has_other_days { held.iter().map(Partition::id).collect() } else { fenced };
        let mut starts = Vec::new();
        for partition in stale {
            starts.extend(self.takeover.reload(partition, held, committer, &self.rules).await?);
        }
        Ok(starts)
    }

    /// Loads the partition of `batch` as one whose log was cut before that, and goes on with it if that is accepted.
    async fn reload_truncated(&mut self, batch: &DecodedBatch) -> Result<Vec<Start>, EngineError> {
        self.insist_on_topic().await?;
        let first = batch.first_offset().unwrap_or(Offset::ZERO);
        let (held, committer) = (&mut self.partitions, &mut self.committer);
        let (takeover, rules) = (&mut self.takeover, &self.rules);
        let reloaded = takeover.reload_truncated(batch.partition, first, held, committer, rules);
        Ok(reloaded.await?)
    }
}
