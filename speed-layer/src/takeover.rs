//! Taking partitions over: loading them from the tables, and loading those anew that another writer moved.
//!
//! # Consistency
//! Before a partition is loaded, the tables are followed to their newest versions, a watermark reset that is asked for is
//! applied, as is a cut of Kafka's log that was accepted, and files that another tool has mixed are split. Every load has an epoch of its own, which distinguishes its records
//! from those of an earlier assignment.

use std::collections::BTreeMap;
use std::time::Duration;

use lake_delta::LakeError;
use lake_model::{KafkaPartition, Offset, Outage};
use tokio::time::{Instant, sleep};

use crate::committer::Committer;
use crate::partition::Rules;
use crate::partition_set::PartitionSet;
use crate::recovery::{self, RecoveryError};
use crate::reset;
use crate::source::{AssignedPartition, Start, Truncation};
use crate::split;
use crate::truncation;
use crate::zone_rules;

/// How often the tables are asked again while the store is away during an assignment.
const RELOAD_WAIT: Duration = Duration::from_secs(1);

/// Loads partitions from the tables.
#[derive(Debug)]
pub struct Takeover {
    accept_loss: bool,
    epochs: u64,
    /// Partitions that seemed to end before what is landed, with the offset wanted.
    suspects: BTreeMap<KafkaPartition, Offset>,
}

impl Takeover {
    /// Accepts, or not, that records are gone from Kafka which have not landed.
    pub fn new(accept_loss: bool) -> Takeover {
        Takeover { accept_loss, epochs: 0, suspects: BTreeMap::new() }
    }

    /// Loads `assigned` into `partitions`. While the store is away this is tried again: whoever waits for the partitions
    /// stays in the group meanwhile. A partition that is left out of the answer is to be assigned again, with what Kafka
    /// has of it by then.
    ///
    /// # Errors
    /// A partition that can't be continued, and tables that can't be read.
    pub async fn load(
        &mut self,
        assigned: &[AssignedPartition],
        partitions: &mut PartitionSet,
        committer: &mut Committer,
        rules: &Rules,
    ) -> Result<Vec<Start>, RecoveryError> {
        let mut outage = Outage::default();
        loop {
            match self.try_load(assigned, partitions, committer, rules).await {
                Err(RecoveryError::Lake(error)) if error.is_transient() => {
                    wait_after(&error, &mut outage).await;
                }
                result => {
                    report_end(outage);
                    return result;
                }
            }
        }
    }

    /// Goes over to the days by the rules of the time zone that are in force now; returns whether they are others, so that every
    /// partition is to be loaded anew. While the store is away this is tried again.
    ///
    /// # Errors
    /// Tables that can't be read.
    pub async fn follow_calendar(
        &mut self,
        committer: &mut Committer,
        rules: &mut Rules,
    ) -> Result<bool, LakeError> {
        let mut outage = Outage::default();
        loop {
            match zone_rules::put_into_force(committer.tables_mut()).await {
                Err(error) if error.is_transient() => wait_after(&error, &mut outage).await,
                result => break result?,
            }
        }
        report_end(outage);
        let has_changed = committer.follow_calendar()?;
        if has_changed {
            tracing::warn!("the rules of the time zone have changed: reloading every partition");
            rules.calendar = committer.calendar().clone();
        }
        Ok(has_changed)
    }

    /// Drops `partition`, which another writer moved, and loads it from the tables.
    ///
    /// # Errors
    /// As [`Takeover::load`].
    pub async fn reload(
        &mut self,
        partition: KafkaPartition,
        partitions: &mut PartitionSet,
        committer: &mut Committer,
        rules: &Rules,
    ) -> Result<Vec<Start>, RecoveryError> {
        tracing::warn!(partition = partition.0, "another writer moved the partition: reloading it");
        metrics::counter!("lambdalake_speed_fenced_total").increment(1);
        partitions.remove(partition);
        self.load(&[unknown(partition)], partitions, committer, rules).await
    }

    /// Drops `partition`, of which records came that contradict what is landed from `first` on, and loads it as one whose log
    /// was cut there.
    ///
    /// # Errors
    /// As [`Takeover::load`].
    pub async fn reload_truncated(
        &mut self,
        partition: KafkaPartition,
        first: Offset,
        partitions: &mut PartitionSet,
        committer: &mut Committer,
        rules: &Rules,
    ) -> Result<Vec<Start>, RecoveryError> {
        partitions.remove(partition);
        let truncation = Some(Truncation { position: first, end: Some(first), leader_epoch: None });
        let assigned = AssignedPartition { truncation, ..unknown(partition) };
        self.load(&[assigned], partitions, committer, rules).await
    }

    async fn try_load(
        &mut self,
        assigned: &[AssignedPartition],
        partitions: &mut PartitionSet,
        committer: &mut Committer,
        rules: &Rules,
    ) -> Result<Vec<Start>, RecoveryError> {
        let lake = committer.lake().clone();
        let tables = committer.tables_mut();
        tables.refresh().await?;
        let (mut starts, mut suspects) = (Vec::new(), BTreeMap::new());
        for partition in assigned {
            reset::apply_requested_reset(tables, partition.partition).await?;
            truncation::apply_accepted(tables, partition.partition).await?;
            split::split_mixed_files(&mut tables.avg_speed, &rules.calendar).await?;
            self.epochs += 1;
            let (epoch, accept_loss) = (self.epochs, self.accept_loss);
            let loaded =
                match recovery::load(&lake, tables, *partition, epoch, accept_loss, rules).await {
                    // What Kafka has was asked before the tables were read, and another instance may have landed
                    // more meanwhile: only bounds that are newer than the tables can tell.
                    Err(RecoveryError::Shorter { partition: id, wanted, .. })
                        if self.suspects.get(&id) != Some(&wanted) =>
                    {
                        suspects.insert(id, wanted);
                        continue;
                    }
                    Err(RecoveryError::Truncated { cut, .. }) if accept_loss => {
                        truncation::accept(tables, cut).await?;
                        truncation::apply_accepted(tables, cut.partition).await?;
                        recovery::load(&lake, tables, *partition, epoch, accept_loss, rules).await?
                    }
                    loaded => loaded?,
                };
            let (partition, offset) = (loaded.id(), loaded.position());
            let (panes, leader_epoch) = (loaded.provisional.panes(), loaded.leader_epoch());
            tracing::info!(
                partition = partition.0,
                offset = offset.0,
                panes,
                "partition continued"
            );
            partitions.insert(loaded);
            starts.push(Start { partition, offset, epoch, leader_epoch });
        }
        self.suspects = suspects;
        Ok(starts)
    }
}

/// A partition of which it shows when it is fetched what Kafka still has.
fn unknown(partition: KafkaPartition) -> AssignedPartition {
    AssignedPartition { partition, low: Offset::ZERO, high: Offset::MAX, truncation: None }
}

/// Waits for the store, and reports it as seldom as an outage is to be.
async fn wait_after(error: &LakeError, outage: &mut Outage) {
    if let Some(report) = outage.failed(Instant::now().into_std()) {
        let failing_for = report.lasting;
        tracing::warn!(%error, ?failing_for, "the tables can't be read; trying again");
    }
    sleep(RELOAD_WAIT).await;
}

fn report_end(mut outage: Outage) {
    if let Some(report) = outage.succeeded(Instant::now().into_std()) {
        tracing::info!(failed_for = ?report.lasting, "the tables can be read again");
    }
}

#[cfg(test)]
mod tests;
