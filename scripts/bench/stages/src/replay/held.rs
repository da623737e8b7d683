//! What the tables hold of a replay, read back from them.

use lake_delta::{Lake, LakeError, TableLog, read};
use lake_model::WindowSize;
use lake_tables::Table;
use lake_tables::avg_speed;

/// What the tables hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Rows of `events`.
    pub events: u64,
    /// Rows of `dead_letters`.
    pub dead_letters: u64,
    /// Events that the windows of days in `avg_speed` count.
    pub counted: u64,
}

/// Asks the tables in `lake`.
///
/// # Errors
/// A store that fails, and tables that can't be read.
pub async fn held(lake: &Lake) -> Result<Held, LakeError> {
    let averages = TableLog::open(lake, Table::AvgSpeed).await?;
    let files = averages.state().files();
    let rows = read::collect(lake, Table::AvgSpeed, files, &[], avg_speed::rows).await?;
    let days = rows.iter().filter(|row| row.window.size == WindowSize::Day);
    Ok(Held {
        events: rows_of(lake, Table::Events).await?,
        dead_letters: rows_of(lake, Table::DeadLetters).await?,
        counted: days.map(|row| row.summary.count()).sum(),
    })
}

async fn rows_of(lake: &Lake, table: Table) -> Result<u64, LakeError> {
    let log = TableLog::open(lake, table).await?;
    Ok(log.state().files().map(|file| file.rows).sum())
}
