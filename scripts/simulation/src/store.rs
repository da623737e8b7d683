//! The one store underneath all processes: strongly consistent, as S3 and MinIO are, and without faults.
//!
//! It keeps every version of every object with the wall time and the writer, which is the history that the
//! checker goes through; the newest ones are what processes see, through a
//! [`Connection`](crate::connection::Connection) each.

use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures::StreamExt;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetResult, GetResultPayload, ListResult, ObjectMeta, PutMode, Result,
};

use crate::clock::Clock;
use crate::trace::Trace;
use crate::truth::{Ended, History, ObjectVersion};

/// The objects of the lake.
#[derive(Debug)]
pub struct Store {
    clock: Arc<Clock>,
    trace: Trace,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sequence: u64,
    history: History,
}

impl Store {
    /// An empty store.
    pub fn new(clock: &Arc<Clock>, trace: &Trace) -> Arc<Store> {
        let (clock, trace) = (Arc::clone(clock), trace.clone());
        Arc::new(Store { clock, trace, state: Mutex::default() })
    }

    /// Puts an object for the process `by`; returns its tag.
    pub fn put(&self, by: &str, path: &Path, bytes: Bytes, mode: &PutMode) -> Result<String> {
        let at_us = self.clock.now_us();
        let mut state = self.state();
        let found = state.newest(path.as_ref());
        match mode {
            PutMode::Overwrite => {}
            PutMode::Create if found.is_none() => {}
            PutMode::Create => return Err(already_exists(path)),
            PutMode::Update(version) => {
                let tag = found.map(|found| found.sequence.to_string());
                if tag.is_none() || tag != version.e_tag {
                    return Err(precondition(path));
                }
            }
        }
        self.trace.say(&format!("{by} put {path}{}", described(path, &bytes)));
        if path.as_ref().contains("/_delta_log/") && path.as_ref().ends_with(".json") {
            self.trace.count("commit");
        }
        let sequence = state.end(path.as_ref(), at_us, by);
        let version =
            ObjectVersion { sequence, put_at_us: at_us, writer: by.to_owned(), bytes, ended: None };
        state.history.objects.entry(path.to_string()).or_default().push(version);
        Ok(sequence.to_string())
    }

    /// Deletes an object for the process `by`, if it is there.
    pub fn delete(&self, by: &str, path: &Path) {
        let at_us = self.clock.now_us();
        let mut state = self.state();
        if state.newest(path.as_ref()).is_some() {
            self.trace.say(&format!("{by} delete {path}"));
            state.end(path.as_ref(), at_us, by);
        }
    }

    /// Reads an object.
    pub fn get(&self, path: &Path, options: &GetOptions) -> Result<GetResult> {
        let state = self.state();
        let found = state.newest(path.as_ref()).ok_or_else(|| not_found(path))?;
        let meta = meta(path.clone(), found);
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            None => 0..meta.size,
            Some(range) => range.as_range(meta.size).map_err(|error| generic(error.to_string()))?,
        };
        let place = |offset| usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = found.bytes.slice(place(range.start)..place(range.end));
        let payload = futures::stream::once(futures::future::ready(Ok(bytes))).boxed();
        Ok(GetResult {
            payload: GetResultPayload::Stream(payload),
            meta,
            range,
            attributes: object_store::Attributes::default(),
        })
    }

    /// At most `count` objects under `prefix` that come after the path `after`, in order.
    pub fn page(&self, prefix: &str, after: Option<&str>, count: usize) -> Vec<ObjectMeta> {
        let state = self.state();
        let from = match after {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        let objects = state.history.objects.range::<str, _>((from, Bound::Unbounded));
        objects
            .take_while(|(path, _)| path.starts_with(prefix))
            .filter(|(path, _)| is_under(path, prefix))
            .filter_map(|(path, versions)| {
                let newest = versions.last().filter(|version| version.ended.is_none())?;
                Some(meta(Path::from(path.as_str()), newest))
            })
            .take(count)
            .collect()
    }

    /// The objects and folders directly under `prefix`.
    pub fn folder(&self, prefix: &str) -> ListResult {
        let mut found = ListResult { common_prefixes: Vec::new(), objects: Vec::new() };
        for object in self.page(prefix, None, usize::MAX) {
            let rest = object.location.as_ref()[prefix.len()..].trim_start_matches('/');
            match rest.split_once('/') {
                None => found.objects.push(object),
                Some((folder, _)) => {
                    let folder = Path::from(format!("{prefix}/{folder}"));
                    if found.common_prefixes.last() != Some(&folder) {
                        found.common_prefixes.push(folder);
                    }
                }
            }
        }
        found
    }

    /// Whether there ever was an object at `path`.
    pub fn has_had(&self, path: &str) -> bool {
        self.state().history.objects.contains_key(path)
    }

    /// The last version of the transaction `app_id` in the log of a table.
    pub fn last_txn(&self, table: &str, app_id: &str) -> Option<i64> {
        let prefix = format!("{table}/_delta_log/");
        let state = self.state();
        let entries = state
            .history
            .objects
            .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        let entries = entries.take_while(|(path, _)| path.starts_with(&prefix));
        let entries = entries.filter(|(path, _)| path.ends_with(".json"));
        entries.filter_map(|(_, versions)| txn_in(&versions.first()?.bytes, app_id)).last()
    }

    /// Every version of every object so far.
    pub fn history(&self) -> History {
        self.state().history.clone()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn newest(&self, path: &str) -> Option<&ObjectVersion> {
        self.history.objects.get(path)?.last().filter(|version| version.ended.is_none())
    }

    /// Takes the next place in the order of changes, at which the object's present version, if any, ends.
    fn end(&mut self, path: &str, at_us: i64, by: &str) -> u64 {
        self.sequence += 1;
        let sequence = self.sequence;
        if let Some(last) = self.history.objects.get_mut(path).and_then(|all| all.last_mut())
            && last.ended.is_none()
        {
            last.ended = Some(Ended { sequence, at_us, by: by.to_owned() });
        }
        sequence
    }
}

/// Prefixes are whole segments of a path.
fn is_under(path: &str, prefix: &str) -> bool {
    prefix.is_empty() || path[prefix.len()..].starts_with('/')
}

fn meta(location: Path, version: &ObjectVersion) -> ObjectMeta {
    let since_1970 = Duration::from_micros(version.put_at_us.max(0).cast_unsigned());
    ObjectMeta {
        location,
        last_modified: (UNIX_EPOCH + since_1970).into(),
        size: version.bytes.len() as u64,
        e_tag: Some(version.sequence.to_string()),
        version: None,
    }
}

/// What a log entry says of itself, for the trace.
fn described(path: &Path, bytes: &Bytes) -> String {
    if !path.as_ref().ends_with(".json") {
        return String::new();
    }
    let said = bytes.split(|byte| *byte == b'\n').filter_map(|line| {
        let line: serde_json::Value = serde_json::from_slice(line).ok()?;
        let txn = &line["txn"];
        match line["commitInfo"]["operation"].as_str() {
            Some(operation) => Some(operation.to_owned()),
            None => Some(format!("{} = {}", txn["appId"].as_str()?, txn["version"])),
        }
    });
    format!(": {}", said.collect::<Vec<_>>().join(", "))
}

fn txn_in(entry: &[u8], app_id: &str) -> Option<i64> {
    let lines = entry.split(|byte| *byte == b'\n');
    let mut txns = lines.filter_map(|line| {
        let line: serde_json::Value = serde_json::from_slice(line).ok()?;
        (line["txn"]["appId"] == app_id).then(|| line["txn"]["version"].as_i64())?
    });
    txns.next()
}

/// What a store answers to a create of what is there.
pub fn already_exists(path: &Path) -> Error {
    Error::AlreadyExists { path: path.to_string(), source: "it exists".into() }
}

/// What a store answers where a condition of a put does not hold.
pub fn precondition(path: &Path) -> Error {
    Error::Precondition { path: path.to_string(), source: "412 PreconditionFailed".into() }
}

/// Any other failure.
pub fn generic(problem: String) -> Error {
    Error::Generic { store: "simulated", source: problem.into() }
}

fn not_found(path: &Path) -> Error {
    Error::NotFound { path: path.to_string(), source: "404 NoSuchKey".into() }
}
