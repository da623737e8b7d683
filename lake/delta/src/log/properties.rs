//! Table properties that Delta defines, and what some of them hold.

use std::collections::HashMap;
use std::time::Duration;

use arrow::datatypes::DataType;

use crate::spec::TableSpec;

/// Commits between checkpoints.
pub(crate) const CHECKPOINT_INTERVAL: &str = "delta.checkpointInterval";
/// How long removed files stay.
pub(crate) const DELETED_FILE_RETENTION: &str = "delta.deletedFileRetentionDuration";
/// How long log entries stay once a checkpoint holds them.
pub(crate) const LOG_RETENTION: &str = "delta.logRetentionDuration";
/// The columns that files have bounds of, separated by commas.
pub(crate) const COLUMNS_WITH_BOUNDS: &str = "delta.dataSkippingStatsColumns";

/// The value of [`COLUMNS_WITH_BOUNDS`] for `table`. A column that has bounds in some files only is not among them:
/// readers such as Python's deltalake skip files without bounds of a column that should have some, rows and all.
pub(crate) fn columns_with_bounds(table: &TableSpec) -> String {
    let schema = &table.file_schema;
    let has_bounds =
        |data_type: &DataType| !matches!(data_type, DataType::Boolean | DataType::Binary);
    let fields = schema.fields().iter().filter(|field| has_bounds(field.data_type()));
    let names = fields.map(|field| field.name().as_str());
    names.filter(|name| !table.without_bounds.contains(name)).collect::<Vec<_>>().join(",")
}

/// How long entries of a log with these properties stay, if they say so.
pub(crate) fn log_retention(properties: &HashMap<String, String>) -> Option<Duration> {
    properties.get(LOG_RETENTION).and_then(|text| parse_interval(text))
}

/// `duration` as Delta spells intervals, in whole seconds.
pub(crate) fn interval(duration: Duration) -> String {
    format!("interval {} seconds", duration.as_secs())
}

/// Reads an interval of one unit, such as `interval 30 days`. Months and years have no fixed length, and
/// Delta refuses them.
fn parse_interval(text: &str) -> Option<Duration> {
    let mut words = text.split_whitespace();
    let is_interval = words.next()?.eq_ignore_ascii_case("interval");
    let count: u64 = words.next()?.parse().ok()?;
    let unit = words.next()?.to_ascii_lowercase();
    let length = match unit.trim_end_matches('s') {
        "millisecond" => Duration::from_millis(1),
        "second" => Duration::from_secs(1),
        "minute" => Duration::from_secs(60),
        "hour" => Duration::from_secs(3600),
        "day" => Duration::from_secs(86_400),
        "week" => Duration::from_secs(7 * 86_400),
        _ => return None,
    };
    let whole = is_interval && words.next().is_none();
    whole.then(|| length.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_as_delta_spells_them() {
        for (text, seconds) in [
            ("interval 86400 seconds", 86_400),
            ("interval 30 days", 30 * 86_400),
            ("INTERVAL 1 week", 7 * 86_400),
            ("interval 2 Hours", 7200),
        ] {
            assert_eq!(parse_interval(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "interval", "1 day", "interval 1 month", "interval 1 day 2 hours"] {
            assert_eq!(parse_interval(text), None, "{text}");
        }
    }

    #[test]
    fn intervals_survive_a_round_trip() {
        let hour = Duration::from_secs(3600);
        assert_eq!(parse_interval(&interval(hour)), Some(hour));
    }
}
