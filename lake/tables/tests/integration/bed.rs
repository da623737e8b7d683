//! What a case lies in: a fresh lake on one of the stores, with a clock that the case sets.

use std::sync::Arc;
use std::time::Duration;

use lake_config::{Settings, environment};
use lake_delta::log::FileEntry;
use lake_delta::storage::TableOptions;
use lake_delta::{Lake, TableLog};
use lake_model::{Clock, IdSource, TableVersion};
use lake_runtime::{RandomIds, SystemClock};
use lake_tables::Table;
use lake_testing::{ManualClock, default_options};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tempfile::TempDir;

/// A day, in seconds: the retention of logs unless a case says otherwise.
pub const DAY: Duration = Duration::from_secs(86_400);

/// A fresh place for a lake.
pub struct Bed {
    place: Place,
    /// The clock of [`Bed::lake`].
    pub clock: ManualClock,
}

enum Place {
    Memory(Arc<InMemory>),
    Disk(TempDir),
    Minio(String),
}

impl Bed {
    pub fn memory() -> Bed {
        Bed::at(Place::Memory(Arc::new(InMemory::new())))
    }

    pub fn disk() -> Bed {
        Bed::at(Place::Disk(tempfile::tempdir().unwrap()))
    }

    pub fn minio() -> Bed {
        let endpoint = "LAKEHOUSE__LAKE__STORAGE__ENDPOINT";
        assert!(
            std::env::var_os(endpoint).is_some(),
            "no MinIO: {endpoint} is not set; start scripts/stack.sh up minio and source its env"
        );
        Bed::at(Place::Minio(format!("s3://lake/contract/{}", RandomIds.unique_id())))
    }

    fn at(place: Place) -> Bed {
        Bed { place, clock: ManualClock::at(SystemClock.now()) }
    }

    /// The lake as one more process opens it.
    pub fn lake(&self) -> Lake {
        self.lake_with(&self.clock, default_options())
    }

    /// The lake as a process opens it whose clock is `by` ahead.
    pub fn lake_ahead(&self, by: Duration) -> Lake {
        self.lake_with(&self.clock.later(by), default_options())
    }

    /// The lake as a process opens it with that clock and those options.
    pub fn lake_with(&self, clock: &ManualClock, options: TableOptions) -> Lake {
        let clock: Arc<dyn Clock> = Arc::new(clock.clone());
        match &self.place {
            Place::Memory(store) => {
                let store: Arc<dyn ObjectStore> = Arc::<InMemory>::clone(store);
                Lake::on_store(store, clock, Arc::new(RandomIds), options)
            }
            Place::Disk(folder) => opened(folder.path().to_str().unwrap(), clock, options),
            Place::Minio(uri) => opened(uri, clock, options),
        }
    }

    /// The folder on disk, or the URI in MinIO, that the lake is in.
    pub fn uri(&self) -> &str {
        match &self.place {
            Place::Memory(_) => "memory:///",
            Place::Disk(folder) => folder.path().to_str().unwrap(),
            Place::Minio(uri) => uri,
        }
    }
}

/// The lake at `uri` as settings open it.
pub fn opened(uri: &str, clock: Arc<dyn Clock>, options: TableOptions) -> Lake {
    let seconds = |duration: Duration| format!("{}s", duration.as_secs());
    let overrides = [
        ("lake.uri", uri.to_owned()),
        ("lake.deleted_file_retention", seconds(options.deleted_file_retention)),
        ("lake.log_retention", seconds(options.log_retention)),
        ("lake.checkpoint_interval", options.checkpoint_interval.to_string()),
        ("lake.retry_timeout", seconds(options.retry_timeout)),
    ];
    let overrides = overrides.map(|(key, value)| (key.to_owned(), value));
    let settings = Settings::load(None, environment(), &overrides).unwrap();
    Lake::open(&settings.lake, clock, Arc::new(RandomIds)).unwrap()
}

/// The log of `events`, which is created if need be.
pub async fn events(lake: &Lake) -> TableLog {
    TableLog::open_or_create(lake, Table::Events, &[]).await.unwrap()
}

/// The paths of the active files.
pub fn paths(log: &TableLog) -> Vec<String> {
    log.state().files().map(|file| file.path.clone()).collect()
}

/// All that a state holds, in order.
pub fn contents(log: &TableLog) -> (TableVersion, Vec<FileEntry>, Vec<(String, i64)>) {
    let state = log.state();
    let mut txns: Vec<(String, i64)> = state.txns().map(|(id, v)| (id.to_owned(), v)).collect();
    txns.sort();
    (state.version(), state.files().cloned().collect(), txns)
}

/// The path of a log entry.
pub fn entry_path(version: i64) -> Path {
    Path::from(format!("_delta_log/{version:020}.json"))
}

/// The entry of `version` in the log of `events` as JSON values; `None` if there is none.
pub async fn entry(lake: &Lake, version: i64) -> Option<Vec<serde_json::Value>> {
    let found = lake.table_store(Table::Events).get(&entry_path(version)).await.ok()?;
    let bytes = found.bytes().await.unwrap();
    let lines = std::str::from_utf8(&bytes).unwrap().lines();
    Some(lines.map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Puts the entry of `version` into the log of `events` as another program would.
pub async fn put_entry(lake: &Lake, version: i64, text: String) {
    put_entry_of(lake, Table::Events, version, text).await;
}

/// Puts the entry of `version` into the log of `table` as another program would.
pub async fn put_entry_of(lake: &Lake, table: Table, version: i64, text: String) {
    let store = lake.table_store(table);
    store.put(&entry_path(version), PutPayload::from(text)).await.unwrap();
}

/// Deletes the entry of `version` from the log of `events`.
pub async fn delete_entry(lake: &Lake, version: i64) {
    lake.table_store(Table::Events).delete(&entry_path(version)).await.unwrap();
}
