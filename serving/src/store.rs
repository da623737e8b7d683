//! The store: the rows of `avg_speed`, kept fresh by following the table's log.
//!
//! Its parts: [`Index`] says which files there are and which cameras, [`FileCache`] holds the rows of files in
//! memory, `rows` finds and merges the rows of a window, `latest` finds the latest window of each camera.
//!
//! # Consistency
//! Every answer is read from one index, that is from one version of the table: a day is seen provisional or
//! final, never half of each. A new index is published only once the camera lists of its files are known, so that
//! no camera whose rows can be read is called unknown.
//!
//! # Outages
//! While the store is down the last index stays, and what the cache holds is still served. A file that
//! was deleted between index and read means that the index is old: it is refreshed and the read tried again.

mod files;
mod index;
mod latest;
mod rows;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use lake::settings::Serving;
use lake::{Lake, LakeError, Table, TableLog, TableState};
use lake_model::{EventTime, WindowSize};
use tokio::sync::{Mutex as AsyncMutex, watch};
use tracing::{info, warn};

pub(crate) use self::files::FileCache;
pub(crate) use self::index::Index;
pub(crate) use self::rows::WindowFigures;
use self::index::IndexedFile;
use self::rows::Row;

/// Files that one request or refresh reads at a time.
const CONCURRENT_FILES: usize = 16;
/// Tries of a read whose files are deleted under it.
const READ_TRIES: u32 = 3;

/// Why a read failed.
#[derive(Clone, Debug)]
pub(crate) enum ReadError {
    /// The table has not been loaded yet, for that reason.
    NotReady(String),
    /// A file can't be read.
    Lake(Arc<LakeError>),
}

impl From<Arc<LakeError>> for ReadError {
    fn from(error: Arc<LakeError>) -> ReadError {
        ReadError::Lake(error)
    }
}

/// The rows of `avg_speed` as of the version of the table last seen.
#[derive(Debug)]
pub struct Store {
    lake: Lake,
    files: FileCache,
    index: watch::Sender<Option<Arc<Index>>>,
    log: AsyncMutex<Option<TableLog>>,
    health: Mutex<Health>,
}

/// How following the log goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    /// When the log was last followed to its end.
    pub(crate) refreshed_at: Option<EventTime>,
    /// What keeps it from being followed, if anything does.
    pub(crate) problem: Option<String>,
}

impl Store {
    /// A store of the lake's `avg_speed` that has not loaded anything.
    pub fn new(lake: &Lake, settings: &Serving) -> Store {
        Store {
            lake: lake.clone(),
            files: FileCache::new(lake, settings.cache_bytes),
            index: watch::Sender::new(None),
            log: AsyncMutex::new(None),
            health: Mutex::new(Health::default()),
        }
    }

    /// Follows the log for as long as the future is polled, looking every `interval`.
    pub async fn follow(&self, interval: Duration) -> std::convert::Infallible {
        loop {
            // Failures are logged and kept as the reason for not being ready; the next look may succeed.
            let _ = self.refresh().await;
            tokio::time::sleep(interval).await;
        }
    }

    /// Follows the log to its end once and publishes what is there.
    ///
    /// # Errors
    /// The store failed, or the log or the table cannot be read; what was published before stays.
    pub async fn refresh(&self) -> Result<(), LakeError> {
        let mut log = self.log.lock().await;
        let refreshed = self.refresh_locked(&mut log).await;
        self.note(refreshed.as_ref().err());
        refreshed
    }

    /// What was published last.
    pub(crate) fn index(&self) -> Result<Arc<Index>, ReadError> {
        self.index.borrow().clone().ok_or_else(|| {
            let problem = self.health().problem;
            let reason = problem.unwrap_or_else(|| format!("table {} is loading", Table::AvgSpeed));
            ReadError::NotReady(reason)
        })
    }

    /// How following the log goes.
    pub(crate) fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The rows held in memory.
    pub(crate) fn files(&self) -> &FileCache {
        &self.files
    }

    /// The lake.
    pub(crate) fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The windows of a camera that start in `[from, to)`, ascending; `None` if the camera is unknown.
    pub(crate) async fn windows(
        &self,
        camera: &str,
        size: WindowSize,
        from: EventTime,
        to: EventTime,
    ) -> Result<Option<Vec<WindowFigures>>, ReadError> {
        self.reading(|index| async move {
            if !index.knows(camera) {
                return Ok(None);
            }
            let files: Vec<_> = index.files_for(camera, size, from, to).cloned().collect();
            let files = self.load(&files).await?;
            let rows = files.iter().flat_map(|file| file.between(camera, size, from, to));
            let rows: Vec<&Row> = rows.collect();
            Ok(Some(rows::merged(rows)))
        })
        .await
    }

    /// At most `limit` cameras after `after` in the order of their ids, each with its latest 5-minute window.
    pub(crate) async fn cameras(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(Arc<str>, Option<WindowFigures>)>, ReadError> {
        self.reading(|index| async move {
            let cameras = index.cameras_after(after, limit);
            latest::windows(self, &index, cameras).await
        })
        .await
    }

    /// The rows of files.
    async fn load(&self, files: &[Arc<IndexedFile>]) -> Result<Vec<Arc<files::FileRows>>, Arc<LakeError>> {
        let loads = files.iter().map(|file| self.files.get(Arc::clone(file)));
        futures::stream::iter(loads).buffered(CONCURRENT_FILES).try_collect().await
    }

    /// Reads from one index, and from the next one if files of it are gone.
    async fn reading<T, F>(&self, read: impl Fn(Arc<Index>) -> F) -> Result<T, ReadError>
    where
        F: Future<Output = Result<T, Arc<LakeError>>>,
    {
        let mut tries = 1;
        loop {
            let index = self.index()?;
            let version = index.version();
            match read(index).await {
                Err(error) if tries < READ_TRIES && is_gone(&error) => {
                    self.refresh_past(version).await.map_err(Arc::new)?;
                    tries += 1;
                }
                result => return Ok(result?),
            }
        }
    }

    /// Refreshes, unless another has published a later version than `version` meanwhile.
    async fn refresh_past(&self, version: i64) -> Result<(), LakeError> {
        let mut log = self.log.lock().await;
        let published = self.index.borrow().as_ref().map(|index| index.version());
        if published > Some(version) {
            return Ok(());
        }
        let refreshed = self.refresh_locked(&mut log).await;
        self.note(refreshed.as_ref().err());
        refreshed
    }

    async fn refresh_locked(&self, log: &mut Option<TableLog>) -> Result<(), LakeError> {
        match log {
            Some(log) => log.refresh().await.map(|_| ())?,
            None => *log = Some(TableLog::open(&self.lake, Table::AvgSpeed).await?),
        }
        let state = log.as_ref().expect("just opened or refreshed").state();
        let published = self.index.borrow().clone();
        if published.as_ref().is_none_or(|index| index.version() != state.version()) {
            self.publish(state, published.as_deref()).await?;
        }
        Ok(())
    }

    /// Makes the index of `state` and publishes it; rows of files that it no longer names are let go.
    async fn publish(&self, state: &TableState, old: Option<&Index>) -> Result<(), LakeError> {
        let known = |path: &str| old.and_then(|old| old.file(path)).cloned();
        let described = |file| known(&file.path).map_or_else(|| IndexedFile::new(file), Ok);
        let entries: Vec<lake::log::FileEntry> = state.files().cloned().collect();
        let _ = (described, entries);
        todo!()
    }

    /// Keeps what a refresh came to, and logs it where it differs from the one before.
    fn note(&self, error: Option<&LakeError>) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        let problem = error.map(LakeError::to_string);
        match (&problem, &health.problem) {
            (Some(problem), before) if before.as_ref() != Some(problem) => {
                warn!(%problem, "the table cannot be followed; what is held is served meanwhile");
            }
            (None, Some(_)) => info!("the table is followed again"),
            _ => {}
        }
        health.problem = problem;
        if error.is_none() {
            health.refreshed_at = Some(self.lake.ambient().now());
        }
    }
}
