//! `speed-layer check`: shows what the latest records of a topic would become, before anything lands, and proposes
//! settings where they would become dead letters.
//!
//! `sample` reads records without joining the group, `proposal` finds the fields in them, and the report decodes them as
//! `run` would, by the settings and by those proposed. No lake is opened, and no offset is committed.

mod proposal;
mod report;
mod sample;

use lake_config::Settings;
use lake_kafka::ClientError;

pub use self::report::CheckReport;
pub use self::sample::SampledRecord;

/// Looks at the latest `records` records of the topic that the settings name.
///
/// # Errors
/// Kafka can't be asked, or has no such topic.
pub async fn run(settings: &Settings, records: usize) -> Result<CheckReport, ClientError> {
    let kafka = settings.kafka.clone();
    let asked = tokio::task::spawn_blocking(move || sample::latest(&kafka, records)).await;
    let sampled = asked.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
    Ok(CheckReport::of(settings, &sampled))
}
