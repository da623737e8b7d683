//! What every command works with: settings, the lake, its days, the names of offsets in the logs, and the speed limits.

use std::collections::BTreeMap;

use lake_config::Settings;
use lake_delta::{Lake, LakeError, TableLog, TableState};
use lake_kafka::{LogEnds, TopicExtent};
use lake_model::{Calendar, Day, KafkaPartition, Offset, SpeedLimits, Timestamp};
use lake_tables::Table;
use lake_tables::identity::LakeIdentity;
use lake_tables::last_runs::{Command, LastRun};
use lake_tables::txn::AppIds;

use crate::error::BatchError;

/// What every command works with.
#[derive(Clone, Debug)]
pub struct Context {
    pub(crate) settings: Settings,
    pub(crate) lake: Lake,
    pub(crate) app_ids: AppIds,
    pub(crate) limits: SpeedLimits,
}

impl Context {
    /// The context of the settings and of the lake that they name.
    ///
    /// # Errors
    /// The time zone is unknown.
    pub fn new(settings: Settings, lake: Lake) -> Result<Context, BatchError> {
        let identity = LakeIdentity::of(&settings);
        identity.bundled_rules()?;
        let app_ids = identity.app_ids();
        let limits = &settings.speed_limits;
        let limits = SpeedLimits::from_kmh(limits.default_kmh, &limits.cameras);
        Ok(Context { settings, lake, app_ids, limits })
    }

    /// The present instant.
    pub(crate) fn now(&self) -> Timestamp {
        self.lake.now()
    }

    /// The day before the present one, in the pipeline's time zone.
    ///
    /// # Errors
    /// The time zone is unknown.
    pub fn yesterday(&self) -> Result<Day, BatchError> {
        let calendar = Calendar::of(LakeIdentity::of(&self.settings).bundled_rules()?);
        Ok(calendar.span_at(self.now()).day.plus(-1))
    }

    /// The days by the rules that are in force at a version of `events`.
    pub(crate) fn calendar_at(&self, events: &TableState) -> Result<Calendar, LakeError> {
        LakeIdentity::of(&self.settings).calendar_at(events)
    }

    /// Opens the log of `table`, which must have been made by the pipeline that the settings describe.
    pub(crate) async fn open(&self, table: Table) -> Result<TableLog, BatchError> {
        Ok(LakeIdentity::of(&self.settings).open(&self.lake, table).await?)
    }

    /// The offset that each partition reaches in `events`, or in `table` where that is ahead: dead letters land first.
    pub(crate) async fn reached(
        &self,
        table: Table,
    ) -> Result<BTreeMap<KafkaPartition, Offset>, LakeError> {
        let mut reached: BTreeMap<KafkaPartition, Offset> = BTreeMap::new();
        for table in [Table::Events, table] {
            let log = LakeIdentity::of(&self.settings).open(&self.lake, table).await?;
            for (partition, next) in self.app_ids.partitions(log.state()) {
                let held = reached.entry(partition).or_insert(next);
                *held = next.max(*held);
            }
        }
        Ok(reached)
    }

    /// Puts on record that a run of `command` has ended. One that may not write there, as an audit with rights to read only, has
    /// done its work all the same.
    pub async fn record_run(&self, command: Command, is_in_order: bool) {
        if let Err(error) = LastRun::record(&self.lake, command, is_in_order).await {
            let command = command.as_str();
            tracing::warn!(%error, command, "not recorded that it ran; metrics of serving will not show it");
        }
    }

    /// What Kafka has of the topic, which must be the one whose offsets `events` holds.
    ///
    /// # Errors
    /// Kafka can't be asked, or has another topic by that name.
    pub(crate) async fn topic(
        &self,
        kafka: &dyn LogEnds,
        events: &TableLog,
    ) -> Result<TopicExtent, BatchError> {
        let (extent, identity) = (kafka.ends().await?, LakeIdentity::of(&self.settings));
        identity.check_topic(events, &extent.identity)?;
        identity.check_partitions(events, |id| extent.partitions.contains_key(&id))?;
        Ok(extent)
    }

    /// How long after its end a day closes, in microseconds.
    pub(crate) fn close_after_us(&self) -> i64 {
        i64::try_from(self.settings.batch.close_after.as_micros()).unwrap_or(i64::MAX)
    }
}
