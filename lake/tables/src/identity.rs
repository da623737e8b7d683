//! What ties a lake to one pipeline for as long as it lives: the time zone of its days, the topic, and the pipeline's
//! name, which is in the app ids of its offsets.
//!
//! Zone and topic are properties of every table. A table that was created with others is refused, since its days or
//! its offsets would not be those of the settings; one without the properties is accepted.

use lake_config::Settings;
use lake_delta::{Lake, LakeError, TableLog};
use lake_model::Calendar;

use crate::Table;
use crate::txn::AppIds;

/// The time zone whose days the tables count.
const TIME_ZONE: &str = "lambdalake.timezone";
/// The topic whose offsets the tables hold.
const TOPIC: &str = "lambdalake.topic";

/// The pipeline that a lake belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeIdentity {
    pipeline: String,
    topic: String,
    time_zone: String,
}

impl LakeIdentity {
    /// The pipeline that the settings describe.
    pub fn of(settings: &Settings) -> LakeIdentity {
        LakeIdentity {
            pipeline: settings.pipeline.name.clone(),
            topic: settings.kafka.topic.clone(),
            time_zone: settings.pipeline.timezone.clone(),
        }
    }

    /// The days of the pipeline.
    ///
    /// # Errors
    /// The time zone is unknown.
    pub fn calendar(&self) -> Result<Calendar, LakeError> {
        let zone = &self.time_zone;
        Calendar::new(zone).map_err(|error| {
            LakeError::Configuration(format!("pipeline.timezone = {zone:?}: {error}"))
        })
    }

    /// The app ids of the pipeline's offsets.
    pub fn app_ids(&self) -> AppIds {
        AppIds::new(&self.pipeline, &self.topic)
    }

    /// The properties that a table of the lake is created with.
    pub fn properties(&self) -> [(String, String); 2] {
        [(TIME_ZONE.to_owned(), self.time_zone.clone()), (TOPIC.to_owned(), self.topic.clone())]
    }

    /// Opens the log of `table`.
    ///
    /// # Errors
    /// The table does not exist, can't be read, or belongs to another pipeline.
    pub async fn open(&self, lake: &Lake, table: Table) -> Result<TableLog, LakeError> {
        let log = TableLog::open(lake, table).await?;
        self.check(&log)?;
        Ok(log)
    }

    /// Opens the log of `table`, which is created if it is missing, and completed if an earlier release created it.
    ///
    /// # Errors
    /// The table can't be read or created, or belongs to another pipeline.
    pub async fn open_or_create(&self, lake: &Lake, table: Table) -> Result<TableLog, LakeError> {
        let mut log = TableLog::open_or_create(lake, table, &self.properties()).await?;
        self.check(&log)?;
        log.name_columns_with_bounds().await?;
        Ok(log)
    }

    fn check(&self, log: &TableLog) -> Result<(), LakeError> {
        check(log, TIME_ZONE, "pipeline.timezone", &self.time_zone)?;
        check(log, TOPIC, "kafka.topic", &self.topic)
    }
}

fn check(log: &TableLog, property: &str, key: &str, value: &str) -> Result<(), LakeError> {
    match log.state().property(property) {
        Some(found) if found != value => Err(LakeError::Configuration(format!(
            "{key} = {value:?}, but table {} at {} was made with {found:?}; set {key} = {found:?} or \
             another lake.uri",
            log.table(),
            log.lake().uri(),
        ))),
        _ => Ok(()),
    }
}
