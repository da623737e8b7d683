//! That a run is reproduced from the events that it has seen, whatever has become of them and of its rows.

#![allow(clippy::unwrap_used)]

use lake_delta::{Commit, read};
use lake_model::SpeedLimits;
use lake_tables::batch_runs::BatchRun;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::test_support::{Damage, NobodyAsks, World, day, seen};
use crate::{Shutdown, maintain, reproduce};

const DAY: &str = "2025-04-05";

/// A day with a repeated event in two partitions, made final once; then late events made it final again.
async fn twice_final() -> (World, [BatchRun; 2]) {
    let mut world = World::new("UTC", "2025-04-07T12:00:00Z").await;
    for minute in 0..6_u32 {
        let time = format!("2025-04-05T10:{:02}:00Z", 7 * minute);
        let event = seen(&format!("KV{}", minute % 2), &time, 50_000 + minute).in_partition(0);
        world.process(&[event.clone(), event.clone(), event.in_partition(1)]).await;
    }
    let first = world.nightly().await.done.remove(0);
    for partition in 0..2_i32 {
        let late = seen("KV0", "2025-04-05T10:00:01Z", 99_000 + partition.unsigned_abs());
        world.land(&[late.in_partition(partition).late()]).await;
    }
    let second = world.nightly().await.done.remove(0);
    (world, [first, second])
}

fn of(run: &BatchRun) -> ReproduceOptions {
    ReproduceOptions { run_id: run.run_id.clone(), day: None, out: None }
}

async fn outcome(world: &World, run: &BatchRun) -> Outcome {
    reproduce::run(&world.context, &of(run)).await.unwrap().days.remove(0).outcome
}

async fn compact(world: &World) {
    let never = Shutdown::never();
    let report = maintain::run(&world.context, &NobodyAsks, false, &never).await.unwrap();
    assert!(!report.rewritten.is_empty(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_run_is_reproduced_though_events_came_later_and_were_compacted() {
    let (world, [first, second]) = twice_final().await;
    for compacted in [false, true] {
        if compacted {
            compact(&world).await;
        }
        assert_eq!(outcome(&world, &first).await, Outcome::AsRecorded);
        assert_eq!(outcome(&world, &second).await, Outcome::AsPublished);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rows_written_out_are_those_that_were_published() {
    let (world, [first, second]) = twice_final().await;
    let folder = tempfile::tempdir().unwrap();
    let rows = async |run: &BatchRun| {
        let options = ReproduceOptions { out: Some(folder.path().join("new")), ..of(run) };
        let report = reproduce::run(&world.context, &options).await.unwrap();
        let path = report.days[0].file.clone().unwrap();
        assert!(report.to_string().contains(&path.display().to_string()), "{report}");
        let file = std::fs::File::open(path).unwrap();
        let batches = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let texts = batches.flat_map(|batch| text(&batch.unwrap()));
        let mut texts: Vec<String> = texts.collect();
        texts.sort_unstable();
        texts
    };
    let log = world.log(Table::AvgSpeed).await;
    let files = log.state().files_of(day(DAY));
    let read = |batch: &arrow::array::RecordBatch| Ok::<_, String>(text(batch));
    let lake = &world.context.lake;
    let mut published = read::collect(lake, Table::AvgSpeed, files, &[], read).await.unwrap();
    published.sort_unstable();
    assert_eq!(rows(&second).await, published);
    let earlier = rows(&first).await;
    assert!(!earlier.is_empty() && earlier != published);
}

/// The rows without the column that only the speed layer needs.
fn text(batch: &arrow::array::RecordBatch) -> Vec<String> {
    let row = |row: usize| {
        let schema = batch.schema();
        let fields = schema.fields().iter().filter(|field| field.name() != avg_speed::HISTOGRAM);
        let of_row =
            |name: &str| format!("{name} {:?}", batch.column_by_name(name).unwrap().slice(row, 1));
        let mut columns: Vec<String> = fields.map(|field| of_row(field.name())).collect();
        columns.sort_unstable();
        columns.concat()
    };
    (0..batch.num_rows()).map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_not_as_published_and_events_that_are_gone_are_said() {
    let (mut world, [first, second]) = twice_final().await;
    world.context.limits = SpeedLimits::from_kmh(Some(50.0), &BTreeMap::default());
    assert!(matches!(outcome(&world, &second).await, Outcome::Differs(rows) if rows > 0));
    let file = world.a_file(Table::Events, day(DAY)).await;
    let gone = Commit::new(&world.context.lake, "TAKE").remove([file.clone()]);
    world.commit(Table::Events, &gone).await;
    let found = outcome(&world, &first).await;
    let Outcome::Counts(differences) = &found else { panic!("{found}") };
    assert_eq!(differences[0].column, "rows_read");
    assert!(found.to_string().contains("rows_read was"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_or_a_day_that_is_not_recorded_is_a_matter_of_usage() {
    let (world, [first, _]) = twice_final().await;
    let unknown = ReproduceOptions { run_id: "nobody".to_owned(), ..of(&first) };
    let other_day = ReproduceOptions { day: Some(day("2025-04-04")), ..of(&first) };
    for (options, part) in [(unknown, "as-of --time"), (other_day, DAY)] {
        let error = run(&world.context, &options).await.unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_is_an_error_that_names_it() {
    let (world, [first, _]) = twice_final().await;
    let file = world.a_file(Table::Events, day(DAY)).await;
    world.damage(Table::Events, &file, Damage::Torn).await;
    let error = run(&world.context, &of(&first)).await.unwrap_err();
    assert!(error.to_string().contains(&file.path), "{error}");
}
