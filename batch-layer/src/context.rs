//! What every command works with: settings, the lake, the calendar and the names of offsets in the logs.

use lake_config::Settings;
use lake_delta::{Lake, LakeError, TableLog};
use lake_model::{Calendar, EventTime, Speed};
use lake_tables::Table;
use lake_tables::txn::AppIds;

use crate::error::BatchError;

/// The properties that tie a table to a pipeline, with the settings that they must agree with.
const TIME_ZONE: (&str, &str) = ("lambdalake.timezone", "pipeline.timezone");
const TOPIC: (&str, &str) = ("lambdalake.topic", "kafka.topic");

/// What every command works with.
#[derive(Clone, Debug)]
pub struct Context {
    pub(crate) settings: Settings,
    pub(crate) lake: Lake,
    pub(crate) calendar: Calendar,
    pub(crate) app_ids: AppIds,
}

impl Context {
    /// Takes the settings and the lake that they name.
    ///
    /// # Errors
    /// The time zone is unknown.
    pub fn new(settings: Settings, lake: Lake) -> Result<Context, BatchError> {
        let calendar = Calendar::new(&settings.pipeline.timezone).map_err(|error| {
            BatchError::Configuration(format!(
                "pipeline.timezone = {:?}: {error}",
                settings.pipeline.timezone
            ))
        })?;
        let app_ids = AppIds::new(&settings.pipeline.name, &settings.kafka.topic);
        Ok(Context { settings, lake, calendar, app_ids })
    }

    /// The present instant.
    pub(crate) fn now(&self) -> EventTime {
        self.lake.now()
    }

    /// Opens the log of `table`, which must have been made by the pipeline that the settings describe.
    pub(crate) async fn open(&self, table: Table) -> Result<TableLog, BatchError> {
        let log = TableLog::open(&self.lake, table).await?;
        check(&log, TIME_ZONE, &self.settings.pipeline.timezone)?;
        check(&log, TOPIC, &self.settings.kafka.topic)?;
        Ok(log)
    }

    /// The speed limit of a camera, if one is configured.
    pub(crate) fn limit(&self, camera_id: &str) -> Option<Speed> {
        self.settings.speed_limits.kmh(camera_id).map(Speed::rounded)
    }

    /// How long after its end a day closes, in microseconds.
    pub(crate) fn close_after_us(&self) -> i64 {
        i64::try_from(self.settings.batch.close_after.as_micros()).unwrap_or(i64::MAX)
    }
}

fn check(log: &TableLog, (property, key): (&str, &str), value: &str) -> Result<(), BatchError> {
    match log.state().property(property) {
        Some(found) if found != value => Err(BatchError::Lake(LakeError::Configuration(format!(
            "{key} = {value:?}, but table {} at {} was made with {found:?}; set {key} = {found:?} or \
             another lake.uri",
            log.table(),
            log.lake().uri(),
        )))),
        _ => Ok(()),
    }
}
