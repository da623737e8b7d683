//! Writing data files: rows become one Parquet object with the statistics that its log entry carries.
//!
//! A file is encoded in memory, uploaded whole, and only then named by a commit; one that no commit names
//! is an orphan, which maintenance deletes later.

mod pieces;
mod statistics;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use lake_model::Day;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use self::pieces::Pieces;
use crate::error::LakeError;
use crate::storage::Lake;
use crate::tables::Table;

/// Objects larger than this are uploaded in parts.
const PART_BYTES: usize = 16 << 20;
/// Parts that are uploaded at once.
const CONCURRENT_PARTS: usize = 4;

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
}

/// Writes `batch` as the data file `path` of `table`.
pub async fn write(
    lake: &Lake,
    table: Table,
    path: String,
    partition: Option<Day>,
    batch: &RecordBatch,
) -> Result<DataFile, LakeError> {
    let mut writer = FileWriter::new(table, path, partition)?;
    writer.push(batch)?;
    writer.upload(lake).await
}

/// A data file that takes its rows batch by batch.
pub struct FileWriter {
    table: Table,
    path: String,
    partition: Option<Day>,
    schema: SchemaRef,
    encoder: ArrowWriter<Pieces>,
    rows: u64,
}

impl FileWriter {
    /// Begins the data file `path` of `table`.
    pub fn new(
        table: Table,
        path: String,
        partition: Option<Day>,
    ) -> Result<FileWriter, LakeError> {
        let schema = table.file_schema();
        let encoder =
            ArrowWriter::try_new(Pieces::default(), Arc::clone(&schema), Some(properties(&path)))
                .map_err(|error| LakeError::data_file(&path, error))?;
        Ok(FileWriter { table, path, partition, schema, encoder, rows: 0 })
    }

    /// Takes the rows of `batch`, which has the table's file schema.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        self.rows += batch.num_rows() as u64;
        self.encoder.write(batch).map_err(|error| LakeError::data_file(&self.path, error))
    }

    /// About how many bytes the file has by now.
    pub fn encoded_bytes(&self) -> usize {
        self.encoder.bytes_written() + self.encoder.in_progress_size()
    }

    /// Rows taken.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends the file and uploads it.
    pub async fn upload(self, lake: &Lake) -> Result<DataFile, LakeError> {
        let FileWriter { table, path, partition, schema, mut encoder, rows } = self;
        let damaged = |error| LakeError::data_file(&path, error);
        let stats = statistics::json(&schema, &encoder.finish().map_err(damaged)?);
        let payload = std::mem::take(encoder.inner_mut()).into_payload();
        let size = payload.content_length() as u64;
        put(&*lake.table_store(table), &path, payload)
            .await
            .map_err(LakeError::storage(format!("write data file {table}/{path}")))?;
        Ok(DataFile { path, partition, size, rows, stats })
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
            // Parts that are there already take space until they are thrown away.
            let _ = parts.abort().await;
            return Err(error);
        }
        parts.put(piece);
    }
    parts.finish().await.map(|_| ())
}

/// Files that maintenance or the batch writes once and many read are packed tighter than those that the
/// speed layer writes every few seconds.
fn properties(path: &str) -> WriterProperties {
    let kept_long = path.contains("/compacted-") || path.contains("/final-");
    let compression = if kept_long {
        Compression::ZSTD(ZstdLevel::try_new(3).expect("it is a level of zstd"))
    } else {
        Compression::SNAPPY
    };
    let mut properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(compression)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_statistics_truncate_length(Some(statistics::TEXT_BYTES));
    for column in ["event_time", "kafka_timestamp", "kafka_partition", "kafka_offset"] {
        properties = properties
            .set_column_dictionary_enabled(ColumnPath::from(column), false)
            .set_column_encoding(ColumnPath::from(column), Encoding::DELTA_BINARY_PACKED);
    }
    if !kept_long {
        // Their encodings leave little to compress.
        for column in [
            "camera_id",
            "event_time",
            "speed_kmh",
            "plate_number",
            "kafka_timestamp",
            "kafka_partition",
            "kafka_offset",
        ] {
            let column = ColumnPath::from(column);
            properties = properties.set_column_compression(column, Compression::UNCOMPRESSED);
        }
        // But in files of a few rows, plates reach from the first to the last there may be: bounds rule nothing out, and are
        // not worth comparing each plate with them. Compacted files have them.
        let plates = ColumnPath::from("plate_number");
        properties = properties.set_column_statistics_enabled(plates, EnabledStatistics::None);
    }
    // Values that hardly ever repeat: a dictionary of them is made in vain.
    for column in ["plate_number", "speed_histogram", "payload", "extra"] {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(column), false);
    }
    let plates = ColumnPath::from("plate_number");
    properties.set_column_encoding(plates, Encoding::DELTA_LENGTH_BYTE_ARRAY).build()
}
