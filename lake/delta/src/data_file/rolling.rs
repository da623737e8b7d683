//! Writing rows into as many data files as they need: the next one begins when the last is full.

use arrow::array::RecordBatch;
use uuid::Uuid;

use super::{DataFile, FileWriter, NewFile};
use crate::error::LakeError;
use crate::spec::TableSpec;
use crate::storage::Lake;

/// Rows that are encoded at a time, so that a file does not grow far beyond its target.
const ROWS_AT_A_TIME: usize = 65_536;

/// Writes rows into files of about a target size. A file is uploaded when it is full; no log names it yet.
pub struct RollingWriter<'a> {
    lake: &'a Lake,
    table: &'static TableSpec,
    new_file: Box<dyn Fn(Uuid) -> NewFile + Send + Sync + 'a>,
    target_bytes: u64,
    file: Option<FileWriter>,
    done: Vec<DataFile>,
}

impl<'a> RollingWriter<'a> {
    /// A writer of files of `table`, each of which is what `new_file` makes of an id of its own. A file that has
    /// `target_bytes` is full.
    pub fn new(
        lake: &'a Lake,
        table: impl Into<&'static TableSpec>,
        target_bytes: u64,
        new_file: impl Fn(Uuid) -> NewFile + Send + Sync + 'a,
    ) -> RollingWriter<'a> {
        let (table, new_file) = (table.into(), Box::new(new_file));
        RollingWriter { lake, table, new_file, target_bytes, file: None, done: Vec::new() }
    }

    /// Writes the rows of `batch`, which has the table's file schema.
    ///
    /// # Errors
    /// The rows can't be encoded, or the store does not accept a full file.
    pub async fn push(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        for start in (0..batch.num_rows()).step_by(ROWS_AT_A_TIME) {
            let rows = ROWS_AT_A_TIME.min(batch.num_rows() - start);
            let file = match &mut self.file {
                Some(file) => file,
                None => {
                    let new = (self.new_file)(self.lake.unique_id());
                    self.file.insert(FileWriter::new(self.table, new)?)
                }
            };
            file.push(&batch.slice(start, rows))?;
            if file.encoded_bytes() as u64 >= self.target_bytes {
                self.end_file().await?;
            }
        }
        Ok(())
    }

    /// Ends the last file and returns all of them, in the order of their rows.
    ///
    /// # Errors
    /// The store does not accept the last file.
    pub async fn finish(mut self) -> Result<Vec<DataFile>, LakeError> {
        self.end_file().await?;
        Ok(self.done)
    }

    async fn end_file(&mut self) -> Result<(), LakeError> {
        if let Some(file) = self.file.take() {
            self.done.push(file.upload(self.lake).await?);
        }
        Ok(())
    }
}
