//! Reading many data files: many are requested ahead of the few that are decoded, and what becomes of each batch comes back one
//! by one.
//!
//! A store answers after some time, however small a file is, so many readers wait for it at once. Memory is bounded by the
//! bytes that they request, by the batches of those that decode, and by a short queue. The order of batches is not kept. A
//! file must hold as many rows as the log says.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use futures::TryStreamExt;
use futures::stream::{self, BoxStream, StreamExt};
use lake_delta::log::FileEntry;
use lake_delta::{Lake, LakeError, read};
use lake_model::{KafkaPartition, Offset};
use lake_tables::Table;
use object_store::ObjectStore;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::task::JoinSet;

/// Files that are requested at once.
const READERS: usize = 32;
/// Files that are decoded at once.
const DECODERS: u32 = 4;
/// Bytes of files, in KiB, that are requested at once.
const REQUESTED_KIB: u32 = 256 << 10;
/// What a file counts for among these at most: of a larger one only a part is held at a time.
const MOST_KIB_OF_FILE: u32 = REQUESTED_KIB / DECODERS;
/// Decoded pieces that wait to be consumed.
const PIECES_AHEAD: usize = 4;

/// The columns to read, all if none is named.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    pub(crate) names: &'static [&'static str],
    /// Those of them whose texts are read as dictionaries.
    pub(crate) dictionaries: &'static [&'static str],
}

impl Columns {
    /// Every column.
    pub(crate) const ALL: Columns = Columns::named(&[]);
    /// Those that say where a row was in Kafka.
    const OFFSETS: Columns = Columns::named(&["kafka_partition", "kafka_offset"]);

    /// These, each as it is.
    pub(crate) const fn named(names: &'static [&'static str]) -> Columns {
        Columns { names, dictionaries: &[] }
    }
}

/// The batches of `columns` of one file, of all columns if none is named.
pub(crate) async fn batches(
    store: Arc<dyn ObjectStore>,
    file: &FileEntry,
    columns: &[&str],
) -> Result<BoxStream<'static, Result<RecordBatch, LakeError>>, LakeError> {
    batches_with(store, file, columns, &[]).await
}

async fn batches_with(
    store: Arc<dyn ObjectStore>,
    file: &FileEntry,
    columns: &[&str],
    dictionaries: &[&str],
) -> Result<BoxStream<'static, Result<RecordBatch, LakeError>>, LakeError> {
    let read = read::stream_with(store, file, columns, dictionaries).await?;
    let logged = file.rows;
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

/// Calls `consume` with what `extract` makes of every batch of `columns` of `files`, and `note` with what is wrong with a file.
/// The first failure of either ends it.
pub(crate) async fn scan<T, E, F>(
    lake: &Lake,
    table: Table,
    files: &[FileEntry],
    columns: Columns,
    extract: F,
    mut consume: impl FnMut(T) -> Result<(), LakeError>,
    mut note: impl FnMut(LakeError) -> Result<(), LakeError>,
) -> Result<(), LakeError>
where
    T: Send + 'static,
    E: Display,
    F: Fn(&FileEntry, &RecordBatch) -> Result<T, E> + Send + Sync + 'static,
{
    let job = Arc::new(Job {
        store: lake.table_store(table),
        files: files.to_vec(),
        next_file: AtomicUsize::new(0),
        requested_kib: Semaphore::new(REQUESTED_KIB as usize),
        decoding: Semaphore::new(DECODERS as usize),
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
            Ok(piece) => consume(piece)?,
            Err(error) => note(error)?,
        }
    }
    // A reader that panicked must not pass for one that was done.
    readers.join_all().await;
    Ok(())
}

/// The columns of `batch` by name, as the table's files have them.
pub(crate) fn conformed(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let names = schema.fields().iter().map(|field| field.name());
    let columns = names.map(|name| {
        let missing = || ArrowError::SchemaError(format!("column {name} is missing"));
        batch.column_by_name(name).cloned().ok_or_else(missing)
    });
    RecordBatch::try_new(SchemaRef::clone(schema), columns.collect::<Result<_, _>>()?)
}

/// An extraction that goes by the batch alone.
pub(crate) fn of_any_file<T, E>(
    extract: impl Fn(&RecordBatch) -> Result<T, E> + Send + Sync + 'static,
) -> impl Fn(&FileEntry, &RecordBatch) -> Result<T, E> + Send + Sync + 'static {
    move |_, batch| extract(batch)
}

/// A use of pieces that can't fail.
pub(crate) fn always<T>(mut consume: impl FnMut(T)) -> impl FnMut(T) -> Result<(), LakeError> {
    move |piece| {
        consume(piece);
        Ok(())
    }
}

/// Calls `use_offset` with the offset of every row of `files` that can be read. Returns what is wrong with files that can't.
pub(crate) async fn each_offset(
    lake: &Lake,
    table: Table,
    files: &[FileEntry],
    mut use_offset: impl FnMut(KafkaPartition, Offset),
) -> Result<Vec<LakeError>, LakeError> {
    let use_all = always(|offsets: Vec<(KafkaPartition, Offset)>| {
        offsets.into_iter().for_each(|(partition, offset)| use_offset(partition, offset));
    });
    let mut faults = Vec::new();
    let note = |error: LakeError| match error.data_file_at_fault() {
        Some(_) => {
            faults.push(error);
            Ok(())
        }
        None => Err(error),
    };
    let extract = of_any_file(lake_tables::offsets);
    scan(lake, table, files, Columns::OFFSETS, extract, use_all, note).await?;
    Ok(faults)
}

struct Job<F> {
    store: Arc<dyn ObjectStore>,
    files: Vec<FileEntry>,
    next_file: AtomicUsize,
    requested_kib: Semaphore,
    decoding: Semaphore,
    columns: Columns,
    extract: F,
}

type Pieces<T> = mpsc::Sender<Result<T, LakeError>>;

impl<F> Job<F> {
    /// Reads one file after the other for as long as somebody receives what becomes of them.
    async fn read<T, E>(&self, pieces: &Pieces<T>)
    where
        E: Display,
        F: Fn(&FileEntry, &RecordBatch) -> Result<T, E>,
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
        F: Fn(&FileEntry, &RecordBatch) -> Result<T, E>,
    {
        let kib = u32::try_from(file.size >> 10).unwrap_or(u32::MAX).clamp(1, MOST_KIB_OF_FILE);
        let _requested = permits(&self.requested_kib, kib).await;
        let (store, Columns { names, dictionaries }) = (Arc::clone(&self.store), self.columns);
        let mut batches = batches_with(store, file, names, dictionaries).await?;
        let _decoding = permits(&self.decoding, 1).await;
        while let Some(batch) = batches.try_next().await? {
            let piece = (self.extract)(file, &batch)
                .map_err(|error| LakeError::data_file(&file.path, error))?;
            if pieces.send(Ok(piece)).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

async fn permits(semaphore: &Semaphore, count: u32) -> SemaphorePermit<'_> {
    semaphore.acquire_many(count).await.expect("nobody closes it")
}
