//! Reading data files: a stream of record batches of the columns asked for, the whole object, and how columns are
//! encoded.
//!
//! What is wrong with a file is told apart from what is wrong with the store: a request that the store refuses because the
//! object is missing or shorter than the log says ends in an error about that file ([`LakeError::data_file_at_fault`]),
//! any other failed request in [`LakeError::Storage`]. The Parquet library panics over some damaged bytes; that is an error
//! about the file too.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Fields, Int32Type, Schema};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::basic::Encoding;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use tokio::time::timeout;

use crate::error::LakeError;
use crate::log::FileEntry;
use crate::spec::TableSpec;
use crate::storage::Lake;

/// Rows in a batch.
const BATCH_ROWS: usize = 65_536;

/// A file of at most so many bytes is requested as a whole: each request costs the store's answering time, and money.
const WHOLE_BYTES: u64 = 4 << 20;

/// Bytes at the end of a larger file that are requested first. The footer is mostly within them.
const FOOTER_BYTES: usize = 64 << 10;

/// The keys of columns that are read as dictionaries.
pub type DictionaryKey = Int32Type;

/// How long the length of an object is asked for after a request for it has failed: a store that is out of reach was
/// waited for already.
const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// The rows of one data file of `table`, batch by batch, of the columns named; all when none is named.
/// The partition column is not in the file.
pub async fn stream(
    store: Arc<dyn ObjectStore>,
    file: &FileEntry,
    columns: &[&str],
) -> Result<BoxStream<'static, Result<RecordBatch, LakeError>>, LakeError> {
    stream_with(store, file, columns, &[]).await
}

/// As [`stream`], with the texts of the columns `dictionaries` as dictionaries of [`DictionaryKey`]s: of few different
/// values each is made once.
pub async fn stream_with(
    store: Arc<dyn ObjectStore>,
    file: &FileEntry,
    columns: &[&str],
    dictionaries: &[&str],
) -> Result<BoxStream<'static, Result<RecordBatch, LakeError>>, LakeError> {
    let damaged = |error: &dyn std::fmt::Display| LakeError::data_file(&file.path, error);
    let path = Path::parse(&file.path).map_err(|error| damaged(&error))?;
    let held = if file.size <= WHOLE_BYTES { Some(whole(&*store, file).await?) } else { None };
    let reader = Object { store: Arc::clone(&store), path, size: file.size, held };
    let opening = AssertUnwindSafe(open(reader, dictionaries)).catch_unwind();
    let builder = outcome(&*store, file, opening.await).await?;
    let mask = match columns {
        [] => ProjectionMask::all(),
        names => ProjectionMask::columns(builder.parquet_schema(), names.iter().copied()),
    };
    let batches = builder
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|error| damaged(&error))?;
    let file = Arc::new(file.clone());
    let batches = AssertUnwindSafe(batches).catch_unwind().then(move |read| {
        let (store, file) = (Arc::clone(&store), Arc::clone(&file));
        async move { outcome(&*store, &file, read).await }
    });
    Ok(batches.boxed())
}

async fn open(
    mut reader: Object,
    dictionaries: &[&str],
) -> Result<ParquetRecordBatchStreamBuilder<Object>, ParquetError> {
    // Parquet's own types decide, so that files that other programs rewrote are read like ours.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::load_async(&mut reader, options.clone()).await?;
    if dictionaries.is_empty() {
        return Ok(ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata));
    }
    let fields = metadata.schema().fields().iter().map(|field| {
        if dictionaries.contains(&field.name().as_str()) && *field.data_type() == DataType::Utf8 {
            Arc::new(field.as_ref().clone().with_data_type(dictionary_type()))
        } else {
            Arc::clone(field)
        }
    });
    let options = options.with_schema(Arc::new(Schema::new(fields.collect::<Fields>())));
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)?;
    Ok(ParquetRecordBatchStreamBuilder::new_with_metadata(reader, metadata))
}

fn dictionary_type() -> DataType {
    let (key, value) = (DictionaryKey::DATA_TYPE, DataType::Utf8);
    DataType::Dictionary(Box::new(key), Box::new(value))
}

/// The bytes of a data file.
pub async fn whole(store: &dyn ObjectStore, file: &FileEntry) -> Result<Bytes, LakeError> {
    let path = Path::parse(&file.path).map_err(|error| LakeError::data_file(&file.path, error))?;
    let read = async { store.get(&path).await?.bytes().await };
    let bytes = match read.await {
        Ok(bytes) => bytes,
        Err(error) => return Err(from_store(store, file, error).await),
    };
    let size = bytes.len() as u64;
    if size == file.size { Ok(bytes) } else { Err(size_problem(file, size)) }
}

/// The encodings of each column of a data file, by its footer.
pub async fn encodings(
    store: Arc<dyn ObjectStore>,
    file: &FileEntry,
) -> Result<BTreeMap<String, Vec<Encoding>>, LakeError> {
    let path = Path::parse(&file.path).map_err(|error| LakeError::data_file(&file.path, error))?;
    let mut object = Object { store: Arc::clone(&store), path, size: file.size, held: None };
    let reading = AssertUnwindSafe(object.get_metadata(None)).catch_unwind();
    let footer = outcome(&*store, file, reading.await).await?;
    let mut encodings: BTreeMap<String, Vec<Encoding>> = BTreeMap::new();
    for chunk in footer.row_groups().iter().flat_map(|group| group.columns()) {
        encodings.entry(chunk.column_path().string()).or_default().extend(chunk.encodings());
    }
    Ok(encodings)
}

/// All rows of `files` of `table`, turned into values batch by batch by `rows`.
pub async fn collect<T, E: std::fmt::Display>(
    lake: &Lake,
    table: impl Into<&'static TableSpec>,
    files: impl IntoIterator<Item = &FileEntry>,
    columns: &[&str],
    rows: impl Fn(&RecordBatch) -> Result<Vec<T>, E>,
) -> Result<Vec<T>, LakeError> {
    let (table, mut all) = (table.into(), Vec::new());
    for file in files {
        let mut batches = stream(lake.table_store(table), file, columns).await?;
        while let Some(batch) = batches.try_next().await? {
            all.extend(rows(&batch).map_err(|error| LakeError::data_file(&file.path, error))?);
        }
    }
    Ok(all)
}

/// What came of reading `file`: a value, an error, or a panic.
async fn outcome<T>(
    store: &dyn ObjectStore,
    file: &FileEntry,
    read: std::thread::Result<Result<T, ParquetError>>,
) -> Result<T, LakeError> {
    match read {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(from_parquet(store, file, error).await),
        Err(panic) => Err(LakeError::undecodable(&file.path, &*panic)),
    }
}

/// What a failure to read `file` is about.
async fn from_parquet(store: &dyn ObjectStore, file: &FileEntry, error: ParquetError) -> LakeError {
    match error {
        ParquetError::External(source) if source.is::<object_store::Error>() => {
            let source = *source.downcast::<object_store::Error>().expect("just tested");
            from_store(store, file, source).await
        }
        error => LakeError::data_file(&file.path, error),
    }
}

/// What a failed request for `file` is about. Stores answer a request for bytes past the end of an object in ways of their
/// own, so the object's length decides.
async fn from_store(
    store: &dyn ObjectStore,
    file: &FileEntry,
    source: object_store::Error,
) -> LakeError {
    let missing = || LakeError::MissingFile { path: file.path.clone() };
    if matches!(source, object_store::Error::NotFound { .. }) {
        return missing();
    }
    let path = match Path::parse(&file.path) {
        Ok(path) => path,
        Err(error) => return LakeError::data_file(&file.path, error),
    };
    match timeout(LONGEST_LOOK, store.head(&path)).await {
        Ok(Err(object_store::Error::NotFound { .. })) => missing(),
        Ok(Ok(found)) if found.size != file.size => size_problem(file, found.size),
        _ => LakeError::Storage { action: format!("read data file {}", file.path), source },
    }
}

fn size_problem(file: &FileEntry, size: u64) -> LakeError {
    let problem = format!("it has {size} bytes, and the log says {}", file.size);
    LakeError::data_file(&file.path, problem)
}

/// A data file as the Parquet reader asks for it.
struct Object {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
    /// All of it, if it was requested as a whole.
    held: Option<Bytes>,
}

impl Object {
    /// A range of what is held.
    fn slice(held: &Bytes, range: &Range<u64>) -> Result<Bytes, ParquetError> {
        let at = |end: u64| usize::try_from(end).ok().filter(|end| *end <= held.len());
        match (at(range.start), at(range.end)) {
            (Some(start), Some(end)) if start <= end => Ok(held.slice(start..end)),
            _ => {
                let problem = format!("bytes {range:?} are beyond its {} bytes", held.len());
                Err(ParquetError::EOF(problem))
            }
        }
    }
}

impl AsyncFileReader for Object {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        if let Some(held) = &self.held {
            return ready(Object::slice(held, &range)).boxed();
        }
        async move { self.store.get_range(&self.path, range).await.map_err(external) }.boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        if let Some(held) = &self.held {
            let slices = ranges.iter().map(|range| Object::slice(held, range)).collect();
            return ready(slices).boxed();
        }
        async move { self.store.get_ranges(&self.path, &ranges).await.map_err(external) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            let options = options.map(|options| options.metadata_options().clone());
            let size = self.size;
            let reader = ParquetMetaDataReader::new()
                .with_metadata_options(options)
                .with_prefetch_hint(Some(FOOTER_BYTES));
            reader.load_and_finish(self, size).await.map(Arc::new)
        }
        .boxed()
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
