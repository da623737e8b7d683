//! Active data files as a table's log describes them.
//!
//! Paths in the log are URIs: [`encoded`] writes them and [`decoded`] reads them. A path that another program
//! spelled in its own way is kept as it spelled it, because readers match a remove with its add by spelling.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lake_model::Day;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;
use serde_json::Value;

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
    pub(super) fn of(add: Add) -> Result<FileEntry, String> {
        let path = decoded(&add.path)?;
        let spelled = (encoded(&path) != add.path).then(|| add.path.into());
        let stats = add.stats.ok_or_else(|| format!("file {path} has no statistics"))?;
        Ok(FileEntry {
            partition: partition(&add.partition_values)?,
            size: add.size,
            rows: row_count(&stats).map_err(|e| format!("statistics of file {path}: {e}"))?,
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
        let mut take = |side: &str| stats.get_mut(side)?.get_mut(column).map(Value::take);
        take("minValues").zip(take("maxValues"))
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
pub(super) fn decoded(uri: &str) -> Result<String, String> {
    let text = percent_decode_str(uri).decode_utf8().map_err(|e| format!("path {uri}: {e}"))?;
    Ok(text.into_owned())
}

/// The day among partition values, of which our tables have at most one.
fn partition(values: &HashMap<String, Option<String>>) -> Result<Option<Day>, String> {
    let Some(text) = values.values().flatten().next() else { return Ok(None) };
    Day::parse(text).map(Some).ok_or_else(|| format!("partition value {text:?} is no date"))
}

/// The tags that have a value.
fn present(tags: BTreeMap<String, Option<String>>) -> BTreeMap<String, String> {
    tags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

fn row_count(stats: &str) -> serde_json::Result<u64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Count {
        num_records: u64,
    }
    serde_json::from_str(stats).map(|count: Count| count.num_records)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn entry(path: &str) -> FileEntry {
        let stats = r#"{"numRecords":3}"#;
        let add = serde_json::json!({
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
    fn any_path_of_our_own_survives_a_round_trip() {
        for path in
            ["a b#c?d%e[я].parquet", "event_date=2025-04-05/final-2025-04-05T01:02:03Z.parquet"]
        {
            assert_eq!(decoded(&encoded(path)).unwrap(), path);
        }
    }
}
