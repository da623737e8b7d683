//! Per-file statistics (Delta protocol, "Per-file Statistics"): rows, and per column nulls and bounds.
//!
//! Bounds of timestamps are in milliseconds, as Delta has them: the lower one rounded down, the upper one up.
//! Bounds of text are cut at [`TEXT_BYTES`], outwards too. Text and bytes that are only ever read whole have
//! no bounds.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Schema,
    TimestampMicrosecondType,
};
use lake_model::{Day, EventTime};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

/// Columns of free text, whose bounds would only make the log longer.
const WITHOUT_BOUNDS: [&str; 4] = ["extra", "detail", "kafka_offsets", "run_id"];

/// Greatest length of a bound of text, in bytes: that of a camera id, whose bounds are never cut.
const TEXT_BYTES: usize = lake_model::camera::MAX_CAMERA_ID_BYTES;

/// Statistics of the rows of a file so far.
pub(super) struct Statistics {
    rows: u64,
    columns: BTreeMap<String, Column>,
}

#[derive(Default)]
struct Column {
    nulls: u64,
    bounds: Option<(Scalar, Scalar)>,
}

#[derive(Clone, Debug, PartialEq, PartialOrd)]
enum Scalar {
    Long(i64),
    Double(f64),
    Timestamp(i64),
    Date(i32),
    Thousandths(i128),
    Text(String),
}

impl Statistics {
    pub(super) fn new(schema: &Schema) -> Statistics {
        let column = |name: &String| (name.clone(), Column::default());
        let columns = schema.fields().iter().map(|field| column(field.name())).collect();
        Statistics { rows: 0, columns }
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn add(&mut self, batch: &RecordBatch) {
        self.rows += batch.num_rows() as u64;
        for (field, values) in batch.schema().fields().iter().zip(batch.columns()) {
            let column = self.columns.entry(field.name().clone()).or_default();
            column.nulls += values.null_count() as u64;
            if !WITHOUT_BOUNDS.contains(&field.name().as_str()) {
                column.widen(bounds(values));
            }
        }
    }

    pub(super) fn json(&self) -> String {
        let mut stats = StatsJson { num_records: self.rows, ..StatsJson::default() };
        for (name, column) in &self.columns {
            stats.null_count.insert(name, column.nulls);
            let Some((min, max)) = &column.bounds else { continue };
            if let (Some(min), Some(max)) = (min.json(false), max.json(true)) {
                stats.min_values.insert(name, min);
                stats.max_values.insert(name, max);
            }
        }
        // Not by way of a `Value`, which would read the decimals into doubles.
        serde_json::to_string(&stats).expect("its keys are text")
    }
}

/// The statistics as Delta spells them. Decimals are written digit by digit, since a double can't hold all.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct StatsJson<'a> {
    num_records: u64,
    min_values: BTreeMap<&'a str, Box<RawValue>>,
    max_values: BTreeMap<&'a str, Box<RawValue>>,
    null_count: BTreeMap<&'a str, u64>,
}

impl Column {
    fn widen(&mut self, more: Option<(Scalar, Scalar)>) {
        let Some((min, max)) = more else { return };
        self.bounds = Some(match self.bounds.take() {
            None => (min, max),
            Some((old_min, old_max)) => (
                if min < old_min { min } else { old_min },
                if max > old_max { max } else { old_max },
            ),
        });
    }
}

impl Scalar {
    /// The value as a lower or an upper bound; `None` where there is none.
    fn json(&self, is_upper: bool) -> Option<Box<RawValue>> {
        let text = match self {
            Scalar::Long(value) => value.to_string(),
            Scalar::Double(value) => json!(value).to_string(),
            Scalar::Date(days) => json!(Day::from_days(*days).to_string()).to_string(),
            Scalar::Text(text) if is_upper => json!(cut_up(text)?).to_string(),
            Scalar::Text(text) => json!(cut(text)).to_string(),
            Scalar::Timestamp(micros) => json!(milliseconds(*micros, is_upper)).to_string(),
            Scalar::Thousandths(value) => {
                let (sign, value) = (if *value < 0 { "-" } else { "" }, value.unsigned_abs());
                format!("{sign}{}.{:03}", value / 1000, value % 1000)
            }
        };
        RawValue::from_string(text).ok()
    }
}

/// The beginning of `text`, which is no greater than it.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES)]
}

/// A text of about the length of a bound that is no less than `text`: its beginning, with the last character
/// replaced by the next one if anything was cut off.
fn cut_up(text: &str) -> Option<String> {
    let mut beginning = cut(text).to_owned();
    if beginning.len() == text.len() {
        return Some(beginning);
    }
    while let Some(last) = beginning.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            beginning.push(next);
            return Some(beginning);
        }
    }
    None
}

/// The timestamp with three digits of a second, rounded towards the outside of the bounds.
fn milliseconds(micros: i64, is_upper: bool) -> String {
    let rounded_up = micros.saturating_add(if is_upper { 999 } else { 0 });
    let millis = rounded_up.div_euclid(1000);
    let second = EventTime::from_micros(millis.div_euclid(1000) * 1_000_000).to_string();
    format!("{}.{:03}Z", second.trim_end_matches('Z'), millis.rem_euclid(1000))
}

fn bounds(values: &ArrayRef) -> Option<(Scalar, Scalar)> {
    match values.data_type() {
        DataType::Utf8 => {
            let text = values.as_string::<i32>();
            let pair = min_string(text).zip(max_string(text));
            pair.map(|(min, max)| (Scalar::Text(min.to_owned()), Scalar::Text(max.to_owned())))
        }
        DataType::Int32 => primitive::<Int32Type>(values, |v| Scalar::Long(v.into())),
        DataType::Int64 => primitive::<Int64Type>(values, Scalar::Long),
        DataType::Float64 => primitive::<Float64Type>(values, Scalar::Double),
        DataType::Date32 => primitive::<Date32Type>(values, Scalar::Date),
        DataType::Decimal128(_, _) => primitive::<Decimal128Type>(values, Scalar::Thousandths),
        DataType::Timestamp(_, _) => {
            primitive::<TimestampMicrosecondType>(values, Scalar::Timestamp)
        }
        _ => None,
    }
}

fn primitive<T: arrow::datatypes::ArrowNumericType>(
    values: &ArrayRef,
    scalar: impl Fn(T::Native) -> Scalar,
) -> Option<(Scalar, Scalar)>
where
    T::Native: arrow::datatypes::ArrowNativeType,
{
    let values = values.as_primitive::<T>();
    min(values).zip(max(values)).map(|(min, max)| (scalar(min), scalar(max)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_timestamps_are_rounded_outwards() {
        assert_eq!(milliseconds(1_001, false), "1970-01-01T00:00:00.001Z");
        assert_eq!(milliseconds(1_001, true), "1970-01-01T00:00:00.002Z");
        assert_eq!(milliseconds(1_000, true), "1970-01-01T00:00:00.001Z");
    }

    #[test]
    fn bounds_of_long_text_are_cut_outwards_between_characters() {
        let long = format!("{}я{}", "a".repeat(TEXT_BYTES - 1), "z".repeat(9));
        assert_eq!(cut(&long), "a".repeat(TEXT_BYTES - 1));
        assert_eq!(cut_up(&long), Some(format!("{}b", "a".repeat(TEXT_BYTES - 2))));
        let short = "я".repeat(TEXT_BYTES / 2);
        assert_eq!((cut(&short), cut_up(&short)), (short.as_str(), Some(short.clone())));
        assert_eq!(cut_up(&char::MAX.to_string().repeat(TEXT_BYTES)), None);
    }

    #[test]
    fn bounds_of_decimals_have_every_digit() {
        let text = |value| Scalar::Thousandths(value).json(true).map(|json| json.get().to_owned());
        assert_eq!(text(12_345_678_901_234_567_891), Some("12345678901234567.891".to_owned()));
        assert_eq!(text(-5), Some("-0.005".to_owned()));
    }
}
