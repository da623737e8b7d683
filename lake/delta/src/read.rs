//! Reading data files: a stream of record batches of the columns asked for, and how columns are encoded.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::basic::Encoding;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::error::LakeError;
use crate::log::FileEntry;
use crate::spec::TableSpec;
use crate::storage::Lake;

/// Rows in a batch.
const BATCH_ROWS: usize = 65_536;

/// The rows of one data file of `table`, batch by batch, of the columns named; all when none is named.
/// The partition column is not in the file.
pub async fn stream(
    store: Arc<dyn ObjectStore>,
    file: &FileEntry,
    columns: &[&str],
) -> Result<BoxStream<'static, Result<RecordBatch, LakeError>>, LakeError> {
    let damaged = |error: &dyn std::fmt::Display| LakeError::data_file(&file.path, error);
    let path = Path::parse(&file.path).map_err(|error| damaged(&error))?;
    let reader = Object { store, path, size: file.size };
    // Parquet's own types decide, so that files that other programs rewrote are read like ours.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchStreamBuilder::new_with_options(reader, options)
        .await
        .map_err(|error| from_parquet(&file.path, error))?;
    let mask = match columns {
        [] => ProjectionMask::all(),
        names => ProjectionMask::columns(builder.parquet_schema(), names.iter().copied()),
    };
    let batches = builder
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|error| damaged(&error))?;
    let path = file.path.clone();
    Ok(batches.map_err(move |error| from_parquet(&path, error)).boxed())
}

/// The encodings of each column of a data file, by its footer.
pub async fn encodings(
    store: Arc<dyn ObjectStore>,
    file: &FileEntry,
) -> Result<BTreeMap<String, Vec<Encoding>>, LakeError> {
    let path = Path::parse(&file.path).map_err(|error| LakeError::data_file(&file.path, error))?;
    let mut object = Object { store, path, size: file.size };
    let footer =
        object.get_metadata(None).await.map_err(|error| from_parquet(&file.path, error))?;
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

/// A failure of the store stays one, so that callers can distinguish it from a damaged file.
fn from_parquet(path: &str, error: ParquetError) -> LakeError {
    match error {
        ParquetError::External(source) if source.is::<object_store::Error>() => {
            let source = *source.downcast::<object_store::Error>().expect("just tested");
            LakeError::Storage { action: format!("read data file {path}"), source }
        }
        error => LakeError::data_file(path, error),
    }
}

/// A data file as the Parquet reader asks for it.
struct Object {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
}

impl AsyncFileReader for Object {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        async move { self.store.get_range(&self.path, range).await.map_err(external) }.boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        async move { self.store.get_ranges(&self.path, &ranges).await.map_err(external) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            let options = options.map(|options| options.metadata_options().clone());
            let size = self.size;
            let reader = ParquetMetaDataReader::new().with_metadata_options(options);
            reader.load_and_finish(self, size).await.map(Arc::new)
        }
        .boxed()
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
