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
