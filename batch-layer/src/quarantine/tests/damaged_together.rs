//! Several damaged files, whose offsets lie between each other's, and files that contradict the log.

use super::*;

async fn two_torn(world: &World) -> ([FileEntry; 2], Vec<u8>) {
    let first = world.a_file(Table::Events, day(DAYS[0])).await;
    let second = world.a_file(Table::Events, day(DAYS[1])).await;
    let sound = world.bytes_of(Table::Events, &second).await;
    for file in [&first, &second] {
        world.damage(Table::Events, file, Damage::Torn).await;
    }
    ([first, second], sound)
}

#[tokio::test]
async fn a_file_among_whose_offsets_may_be_those_of_another_damaged_one_waits_for_that_one() {
    let world = world().await;
    let ([first, second], sound) = two_torn(&world).await;
    let refused = quarantine(&world, &first).await;
    assert_eq!(refused.refusal, Some(Refusal::MoreThanItsRows), "{refused}");
    let text = refused.to_string();
    for words in [second.path.as_str(), "7 offsets", "4 rows", "--force"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert_eq!(quarantined(&world).await, []);
    world.overwrite(Table::Events, &second, sound).await;
    assert!(quarantine(&world, &first).await.is_ok());
    assert_eq!(quarantined(&world).await.len(), 4);
    assert_in_order(&world).await;
}

#[tokio::test]
async fn neighbouring_files_of_several_partitions_are_told_apart_by_the_offsets_of_each() {
    let mut world = World::new("UTC", "2025-04-07T12:00:00Z").await;
    let mut files: Vec<FileEntry> = Vec::new();
    // The partitions are at different offsets: what bounds a file in one is in the other's middle.
    for (events, ahead) in [(4, 2), (3, 3)] {
        let of = |partition: i32, count: u32| {
            (0..count).map(move |second| {
                let time = format!("2025-04-05T10:00:{second:02}Z");
                seen("KV1", &time, 50_000 + second).in_partition(partition)
            })
        };
        world.land(&of(0, events).chain(of(1, events + ahead)).collect::<Vec<_>>()).await;
        let log = world.log(Table::Events).await;
        let new = log.state().files_of(day("2025-04-05")).find(|file| !files.contains(file));
        files.push(new.unwrap().clone());
    }
    for file in &files {
        world.damage(Table::Events, file, Damage::Torn).await;
    }
    for (file, rows) in files.iter().zip([10, 9]) {
        let report = quarantine(&world, file).await;
        assert!(report.is_ok(), "{report}");
        let before = if rows == 10 { 0 } else { 10 };
        assert_eq!(quarantined(&world).await.len(), before + rows, "{report}");
    }
    assert_in_order(&world).await;
}

#[tokio::test]
async fn two_damaged_files_that_are_both_lost_are_accounted_for_by_force() {
    let world = world().await;
    let ([first, second], _) = two_torn(&world).await;
    assert!(forced(&world, &first).await.is_ok());
    assert!(quarantine(&world, &second).await.is_ok());
    assert_eq!(quarantined(&world).await.len(), 8);
    assert_in_order(&world).await;
    assert!(world.nightly().await.is_complete());
    assert_in_order(&world).await;
}

#[tokio::test]
async fn offsets_outside_of_what_the_log_says_of_the_file_are_not_believed() {
    let world = world().await;
    let narrow = |stats: &mut serde_json::Value| stats["maxValues"]["kafka_offset"] = 7.into();
    let file = world.restated(day(DAYS[1]), narrow).await;
    let report = quarantine(&world, &file).await;
    let problem = report.problem.clone().unwrap();
    assert!(problem.contains("offset 10 of partition 0"), "{problem}");
    assert!(!report.offsets_are_read, "{report}");
    let offsets: Vec<_> = quarantined(&world).await.into_iter().map(|(_, at)| at.0).collect();
    assert_eq!(offsets, [1, 4, 7], "{report}");
}
