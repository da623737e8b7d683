//! The tables that the speed layer writes, opened and checked against the settings.

use lake_config::Settings;
use lake_delta::{Lake, LakeError, TableLog};
use lake_tables::Table;
use lake_tables::identity::LakeIdentity;
use lake_tables::txn::AppIds;

/// The logs of the tables.
#[derive(Debug)]
pub struct Tables {
    /// Accepted events.
    pub events: TableLog,
    /// Records that can't be events.
    pub dead_letters: TableLog,
    /// Offsets without a record.
    pub offset_gaps: TableLog,
    /// Averages.
    pub avg_speed: TableLog,
    /// The names of the offsets in their logs.
    pub app_ids: AppIds,
}

impl Tables {
    /// Opens the tables of the pipeline that `settings` describe, or creates those that are missing.
    pub async fn open(lake: &Lake, settings: &Settings) -> Result<Tables, LakeError> {
        Tables::open_as(lake, &LakeIdentity::of(settings)).await
    }

    /// Opens the tables of the pipeline, or creates those that are missing.
    pub async fn open_as(lake: &Lake, identity: &LakeIdentity) -> Result<Tables, LakeError> {
        let open = async |table| identity.open_or_create(lake, table).await;
        // Whoever reads finds every table from the first start on.
        open(Table::BatchRuns).await?;
        Ok(Tables {
            events: open(Table::Events).await?,
            dead_letters: open(Table::DeadLetters).await?,
            offset_gaps: open(Table::OffsetGaps).await?,
            avg_speed: open(Table::AvgSpeed).await?,
            app_ids: identity.app_ids(),
        })
    }

    /// Follows every log to its newest version.
    pub async fn refresh(&mut self) -> Result<(), LakeError> {
        for log in
            [&mut self.events, &mut self.dead_letters, &mut self.offset_gaps, &mut self.avg_speed]
        {
            log.refresh().await?;
        }
        Ok(())
    }
}
