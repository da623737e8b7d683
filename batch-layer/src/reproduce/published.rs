//! The rows that a run published, while they are what `avg_speed` holds of their day.

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{
    SortColumn, concat_batches, filter_record_batch, lexsort_to_indices, take_record_batch,
};
use arrow::error::ArrowError;
use lake_delta::columns::{self, ColumnError};
use lake_delta::log::FileEntry;
use lake_delta::{Lake, LakeError, TableState};
use lake_tables::Table;
use lake_tables::batch_runs::BatchRun;

use crate::cameras::CameraSpan;
use crate::days;
use crate::scan::{Columns, always, conformed, of_any_file, scan};

/// The order in which rows are compared; a window has one row.
const ORDER: [&str; 3] = ["window_size", "camera_id", "window_start"];

/// The files of a run's rows.
pub(super) struct Published(Vec<FileEntry>);

/// Rows that can't be compared.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
enum RowsError {
    Column(#[from] ColumnError),
    Arrow(#[from] ArrowError),
}

impl Published {
    /// Those of `run`, if the day is still as it published it.
    pub(super) fn of(avg_speed: &TableState, run: &BatchRun) -> Option<Published> {
        let is_its = days::final_day(avg_speed, run.day())?.run_id.as_deref() == Some(&run.run_id);
        is_its.then(|| Published(avg_speed.files_of(run.day()).cloned().collect()))
    }

    /// How many of the rows of cameras in `span` differ from `computed`, which is all that was computed of them: every bit of
    /// every column counts.
    pub(super) async fn differing(
        &self,
        lake: &Lake,
        span: &CameraSpan,
        computed: &RecordBatch,
    ) -> Result<u64, LakeError> {
        let files: Vec<FileEntry> =
            self.0.iter().filter(|file| span.may_be_in(file)).cloned().collect();
        let mut published: Vec<RecordBatch> = Vec::new();
        let span = span.clone();
        let extract = of_any_file(move |batch: &RecordBatch| rows_in(batch, &span));
        let hold = always(|batch| published.push(batch));
        scan(lake, Table::AvgSpeed, &files, Columns::ALL, extract, hold, Err).await?;
        let problem = |error: ArrowError| {
            LakeError::data_file(self.0.first().map_or("", |file| &file.path), error)
        };
        let published = concat_batches(&computed.schema(), &published).map_err(problem)?;
        let (published, computed) =
            (sorted(&published).map_err(problem)?, sorted(computed).map_err(problem)?);
        if published == computed {
            return Ok(0);
        }
        let rows = published.num_rows().max(computed.num_rows());
        let both = published.num_rows().min(computed.num_rows());
        let equal = (0..both).filter(|row| published.slice(*row, 1) == computed.slice(*row, 1));
        Ok((rows - equal.count()) as u64)
    }
}

fn rows_in(batch: &RecordBatch, span: &CameraSpan) -> Result<RecordBatch, RowsError> {
    let cameras = columns::string(batch, "camera_id")?;
    let wanted = cameras.iter().map(|id| id.map(|id| span.contains(id))).collect();
    let rows = conformed(batch, &Table::AvgSpeed.file_schema())?;
    Ok(filter_record_batch(&rows, &wanted)?)
}

fn sorted(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = ORDER.iter().filter_map(|name| rows.column_by_name(name));
    let columns: Vec<SortColumn> =
        columns.map(|values| SortColumn { values: values.clone(), options: None }).collect();
    let order: UInt32Array = lexsort_to_indices(&columns, None)?;
    take_record_batch(rows, &order)
}
