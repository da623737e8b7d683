//! Gives the pipeline that a lake belongs to another name.
//!
//! # Consistency
//! In each table one commit sets the property, and copies every transaction of the old name to one of the new name. So
//! offsets, watermarks and everything else that is counted goes on. The next offsets under the old name are set beyond any
//! offset: whoever still works under that name, of this release or an earlier one, is fenced by its next commit, since the
//! offset that it built on is not there any more.
//!
//! # Crash consistency
//! `events` is renamed last. A run that is killed before leaves tables of both names, which programs of either name
//! refuse; the next run renames the others.

use lake_delta::{Lake, LakeError, TableLog};

use super::{LakeIdentity, PIPELINE};
use crate::Table;
use crate::txn::AppIds;

/// `events` last: with it the lake is renamed.
const ORDER: [Table; 5] =
    [Table::BatchRuns, Table::OffsetGaps, Table::DeadLetters, Table::AvgSpeed, Table::Events];

impl LakeIdentity {
    /// Makes the lake of the pipeline called `former` one of this pipeline. Returns how many tables that changed: none, if
    /// it was renamed before.
    ///
    /// # Errors
    /// There is no lake, it belongs to yet another pipeline, another topic or another time zone, or it can't be committed to.
    pub async fn rename_from(&self, lake: &Lake, former: &str) -> Result<usize, LakeError> {
        if former == self.pipeline {
            return Err(LakeError::Configuration(format!(
                "pipeline.name = {former:?}: the pipeline has that name already; set pipeline.name to the new name"
            )));
        }
        let former = LakeIdentity { pipeline: former.to_owned(), ..self.clone() };
        let mut logs = Vec::new();
        for table in ORDER {
            let log = TableLog::open(lake, table).await?;
            // All are checked before the first one is changed.
            former.check(&log).or_else(|of_former| self.check(&log).map_err(|_| of_former))?;
            logs.push(log);
        }
        let mut renamed = 0;
        for log in &mut logs {
            renamed += usize::from(self.rename_table(log, &former.app_ids()).await?);
        }
        Ok(renamed)
    }

    async fn rename_table(&self, log: &mut TableLog, former: &AppIds) -> Result<bool, LakeError> {
        let ours = self.app_ids();
        let changed = log.change_properties_and_txns("RENAME PIPELINE", |state| {
            if state.property(PIPELINE) == Some(self.pipeline.as_str()) {
                return Default::default();
            }
            let copied = state
                .txns()
                .filter_map(|(app_id, version)| Some((ours.renamed(app_id, former)?, version)));
            let retired = former.partitions(state).into_iter();
            let retired = retired.map(|(partition, _)| (former.next_offset(partition), i64::MAX));
            let property = (PIPELINE.to_owned(), self.pipeline.clone());
            (vec![property], copied.chain(retired).collect())
        });
        changed.await
    }
}
