//! How the columns of data files are encoded and compressed.

use lake_delta::FileUse;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{EnabledStatistics, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

/// Encodings of every table's columns. A column that a table lacks is passed over.
pub(crate) fn encode(
    file_use: FileUse,
    mut properties: WriterPropertiesBuilder,
) -> WriterPropertiesBuilder {
    for column in ["event_time", "kafka_timestamp", "kafka_partition", "kafka_offset"] {
        properties = properties
            .set_column_dictionary_enabled(ColumnPath::from(column), false)
            .set_column_encoding(ColumnPath::from(column), Encoding::DELTA_BINARY_PACKED);
    }
    let plates = || ColumnPath::from("plate_number");
    if file_use == FileUse::ShortLived {
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
        // In files of a few rows plates range from the first to the last that there may be: bounds exclude nothing, and
        // are not worth comparing each plate with them. Compacted files have them.
        properties = properties.set_column_statistics_enabled(plates(), EnabledStatistics::None);
    }
    // Values that hardly ever repeat: a dictionary of them is useless.
    for column in ["plate_number", "speed_histogram", "payload", "extra"] {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(column), false);
    }
    properties.set_column_encoding(plates(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
}
