//! A local Parquet file with the reproduced rows of a day.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use lake_tables::avg_speed::HISTOGRAM;
use lake_tables::batch_runs::BatchRun;
use parquet::arrow::ArrowWriter;

use crate::error::BatchError;

/// A file that is written.
pub(super) struct Output {
    path: PathBuf,
    writer: Option<ArrowWriter<File>>,
}

impl Output {
    /// The file for the rows of `run` in `folder`, which is made if it is missing.
    pub(super) fn create(folder: &Path, run: &BatchRun) -> Result<Output, BatchError> {
        std::fs::create_dir_all(folder).map_err(|error| unusable(folder, &error))?;
        let path = folder.join(format!("avg_speed-{}-{}.parquet", run.day(), run.run_id));
        Ok(Output { path, writer: None })
    }

    /// Writes rows, without the column that only the speed layer needs.
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), BatchError> {
        let public: Vec<usize> = (0..rows.num_columns())
            .filter(|column| rows.schema().field(*column).name() != HISTOGRAM)
            .collect();
        let rows = rows.project(&public).map_err(|error| unusable(&self.path, &error))?;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let file =
                    File::create(&self.path).map_err(|error| unusable(&self.path, &error))?;
                let writer = ArrowWriter::try_new(file, rows.schema(), None);
                self.writer.insert(writer.map_err(|error| unusable(&self.path, &error))?)
            }
        };
        writer.write(&rows).map_err(|error| unusable(&self.path, &error))
    }

    /// Ends the file; returns where it is, if there were rows.
    pub(super) fn finish(self) -> Result<PathBuf, BatchError> {
        if let Some(writer) = self.writer {
            writer.close().map_err(|error| unusable(&self.path, &error))?;
        }
        Ok(self.path)
    }
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> BatchError {
    BatchError::Configuration(format!(
        "--out: write {}: {error}; name a folder that can be written to",
        path.display()
    ))
}
