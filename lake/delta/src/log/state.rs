//! A table's state at a version: its files, its transactions and its properties.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lake_model::{Day, TableVersion};

use super::entry::{Entry, Metadata, Protocol};
use super::file_entry::FileEntry;
use crate::log_problem::LogProblem;
use crate::protocol::{READER_VERSION, WRITER_VERSION};

/// The state that the entries up to a version add up to.
#[derive(Clone, Debug)]
pub struct TableState {
    version: TableVersion,
    files: BTreeMap<String, FileEntry>,
    /// The paths of files that lack statistics.
    lacking: BTreeSet<String>,
    /// The paths of each day's files.
    days: BTreeMap<Day, BTreeSet<String>>,
    txns: HashMap<String, i64>,
    metadata: Metadata,
}

impl TableState {
    /// The state before the first entry.
    pub(super) fn empty() -> TableState {
        TableState {
            version: TableVersion::BEFORE_FIRST,
            files: BTreeMap::new(),
            lacking: BTreeSet::new(),
            days: BTreeMap::new(),
            txns: HashMap::new(),
            metadata: Metadata::default(),
        }
    }

    /// The version.
    pub fn version(&self) -> TableVersion {
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

    /// The active files of `day`, by path.
    pub fn files_of(&self, day: Day) -> impl Iterator<Item = &FileEntry> {
        self.days.get(&day).into_iter().flatten().filter_map(|path| self.files.get(path))
    }

    /// The value of a table property.
    pub fn property(&self, key: &str) -> Option<&str> {
        self.metadata.configuration.get(key).map(String::as_str)
    }

    pub(super) fn properties(&self) -> &HashMap<String, String> {
        &self.metadata.configuration
    }

    pub(super) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Applies the entry of `version`; all of it, or nothing if it is refused.
    pub(super) fn fold(&mut self, version: TableVersion, entry: Entry) -> Result<(), LogProblem> {
        if let Some(protocol) = &entry.protocol {
            check_protocol(protocol)?;
        }
        for path in &entry.removes {
            self.remove(path);
        }
        for file in entry.adds {
            self.add(file);
        }
        self.txns.extend(entry.txns);
        if let Some(metadata) = entry.metadata {
            self.metadata = metadata;
        }
        self.version = version;
        Ok(())
    }

    /// The active files that lack statistics.
    pub(super) fn lacking_statistics(&self) -> impl Iterator<Item = &FileEntry> {
        self.lacking.iter().filter_map(|path| self.files.get(path))
    }

    /// Whether all active files have statistics.
    pub(super) fn is_complete(&self) -> bool {
        self.lacking.is_empty()
    }

    /// Puts `file` in the place of what the log says of it.
    pub(super) fn complete(&mut self, file: FileEntry) {
        self.lacking.remove(&file.path);
        self.files.insert(file.path.clone(), file);
    }

    fn add(&mut self, file: FileEntry) {
        self.remove(&file.path);
        if file.lacks_statistics() {
            self.lacking.insert(file.path.clone());
        }
        if let Some(day) = file.partition {
            self.days.entry(day).or_default().insert(file.path.clone());
        }
        self.files.insert(file.path.clone(), file);
    }

    fn remove(&mut self, path: &str) {
        self.lacking.remove(path);
        let Some(day) = self.files.remove(path).and_then(|file| file.partition) else { return };
        if let Some(paths) = self.days.get_mut(&day) {
            paths.remove(path);
            if paths.is_empty() {
                self.days.remove(&day);
            }
        }
    }
}

fn check_protocol(protocol: &Protocol) -> Result<(), LogProblem> {
    let Protocol { min_reader_version: reader, min_writer_version: writer } = *protocol;
    if reader <= READER_VERSION && writer <= WRITER_VERSION {
        return Ok(());
    }
    Err(LogProblem::Protocol { reader, writer })
}
