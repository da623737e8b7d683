//! Taking partitions over: loading them from the tables, and loading anew those that a rival moved.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;

use super::{Engine, EngineError};
use crate::recovery::{self, RecoveryError};
use crate::reset;
use crate::source::{AssignedPartition, Source, Start};

/// How often the tables are asked again while the store is away during an assignment.
const RELOAD_WAIT: Duration = Duration::from_secs(1);

impl<S: Source> Engine<S> {
    /// Loads partitions from the tables. While the store is away this is tried again: whoever waits for the
    /// partitions stays in the group meanwhile.
    pub(super) async fn load(
        &mut self,
        assigned: &[AssignedPartition],
    ) -> Result<Vec<Start>, EngineError> {
        loop {
            match self.try_load(assigned).await {
                Err(RecoveryError::Lake(error)) if error.is_transient() => {
                    tracing::warn!(%error, "the tables can't be read; trying again");
                    sleep(RELOAD_WAIT).await;
                }
                result => return Ok(result?),
            }
        }
    }

    async fn try_load(
        &mut self,
        assigned: &[AssignedPartition],
    ) -> Result<Vec<Start>, RecoveryError> {
        self.tables.refresh().await?;
        let (mut starts, mut suspects) = (Vec::new(), BTreeMap::new());
        for partition in assigned {
            reset::put_in_force(&mut self.tables, partition.partition).await?;
            self.epochs += 1;
            let (epoch, accept_loss) = (self.epochs, self.pace.accept_loss);
            let loaded = recovery::load(
                &self.lake,
                &self.tables,
                *partition,
                epoch,
                accept_loss,
                &self.rules,
            );
            let loaded = match loaded.await {
                // What Kafka has was asked before the tables were read, and another instance may have landed
                // more meanwhile: only bounds that are newer than the tables can tell.
                Err(RecoveryError::Truncated { partition, wanted, .. })
                    if self.suspects.get(&partition) != Some(&wanted) =>
                {
                    suspects.insert(partition, wanted);
                    continue;
                }
                loaded => loaded?,
            };
            let (partition, offset) = (loaded.id(), loaded.position());
            tracing::info!(
                partition,
                offset,
                panes = loaded.provisional.panes(),
                "partition continued"
            );
            self.partitions.insert(partition, loaded);
            starts.push(Start { partition, offset, epoch });
        }
        self.suspects = suspects;
        Ok(starts)
    }

    /// Drops and reloads partitions that another writer moved, and goes on with them from there.
    pub(super) async fn reload(
        &mut self,
        fenced: impl IntoIterator<Item = i32>,
    ) -> Result<(), EngineError> {
        for partition in fenced {
            tracing::warn!(partition, "another writer moved the partition: reloading it");
            metrics::counter!("lambdalake_speed_fenced_total").increment(1);
            self.partitions.remove(&partition);
            // What Kafka still has shows when it is fetched.
            let assigned = AssignedPartition { partition, low: 0, high: i64::MAX };
            for start in self.load(&[assigned]).await? {
                self.source.seek(start);
            }
        }
        Ok(())
    }
}
