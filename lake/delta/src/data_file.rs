//! Writing data files: rows become one Parquet object with the statistics that its log entry carries.
//!
//! A file is encoded in memory, uploaded whole, and only then named by a commit; one that no commit names
//! is an orphan, which maintenance deletes later.

mod pieces;
mod rolling;
pub(crate) mod statistics;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use lake_model::{Day, Timestamp};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};

use self::pieces::Pieces;
pub use self::rolling::RollingWriter;
use crate::error::LakeError;
use crate::spec::{FileUse, TableSpec};
use crate::storage::Lake;

/// Objects larger than this are uploaded in parts.
const PART_BYTES: usize = 16 << 20;
/// Parts that are uploaded at once.
const CONCURRENT_PARTS: usize = 4;

/// A data file to be written: where, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Its path, relative to the table.
    pub path: String,
    /// The day of its rows, in a partitioned table.
    pub partition: Option<Day>,
    /// How long it lives.
    pub file_use: FileUse,
    /// What it is, for whoever reads the log: the tags of its `add` action.
    pub tags: BTreeMap<String, String>,
}

/// A data file that a commit may add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFile {
    /// Its path, relative to the table.
    pub path: String,
    /// The day of its rows, in a partitioned table.
    pub partition: Option<Day>,
    /// Its length in bytes.
    pub size: u64,
    /// Its rows.
    pub rows: u64,
    /// Its statistics as Delta spells them.
    pub stats: String,
    /// What it is, for whoever reads the log.
    pub tags: BTreeMap<String, String>,
    /// When its upload began, by the clock of whoever wrote it. The store dates it no earlier, but for the difference of
    /// their clocks.
    pub upload_began_at: Timestamp,
}

/// Writes `batch` as the data file `file` of `table`.
pub async fn write(
    lake: &Lake,
    table: impl Into<&'static TableSpec>,
    file: NewFile,
    batch: &RecordBatch,
) -> Result<DataFile, LakeError> {
    let mut writer = FileWriter::new(table, file)?;
    writer.push(batch)?;
    writer.upload(lake).await
}

/// A data file that is written batch by batch.
pub struct FileWriter {
    table: &'static TableSpec,
    file: NewFile,
    schema: SchemaRef,
    encoder: ArrowWriter<Pieces>,
    rows: u64,
}

impl FileWriter {
    /// Begins the data file `file` of `table`.
    pub fn new(
        table: impl Into<&'static TableSpec>,
        file: NewFile,
    ) -> Result<FileWriter, LakeError> {
        let table = table.into();
        let schema = Arc::clone(&table.file_schema);
        let properties = Some(properties(table, file.file_use));
        let encoder = ArrowWriter::try_new(Pieces::default(), Arc::clone(&schema), properties)
            .map_err(|error| LakeError::data_file(&file.path, error))?;
        Ok(FileWriter { table, file, schema, encoder, rows: 0 })
    }

    /// Writes the rows of `batch`, which has the table's file schema.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        self.rows += batch.num_rows() as u64;
        self.encoder.write(batch).map_err(|error| LakeError::data_file(&self.file.path, error))
    }

    /// About how many bytes the file has by now.
    pub fn encoded_bytes(&self) -> usize {
        self.encoder.bytes_written() + self.encoder.in_progress_size()
    }

    /// Rows written.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends the file and uploads it.
    pub async fn upload(self, lake: &Lake) -> Result<DataFile, LakeError> {
        let FileWriter { table, file, schema, mut encoder, rows } = self;
        let NewFile { path, partition, tags, .. } = file;
        let damaged = |error| LakeError::data_file(&path, error);
        let written = encoder.finish().map_err(damaged)?;
        let stats = statistics::json(&schema, table.without_bounds, &written);
        let payload = std::mem::take(encoder.inner_mut()).into_payload();
        let size = payload.content_length() as u64;
        let upload_began_at = lake.now();
        put(&*lake.table_store(table), &path, payload)
            .await
            .map_err(LakeError::storage(format!("write data file {table}/{path}")))?;
        Ok(DataFile { path, partition, size, rows, stats, tags, upload_began_at })
    }
}

async fn put(store: &dyn ObjectStore, path: &str, payload: PutPayload) -> object_store::Result<()> {
    let path = Path::parse(path)?;
    if payload.content_length() <= PART_BYTES {
        return store.put(&path, payload).await.map(|_| ());
    }
    let upload = store.put_multipart(&path).await?;
    let mut parts = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
    for piece in payload {
        if let Err(error) = parts.wait_for_capacity(CONCURRENT_PARTS).await {
            // Parts that are there already occupy space until they are thrown away.
            let _ = parts.abort().await;
            return Err(error);
        }
        parts.put(piece);
    }
    parts.finish().await.map(|_| ())
}

/// What the data files of every table have, and what the table's own specification adds.
fn properties(table: &TableSpec, file_use: FileUse) -> WriterProperties {
    let compression = match file_use {
        FileUse::LongLived => {
            Compression::ZSTD(ZstdLevel::try_new(3).expect("it is a level of zstd"))
        }
        FileUse::ShortLived => Compression::SNAPPY,
    };
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(compression)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_statistics_truncate_length(Some(statistics::TEXT_BYTES));
    (table.encoding)(file_use, properties).build()
}
