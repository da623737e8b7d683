//! Reading many data files: two readers decode ahead, and what they make of each batch comes back one by one.
//!
//! Memory is bounded by the batches that the readers hold and a short queue. The order of batches is not
//! kept. A file must hold as many rows as the log says.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use futures::stream::{self, BoxStream, StreamExt};
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

/// The batches of `columns` of one file, of all columns if none is named.
pub(crate) async fn batches(
    store: Arc<dyn ObjectStore>,
    file: &FileEntry,
    columns: &[&str],
) -> Result<BoxStream<'static, Result<RecordBatch, LakeError>>, LakeError> {
    let (read, logged) = (read::stream(store, file, columns).await?, file.rows);
    let path = file.path.clone();
    let batches =
        stream::try_unfold((read, 0_u64, path), move |(mut read, rows, path)| async move {
            match read.try_next().await? {
                Some(batch) => match rows + batch.num_rows() as u64 {
                    rows if rows <= logged => Ok(Some((batch, (read, rows, path)))),
                    _ => {
                        let problem = format!("the log says {logged} rows, and there are more");
                        Err(LakeError::data_file(&path, problem))
                    }
                },
                None if rows == logged => Ok(None),
                None => {
                    let problem = format!("the log says {logged} rows, and there are {rows}");
                    Err(LakeError::data_file(&path, problem))
                }
            }
        });
    Ok(batches.boxed())
}

/// Calls `consume` with what `extract` makes of every batch of `columns` of `files`; of all columns if none is
/// named. The first failure ends it.
pub(crate) async fn scan<T, E, F>(
    lake: &Lake,
    table: Table,
    files: &[FileEntry],
    columns: &'static [&'static str],
    extract: F,
    consume: impl FnMut(T),
) -> Result<(), LakeError>
where
    T: Send + 'static,
    E: Display,
    F: Fn(&RecordBatch) -> Result<T, E> + Send + Sync + 'static,
{
    scan_with(lake, table, files, columns, extract, consume, Err).await
}

/// As [`scan`], but goes on with the other files where one of them is at fault. Returns what is wrong with those; what could be
/// read of them was consumed.
pub(crate) async fn scan_readable<T, E, F>(
    lake: &Lake,
    table: Table,
    files: &[FileEntry],
    columns: &'static [&'static str],
    extract: F,
    consume: impl FnMut(T),
) -> Result<Vec<LakeError>, LakeError>
where
    T: Send + 'static,
    E: Display,
    F: Fn(&RecordBatch) -> Result<T, E> + Send + Sync + 'static,
{
    let mut faults = Vec::new();
    scan_with(lake, table, files, columns, extract, consume, |error| {
        if error.data_file_at_fault().is_none() {
            return Err(error);
        }
        faults.push(error);
        Ok(())
    })
    .await?;
    Ok(faults)
}

async fn scan_with<T, E, F>(
    lake: &Lake,
    table: Table,
    files: &[FileEntry],
    columns: &'static [&'static str],
    extract: F,
    mut consume: impl FnMut(T),
    mut note: impl FnMut(LakeError) -> Result<(), LakeError>,
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
        readers.spawn(async move { job.read(&sender).await });
    }
    drop(sender);
    while let Some(piece) = pieces.recv().await {
        match piece {
            Ok(piece) => consume(piece),
            Err(error) => note(error)?,
        }
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

type Pieces<T> = mpsc::Sender<Result<T, LakeError>>;

impl<F> Job<F> {
    /// Reads one file after the other for as long as somebody receives what becomes of them.
    async fn read<T, E>(&self, pieces: &Pieces<T>)
    where
        E: Display,
        F: Fn(&RecordBatch) -> Result<T, E>,
    {
        while let Some(file) = self.files.get(self.next_file.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = self.read_file(file, pieces).await
                && pieces.send(Err(error)).await.is_err()
            {
                return;
            }
        }
    }

    async fn read_file<T, E>(&self, file: &FileEntry, pieces: &Pieces<T>) -> Result<(), LakeError>
    where
        E: Display,
        F: Fn(&RecordBatch) -> Result<T, E>,
    {
        let mut batches = batches(Arc::clone(&self.store), file, self.columns).await?;
        while let Some(batch) = batches.try_next().await? {
            let piece =
                (self.extract)(&batch).map_err(|error| LakeError::data_file(&file.path, error))?;
            if pieces.send(Ok(piece)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}
