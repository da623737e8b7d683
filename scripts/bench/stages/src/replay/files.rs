//! Data files in two steps, so that encoding and uploading are told apart: a file is written into a lake in memory, and
//! uploaded from there.

use std::sync::Arc;

use arrow::array::RecordBatch;
use lake_delta::data_file::{FileWriter, NewFile};
use lake_delta::{DataFile, Lake};
use lake_tables::Table;
use lake_testing::memory::lake_in_memory_with;
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
        let memory = lake_in_memory_with(Arc::clone(lake.clock()), Arc::clone(lake.ids()));
        Files { lake, memory }
    }

    /// The lake that files end up in.
    pub(super) fn lake(&self) -> &Lake {
        &self.lake
    }

    /// Encodes rows, in the stage under way, and uploads the file.
    pub(super) async fn write(
        &self,
        meter: &mut Meter,
        table: Table,
        new: NewFile,
        rows: &[RecordBatch],
    ) -> anyhow::Result<DataFile> {
        let mut writer = FileWriter::new(table, new)?;
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
