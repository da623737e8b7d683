//! How the columns of data files are encoded and compressed.
//!
//! Files that live long have only the encodings of Parquet 1.0 ([`is_portable`]), which every reader knows. The newer ones
//! are refused by some (Synapse, StarRocks, Spark before 3.3). Texts in DELTA_LENGTH_BYTE_ARRAY are read wrongly by Spark
//! 3.4.0 to 3.5.6 and 4.0.0 where some are null (SPARK-52240), and numbers far apart in DELTA_BINARY_PACKED by fastparquet, so
//! no file has those. Landed events, which are compacted within days, have their offsets in DELTA_BINARY_PACKED: they follow
//! one another, and would be a fifth of the file otherwise.

use lake_delta::{FileUse, TableSpec};
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{EnabledStatistics, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::Table;

/// Columns whose values hardly ever repeat: a dictionary of them is useless.
const WITHOUT_REPETITION: [&str; 7] = [
    "event_time",
    "kafka_timestamp",
    "kafka_offset",
    "plate_number",
    "extra",
    "payload",
    "speed_histogram",
];
/// Columns of landed events whose encoding leaves little to compress.
const DENSE: [&str; 4] = ["camera_id", "speed_kmh", "kafka_partition", "kafka_offset"];

/// Whether every reader of Parquet knows the encoding.
pub fn is_portable(encoding: Encoding) -> bool {
    #[expect(deprecated, reason = "other programs still write BIT_PACKED")]
    match encoding {
        Encoding::PLAIN
        | Encoding::PLAIN_DICTIONARY
        | Encoding::RLE
        | Encoding::RLE_DICTIONARY
        | Encoding::BIT_PACKED => true,
        Encoding::DELTA_BINARY_PACKED
        | Encoding::DELTA_LENGTH_BYTE_ARRAY
        | Encoding::DELTA_BYTE_ARRAY
        | Encoding::BYTE_STREAM_SPLIT => false,
    }
}

/// Whether a file of `table` that is so used is written with portable encodings alone.
pub(crate) fn is_portable_file(table: &TableSpec, file_use: FileUse) -> bool {
    file_use == FileUse::LongLived || table != Table::Events.spec()
}

/// Encodings of every table's columns but those of `events`. A column that a table lacks is passed over.
pub(crate) fn encode(_: FileUse, properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    WITHOUT_REPETITION.into_iter().map(ColumnPath::from).fold(properties, |properties, column| {
        properties.set_column_dictionary_enabled(column, false)
    })
}

/// Encodings of the columns of `events`.
pub(crate) fn encode_events(
    file_use: FileUse,
    properties: WriterPropertiesBuilder,
) -> WriterPropertiesBuilder {
    let mut properties = encode(file_use, properties);
    if file_use == FileUse::LongLived {
        return properties;
    }
    for column in DENSE.map(ColumnPath::from) {
        properties = properties.set_column_compression(column, Compression::UNCOMPRESSED);
    }
    properties =
        properties.set_column_encoding("kafka_offset".into(), Encoding::DELTA_BINARY_PACKED);
    // In files of a few rows plates range from the first to the last that there may be: bounds exclude nothing, and
    // are not worth comparing each plate with them.
    properties.set_column_statistics_enabled("plate_number".into(), EnabledStatistics::None)
}
