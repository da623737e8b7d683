//! The final rows of a day as `avg_speed` holds them, down to the bits of their doubles.

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use lake_delta::columns::{self, ColumnError};
use lake_delta::log::FileEntry;
use lake_delta::{Lake, LakeError};
use lake_model::{KafkaPartition, TableVersion};
use lake_tables::Table;

use super::figures::{Figures, Key};
use crate::cameras::CameraSpan;
use crate::scan::batches;

/// One row of the table.
#[derive(Clone, Debug)]
pub(super) struct FinalRow {
    pub(super) key: Key,
    pub(super) figures: Figures,
    pub(super) status: String,
    pub(super) kafka_partition: Option<KafkaPartition>,
    pub(super) events_version: Option<TableVersion>,
}

/// The rows of cameras in `span`.
pub(super) async fn read(
    lake: &Lake,
    files: &[FileEntry],
    span: &CameraSpan,
) -> Result<Vec<FinalRow>, LakeError> {
    let mut all = Vec::new();
    for file in files.iter().filter(|file| span.may_be_in(file)) {
        let store = Arc::clone(&lake.table_store(Table::AvgSpeed));
        let mut batches = batches(store, file, &[]).await?;
        while let Some(batch) = batches.try_next().await? {
            let rows = rows(&batch, span).map_err(|e| LakeError::data_file(&file.path, e))?;
            all.extend(rows);
        }
    }
    Ok(all)
}

fn rows(batch: &RecordBatch, span: &CameraSpan) -> Result<Vec<FinalRow>, ColumnError> {
    let cameras = columns::string(batch, "camera_id")?;
    let sizes = columns::string(batch, "window_size")?;
    let statuses = columns::string(batch, "status")?;
    let starts = columns::timestamp(batch, "window_start")?;
    let ends = columns::timestamp(batch, "window_end")?;
    let partitions = columns::int(batch, "kafka_partition")?;
    let counts = columns::long(batch, "vehicle_count")?;
    let sums = columns::decimal(batch, "speed_sum_kmh")?;
    let averages = columns::double(batch, "avg_speed_kmh")?;
    let speeds = [
        columns::double(batch, "min_speed_kmh")?,
        columns::double(batch, "max_speed_kmh")?,
        columns::double(batch, "p50_speed_kmh")?,
        columns::double(batch, "p85_speed_kmh")?,
        columns::double(batch, "p95_speed_kmh")?,
    ];
    let over_limits = columns::long(batch, "over_limit_count")?;
    let versions = columns::long(batch, "events_version")?;
    let row = |row: usize| FinalRow {
        key: Key {
            camera: cameras.value(row).to_owned(),
            size: sizes.value(row).to_owned(),
            start: starts.value(row),
        },
        figures: Figures {
            window_end: ends.value(row),
            count: counts.value(row),
            sum_thousandths: sums.value(row),
            average_kmh: averages.value(row),
            speeds_kmh: speeds.map(|speed| columns::optional(speed, row)),
            over_limit: columns::optional(over_limits, row),
        },
        status: statuses.value(row).to_owned(),
        kafka_partition: columns::optional(partitions, row).map(KafkaPartition),
        events_version: columns::optional(versions, row).map(TableVersion),
    };
    let wanted = (0..batch.num_rows()).filter(|row| span.contains(cameras.value(*row)));
    Ok(wanted.map(row).collect())
}
