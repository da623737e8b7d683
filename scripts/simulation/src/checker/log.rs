//! A table's Delta log, read from the store's history as plain JSON.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::Value;

use super::violation::Violation;
use crate::truth::History;

/// A table's log.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) table: &'static str,
    /// From version 0 on.
    pub(super) versions: Vec<Version>,
}

/// One entry.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) number: i64,
    /// Its place in the order of everything that was put.
    pub(super) sequence: u64,
    pub(super) at_us: i64,
    /// The process that put it.
    pub(super) writer: String,
    pub(super) operation: String,
    pub(super) adds: Vec<Added>,
    pub(super) removes: Vec<Removed>,
    pub(super) txns: Vec<(String, i64)>,
    /// The rules of the time zone, if it has metadata with any.
    pub(super) zone_rules: Option<String>,
    /// Whether another entry was put in its place.
    pub(super) is_overwritten: bool,
    /// Whether it was deleted before the run's end.
    pub(super) is_cleaned: bool,
}

/// A file that an entry adds.
#[derive(Clone, Debug)]
pub(super) struct Added {
    /// Its path in the store.
    pub(super) path: String,
    /// The day of its rows, in a partitioned table.
    pub(super) day: Option<Date>,
    pub(super) is_change: bool,
    pub(super) size: Option<u64>,
    /// Its rows by its statistics.
    pub(super) rows: Option<u64>,
}

/// A file that an entry removes.
#[derive(Clone, Debug)]
pub(super) struct Removed {
    pub(super) path: String,
    pub(super) is_change: bool,
}

/// The state that entries add up to.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) files: BTreeMap<String, Added>,
    pub(super) txns: BTreeMap<String, i64>,
    pub(super) zone_rules: Option<String>,
}

impl State {
    pub(super) fn apply(&mut self, version: &Version) {
        for removed in &version.removes {
            self.files.remove(&removed.path);
        }
        for added in &version.adds {
            self.files.insert(added.path.clone(), added.clone());
        }
        self.txns.extend(version.txns.iter().cloned());
        if version.zone_rules.is_some() {
            self.zone_rules.clone_from(&version.zone_rules);
        }
    }

    /// The files of a day.
    pub(super) fn files_of(&self, day: Date) -> impl Iterator<Item = &Added> {
        self.files.values().filter(move |file| file.day == Some(day))
    }
}

impl Log {
    /// Reads the log of `table`, which may not exist.
    pub(super) fn read(table: &'static str, history: &History) -> Result<Log, Box<Violation>> {
        let folder = format!("{table}/_delta_log/");
        let mut versions = Vec::new();
        for (path, objects) in history.objects.range(folder.clone()..) {
            let Some(name) = path.strip_prefix(&folder) else { break };
            let Some(number) = name.strip_suffix(".json").and_then(|name| name.parse().ok()) else {
                continue;
            };
            let Some(first) = objects.first() else { continue };
            let unreadable = |problem: String| Violation::unreadable(table, path.clone(), problem);
            let replaced_at = first.ended.as_ref().map(|ended| ended.sequence);
            let mut version = Version {
                number,
                sequence: first.sequence,
                at_us: first.put_at_us,
                writer: first.writer.clone(),
                operation: String::new(),
                adds: Vec::new(),
                removes: Vec::new(),
                txns: Vec::new(),
                zone_rules: None,
                is_overwritten: objects.iter().any(|other| Some(other.sequence) == replaced_at),
                is_cleaned: first.ended.is_some(),
            };
            for line in first.bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let action = serde_json::from_slice(line).map_err(|e| unreadable(e.to_string()))?;
                version.take(table, &action).map_err(unreadable)?;
            }
            versions.push(version);
        }
        Ok(Log { table, versions })
    }

    /// The state at a version; the newest for one that is not there yet.
    pub(super) fn state_at(&self, number: i64) -> State {
        let mut state = State::default();
        let until = self.versions.iter().take_while(|version| version.number <= number);
        until.for_each(|version| state.apply(version));
        state
    }

    /// The newest version that had been put before that place in the order of puts; -1 if there was none.
    pub(super) fn newest_before(&self, sequence: u64) -> i64 {
        let before = self.versions.iter().take_while(|version| version.sequence < sequence);
        before.last().map_or(-1, |version| version.number)
    }
}

impl Version {
    fn take(&mut self, table: &str, action: &Value) -> Result<(), String> {
        if let Some(info) = action.get("commitInfo") {
            self.operation = info["operation"].as_str().unwrap_or_default().to_owned();
        }
        if let Some(add) = action.get("add") {
            self.adds.push(Added {
                path: store_path(table, add)?,
                day: day_of(add)?,
                is_change: add["dataChange"].as_bool().unwrap_or(true),
                size: add["size"].as_u64(),
                rows: rows_of(add),
            });
        }
        if let Some(remove) = action.get("remove") {
            let is_change = remove["dataChange"].as_bool().unwrap_or(true);
            self.removes.push(Removed { path: store_path(table, remove)?, is_change });
        }
        if let Some(metadata) = action.get("metaData") {
            let rules = &metadata["configuration"]["lambdalake.zoneRules"];
            self.zone_rules = rules.as_str().map(str::to_owned);
        }
        if let Some(txn) = action.get("txn") {
            let app_id = txn["appId"].as_str().ok_or("a txn without an app id")?;
            let version = txn["version"].as_i64().ok_or("a txn without a version")?;
            self.txns.push((app_id.to_owned(), version));
        }
        Ok(())
    }
}

/// Where the file of an action is in the store.
fn store_path(table: &str, action: &Value) -> Result<String, String> {
    let uri = action["path"].as_str().ok_or("an action without a path")?;
    let mut path = Vec::new();
    let mut bytes = uri.bytes();
    while let Some(byte) = bytes.next() {
        let hex: Vec<u8> = if byte == b'%' { bytes.by_ref().take(2).collect() } else { Vec::new() };
        let decoded = std::str::from_utf8(&hex).ok().and_then(|h| u8::from_str_radix(h, 16).ok());
        path.push(decoded.unwrap_or(byte));
    }
    let path = String::from_utf8(path).map_err(|_| format!("path {uri} is not UTF-8"))?;
    Ok(format!("{table}/{path}"))
}

fn day_of(add: &Value) -> Result<Option<Date>, String> {
    let values = add["partitionValues"].as_object().into_iter().flatten();
    let Some(text) = values.filter_map(|(_, value)| value.as_str()).next() else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("partition value {text} is no date"))
}

fn rows_of(add: &Value) -> Option<u64> {
    let stats: Value = serde_json::from_str(add["stats"].as_str()?).ok()?;
    stats["numRecords"].as_u64()
}
