//! `avg_speed`: the serving table. One row per camera, window and, while provisional, Kafka partition.

mod batches;

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema};
use lake_delta::TableSpec;
use lake_model::{
    KafkaPartition, Pane, Speed, SpeedHistogram, Summary, TableVersion, Timestamp, Window,
};

pub use self::batches::{RowError, batch, rows};
use super::encoding::encode;
use super::{optional, required, timestamp};

/// Precision and scale of the exact sum: thousandths of km/h.
const SUM_TYPE: DataType = DataType::Decimal128(20, 3);

/// The column that provisional percentiles are merged and resumed from.
pub const HISTOGRAM: &str = "speed_histogram";

/// What an analyst must know of every column that is added up.
const OF_ONE_SIZE: &str =
    "every event is in one window of each size (5m, 1h, 24h): add up rows of one window_size only";

/// The table.
pub(crate) static SPEC: TableSpec = TableSpec {
    name: "avg_speed",
    partition_column: Some("event_date"),
    file_schema: LazyLock::new(|| Arc::new(Schema::new(fields()))),
    schema,
    comments: &[
        ("window_size", OF_ONE_SIZE),
        ("vehicle_count", OF_ONE_SIZE),
        ("speed_sum_kmh", OF_ONE_SIZE),
        ("over_limit_count", OF_ONE_SIZE),
        (
            "kafka_partition",
            "null in final rows; provisional rows of a camera may be spread over several",
        ),
        (HISTOGRAM, "for the speed layer: speeds counted in bins of 0.5 km/h; null in final rows"),
    ],
    without_bounds: &[],
    encoding: encode,
};

/// The partition column follows the columns that readers rely on and precedes the one that only the speed layer needs to
/// resume.
fn schema() -> Schema {
    let mut fields = fields();
    let at = fields.iter().position(|field| field.name() == HISTOGRAM).unwrap_or(fields.len());
    fields.insert(at, required("event_date", DataType::Date32));
    Schema::new(fields)
}

fn fields() -> Vec<Field> {
    vec![
        required("camera_id", DataType::Utf8),
        required("window_start", timestamp()),
        required("window_end", timestamp()),
        optional("kafka_partition", DataType::Int32),
        required("avg_speed_kmh", DataType::Float64),
        required("vehicle_count", DataType::Int64),
        required("speed_sum_kmh", SUM_TYPE),
        required("min_speed_kmh", DataType::Float64),
        required("max_speed_kmh", DataType::Float64),
        required("p50_speed_kmh", DataType::Float64),
        required("p85_speed_kmh", DataType::Float64),
        required("p95_speed_kmh", DataType::Float64),
        optional("over_limit_count", DataType::Int64),
        required("status", DataType::Utf8),
        optional("events_version", DataType::Int64),
        required("computed_at", timestamp()),
        required("window_size", DataType::Utf8),
        optional(HISTOGRAM, DataType::Binary),
    ]
}

/// Who computed a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// The speed layer, from the events that were not late.
    Provisional,
    /// The batch, from every distinct event.
    Final,
}

impl Status {
    /// The status as the table holds it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Provisional => "provisional",
            Status::Final => "final",
        }
    }

    /// The status that the table spells so.
    pub fn parse(text: &str) -> Option<Status> {
        [Status::Provisional, Status::Final].into_iter().find(|status| status.as_str() == text)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Nearest-rank percentiles of a window's speeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantiles {
    /// The median.
    pub p50: Speed,
    /// The 85th percentile, the one that speed limits are set by.
    pub p85: Speed,
    /// The 95th percentile.
    pub p95: Speed,
}

impl Quantiles {
    /// The percentiles by `quantile`, which is asked for 50, 85 and 95, in this order.
    pub fn by(mut quantile: impl FnMut(u32) -> Speed) -> Quantiles {
        Quantiles { p50: quantile(50), p85: quantile(85), p95: quantile(95) }
    }
}

impl From<&Pane> for Quantiles {
    fn from(pane: &Pane) -> Quantiles {
        let [p50, p85, p95] = pane.quantiles([50, 85, 95]);
        Quantiles { p50, p85, p95 }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct AvgSpeedRow {
    /// The camera.
    pub camera_id: Arc<str>,
    /// The window.
    pub window: Window,
    /// The Kafka partition whose events it counts; `None` in final rows, which count all.
    pub kafka_partition: Option<KafkaPartition>,
    /// Count, sum, minimum and maximum.
    pub summary: Summary,
    /// Percentiles, exact in final rows.
    pub quantiles: Quantiles,
    /// Who computed it.
    pub status: Status,
    /// The version of `events` that a final row was computed from.
    pub events_version: Option<TableVersion>,
    /// When it was computed.
    pub computed_at: Timestamp,
    /// What a provisional row's percentiles are merged and resumed from.
    pub histogram: Option<SpeedHistogram>,
}

impl AvgSpeedRow {
    /// A row of the speed layer.
    pub fn provisional(
        camera_id: Arc<str>,
        window: Window,
        kafka_partition: KafkaPartition,
        pane: Pane,
        computed_at: Timestamp,
    ) -> AvgSpeedRow {
        AvgSpeedRow {
            camera_id,
            window,
            kafka_partition: Some(kafka_partition),
            summary: pane.summary,
            quantiles: Quantiles::from(&pane),
            status: Status::Provisional,
            events_version: None,
            computed_at,
            histogram: Some(pane.histogram),
        }
    }

    /// The pane that the row was written from; of a final row without the histogram.
    pub fn pane(&self) -> Pane {
        Pane { summary: self.summary, histogram: self.histogram.clone().unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use lake_model::WindowSize;

    #[test]
    fn rows_survive_a_round_trip_through_a_batch() {
        let window = Window {
            size: WindowSize::FiveMinutes,
            start: Timestamp::from_micros(0),
            end: Timestamp::from_micros(300_000_000),
        };
        let mut pane = Pane::default();
        pane.add(Speed::from_thousandths(85_200), Some(Speed::from_thousandths(60_000)));
        pane.add(Speed::from_thousandths(10_001), Some(Speed::from_thousandths(60_000)));
        let now = Timestamp::from_micros(7);
        let provisional =
            AvgSpeedRow::provisional("KV1".into(), window, KafkaPartition(3), pane, now);
        let last = AvgSpeedRow {
            kafka_partition: None,
            status: Status::Final,
            events_version: Some(TableVersion(12)),
            histogram: None,
            ..provisional.clone()
        };
        let written = vec![provisional, last];
        assert_eq!(rows(&batch(&written)).unwrap(), written);
    }
}
