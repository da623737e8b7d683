//! Active data files as a table's log describes them.
//!
//! Paths in the log are URIs: [`encoded`] writes them and [`decoded`] reads them. A path that another program
//! spelled in its own way is kept as it spelled it, because readers match a remove with its add by spelling.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lake_model::Day;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::log_problem::LogProblem;

/// Characters that a URI can't hold as they are.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// An active data file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Its path, relative to the table.
    pub path: String,
    /// The day of its rows, in a partitioned table.
    pub partition: Option<Day>,
    /// Its length in bytes.
    pub size: u64,
    /// Its rows.
    pub rows: u64,
    /// When it was added, in milliseconds since 1970.
    pub modification_time: i64,
    /// What it is, by whoever added it.
    pub tags: Arc<BTreeMap<String, String>>,
    stats: Arc<str>,
    /// Whether the log leaves open how many rows there are, or what bounds them.
    lacks_statistics: bool,
    /// The path as the log spells it, where that is not how we would.
    spelled: Option<Arc<str>>,
}

/// An `add` action as the log holds it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Add {
    path: String,
    #[serde(default)]
    partition_values: HashMap<String, Option<String>>,
    size: u64,
    #[serde(default)]
    modification_time: i64,
    stats: Option<String>,
    tags: Option<BTreeMap<String, Option<String>>>,
}

impl FileEntry {
    pub(super) fn of(add: Add) -> Result<FileEntry, LogProblem> {
        let path = decoded(&add.path)?;
        let spelled = (encoded(&path) != add.path).then(|| add.path.into());
        let stats = add.stats.filter(|stats| !stats.is_empty()).unwrap_or_else(|| "{}".to_owned());
        let outline: StatsOutline = serde_json::from_str(&stats)
            .map_err(|error| LogProblem::Statistics { path: path.clone(), error })?;
        Ok(FileEntry {
            partition: partition(&add.partition_values)?,
            size: add.size,
            rows: outline.num_records.unwrap_or(0),
            lacks_statistics: outline.num_records.is_none() || outline.min_values.is_none(),
            modification_time: add.modification_time,
            tags: Arc::new(present(add.tags.unwrap_or_default())),
            stats: stats.into(),
            path,
            spelled,
        })
    }

    /// The least and greatest value of `column` by the file's statistics.
    pub fn bounds(&self, column: &str) -> Option<(Value, Value)> {
        let mut stats: Value = serde_json::from_str(&self.stats).ok()?;
        let mut bound = |side: &str| stats.get_mut(side)?.get_mut(column).map(Value::take);
        bound("minValues").zip(bound("maxValues"))
    }

    /// Whether the log has no statistics of the file, or not all.
    pub(super) fn lacks_statistics(&self) -> bool {
        self.lacks_statistics
    }

    /// The file with statistics that were read elsewhere.
    pub(super) fn with_statistics(self, rows: u64, stats: &str) -> FileEntry {
        FileEntry { rows, stats: stats.into(), lacks_statistics: false, ..self }
    }

    /// The path as the log spells it.
    pub(super) fn uri(&self) -> String {
        self.spelled.as_deref().map_or_else(|| encoded(&self.path), str::to_owned)
    }
}

/// `path` as the log spells it.
pub(super) fn encoded(path: &str) -> String {
    utf8_percent_encode(path, ESCAPED).to_string()
}

/// The path that the log spells `uri`.
pub(super) fn decoded(uri: &str) -> Result<String, LogProblem> {
    match percent_decode_str(uri).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(error) => Err(LogProblem::Path { uri: uri.to_owned(), error }),
    }
}

/// The day among partition values, of which our tables have at most one.
fn partition(values: &HashMap<String, Option<String>>) -> Result<Option<Day>, LogProblem> {
    let Some(text) = values.values().flatten().next() else { return Ok(None) };
    Day::parse(text).map(Some).ok_or_else(|| LogProblem::PartitionValue(text.clone()))
}

/// The tags that have a value.
fn present(tags: BTreeMap<String, Option<String>>) -> BTreeMap<String, String> {
    tags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

/// What of a file's statistics there is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatsOutline {
    num_records: Option<u64>,
    min_values: Option<IgnoredAny>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn entry(path: &str) -> FileEntry {
        let stats = r#"{"numRecords":3}"#;
        let add = json!({
            "path": path, "partitionValues": { "event_date": "2025-04-05" }, "size": 1, "stats": stats,
        });
        FileEntry::of(serde_json::from_value(add).unwrap()).unwrap()
    }

    #[test]
    fn a_path_is_decoded_and_keeps_the_spelling_that_it_came_in() {
        for (spelled, path) in [
            ("event_date=2025-04-05/a%20b.parquet", "event_date=2025-04-05/a b.parquet"),
            ("event_date%3D2025-04-05/%D1%8F.parquet", "event_date=2025-04-05/я.parquet"),
            ("100%25.parquet", "100%.parquet"),
            ("plain.parquet", "plain.parquet"),
        ] {
            let entry = entry(spelled);
            assert_eq!((entry.path.as_str(), entry.uri().as_str()), (path, spelled));
        }
    }

    #[test]
    fn a_file_lacks_statistics_without_a_count_or_without_bounds() {
        for (stats, rows, lacks) in [
            (json!(r#"{"numRecords":3,"minValues":{},"maxValues":{}}"#), 3, false),
            (json!(r#"{"numRecords":3}"#), 3, true),
            (json!(r#"{"minValues":{},"maxValues":{}}"#), 0, true),
            (json!(""), 0, true),
            (Value::Null, 0, true),
        ] {
            let add = json!({ "path": "a.parquet", "size": 1, "stats": stats });
            let entry = FileEntry::of(serde_json::from_value(add).unwrap()).unwrap();
            assert_eq!((entry.rows, entry.lacks_statistics()), (rows, lacks), "{stats}");
            let entry = entry.with_statistics(7, r#"{"minValues":{"a":1},"maxValues":{"a":2}}"#);
            assert_eq!((entry.rows, entry.lacks_statistics()), (7, false));
            assert_eq!(entry.bounds("a"), Some((json!(1), json!(2))));
        }
    }

    #[test]
    fn any_path_of_our_own_survives_a_round_trip() {
        for path in
            ["a b#c?d%e[я].parquet", "event_date=2025-04-05/final-2025-04-05T01:02:03Z.parquet"]
        {
            assert_eq!(decoded(&encoded(path)).unwrap(), path);
        }
    }
}
