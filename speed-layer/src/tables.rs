//! The tables that the speed layer writes, opened and checked against the settings.

use lake_config::Settings;
use lake_delta::{Lake, LakeError, TableLog};
use lake_tables::Table;
use lake_tables::txn::AppIds;

/// The properties that tie a lake to a pipeline: the same days and the same topic for as long as it lives.
const TIME_ZONE: &str = "lambdalake.timezone";
const TOPIC: &str = "lambdalake.topic";

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
    /// Opens the tables, or creates those that are missing.
    pub async fn open(lake: &Lake, settings: &Settings) -> Result<Tables, LakeError> {
        let properties = [
            (TIME_ZONE.to_owned(), settings.pipeline.timezone.clone()),
            (TOPIC.to_owned(), settings.kafka.topic.clone()),
        ];
        let open = async |table| {
            let log = TableLog::open_or_create(lake, table, &properties).await?;
            check(&log, TIME_ZONE, "pipeline.timezone", &settings.pipeline.timezone)?;
            check(&log, TOPIC, "kafka.topic", &settings.kafka.topic)?;
            Ok::<TableLog, LakeError>(log)
        };
        // Whoever reads finds every table from the first start on.
        open(Table::BatchRuns).await?;
        Ok(Tables {
            events: open(Table::Events).await?,
            dead_letters: open(Table::DeadLetters).await?,
            offset_gaps: open(Table::OffsetGaps).await?,
            avg_speed: open(Table::AvgSpeed).await?,
            app_ids: AppIds::new(&settings.pipeline.name, &settings.kafka.topic),
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
