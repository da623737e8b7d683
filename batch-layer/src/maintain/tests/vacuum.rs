//! What no version names any more is deleted once it is old, and announced where a writer might commit it.

use futures::TryStreamExt;
use lake_delta::data_file;
use lake_delta::data_file::NewFile;
use lake_model::WindowSize;

use super::*;

/// A file of `avg_speed` that no log will name.
async fn orphan(world: &World) -> (NewFile, arrow::array::RecordBatch) {
    let batch = lake_tables::avg_speed::batch(&world.served(day(DAY)).await);
    let id = world.context.lake.unique_id();
    let new =
        lake_tables::file_kind::AvgSpeedFile::new_final(day(DAY), "lost", WindowSize::Day, id);
    (new, batch)
}

async fn stored(world: &World, table: Table) -> usize {
    let files = world.context.lake.table_store(table).list(None);
    let names: Vec<String> =
        files.map_ok(|file| file.location.to_string()).try_collect().await.unwrap();
    names.iter().filter(|name| !name.starts_with('_')).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_files_are_deleted_after_their_retention_and_not_before() {
    let world = world().await;
    world.nightly().await;
    maintain(&world).await;
    assert!(stored(&world, Table::Events).await > 12);
    world.set_clock("2025-04-07T13:00:00Z");
    assert!(maintain(&world).await.deleted.is_empty());
    world.set_clock("2025-04-07T13:00:01Z");
    let deleted: Vec<Table> =
        maintain(&world).await.deleted.iter().map(|(table, ..)| *table).collect();
    assert_eq!(deleted, [Table::Events, Table::AvgSpeed]);
    assert_eq!(stored(&world, Table::Events).await, 2);
    let active = world.log(Table::AvgSpeed).await.state().files().count();
    assert_eq!(stored(&world, Table::AvgSpeed).await, active);
    assert!(audit::run(&world.context).await.unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_no_log_names_are_deleted_once_they_are_old() {
    let world = world().await;
    let (new, batch) = orphan(&world).await;
    let lake = &world.context.lake;
    data_file::write(lake, Table::AvgSpeed, new, &batch).await.unwrap();
    let before = stored(&world, Table::AvgSpeed).await;
    // The store in memory dates files by the machine's clock, of which it is only sure that it is past this.
    assert!(maintain(&world).await.deleted.iter().all(|(_, files, _)| *files < before));
    world.set_clock("2999-01-01T00:00:00Z");
    maintain(&world).await;
    let active = world.log(Table::AvgSpeed).await.state().files().count();
    assert_eq!(stored(&world, Table::AvgSpeed).await, active);
}

#[tokio::test(flavor = "multi_thread")]
async fn vacuum_announces_itself_where_a_writer_may_be_about_to_commit_a_file_and_nowhere_else() {
    let world = world().await;
    world.nightly().await;
    maintain(&world).await;
    // Compaction has removed files, which commits have named: nobody is about to commit them.
    world.set_clock("2025-04-07T13:00:01Z");
    let before = versions(&world).await;
    assert!(!maintain(&world).await.deleted.is_empty());
    assert_eq!(versions(&world).await, before);
    let (new, batch) = orphan(&world).await;
    data_file::write(&world.context.lake, Table::AvgSpeed, new, &batch).await.unwrap();
    world.set_clock("2999-01-01T00:00:00Z");
    let dry = run(&world.context, &world.kafka, true, &Shutdown::never()).await.unwrap();
    assert_eq!((dry.deleted.len(), versions(&world).await), (1, before.clone()));
    assert_eq!(maintain(&world).await.deleted.len(), 1);
    let half = i64::try_from(world.context.settings.maintain.orphan_retention.as_micros() / 2);
    let announced = Some(at("2999-01-01T00:00:00Z").saturating_add(-half.unwrap()));
    for (table, before) in Table::ALL.into_iter().zip(before) {
        let log = world.log(table).await;
        let is_announced = table == Table::AvgSpeed;
        let expected = if is_announced { (before.next(), announced) } else { (before, None) };
        assert_eq!((log.state().version(), log.state().vacuumed_before()), expected, "{table}");
    }
    let after = versions(&world).await;
    assert!(maintain(&world).await.deleted.is_empty());
    assert_eq!(versions(&world).await, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_suspended_until_its_files_are_vacuumed_is_given_up_and_made_by_the_next_run() {
    let world = world().await;
    world.nightly().await;
    let mut events = world.log(Table::Events).await;
    let inputs: Vec<FileEntry> = events.state().files_of(day(DAY)).cloned().collect();
    let mut outputs = Vec::new();
    for input in &inputs {
        outputs.push(
            crate::maintain::portable::copy(&world.context, Table::Events, input).await.unwrap(),
        );
    }
    let before = rows(&world, DAY).await;
    world.set_clock("2999-01-01T00:00:00Z");
    let mut report = MaintainReport::default();
    crate::maintain::vacuum::vacuum(&world.context, Table::Events, &mut report).await.unwrap();
    assert_eq!(report.deleted[0].1, inputs.len());
    assert!(
        !crate::maintain::rewrite::swap(&mut events, "COMPACT", &inputs, outputs).await.unwrap()
    );
    assert_eq!(rows(&world, DAY).await, before);
    assert!(!maintain(&world).await.rewritten.is_empty());
}
