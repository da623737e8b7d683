//! The store: the rows of `avg_speed`, kept fresh by following the table's log.
//!
//! Its parts: [`Index`] lists the files and the cameras, `indexed_file` describes a file, [`FileCache`] holds the rows
//! of files in memory, `rows` finds and merges the rows of windows, `latest` finds the latest window of each camera,
//! `follower` reads the log and makes a new index of each version.
//!
//! # Consistency
//! Every answer is read from one index, that is from one version of the table: a day is seen provisional or
//! final, never half of each. A new index is published only once the cameras of its files are known, so that no
//! camera whose rows can be read is called unknown.
//!
//! # Outages
//! While the lake is unavailable the last index stays, and what the cache holds is still served. A file that was
//! deleted between index and read means that the index is old: it is refreshed, and the read tried again.

mod files;
mod follower;
mod index;
mod indexed_file;
mod latest;
mod rows;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lake_config::Settings;
use lake_delta::{Lake, LakeError};
use lake_model::{TableVersion, Timestamp, WindowSize};
use lake_tables::Table;
use lake_tables::identity::LakeIdentity;
use lake_tables::last_runs::{Command, LastRun};
use tokio::sync::{Mutex as AsyncMutex, watch};
use tracing::{debug, info, warn};

use self::files::FileCache;
use self::follower::Follower;
use self::index::Index;
pub(crate) use self::rows::MergedWindow;
use crate::metrics::{self, Sample};

/// Tries of a read whose files are deleted under it.
const READ_TRIES: u32 = 3;

/// Time between looks at when the commands of the batch layer ran.
const RUNS_INTERVAL: Duration = Duration::from_secs(30);

/// Why a read failed.
#[derive(Clone, Debug)]
pub(crate) enum ReadError {
    /// The table has not been loaded yet, for that reason.
    NotReady(String),
    /// The lake can't be read.
    Lake(Arc<LakeError>),
}

/// The rows of `avg_speed` as of the version of the table last seen.
#[derive(Debug)]
pub struct Store {
    lake: Lake,
    files: FileCache,
    follower: AsyncMutex<Follower>,
    published: watch::Sender<Option<Arc<Index>>>,
    health: Mutex<Health>,
    /// Time between the end of a day and when it is due to be made final, in microseconds.
    close_after: i64,
}

/// How following the log goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    /// When the log was last followed to its end.
    pub(crate) refreshed_at: Option<Timestamp>,
    /// What keeps it from being followed, if anything does.
    pub(crate) problem: Option<String>,
}

impl Store {
    /// A store of the lake's `avg_speed` that has not loaded anything.
    pub fn new(lake: &Lake, settings: &Settings) -> Store {
        let files = FileCache::new(lake, settings.serving.cache_bytes);
        let identity = LakeIdentity::of(settings);
        Store {
            lake: lake.clone(),
            follower: AsyncMutex::new(Follower::new(lake, identity, files.clone())),
            files,
            published: watch::Sender::new(None),
            health: Mutex::default(),
            close_after: i64::try_from(settings.batch.close_after.as_micros()).unwrap_or(i64::MAX),
        }
    }

    /// Follows the log for as long as the future is polled, looking every `interval`. It ends only if the table belongs
    /// to another pipeline, which no later attempt changes.
    pub async fn follow(&self, interval: Duration) -> LakeError {
        loop {
            // Any other failure is logged and shown at `/health/ready` already; the next attempt may succeed.
            if let Err(error @ LakeError::Configuration(_)) = self.refresh().await {
                return error;
            }
            tokio::time::sleep(interval).await;
        }
    }

    /// Follows the log to its end once and publishes what is there.
    ///
    /// # Errors
    /// The lake is unavailable, holds no readable table, or belongs to another pipeline; what was published before
    /// stays.
    pub async fn refresh(&self) -> Result<(), LakeError> {
        self.refresh_past(TableVersion(i64::MAX)).await
    }

    /// What was published last.
    pub(crate) fn index(&self) -> Result<Arc<Index>, ReadError> {
        self.published.borrow().clone().ok_or_else(|| {
            let problem = self.health().problem;
            let reason = problem.unwrap_or_else(|| format!("table {} is loading", Table::AvgSpeed));
            ReadError::NotReady(reason)
        })
    }

    /// How following the log goes.
    pub(crate) fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sets the metrics that change without an event: ages, and what the cache holds.
    pub(crate) async fn record_sample(&self) {
        let now = self.lake.now();
        let index = self.index().ok();
        let newest = index.as_ref().and_then(|index| index.newest_computed_at());
        let overdue = |index: &Arc<Index>| {
            let due = index.oldest_provisional_end()?.saturating_add(self.close_after);
            Some(now.saturating_since(due).max(0))
        };
        let (cache_bytes, cache_rows) = self.files.held().await;
        metrics::sampled(Sample {
            refresh_age: self.health().refreshed_at.map(|time| now.saturating_since(time)),
            newest_row_age: newest.map(|time| now.saturating_since(time)),
            last_final: index.as_ref().and_then(|index| index.newest_final_at()),
            day_overdue: index.map(|index| overdue(&index).unwrap_or(0)),
            cache_bytes,
            cache_rows,
        });
    }

    /// Looks for as long as the future is polled when the commands of the batch layer ran, by the records that they keep.
    pub async fn follow_runs(&self) -> Infallible {
        loop {
            self.look_at_runs().await;
            tokio::time::sleep(RUNS_INTERVAL).await;
        }
    }

    /// Looks once when the commands of the batch layer ran. What a store that fails does not say stays as it was.
    pub async fn look_at_runs(&self) {
        for command in Command::ALL {
            match LastRun::of(&self.lake, command).await {
                Ok(Some(run)) => metrics::command_ran(command, run),
                Ok(None) => {}
                Err(error) => debug!(%error, "the record of runs can't be read; trying again"),
            }
        }
    }

    /// The windows of a camera that start in `[from, to)`, ascending; `None` if the camera is unknown.
    pub(crate) async fn windows(
        &self,
        camera: &str,
        size: WindowSize,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Option<Vec<MergedWindow>>, ReadError> {
        self.reading(|index| async move {
            if !index.knows(camera) {
                return Ok(None);
            }
            let files = self.files.load(index.files_for(camera, size, from, to)).await?;
            let rows = files.iter().flat_map(|file| file.between(camera, size, from, to));
            Ok(Some(rows::merged(rows.collect())))
        })
        .await
    }

    /// At most `limit` cameras after `after` in the order of their ids, each with its latest 5-minute window.
    pub(crate) async fn cameras(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(Arc<str>, Option<MergedWindow>)>, ReadError> {
        self.reading(|index| async move {
            let cameras = index.cameras_after(after, limit);
            latest::windows(&self.files, &index, cameras).await
        })
        .await
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
                    let refreshed = self.refresh_past(version).await;
                    refreshed.map_err(|error| ReadError::Lake(Arc::new(error)))?;
                    tries += 1;
                }
                result => return result.map_err(ReadError::Lake),
            }
        }
    }

    /// Refreshes, unless a version later than `seen` has been published meanwhile.
    async fn refresh_past(&self, seen: TableVersion) -> Result<(), LakeError> {
        let mut follower = self.follower.lock().await;
        let before = self.published.borrow().clone();
        if before.as_ref().is_some_and(|index| index.version() > seen) {
            return Ok(());
        }
        let refreshed = follower.refresh(before.as_ref()).await;
        self.record_outcome(refreshed.as_ref().err());
        let Some(index) = refreshed? else { return Ok(()) };
        let index = Arc::new(index);
        self.published.send_replace(Some(Arc::clone(&index)));
        if let Some(before) = before {
            self.files
                .forget(before.files().filter(|file| index.file(file.entry()).is_none()))
                .await;
        }
        Ok(())
    }

    /// Keeps what a refresh came to, and logs it where it differs from the one before.
    fn record_outcome(&self, error: Option<&LakeError>) {
        let problem = error.map(LakeError::to_string);
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        match &problem {
            None if health.problem.is_some() => info!("the table is followed again"),
            Some(problem) if health.problem.as_ref() != Some(problem) => {
                warn!(%problem, "the table cannot be followed; what is held is served meanwhile");
            }
            _ => {}
        }
        if problem.is_none() {
            health.refreshed_at = Some(self.lake.now());
        }
        health.problem = problem;
    }
}

/// Whether a data file is not in the store, although the index names it.
fn is_gone(error: &LakeError) -> bool {
    matches!(error, LakeError::MissingFile { .. })
}
