//! Rows of `avg_speed` to and from record batches.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryBuilder, Decimal128Builder, Float64Builder, Int32Builder, Int64Builder,
    RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use lake_delta::columns::{self, ColumnError, binary, decimal, double, int, long, string};
use lake_model::histogram::DamagedHistogram;
use lake_model::{
    KafkaPartition, Speed, SpeedHistogram, Summary, TableVersion, Timestamp, Window, WindowSize,
};

use super::{AvgSpeedRow, HISTOGRAM, Quantiles, Status};
use crate::Table;

/// The rows as a batch of the table's file schema.
pub fn batch<'a>(rows: impl IntoIterator<Item = &'a AvgSpeedRow>) -> RecordBatch {
    let mut builder = Builder::default();
    rows.into_iter().for_each(|row| builder.push(row));
    builder.finish()
}

/// A batch does not hold rows of the table.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// A column is missing, or has another type.
    #[error(transparent)]
    Column(#[from] ColumnError),
    /// A column holds a text that is none of its values.
    #[error("{text:?} is no {column}")]
    Value {
        /// The column.
        column: &'static str,
        /// What it holds.
        text: String,
    },
    /// A sum of speeds below zero.
    #[error("a negative sum of speeds")]
    NegativeSum,
    /// A histogram that can't be decoded.
    #[error(transparent)]
    Histogram(#[from] DamagedHistogram),
}

/// The rows of a batch of the table.
pub fn rows(batch: &RecordBatch) -> Result<Vec<AvgSpeedRow>, RowError> {
    let reader = Reader::new(batch)?;
    (0..batch.num_rows()).map(|row| reader.row(row)).collect()
}

#[derive(Default)]
struct Builder {
    camera_id: StringBuilder,
    window_start: TimestampMicrosecondBuilder,
    window_end: TimestampMicrosecondBuilder,
    kafka_partition: Int32Builder,
    doubles: [Float64Builder; 6],
    vehicle_count: Int64Builder,
    speed_sum: Decimal128Builder,
    over_limit: Int64Builder,
    status: StringBuilder,
    events_version: Int64Builder,
    computed_at: TimestampMicrosecondBuilder,
    window_size: StringBuilder,
    histogram: BinaryBuilder,
}

impl Builder {
    fn push(&mut self, row: &AvgSpeedRow) {
        let summary = &row.summary;
        self.camera_id.append_value(&row.camera_id);
        self.window_start.append_value(row.window.start.micros());
        self.window_end.append_value(row.window.end.micros());
        self.kafka_partition.append_option(row.kafka_partition.map(|partition| partition.0));
        let quantiles = [row.quantiles.p50, row.quantiles.p85, row.quantiles.p95];
        let speeds = [summary.min(), summary.max()].into_iter().chain(quantiles).map(Speed::kmh);
        let doubles = std::iter::once(summary.average_kmh()).chain(speeds);
        for (builder, value) in self.doubles.iter_mut().zip(doubles) {
            builder.append_value(value);
        }
        self.vehicle_count.append_value(summary.count().cast_signed());
        self.speed_sum.append_value(i128::from(summary.sum_thousandths()));
        self.over_limit.append_option(summary.over_limit().map(u64::cast_signed));
        self.status.append_value(row.status.as_str());
        self.events_version.append_option(row.events_version.map(|version| version.0));
        self.computed_at.append_value(row.computed_at.micros());
        self.window_size.append_value(row.window.size.as_str());
        self.histogram.append_option(row.histogram.as_ref().map(SpeedHistogram::encode));
    }

    fn finish(mut self) -> RecordBatch {
        let sum = self.speed_sum.finish().with_precision_and_scale(20, 3);
        let [average, min, max, p50, p85, p95] = self.doubles.each_mut().map(|double| {
            let column: ArrayRef = Arc::new(double.finish());
            column
        });
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.camera_id.finish()),
            Arc::new(self.window_start.finish().with_timezone("UTC")),
            Arc::new(self.window_end.finish().with_timezone("UTC")),
            Arc::new(self.kafka_partition.finish()),
            average,
            Arc::new(self.vehicle_count.finish()),
            Arc::new(sum.expect("20 digits and 3 decimals are a decimal type")),
            min,
            max,
            p50,
            p85,
            p95,
            Arc::new(self.over_limit.finish()),
            Arc::new(self.status.finish()),
            Arc::new(self.events_version.finish()),
            Arc::new(self.computed_at.finish().with_timezone("UTC")),
            Arc::new(self.window_size.finish()),
            Arc::new(self.histogram.finish()),
        ];
        RecordBatch::try_new(Table::AvgSpeed.file_schema(), columns)
            .expect("the builders follow the schema")
    }
}

struct Reader<'a> {
    camera_id: &'a arrow::array::StringArray,
    window_start: &'a arrow::array::TimestampMicrosecondArray,
    window_end: &'a arrow::array::TimestampMicrosecondArray,
    kafka_partition: &'a arrow::array::Int32Array,
    /// Minimum, maximum and the three percentiles.
    speeds: [&'a arrow::array::Float64Array; 5],
    vehicle_count: &'a arrow::array::Int64Array,
    speed_sum: &'a arrow::array::Decimal128Array,
    over_limit: &'a arrow::array::Int64Array,
    status: &'a arrow::array::StringArray,
    events_version: &'a arrow::array::Int64Array,
    computed_at: &'a arrow::array::TimestampMicrosecondArray,
    window_size: &'a arrow::array::StringArray,
    histogram: &'a arrow::array::BinaryArray,
}

impl<'a> Reader<'a> {
    fn new(batch: &'a RecordBatch) -> Result<Reader<'a>, ColumnError> {
        Ok(Reader {
            camera_id: string(batch, "camera_id")?,
            window_start: columns::timestamp(batch, "window_start")?,
            window_end: columns::timestamp(batch, "window_end")?,
            kafka_partition: int(batch, "kafka_partition")?,
            speeds: [
                double(batch, "min_speed_kmh")?,
                double(batch, "max_speed_kmh")?,
                double(batch, "p50_speed_kmh")?,
                double(batch, "p85_speed_kmh")?,
                double(batch, "p95_speed_kmh")?,
            ],
            vehicle_count: long(batch, "vehicle_count")?,
            speed_sum: decimal(batch, "speed_sum_kmh")?,
            over_limit: long(batch, "over_limit_count")?,
            status: string(batch, "status")?,
            events_version: long(batch, "events_version")?,
            computed_at: columns::timestamp(batch, "computed_at")?,
            window_size: string(batch, "window_size")?,
            histogram: binary(batch, HISTOGRAM)?,
        })
    }

    fn row(&self, row: usize) -> Result<AvgSpeedRow, RowError> {
        let [min, max, p50, p85, p95] = self.speeds.map(|speed| Speed::rounded(speed.value(row)));
        let histogram = (!self.histogram.is_null(row)).then(|| self.histogram.value(row));
        Ok(AvgSpeedRow {
            camera_id: self.camera_id.value(row).into(),
            window: Window {
                size: parsed("window_size", self.window_size.value(row), WindowSize::parse)?,
                start: Timestamp::from_micros(self.window_start.value(row)),
                end: Timestamp::from_micros(self.window_end.value(row)),
            },
            kafka_partition: columns::optional(self.kafka_partition, row).map(KafkaPartition),
            summary: Summary::from_parts(
                self.vehicle_count.value(row).cast_unsigned(),
                u64::try_from(self.speed_sum.value(row)).map_err(|_| RowError::NegativeSum)?,
                min,
                max,
                columns::optional(self.over_limit, row).map(i64::cast_unsigned),
            ),
            quantiles: Quantiles { p50, p85, p95 },
            status: parsed("status", self.status.value(row), Status::parse)?,
            events_version: columns::optional(self.events_version, row).map(TableVersion),
            computed_at: Timestamp::from_micros(self.computed_at.value(row)),
            histogram: histogram.map(SpeedHistogram::decode).transpose()?,
        })
    }
}

fn parsed<T>(
    column: &'static str,
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, RowError> {
    parse(text).ok_or_else(|| RowError::Value { column, text: text.to_owned() })
}
