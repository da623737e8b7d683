//! Reading many data files: two readers decode ahead, and what they make of each batch comes back one by one.
//!
//! Memory is bounded by the batches that the readers hold and a short queue. The order of batches is not
//! kept.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use lake_delta::log::FileEntry;
use lake_delta::{Lake, LakeError, read};
use lake_tables::Table;
use object_store::ObjectStore;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Files that are decoded at once.
const READERS: usize = 2;
/// Decoded pieces that wait to be consumed.
const PIECES_AHEAD: usize = 4;

/// Calls `consume` with what `extract` makes of every batch of `columns` of `files`; of all columns if none is
/// named.
pub(crate) async fn scan<T, E, F>(
    lake: &Lake,
    table: Table,
    files: &[FileEntry],
    columns: &'static [&'static str],
    extract: F,
    mut consume: impl FnMut(T),
) -> Result<(), LakeError>
where
    T: Send + 'static,
    E: Display,
    F: Fn(&RecordBatch) -> Result<T, E> + Send + Sync + 'static,
{
    let job = Arc::new(Job {
        store: lake.table_store(table),
        files: files.to_vec(),
        next_file: AtomicUsize::new(0),
        columns,
        extract,
    });
    let (sender, mut pieces) = mpsc::channel(PIECES_AHEAD);
    let mut readers = JoinSet::new();
    for _ in 0..READERS.min(files.len()) {
        let (job, sender) = (Arc::clone(&job), sender.clone());
        readers.spawn(async move {
            if let Err(error) = job.read(&sender).await {
                // Nobody receives any more when another reader has failed before.
                let _ = sender.send(Err(error)).await;
            }
        });
    }
    drop(sender);
    while let Some(piece) = pieces.recv().await {
        consume(piece?);
    }
    // A reader that panicked must not pass for one that was done.
    readers.join_all().await;
    Ok(())
}

struct Job<F> {
    store: Arc<dyn ObjectStore>,
    files: Vec<FileEntry>,
    next_file: AtomicUsize,
    columns: &'static [&'static str],
    extract: F,
}

impl<F> Job<F> {
    async fn read<T, E>(&self, pieces: &mpsc::Sender<Result<T, LakeError>>) -> Result<(), LakeError>
    where
        E: Display,
        F: Fn(&RecordBatch) -> Result<T, E>,
    {
        while let Some(file) = self.files.get(self.next_file.fetch_add(1, Ordering::Relaxed)) {
            let store = Arc::clone(&self.store);
            let mut batches = read::stream(store, file, self.columns).await?;
            while let Some(batch) = batches.try_next().await? {
                let piece = (self.extract)(&batch)
                    .map_err(|error| LakeError::data_file(&file.path, error))?;
                if pieces.send(Ok(piece)).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
