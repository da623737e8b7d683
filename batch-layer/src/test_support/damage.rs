//! Damage to data files, which no log mentions.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, TimestampMicrosecondArray};
use arrow::compute::concat_batches;
use lake_delta::columns::{self, ColumnError};
use lake_delta::data_file::NewFile;
use lake_delta::log::FileEntry;
use lake_delta::{Commit, FileUse, read};
use lake_model::Day;
use lake_tables::{Table, file_kind};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde_json::Value;

use super::{HOUR_US, World};

/// What can happen to the object of a data file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Damage {
    /// Its end is missing.
    Torn,
    /// It is gone.
    Lost,
    /// As long as it was, and of other bytes.
    Overwritten,
}

impl World {
    /// Puts what `decorate` makes of it in the place of the lake's store.
    pub(crate) fn decorate<S: ObjectStore>(
        &mut self,
        decorate: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<S>,
    ) {
        let lake = self.context.lake.clone();
        self.context.lake = lake.decorated(|behind| decorate(behind));
    }

    /// The file of `day` in the log of `table` that has the least Kafka partition and offsets, or the first one where the log
    /// says nothing of them.
    pub(crate) async fn a_file(&self, table: Table, day: Day) -> FileEntry {
        let log = self.log(table).await;
        let least = |file: &&FileEntry| {
            let bound = |column| file.bounds(column).and_then(|(least, _)| least.as_i64());
            (bound("kafka_partition"), bound("kafka_offset"))
        };
        log.state().files_of(day).min_by_key(least).expect("the day has files").clone()
    }

    /// Swaps the first file of `day` for one of the same rows that says nothing of itself, as another program's.
    pub(crate) async fn without_tags(&self, table: Table, day: Day) -> FileEntry {
        let old = self.a_file(table, day).await;
        let path = old.path.replace(".parquet", "-copy.parquet");
        let batch = |batch: &RecordBatch| Ok::<_, String>(vec![batch.clone()]);
        let rows = read::collect(&self.context.lake, table, [&old], &[], batch).await;
        let rows = concat_batches(&table.file_schema(), &rows.expect("it can be read"));
        let new = NewFile {
            path,
            partition: Some(day),
            file_use: FileUse::LongLived,
            tags: BTreeMap::new(),
        };
        let new = self.write(table, new, &rows.expect("of one schema")).await;
        let path = new.path.clone();
        let commit = Commit::new(&self.context.lake, "REWRITE").remove([old]).add([new]);
        self.commit(table, &commit).await;
        self.log(table).await.state().file(&path).expect("just committed").clone()
    }

    /// Swaps the first file of events of `day` for one of the same rows whose statistics lack offsets and partitions.
    pub(crate) async fn without_bounds(&self, day: Day) -> FileEntry {
        let forget = |stats: &mut Value| {
            for side in ["minValues", "maxValues"] {
                let bounds = stats[side].as_object_mut().expect("bounds are an object");
                bounds.retain(|column, _| !column.starts_with("kafka_"));
            }
        };
        self.restated(day, forget).await
    }

    /// Swaps the first file of events of `day` for one of the same rows whose statistics are what `change` makes of them.
    pub(crate) async fn restated(&self, day: Day, change: impl Fn(&mut Value)) -> FileEntry {
        let old = self.a_file(Table::Events, day).await;
        let batch = |batch: &RecordBatch| Ok::<_, String>(vec![batch.clone()]);
        let rows = read::collect(&self.context.lake, Table::Events, [&old], &[], batch).await;
        let rows = concat_batches(&Table::Events.file_schema(), &rows.expect("it can be read"));
        let id = self.context.lake.unique_id();
        let new = file_kind::compacted(Table::Events, Some(day), id);
        let mut new = self.write(Table::Events, new, &rows.expect("of one schema")).await;
        let mut stats: Value = serde_json::from_str(&new.stats).expect("statistics are JSON");
        change(&mut stats);
        new.stats = stats.to_string();
        let path = new.path.clone();
        let commit = Commit::new(&self.context.lake, "REWRITE").remove([old]).add([new]);
        self.commit(Table::Events, &commit).await;
        self.log(Table::Events).await.state().file(&path).expect("just committed").clone()
    }

    /// Swaps the first file of events of `day` for one whose rows are of two days before.
    pub(crate) async fn shifted(&self, day: Day) -> FileEntry {
        let old = self.a_file(Table::Events, day).await;
        let (name, schema) = ("event_time", Table::Events.file_schema());
        let shifted = |batch: &RecordBatch| {
            let times = columns::timestamp(batch, name)?;
            let times: TimestampMicrosecondArray = times.unary(|time| time - 48 * HOUR_US);
            let mut values = batch.columns().to_vec();
            values[schema.index_of(name).expect("it has event times")] =
                Arc::new(times.with_timezone("UTC"));
            let batch = RecordBatch::try_new(Arc::clone(&schema), values);
            Ok::<_, ColumnError>(vec![batch.expect("of the schema")])
        };
        let lake = &self.context.lake;
        let rows = read::collect(lake, Table::Events, [&old], &[], shifted).await;
        let rows = concat_batches(&schema, &rows.expect("it can be read")).expect("of one schema");
        let new = file_kind::compacted(Table::Events, Some(day), lake.unique_id());
        let new = self.write(Table::Events, new, &rows).await;
        let path = new.path.clone();
        let commit = Commit::new(lake, "REWRITE").remove([old]).add([new]);
        self.commit(Table::Events, &commit).await;
        self.log(Table::Events).await.state().file(&path).expect("just committed").clone()
    }

    /// The bytes of a data file.
    pub(crate) async fn bytes_of(&self, table: Table, file: &FileEntry) -> Vec<u8> {
        let (store, path) = (self.context.lake.table_store(table), path_of(file));
        store
            .get(&path)
            .await
            .expect("it is there")
            .bytes()
            .await
            .expect("memory can be read")
            .to_vec()
    }

    /// Puts other bytes in the place of a data file.
    pub(crate) async fn overwrite(&self, table: Table, file: &FileEntry, bytes: Vec<u8>) {
        let store = self.context.lake.table_store(table);
        let put = store.put(&path_of(file), PutPayload::from(bytes)).await;
        put.expect("memory accepts objects");
    }

    /// Damages a data file.
    pub(crate) async fn damage(&self, table: Table, file: &FileEntry, damage: Damage) {
        let bytes = self.bytes_of(table, file).await;
        match damage {
            Damage::Torn => self.overwrite(table, file, bytes[..bytes.len() / 2].to_vec()).await,
            Damage::Overwritten => self.overwrite(table, file, vec![7; bytes.len()]).await,
            Damage::Lost => {
                let store = self.context.lake.table_store(table);
                store.delete(&path_of(file)).await.expect("it is there");
            }
        }
    }
}

fn path_of(file: &FileEntry) -> Path {
    Path::parse(&file.path).expect("paths in the log are paths of the store")
}
