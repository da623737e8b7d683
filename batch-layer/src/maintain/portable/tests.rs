//! That files which some readers cannot read become files that all can, with the same rows and of the same kind.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use arrow::datatypes::SchemaRef;
use lake_delta::data_file::{self, NewFile};
use lake_delta::log::FileEntry;
use lake_delta::{Commit, FileUse, Lake, TableSpec, read};
use lake_tables::file_kind;
use lake_tables::{Table, encoding};
use parquet::basic::Encoding;
use parquet::file::properties::WriterPropertiesBuilder;

use crate::maintain::{MaintainReport, Reason, run};
use crate::test_support::{World, day, seen};
use crate::{Shutdown, audit, verify};

const DAY: &str = "2025-04-05";

/// How an earlier release wrote the tables.
fn earlier(_: FileUse, properties: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    let packed = |properties: WriterPropertiesBuilder, column: &str, encoding| {
        properties
            .set_column_dictionary_enabled(column.into(), false)
            .set_column_encoding(column.into(), encoding)
    };
    let properties = packed(properties, "kafka_partition", Encoding::DELTA_BINARY_PACKED);
    let properties = packed(properties, "event_time", Encoding::DELTA_BINARY_PACKED);
    packed(properties, "plate_number", Encoding::DELTA_LENGTH_BYTE_ARRAY)
}

/// The table as an earlier release wrote it.
fn earlier_spec(table: Table) -> &'static TableSpec {
    let file_schema: LazyLock<SchemaRef> = match table {
        Table::Events => LazyLock::new(|| Table::Events.file_schema()),
        _ => LazyLock::new(|| Table::AvgSpeed.file_schema()),
    };
    let TableSpec { name, partition_column, schema, comments, without_bounds, .. } = *table.spec();
    let encoding = earlier;
    Box::leak(Box::new(TableSpec {
        name,
        partition_column,
        file_schema,
        schema,
        comments,
        without_bounds,
        encoding,
    }))
}

/// Writes every file of `table` anew as an earlier release did: in its encodings, and without saying which.
async fn age(world: &World, table: Table) {
    let lake = &world.context.lake;
    let mut log = world.log(table).await;
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    for (index, file) in log.state().files().cloned().enumerate() {
        let copy = file_kind::portable_copy(table, &file, lake.unique_id());
        let mut tags = copy.tags.clone();
        tags.remove("lambdalake.encodings").unwrap();
        let path = copy.path.replace("rewritten", &format!("earlier-{index}"));
        let new = NewFile { path, tags, ..copy };
        let rows = arrow::compute::concat_batches(
            &table.file_schema(),
            &batches(lake, table, &file).await,
        );
        added.push(data_file::write(lake, earlier_spec(table), new, &rows.unwrap()).await.unwrap());
        removed.push(file);
    }
    let commit = Commit::new(lake, "AGE").remove(removed).add(added).rearranging();
    let _ = log.try_commit(&commit).await.unwrap();
}

async fn batches(lake: &Lake, table: Table, file: &FileEntry) -> Vec<arrow::array::RecordBatch> {
    let whole = |batch: &arrow::array::RecordBatch| {
        crate::scan::conformed(batch, &table.file_schema()).map(|batch| vec![batch])
    };
    read::collect(lake, table, [file], &[], whole).await.unwrap()
}

/// The files of `table`: what each is, apart from its encodings, with its rows as text; and how many are not portable.
async fn contents(world: &World, table: Table) -> (Vec<(BTreeMap<String, String>, String)>, usize) {
    let (mut files, mut unreadable) = (Vec::new(), 0);
    for file in world.log(table).await.state().files() {
        let mut tags = BTreeMap::clone(&file.tags);
        tags.remove("lambdalake.encodings");
        files.push((tags, format!("{:?}", batches(&world.context.lake, table, file).await)));
        let store = world.context.lake.table_store(table);
        let found = read::encodings(store, file).await.unwrap();
        let is_portable = found.values().flatten().all(|one| encoding::is_portable(*one));
        unreadable += usize::from(!is_portable);
    }
    files.sort();
    (files, unreadable)
}

async fn maintain(world: &World, dry_run: bool) -> MaintainReport {
    run(&world.context, &world.kafka, dry_run, &Shutdown::never()).await.unwrap()
}

/// A final day in the encodings of an earlier release, in every table that has them.
async fn aged() -> World {
    let mut world = World::new("UTC", "2025-04-07T12:00:00Z").await;
    for second in 0..20 {
        let time = format!("{DAY}T10:00:{second:02}Z");
        let event = seen(&format!("KV{}", second % 3), &time, 50_000 + second).in_partition(0);
        let plated = event.clone().with_plate("А123ВС77");
        world.process(&[if second % 2 == 0 { event } else { plated }]).await;
    }
    world.nightly().await;
    maintain(&world, false).await;
    for table in [Table::Events, Table::AvgSpeed] {
        age(&world, table).await;
    }
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_an_earlier_release_are_rewritten_with_their_rows_in_order_and_of_their_kind() {
    let world = aged().await;
    let mut before = Vec::new();
    for (table, expected) in [(Table::Events, 1), (Table::AvgSpeed, 3)] {
        let (files, unreadable) = contents(&world, table).await;
        assert_eq!(unreadable, expected, "{table}");
        before.push(files);
    }
    let report = maintain(&world, false).await;
    let texts: Vec<String> = report.rewritten.iter().map(ToString::to_string).collect();
    let expected = [("events", 1), ("avg_speed", 3)].map(|(table, files)| {
        format!("{table} {DAY}: {files} file(s) rewritten in encodings that every reader knows")
    });
    assert_eq!(texts, expected);
    for (table, before) in [Table::Events, Table::AvgSpeed].into_iter().zip(before) {
        assert_eq!(contents(&world, table).await, (before, 0), "{table}");
    }
    assert!(audit::run(&world.context).await.unwrap().is_ok());
    assert!(verify::run(&world.context, day(DAY)).await.unwrap().is_ok());
    assert_eq!(maintain(&world, false).await, MaintainReport::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_counts_them_and_leaves_them() {
    let world = aged().await;
    let report = maintain(&world, true).await;
    assert!(report.rewritten.iter().all(|rewritten| rewritten.reason == Reason::Encodings));
    assert_eq!(report.rewritten.iter().map(|rewritten| rewritten.before).sum::<usize>(), 4);
    assert!(report.to_string().contains("would be rewritten"), "{report}");
    assert_eq!(contents(&world, Table::AvgSpeed).await.1, 3);
}

/// What another program has written without saying how is looked at, and left if every reader can read it.
#[tokio::test(flavor = "multi_thread")]
async fn files_without_a_word_about_their_encodings_are_judged_by_their_footers() {
    let world = aged().await;
    maintain(&world, false).await;
    let mut log = world.log(Table::Events).await;
    let lake = &world.context.lake;
    let file = log.state().files().next().unwrap().clone();
    let rows = &batches(lake, Table::Events, &file).await[0];
    let copy = file_kind::portable_copy(Table::Events, &file, lake.unique_id());
    let new = NewFile { tags: BTreeMap::new(), ..copy };
    let foreign = data_file::write(lake, Table::Events, new, rows).await.unwrap();
    let commit = Commit::new(lake, "OPTIMIZE").remove([file]).add([foreign]).rearranging();
    let _ = log.try_commit(&commit).await.unwrap();
    assert_eq!(maintain(&world, false).await, MaintainReport::default());
}
