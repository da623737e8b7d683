//! The rows of data files in memory: loaded when asked for, each file once, within a bound of bytes.
//!
//! Data files never change, so that what is held is never stale. A load goes on when the request that started
//! it is gone, since the next one will want the file too.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use lake_delta::columns;
use lake_delta::log::FileEntry;
use lake_delta::{Lake, LakeError, read};
use lake_model::{Timestamp, WindowSize};
use lake_tables::Table;
use lake_tables::avg_speed;
use lake_tables::avg_speed::AvgSpeedRow;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use tokio::sync::Semaphore;

use super::indexed_file::IndexedFile;
use super::rows::Row;
use crate::metrics;

/// Files that one request or refresh reads at a time.
pub(super) const CONCURRENT_FILES: usize = 16;
/// Files that are read from the lake at a time, for all requests together.
const CONCURRENT_LOADS: usize = 16;
/// About how many bytes a row occupies in memory, with its histogram.
const ROW_BYTES: u64 = 256;
/// Bytes that a camera occupies beside its rows: its name's and its rows' headers and its place in the map.
const CAMERA_BYTES: usize = 96;

/// The rows of files, the most recently used ones.
#[derive(Clone, Debug)]
pub(super) struct FileCache {
    lake: Lake,
    cache: Cache<String, Arc<FileRows>>,
    permits: Arc<Semaphore>,
    capacity: u64,
}

impl FileCache {
    pub(super) fn new(lake: &Lake, capacity: u64) -> FileCache {
        let weigh = |path: &String, rows: &Arc<FileRows>| {
            u32::try_from(rows.bytes + path.len()).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder()
            .max_capacity(capacity)
            .weigher(weigh)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        let permits = Arc::new(Semaphore::new(CONCURRENT_LOADS));
        FileCache { lake: lake.clone(), cache, permits, capacity }
    }

    /// Bytes that may be held.
    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// About how many bytes the rows of a file occupy in memory.
    pub(super) fn estimate(file: &FileEntry) -> u64 {
        file.rows.saturating_mul(ROW_BYTES)
    }

    /// The rows of a file.
    pub(super) async fn get(&self, file: FileEntry) -> Result<Arc<FileRows>, Arc<LakeError>> {
        if let Some(rows) = self.cache.get(&file.path).await {
            return Ok(rows);
        }
        let (files, path) = (self.clone(), file.path.clone());
        let load = tokio::spawn(async move {
            files.cache.try_get_with(file.path.clone(), files.read(&file)).await
        });
        load.await.unwrap_or_else(|died| Err(Arc::new(LakeError::data_file(&path, died))))
    }

    /// The rows of files, in their order.
    pub(super) async fn load(
        &self,
        files: impl Iterator<Item = &Arc<IndexedFile>>,
    ) -> Result<Vec<Arc<FileRows>>, Arc<LakeError>> {
        let entries: Vec<_> = files.map(|file| file.entry().clone()).collect();
        let loads = entries.into_iter().map(|entry| self.get(entry));
        futures::stream::iter(loads).buffered(CONCURRENT_FILES).try_collect().await
    }

    async fn read(&self, file: &FileEntry) -> Result<Arc<FileRows>, LakeError> {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let read = read::collect(&self.lake, Table::AvgSpeed, [file], &[], avg_speed::rows).await;
        metrics::file_loaded(read.is_ok());
        Ok(Arc::new(FileRows::new(&read?)))
    }

    /// The cameras of a file.
    pub(super) async fn cameras(&self, file: &FileEntry) -> Result<Vec<Arc<str>>, LakeError> {
        if let Some(rows) = self.cache.get(&file.path).await {
            return Ok(rows.cameras.keys().cloned().collect());
        }
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let names = read::collect(&self.lake, Table::AvgSpeed, [file], &["camera_id"], |batch| {
            let distinct: BTreeSet<&str> =
                columns::string(batch, "camera_id")?.iter().flatten().collect();
            Ok::<_, columns::ColumnError>(distinct.into_iter().map(Arc::from).collect())
        })
        .await?;
        Ok(BTreeSet::<Arc<str>>::from_iter(names).into_iter().collect())
    }

    /// Drops the rows of files.
    pub(super) async fn forget(&self, files: impl Iterator<Item = &Arc<IndexedFile>>) {
        for file in files {
            self.cache.invalidate(&file.entry().path).await;
        }
    }

    /// Bytes and rows that are held.
    pub(super) async fn held(&self) -> (u64, usize) {
        self.cache.run_pending_tasks().await;
        let rows = self.cache.iter().map(|(_, rows)| rows.rows()).sum();
        (self.cache.weighted_size(), rows)
    }
}

/// The rows of one file by camera, ordered by window.
#[derive(Debug)]
pub(super) struct FileRows {
    cameras: HashMap<Arc<str>, Box<[Row]>>,
    bytes: usize,
}

impl FileRows {
    fn new(rows: &[AvgSpeedRow]) -> FileRows {
        let mut by_camera: HashMap<Arc<str>, Vec<Row>> = HashMap::new();
        for row in rows {
            match by_camera.get_mut(&row.camera_id) {
                Some(rows) => rows.push(Row::new(row)),
                None => drop(by_camera.insert(Arc::clone(&row.camera_id), vec![Row::new(row)])),
            }
        }
        let mut bytes = size_of::<FileRows>();
        let order = |(camera, mut rows): (Arc<str>, Vec<Row>)| {
            rows.sort_by_key(|row| row.window);
            bytes += CAMERA_BYTES + camera.len() + rows.iter().map(Row::bytes).sum::<usize>();
            (camera, rows.into_boxed_slice())
        };
        let cameras = by_camera.into_iter().map(order).collect();
        FileRows { cameras, bytes }
    }

    /// A camera's rows of windows of `size` that start in `[from, to)`, ascending.
    pub(super) fn between(
        &self,
        camera: &str,
        size: WindowSize,
        from: Timestamp,
        to: Timestamp,
    ) -> &[Row] {
        let rows = self.of(camera);
        let at =
            |time| rows.partition_point(|row| (row.window.size, row.window.start) < (size, time));
        &rows[at(from)..at(to)]
    }

    /// A camera's rows of its latest 5-minute window; none if it has no such window.
    pub(super) fn latest(&self, camera: &str) -> &[Row] {
        let five_minutes = |row: &Row| row.window.size == WindowSize::FiveMinutes;
        let rows = self.of(camera);
        let rows = &rows[..rows.partition_point(five_minutes)];
        let latest = rows.last().map(|row| row.window.start);
        &rows[rows.partition_point(|row| Some(row.window.start) < latest)..]
    }

    fn of(&self, camera: &str) -> &[Row] {
        self.cameras.get(camera).map_or(&[], |rows| rows)
    }

    fn rows(&self) -> usize {
        self.cameras.values().map(|rows| rows.len()).sum()
    }
}
