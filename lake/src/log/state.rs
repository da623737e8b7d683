//! A table's state at a version: its files, its transactions and its properties.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lake_model::Day;
use serde::Deserialize;
use serde_json::Value;

use super::entry::{Entry, READER_VERSION, WRITER_VERSION};

/// The state that the entries up to a version add up to.
#[derive(Clone, Debug)]
pub struct TableState {
    version: i64,
    files: BTreeMap<String, FileEntry>,
    txns: HashMap<String, i64>,
    properties: HashMap<String, String>,
}

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
    stats: Arc<str>,
}

impl FileEntry {
    pub(super) fn new(
        path: String,
        partition: Option<Day>,
        size: u64,
        modification_time: i64,
        stats: Option<String>,
    ) -> Result<FileEntry, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Count {
            num_records: u64,
        }
        let stats = stats.ok_or_else(|| format!("file {path} has no statistics"))?;
        let count: Count = serde_json::from_str(&stats)
            .map_err(|error| format!("statistics of file {path}: {error}"))?;
        let rows = count.num_records;
        Ok(FileEntry { path, partition, size, rows, modification_time, stats: stats.into() })
    }

    /// The least and greatest value of `column` by the file's statistics.
    pub fn bounds(&self, column: &str) -> Option<(Value, Value)> {
        let mut stats: Value = serde_json::from_str(&self.stats).ok()?;
        let mut take = |side: &str| stats.get_mut(side)?.get_mut(column).map(Value::take);
        take("minValues").zip(take("maxValues"))
    }
}

impl TableState {
    /// The state before the first entry, at version -1.
    pub(super) fn empty() -> TableState {
        TableState {
            version: -1,
            files: BTreeMap::new(),
            txns: HashMap::new(),
            properties: HashMap::new(),
        }
    }

    /// The version.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The version of the app id's last transaction.
    pub fn txn(&self, app_id: &str) -> Option<i64> {
        self.txns.get(app_id).copied()
    }

    /// Every app id with the version of its last transaction.
    pub fn txns(&self) -> impl Iterator<Item = (&str, i64)> {
        self.txns.iter().map(|(app_id, version)| (app_id.as_str(), *version))
    }

    /// The active files, by path.
    pub fn files(&self) -> impl Iterator<Item = &FileEntry> {
        self.files.values()
    }

    /// The active file at `path`.
    pub fn file(&self, path: &str) -> Option<&FileEntry> {
        self.files.get(path)
    }

    /// The active files of `day`.
    pub fn files_of(&self, day: Day) -> impl Iterator<Item = &FileEntry> {
        self.files.values().filter(move |file| file.partition == Some(day))
    }

    /// The value of a table property.
    pub fn property(&self, key: &str) -> Option<&str> {
        self.properties.get(key).map(String::as_str)
    }

    pub(super) fn fold(&mut self, version: i64, entry: Entry) -> Result<(), String> {
        if let Some(protocol) = &entry.protocol
            && (protocol.min_reader_version > READER_VERSION
                || protocol.min_writer_version > WRITER_VERSION)
        {
            return Err(format!(
                "the table asks for reader version {} and writer version {}, and {READER_VERSION} and \
                 {WRITER_VERSION} are supported; another program has upgraded it",
                protocol.min_reader_version, protocol.min_writer_version
            ));
        }
        for path in entry.removes {
            self.files.remove(&path);
        }
        self.files.extend(entry.adds.into_iter().map(|file| (file.path.clone(), file)));
        self.txns.extend(entry.txns);
        if let Some(properties) = entry.properties {
            self.properties = properties;
        }
        self.version = version;
        Ok(())
    }
}
