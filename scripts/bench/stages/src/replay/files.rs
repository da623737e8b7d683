//! Data files in two steps, so that encoding and uploading are told apart: a file is written into a lake in memory, and
//! uploaded from there.

use std::sync::Arc;

use arrow::array::RecordBatch;
use lake::data_file::FileWriter;
use lake::{Ambient, DataFile, Lake, Table};
use lake_model::Day;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use crate::costs::{Meter, Stage};

/// Where files go.
pub(super) struct Files {
    lake: Lake,
    memory: Lake,
}

impl Files {
    pub(super) fn new(lake: Lake) -> Files {
        let memory = Lake::in_memory(Arc::clone(lake.ambient()));
        Files { lake, memory }
    }

    /// Time and randomness.
    pub(super) fn ambient(&self) -> &dyn Ambient {
        &**self.lake.ambient()
    }

    /// Encodes rows, in the stage under way, and uploads the file.
    pub(super) async fn write(
        &self,
        meter: &mut Meter,
        table: Table,
        path: String,
        day: Day,
        rows: &[RecordBatch],
    ) -> anyhow::Result<DataFile> {
        let mut writer = FileWriter::new(table, path, Some(day))?;
        for batch in rows {
            writer.push(batch)?;
        }
        let file = writer.upload(&self.memory).await?;
        meter.enter(Stage::Upload);
        self.upload(table, &file).await?;
        meter.leave();
        Ok(file)
    }

    /// Moves a file from memory to the lake.
    async fn upload(&self, table: Table, file: &DataFile) -> anyhow::Result<()> {
        let path = Path::parse(&file.path)?;
        let memory = self.memory.table_store(table);
        let bytes = memory.get(&path).await?.bytes().await?;
        memory.delete(&path).await?;
        self.lake.table_store(table).put(&path, PutPayload::from(bytes)).await?;
        Ok(())
    }
}
