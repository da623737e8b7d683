//! What is refused, and what is done by force only.

use super::*;

#[tokio::test]
async fn a_file_that_reads_well_is_refused_and_is_taken_out_by_force() {
    let world = world().await;
    let file = world.a_file(Table::Events, day(DAYS[1])).await;
    let report = quarantine(&world, &file).await;
    assert_eq!(report.refusal, Some(Refusal::Sound));
    assert!(report.to_string().contains("--force"), "{report}");
    assert!(is_named(&world, Table::Events, &file).await);
    let offsets = offsets_of(&world, &file).await;
    assert!(forced(&world, &file).await.is_ok());
    assert_eq!(quarantined(&world).await, offsets);
    assert_in_order(&world).await;
}

#[tokio::test]
async fn offsets_that_were_missing_before_are_not_passed_off_as_those_of_the_file() {
    let world = world().await;
    let [file, gone] = [DAYS[1], DAYS[0]].map(day);
    let file = world.a_file(Table::Events, file).await;
    let gone = world.a_file(Table::Events, gone).await;
    let commit = Commit::new(&world.context.lake, "LOSE").remove([gone]);
    world.commit(Table::Events, &commit).await;
    world.damage(Table::Events, &file, Damage::Torn).await;
    let report = quarantine(&world, &file).await;
    assert_eq!(report.refusal, Some(Refusal::MoreThanItsRows), "{report}");
    assert!(is_named(&world, Table::Events, &file).await);
    assert_eq!(quarantined(&world).await, []);
}

#[tokio::test]
async fn what_cannot_be_known_of_a_file_without_bounds_is_said_and_counted_by_force_only() {
    let world = world().await;
    let file = world.without_bounds(day(DAYS[1])).await;
    let offsets = offsets_of(&world, &file).await;
    world.damage(Table::Events, &file, Damage::Lost).await;
    let audited = audit::run(&world.context).await.unwrap();
    assert!(audited.partitions.iter().any(|partition| !partition.missing.is_empty()));
    let report = quarantine(&world, &file).await;
    assert_eq!(report.refusal, Some(Refusal::UnknownOffsets));
    assert!(report.to_string().contains("can't be known"), "{report}");
    assert!(forced(&world, &file).await.is_ok());
    assert_eq!(quarantined(&world).await, offsets);
    assert_in_order(&world).await;
}

#[tokio::test]
async fn what_is_no_file_to_be_quarantined_is_a_matter_of_usage_with_what_to_do() {
    let world = world().await;
    world.nightly().await;
    let file = world.a_file(Table::Events, day(DAYS[1])).await;
    world.damage(Table::Events, &file, Damage::Torn).await;
    assert!(quarantine(&world, &file).await.is_ok());
    let averages = world.a_file(Table::AvgSpeed, day(DAYS[1])).await;
    for (named, words) in [
        (format!("events/{}", file.path), "quarantined or rewritten already"),
        (format!("avg_speed/{}", averages.path), "nightly --date 2025-04-05 --force"),
        ("elsewhere/x.parquet".to_owned(), "audit"),
        (String::new(), "audit"),
    ] {
        let options = QuarantineOptions { file: named, dry_run: false, force: false };
        let error: BatchError = run(&world.context, &options).await.unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(world.version(Table::OffsetGaps).await > TableVersion(0));
}
