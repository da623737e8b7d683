//! Per-file statistics (Delta protocol, "Per-file Statistics"): rows, and per column nulls and bounds.
//!
//! Bounds of timestamps are in milliseconds, as Delta has them: the lower one rounded down, the upper one up.
//! Bounds of text are cut at [`TEXT_BYTES`], outwards too. Text and bytes that are only ever read whole have
//! no bounds.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Schema};
use lake_model::{Day, Timestamp};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit as ParquetUnit};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

/// Greatest length of a bound of text, in bytes: that of a camera id, whose bounds are never cut.
pub(super) const TEXT_BYTES: usize = lake_model::camera::MAX_CAMERA_ID_BYTES;

#[derive(Clone, Debug, PartialEq, PartialOrd)]
enum Scalar {
    Long(i64),
    Double(f64),
    Timestamp(i64),
    Date(i32),
    Thousandths(i128),
    Text(String),
}

/// The statistics of the rows of an encoded file as Delta spells them; columns `without_bounds` have none. Columns are
/// found by their names, since another program may have written the file.
pub(crate) fn json(schema: &Schema, without_bounds: &[&str], file: &ParquetMetaData) -> String {
    let mut stats = StatsJson {
        num_records: file.row_groups().iter().map(RowGroupMetaData::num_rows).sum(),
        ..StatsJson::default()
    };
    let columns = file.file_metadata().schema_descr();
    for field in schema.fields() {
        let name = field.name().as_str();
        let Some(index) = index_of(columns, name) else { continue };
        let column = columns.column(index);
        let groups = file.row_groups().iter();
        let chunks: Option<Vec<_>> = groups.map(|group| group.column(index).statistics()).collect();
        // Nothing is known of a column that Parquet keeps no statistics of.
        let Some(chunks) = chunks else { continue };
        let nulls = chunks.iter().map(|chunk| chunk.null_count_opt()).sum::<Option<u64>>();
        if let Some(nulls) = nulls {
            stats.null_count.insert(name, nulls);
        }
        let bounds =
            chunks.into_iter().filter_map(|chunk| bounds(field.data_type(), &column, chunk));
        let Some((min, max)) = bounds.reduce(wider).filter(|_| !without_bounds.contains(&name))
        else {
            continue;
        };
        if let (Some(min), Some(max)) = (min.json(false), max.json(true)) {
            stats.min_values.insert(name, min);
            stats.max_values.insert(name, max);
        }
    }
    // Not by way of a `Value`, which would read the decimals into doubles.
    serde_json::to_string(&stats).expect("its keys are text")
}

/// The place of the column `name` among the columns of a file.
fn index_of(columns: &SchemaDescriptor, name: &str) -> Option<usize> {
    columns
        .columns()
        .iter()
        .position(|column| matches!(column.path().parts(), [part] if part == name))
}

/// The statistics as Delta spells them. Decimals are written digit by digit, since a double can't hold all.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct StatsJson<'a> {
    num_records: i64,
    min_values: BTreeMap<&'a str, Box<RawValue>>,
    max_values: BTreeMap<&'a str, Box<RawValue>>,
    null_count: BTreeMap<&'a str, u64>,
}

/// Bounds of what two pairs of bounds hold.
fn wider(
    (min, max): (Scalar, Scalar),
    (other_min, other_max): (Scalar, Scalar),
) -> (Scalar, Scalar) {
    (if min < other_min { min } else { other_min }, if max > other_max { max } else { other_max })
}

impl Scalar {
    /// The value as a lower or an upper bound; `None` where there is none.
    fn json(&self, is_upper: bool) -> Option<Box<RawValue>> {
        let text = match self {
            Scalar::Long(value) => value.to_string(),
            Scalar::Double(value) => json!(value).to_string(),
            Scalar::Date(days) => json!(Day::from_days(*days).to_string()).to_string(),
            Scalar::Text(text) if text.len() > TEXT_BYTES => return None,
            Scalar::Text(text) => json!(text).to_string(),
            Scalar::Timestamp(micros) => json!(milliseconds(*micros, is_upper)).to_string(),
            Scalar::Thousandths(value) => {
                let (sign, value) = (if *value < 0 { "-" } else { "" }, value.unsigned_abs());
                format!("{sign}{}.{:03}", value / 1000, value % 1000)
            }
        };
        RawValue::from_string(text).ok()
    }
}

/// The timestamp with three digits of a second, rounded towards the outside of the bounds.
fn milliseconds(micros: i64, is_upper: bool) -> String {
    let rounded_up = micros.saturating_add(if is_upper { 999 } else { 0 });
    let millis = rounded_up.div_euclid(1000);
    let second = Timestamp::from_micros(millis.div_euclid(1000) * 1_000_000).to_string();
    format!("{}.{:03}Z", second.trim_end_matches('Z'), millis.rem_euclid(1000))
}

/// The least and the greatest value of a chunk of a column of that type; `None` where they are unknown, or of a kind
/// that our files do not have.
fn bounds(
    data_type: &DataType,
    column: &ColumnDescriptor,
    chunk: &Statistics,
) -> Option<(Scalar, Scalar)> {
    match (data_type, chunk) {
        // Old writers compared bytes as signed numbers.
        (DataType::Utf8 | DataType::Decimal128(_, _), chunk) if chunk.is_min_max_deprecated() => {
            None
        }
        (DataType::Utf8, Statistics::ByteArray(values)) => {
            both(values.min_opt(), values.max_opt(), |bytes| {
                Some(Scalar::Text(String::from_utf8(bytes.data().to_vec()).ok()?))
            })
        }
        (DataType::Int32, Statistics::Int32(values)) => {
            both(values.min_opt(), values.max_opt(), |value| Some(Scalar::Long(i64::from(*value))))
        }
        (DataType::Int64, Statistics::Int64(values)) => {
            both(values.min_opt(), values.max_opt(), |value| Some(Scalar::Long(*value)))
        }
        // Parquet's bounds of zeros are -0 and +0.
        (DataType::Float64, Statistics::Double(values)) => {
            both(values.min_opt(), values.max_opt(), |value| Some(Scalar::Double(*value + 0.0)))
        }
        (DataType::Date32, Statistics::Int32(values)) => {
            both(values.min_opt(), values.max_opt(), |value| Some(Scalar::Date(*value)))
        }
        (DataType::Decimal128(_, _), Statistics::FixedLenByteArray(values)) => {
            both(values.min_opt(), values.max_opt(), |bytes| {
                Some(Scalar::Thousandths(big_endian(bytes.data())?))
            })
        }
        (DataType::Timestamp(_, _), Statistics::Int64(values)) if is_in_micros(column) => {
            both(values.min_opt(), values.max_opt(), |value| Some(Scalar::Timestamp(*value)))
        }
        _ => None,
    }
}

fn is_in_micros(column: &ColumnDescriptor) -> bool {
    match column.logical_type_ref() {
        Some(LogicalType::Timestamp(timestamp)) => timestamp.unit == ParquetUnit::MICROS,
        _ => column.converted_type() == ConvertedType::TIMESTAMP_MICROS,
    }
}

fn both<T>(
    min: Option<&T>,
    max: Option<&T>,
    scalar: impl Fn(&T) -> Option<Scalar>,
) -> Option<(Scalar, Scalar)> {
    scalar(min?).zip(scalar(max?))
}

/// A number in two's complement of up to 16 bytes.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let sign = if bytes.first()? & 0x80 == 0 { 0 } else { 0xff };
    let mut whole = [sign; 16];
    let start = whole.len().checked_sub(bytes.len())?;
    whole[start..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(whole))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
        TimestampMillisecondArray,
    };
    use arrow::datatypes::{Field, TimeUnit};
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;

    use super::*;

    #[test]
    fn bounds_of_timestamps_are_rounded_outwards() {
        assert_eq!(milliseconds(1_001, false), "1970-01-01T00:00:00.001Z");
        assert_eq!(milliseconds(1_001, true), "1970-01-01T00:00:00.002Z");
        assert_eq!(milliseconds(1_000, true), "1970-01-01T00:00:00.001Z");
    }

    /// The statistics of a file of one column of these texts.
    fn stats_of(texts: &[&str]) -> serde_json::Value {
        let schema = Arc::new(Schema::new(vec![Field::new("t", DataType::Utf8, false)]));
        let column = Arc::new(StringArray::from(texts.to_vec()));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
        let properties =
            WriterProperties::builder().set_statistics_truncate_length(Some(TEXT_BYTES));
        let properties = Some(properties.build());
        let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), properties).unwrap();
        writer.write(&batch).unwrap();
        serde_json::from_str(&json(&schema, &[], &writer.finish().unwrap())).unwrap()
    }

    /// The statistics that a table with columns `t` and `at` has of a file of `columns`.
    fn stats_of_foreign(columns: Vec<(&str, ArrayRef)>) -> serde_json::Value {
        let at = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let table =
            Schema::new(vec![Field::new("t", DataType::Utf8, false), Field::new("at", at, false)]);
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        serde_json::from_str(&json(&table, &[], &writer.finish().unwrap())).unwrap()
    }

    #[test]
    fn columns_of_a_file_of_another_program_are_found_by_their_names() {
        let stats = stats_of_foreign(vec![
            ("extra", Arc::new(Int64Array::from(vec![7, 9]))),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![1_000, 2_000]))),
            ("t", Arc::new(StringArray::from(vec!["b", "a"]))),
        ]);
        let expected = json!({
            "numRecords": 2, "nullCount": { "t": 0, "at": 0 },
            "minValues": { "t": "a", "at": "1970-01-01T00:00:00.001Z" },
            "maxValues": { "t": "b", "at": "1970-01-01T00:00:00.002Z" },
        });
        assert_eq!(stats, expected);
    }

    #[test]
    fn a_column_that_is_missing_or_of_another_unit_has_no_bounds() {
        let millis: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1_000]));
        let stats = stats_of_foreign(vec![("at", millis)]);
        let expected = json!({
            "numRecords": 1, "nullCount": { "at": 0 }, "minValues": {}, "maxValues": {},
        });
        assert_eq!(stats, expected);
    }

    #[test]
    fn bounds_of_long_text_are_cut_outwards_between_characters() {
        let long = format!("{}я{}", "a".repeat(TEXT_BYTES - 1), "z".repeat(9));
        let stats = stats_of(&[&long]);
        assert_eq!(stats["minValues"]["t"], "a".repeat(TEXT_BYTES - 1));
        assert_eq!(stats["maxValues"]["t"], format!("{}b", "a".repeat(TEXT_BYTES - 2)));
        let short = "я".repeat(TEXT_BYTES / 2);
        let stats = stats_of(&[&short]);
        assert_eq!(
            (&stats["minValues"]["t"], &stats["maxValues"]["t"]),
            (&json!(short), &json!(short))
        );
        let greatest = char::MAX.to_string().repeat(TEXT_BYTES);
        assert_eq!(stats_of(&[&greatest])["maxValues"], json!({}));
    }

    #[test]
    fn bounds_of_decimals_have_every_digit() {
        let text = |value| Scalar::Thousandths(value).json(true).map(|json| json.get().to_owned());
        assert_eq!(text(12_345_678_901_234_567_891), Some("12345678901234567.891".to_owned()));
        assert_eq!(text(-5), Some("-0.005".to_owned()));
    }
}
