//! Per-file statistics (Delta protocol, "Per-file Statistics"): rows, and per column nulls and bounds.
//!
//! Bounds of timestamps are in milliseconds, as Delta has them: the lower one rounded down, the upper one up.
//! Text and bytes that are only ever read whole have no bounds.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Schema,
    TimestampMicrosecondType,
};
use lake_model::{Day, EventTime};
use serde_json::{Map, Value, json};

/// Columns of free text, whose bounds would only make the log longer.
const WITHOUT_BOUNDS: [&str; 4] = ["extra", "detail", "kafka_offsets", "run_id"];

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
        let (mut lower, mut upper, mut nulls) = (Map::new(), Map::new(), Map::new());
        for (name, column) in &self.columns {
            nulls.insert(name.clone(), json!(column.nulls));
            if let Some((min, max)) = &column.bounds {
                lower.insert(name.clone(), min.json(false));
                upper.insert(name.clone(), max.json(true));
            }
        }
        json!({
            "numRecords": self.rows, "minValues": lower, "maxValues": upper, "nullCount": nulls,
        })
        .to_string()
    }
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
    fn json(&self, is_upper: bool) -> Value {
        match self {
            Scalar::Long(value) => json!(value),
            Scalar::Double(value) => json!(value),
            Scalar::Date(days) => json!(Day::from_days(*days).to_string()),
            Scalar::Text(text) => json!(text),
            Scalar::Timestamp(micros) => json!(milliseconds(*micros, is_upper)),
            Scalar::Thousandths(value) => {
                let text = format!("{}.{:03}", value / 1000, value % 1000);
                serde_json::from_str(&text).unwrap_or(Value::Null)
            }
        }
    }
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
}
