//! Log entries: the actions of one version, read from and written as JSON lines.

use std::collections::HashMap;

use lake_model::{Day, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::file_entry::{Add, FileEntry, decoded, encoded};
use super::properties::{
    CHECKPOINT_INTERVAL, COLUMNS_WITH_BOUNDS, DELETED_FILE_RETENTION, LOG_RETENTION,
    columns_with_bounds, interval,
};
use crate::data_file::DataFile;
use crate::log_problem::LogProblem;
use crate::protocol::{READER_VERSION, WRITER_VERSION};
use crate::schema_json;
use crate::spec::TableSpec;
use crate::storage::Lake;

/// A commit to be made: files to add and to remove, transactions, and what its `commitInfo` holds.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    id: Uuid,
    operation: &'static str,
    adds: Vec<DataFile>,
    removes: Vec<FileEntry>,
    txns: Vec<(String, i64)>,
    info: Map<String, Value>,
    rearranges: bool,
    /// Actions about the table as a whole.
    preamble: Vec<Value>,
}

impl Commit {
    /// An empty commit called `operation` in the table's history.
    pub fn new(lake: &Lake, operation: &'static str) -> Commit {
        Commit { id: lake.unique_id(), operation, ..Commit::default() }
    }

    /// Adds files.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "files are added, not numbers")]
    pub fn add(mut self, files: impl IntoIterator<Item = DataFile>) -> Commit {
        self.adds.extend(files);
        self
    }

    /// Removes files, which are active at the version committed on.
    #[must_use]
    pub fn remove(mut self, files: impl IntoIterator<Item = FileEntry>) -> Commit {
        self.removes.extend(files);
        self
    }

    /// Records transactions: app ids and their versions.
    #[must_use]
    pub fn txns(mut self, txns: impl IntoIterator<Item = (String, i64)>) -> Commit {
        self.txns.extend(txns);
        self
    }

    /// Puts `value` into the `commitInfo`.
    #[must_use]
    pub fn info(mut self, key: &str, value: Value) -> Commit {
        self.info.insert(key.to_owned(), value);
        self
    }

    /// The rows stay as they are and only their files change.
    #[must_use]
    pub fn rearranging(mut self) -> Commit {
        self.rearranges = true;
        self
    }

    /// Puts `metadata` in the place of the table's.
    pub(super) fn metadata(mut self, metadata: &Value) -> Commit {
        self.preamble.push(json!({ "metaData": metadata }));
        self
    }

    /// Whether the commit would change nothing.
    pub fn is_empty(&self) -> bool {
        self.adds.is_empty()
            && self.removes.is_empty()
            && self.txns.is_empty()
            && self.preamble.is_empty()
    }

    /// The files that the commit adds.
    pub(super) fn adds(&self) -> &[DataFile] {
        &self.adds
    }

    /// Whether the entry in `bytes` is this commit.
    pub(super) fn is_named_by(&self, bytes: &[u8]) -> bool {
        let id = self.id.to_string();
        commit_info_of(bytes).is_some_and(|info| info["commitId"] == Value::String(id))
    }

    /// The commit as the JSON lines of an entry in the log of `table`, made at `now`.
    pub(super) fn encode(&self, table: &'static TableSpec, now: Timestamp) -> String {
        let millis = now.micros().div_euclid(1000);
        let mut lines = vec![json!({ "commitInfo": self.commit_info(millis) })];
        lines.extend(self.preamble.iter().cloned());
        lines.extend(self.txns.iter().map(|(app_id, version)| {
            json!({ "txn": { "appId": app_id, "version": version, "lastUpdated": millis } })
        }));
        lines.extend(self.removes.iter().map(|file| self.remove_json(table, file, millis)));
        lines.extend(self.adds.iter().map(|file| self.add_json(table, file, millis)));
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn commit_info(&self, millis: i64) -> Map<String, Value> {
        let mut info = self.info.clone();
        for (key, value) in [
            ("timestamp", json!(millis)),
            ("operation", json!(self.operation)),
            ("operationParameters", json!({})),
            ("engineInfo", json!(concat!("lambdalake/", env!("CARGO_PKG_VERSION")))),
            ("commitId", json!(self.id.to_string())),
        ] {
            info.insert(key.to_owned(), value);
        }
        info
    }

    fn add_json(&self, table: &'static TableSpec, file: &DataFile, millis: i64) -> Value {
        json!({ "add": {
            "path": encoded(&file.path), "partitionValues": partition_values(table, file.partition),
            "size": file.size, "modificationTime": millis, "dataChange": !self.rearranges,
            "stats": file.stats, "tags": file.tags,
        } })
    }

    fn remove_json(&self, table: &'static TableSpec, file: &FileEntry, millis: i64) -> Value {
        json!({ "remove": {
            "path": file.uri(), "deletionTimestamp": millis, "dataChange": !self.rearranges,
            "extendedFileMetadata": true, "partitionValues": partition_values(table, file.partition),
            "size": file.size,
        } })
    }
}

fn partition_values(table: &'static TableSpec, day: Option<Day>) -> Map<String, Value> {
    let values = table
        .partition_column
        .map(|column| (column.to_owned(), day.map_or(Value::Null, |day| json!(day.to_string()))));
    values.into_iter().collect()
}

/// The commit that creates `table`.
pub(super) fn creation(
    lake: &Lake,
    table: &'static TableSpec,
    properties: &[(String, String)],
) -> Commit {
    let options = lake.options();
    let mut configuration: Map<String, Value> =
        properties.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    for (key, value) in [
        (CHECKPOINT_INTERVAL, options.checkpoint_interval.to_string()),
        (DELETED_FILE_RETENTION, interval(options.deleted_file_retention)),
        (LOG_RETENTION, interval(options.log_retention)),
        (COLUMNS_WITH_BOUNDS, columns_with_bounds(table)),
    ] {
        configuration.insert(key.to_owned(), json!(value));
    }
    let partition_columns: Vec<&str> = table.partition_column.into_iter().collect();
    let preamble = vec![
        json!({ "protocol": {
            "minReaderVersion": READER_VERSION, "minWriterVersion": WRITER_VERSION,
        } }),
        json!({ "metaData": {
            "id": lake.unique_id().to_string(),
            "name": table.name,
            "format": { "provider": "parquet", "options": {} },
            "schemaString": schema_json::schema_string(table),
            "partitionColumns": partition_columns,
            "createdTime": lake.now().micros().div_euclid(1000),
            "configuration": configuration,
        } }),
    ];
    Commit { preamble, ..Commit::new(lake, "CREATE TABLE") }
}

/// The `commitInfo` of the entry in `bytes`.
pub fn commit_info_of(bytes: &[u8]) -> Option<Value> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut values = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    values.find_map(|mut value| value.get_mut("commitInfo").map(Value::take))
}

/// The actions of one version that the state depends on.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) adds: Vec<FileEntry>,
    pub(super) removes: Vec<String>,
    pub(super) txns: Vec<(String, i64)>,
    pub(super) metadata: Option<Metadata>,
    pub(super) protocol: Option<Protocol>,
}

#[derive(Deserialize)]
struct Line {
    add: Option<Add>,
    remove: Option<Remove>,
    txn: Option<Txn>,
    #[serde(rename = "metaData")]
    metadata: Option<Metadata>,
    protocol: Option<Protocol>,
}

#[derive(Deserialize)]
struct Remove {
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Txn {
    app_id: String,
    version: i64,
}

/// The metadata of a table.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Metadata {
    /// Its properties.
    #[serde(default)]
    pub(super) configuration: HashMap<String, String>,
    /// All else, as the log spells it.
    #[serde(flatten)]
    pub(super) rest: Map<String, Value>,
}

/// The protocol that a table asks of its readers and writers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Protocol {
    pub(super) min_reader_version: i32,
    pub(super) min_writer_version: i32,
}

impl Entry {
    /// Reads JSON lines of actions; those that the state does not depend on are passed over.
    pub(super) fn parse(bytes: &[u8]) -> Result<Entry, LogProblem> {
        let mut entry = Entry::default();
        let mut is_empty = true;
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty())
        {
            entry.push(serde_json::from_slice(line)?)?;
            is_empty = false;
        }
        if is_empty { Err(LogProblem::EmptyEntry) } else { Ok(entry) }
    }

    fn push(&mut self, line: Line) -> Result<(), LogProblem> {
        if let Some(add) = line.add {
            self.adds.push(FileEntry::of(add)?);
        }
        if let Some(remove) = line.remove {
            self.removes.push(decoded(&remove.path)?);
        }
        self.txns.extend(line.txn.map(|txn| (txn.app_id, txn.version)));
        self.metadata = line.metadata.or(self.metadata.take());
        self.protocol = line.protocol.or(self.protocol.take());
        Ok(())
    }
}
