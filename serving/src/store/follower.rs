//! Following the log: each new version becomes an index whose files are described and whose recent rows are in
//! memory.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use lake_delta::log::FileEntry;
use lake_delta::{Lake, LakeError, TableLog, TableState};
use lake_model::Day;
use lake_tables::Table;
use lake_tables::identity::LakeIdentity;
use tracing::{debug, error};

use super::files::{CONCURRENT_FILES, FileCache};
use super::index::Index;
use super::indexed_file::IndexedFile;
use crate::metrics::{self, Published};

/// Files of so many days up to the latest one are loaded as soon as they are seen: today, and the days that
/// late events and the batch still change.
const RECENT_DAYS: i32 = 3;

/// The log of `avg_speed`, and the names of cameras seen in it.
#[derive(Debug)]
pub(super) struct Follower {
    lake: Lake,
    identity: LakeIdentity,
    files: FileCache,
    log: Option<TableLog>,
    /// Each name once, so that the lists of many files share it.
    names: HashSet<Arc<str>>,
}

impl Follower {
    pub(super) fn new(lake: &Lake, identity: LakeIdentity, files: FileCache) -> Follower {
        Follower { lake: lake.clone(), identity, files, log: None, names: HashSet::new() }
    }

    /// Follows the log to its end; an index of the version there, if it is not that of `published`.
    pub(super) async fn refresh(
        &mut self,
        published: Option<&Arc<Index>>,
    ) -> Result<Option<Index>, LakeError> {
        let mut log = match self.log.take() {
            None => self.identity.open(&self.lake, Table::AvgSpeed).await?,
            Some(log) => log,
        };
        let refreshed = log.refresh().await;
        let made = match refreshed {
            Ok(_) => self.index(log.state(), published.map(|index| &**index)).await,
            Err(error) => Err(error),
        };
        self.log = Some(log);
        made
    }

    async fn index(
        &mut self,
        state: &TableState,
        published: Option<&Index>,
    ) -> Result<Option<Index>, LakeError> {
        if published.is_some_and(|index| index.version() == state.version()) {
            return Ok(None);
        }
        let old = |entry: &FileEntry| published.and_then(|index| index.file(entry)).cloned();
        let mut files: Vec<Arc<IndexedFile>> = state.files().filter_map(old).collect();
        let new: Vec<FileEntry> =
            state.files().filter(|entry| old(entry).is_none()).cloned().collect();
        self.preload(&new, state.files().filter_map(|file| file.partition).max()).await;
        let described: Vec<_> = futures::stream::iter(new)
            .map(|entry| describe(&self.files, entry))
            .buffered(CONCURRENT_FILES)
            .try_collect()
            .await?;
        for (entry, cameras) in described {
            let cameras = cameras.map(|names| self.shared(names));
            files.push(Arc::new(IndexedFile::new(entry, cameras)));
        }
        let index =
            Index::new(state.version(), self.identity.calendar_at(state)?, files, published);
        metrics::published(Published {
            version: index.version(),
            files: index.file_count(),
            cameras: index.camera_count(),
            multi_partition_cameras: index.multi_partition_cameras(),
        });
        Ok(Some(index))
    }

    /// Loads the rows of the newest files, as far as they leave half of the cache to requests.
    async fn preload(&self, new: &[FileEntry], latest_day: Option<Day>) {
        let since = latest_day.map(|day| day.plus(1 - RECENT_DAYS));
        let mut recent: Vec<&FileEntry> =
            new.iter().filter(|entry| entry.partition >= since).collect();
        recent.sort_by_key(|entry| std::cmp::Reverse(entry.partition));
        let mut left = self.files.capacity() / 2;
        let affordable = recent.into_iter().take_while(|entry| {
            let estimate = FileCache::estimate(entry);
            let fits = estimate <= left;
            left = left.saturating_sub(estimate);
            fits
        });
        let loads = affordable.map(|entry| self.files.get(entry.clone()));
        let mut loads =
            futures::stream::iter(loads.collect::<Vec<_>>()).buffer_unordered(CONCURRENT_FILES);
        while let Some(loaded) = loads.next().await {
            if let Err(error) = loaded {
                debug!(%error, "a file was not loaded ahead; requests for it will try again");
            }
        }
    }

    fn shared(&mut self, names: Vec<Arc<str>>) -> Arc<[Arc<str>]> {
        let share = |name: Arc<str>| match self.names.get(&name) {
            Some(shared) => Arc::clone(shared),
            None => {
                self.names.insert(Arc::clone(&name));
                name
            }
        };
        names.into_iter().map(share).collect()
    }
}

/// A file with its cameras, if its kind is one that cameras are known by. A damaged file does not keep the others
/// from being served.
async fn describe(
    files: &FileCache,
    entry: FileEntry,
) -> Result<(FileEntry, Option<Vec<Arc<str>>>), LakeError> {
    if !IndexedFile::lists_cameras(&entry) {
        return Ok((entry, None));
    }
    match files.cameras(&entry).await {
        Ok(cameras) => Ok((entry, Some(cameras))),
        Err(error) if error.is_transient() => Err(error),
        Err(error) => {
            error!(%error, "a file is damaged; requests for its windows will fail");
            Ok((entry, Some(Vec::new())))
        }
    }
}
