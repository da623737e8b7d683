//! Resetting a partition's watermark after a clock gone mad has carried it away.
//!
//! The greatest event time beside the partition's offsets is replaced in both tables that hold one, and the
//! commits say so (`watermarkReset` in their `commitInfo`). Which events were marked late before is left as
//! it is: it was decided on the log as it stood.

use lake::{Commit, CommitOutcome, Lake, LakeError, Settings, TableLog};
use lake_model::EventTime;
use serde_json::json;

use crate::tables::Tables;

/// A watermark that was reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// The greatest event time before, in `events`.
    pub before: EventTime,
    /// The greatest event time from now on.
    pub after: EventTime,
}

/// Sets the greatest event time of `partition` to `to`. The instance that consumes the partition must not
/// run, or it goes on with what it has in memory. Returns `None` if the partition has no watermark yet.
pub async fn reset_watermark(
    lake: &Lake,
    settings: &Settings,
    partition: i32,
    to: EventTime,
) -> Result<Option<Reset>, LakeError> {
    let mut tables = Tables::open(lake, settings).await?;
    let before = tables.app_ids.progress(tables.events.state(), partition).max_event_time;
    let app_id = tables.app_ids.max_event_time(partition);
    for log in [&mut tables.events, &mut tables.avg_speed] {
        record(log, &app_id, partition, to).await?;
    }
    Ok(before.map(|before| Reset { before, after: to }))
}

async fn record(
    log: &mut TableLog,
    app_id: &str,
    partition: i32,
    to: EventTime,
) -> Result<(), LakeError> {
    loop {
        let Some(before) = log.state().txn(app_id) else { return Ok(()) };
        if before == to.micros() {
            return Ok(());
        }
        let said = json!({
            "kafkaPartition": partition,
            "from": EventTime::from_micros(before).to_string(),
            "to": to.to_string(),
        });
        let commit = Commit::new(log.lake(), "RESET WATERMARK")
            .txns([(app_id.to_owned(), to.micros())])
            .info("watermarkReset", said);
        if let CommitOutcome::Committed { .. } = log.try_commit(&commit).await? {
            return Ok(());
        }
    }
}
