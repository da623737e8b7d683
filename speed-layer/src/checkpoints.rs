//! Checkpoints and log clean-up, off the commit path: one task at a time, started after commits.

use std::collections::BTreeMap;

use lake_delta::{Lake, housekeeping};
use lake_model::TableVersion;
use lake_tables::Table;
use tokio::task::JoinHandle;

/// When each table's log is checkpointed next.
#[derive(Debug)]
pub struct Checkpoints {
    interval: i64,
    due: BTreeMap<Table, TableVersion>,
    running: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Every table is due after its first commit.
    pub fn new(lake: &Lake) -> Checkpoints {
        let interval = i64::try_from(lake.options().checkpoint_interval).unwrap_or(i64::MAX);
        Checkpoints { interval, due: BTreeMap::new(), running: None }
    }

    /// Checkpoints and cleans the log of `table`, which is at `version`, if that is due. What is due while a task runs is
    /// done after a later commit; after a restart the first commit finds what was missed.
    pub fn after_commit(&mut self, lake: &Lake, table: Table, version: TableVersion) {
        let is_due = self.due.get(&table).is_none_or(|due| version >= *due);
        if !is_due || self.running.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        self.due.insert(table, TableVersion(version.0.saturating_add(self.interval)));
        let lake = lake.clone();
        self.running = Some(tokio::spawn(async move {
            match housekeeping::checkpoint_if_due(&lake, table, version).await {
                Ok(true) => tracing::debug!(%table, version = version.0, "checkpointed"),
                Ok(false) => {}
                Err(error) => tracing::warn!(%table, %error, "the log was not checkpointed"),
            }
        }));
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        if let Some(task) = &self.running {
            task.abort();
        }
    }
}
