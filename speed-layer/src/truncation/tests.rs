//! Leader epochs in lakes in memory, and logs of Kafka that were cut below what is landed.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use lake_delta::Lake;
use lake_model::{KafkaPartition, LeaderEpoch, Offset};
use lake_tables::Table;

use crate::recovery::RecoveryError;
use crate::source::{AssignedPartition, Start, Truncation};
use crate::takeover::Takeover;
use crate::test_instance::{Instance, lake, offsets, version, whole};

use super::*;

async fn ask(
    instance: &mut Instance,
    assigned: AssignedPartition,
) -> Result<Vec<Start>, RecoveryError> {
    let (held, committer) = (&mut instance.partitions, &mut instance.committer);
    instance.takeover.load(&[assigned], held, committer, &instance.rules).await
}

async fn load(
    instance: &mut Instance,
    assigned: AssignedPartition,
) -> Result<Start, RecoveryError> {
    Ok(ask(instance, assigned).await?[0])
}

const PARTITION: KafkaPartition = KafkaPartition(0);

/// A cut below the ten records that `events` hold.
const CUT: CutBelowLanded = CutBelowLanded {
    partition: PARTITION,
    end: Some(Offset(7)),
    position: Offset(10),
    covered_to: Offset(10),
    averaged_to: Offset(10),
};

/// A lake whose `events` hold ten records of partition 0, of leaders 4 and 5, and whose averages hold so many of these.
async fn lake_with(averaged: i64) -> Lake {
    let lake = lake();
    let mut instance = Instance::holding(&lake, &[0]).await;
    for (epoch, first, next) in [(4, 0, 6), (5, 6, 10)] {
        instance.receive_under(epoch, first, next - first);
        instance.land().await;
        if averaged >= next {
            instance.average(true).await;
        }
    }
    lake
}

/// Kafka's verdict over `position`: the log that was read ends at `end`.
fn cut(position: i64, end: i64) -> AssignedPartition {
    let (position, end) = (Offset(position), Some(Offset(end)));
    let truncation = Truncation { position, end, leader_epoch: None };
    AssignedPartition { truncation: Some(truncation), ..whole(0) }
}

fn epoch(number: i64) -> Option<LeaderEpoch> {
    LeaderEpoch::new(number)
}

fn on_record(instance: &Instance) -> Vec<(Option<i64>, i64)> {
    let tables = instance.committer.tables();
    let found = tables.app_ids.accepted_truncations(tables.events.state(), PARTITION);
    found.iter().map(|found| (found.end.map(|end| end.0), found.position.0)).collect()
}

async fn accepting(lake: &Lake) -> Instance {
    Instance { takeover: Takeover::new(true), ..Instance::on(lake).await }
}

#[tokio::test]
async fn a_partition_starts_with_the_leader_epoch_that_is_stored_beside_its_offset() {
    for (averaged, expected) in [(10, (10, epoch(5))), (6, (6, epoch(4)))] {
        let mut new = Instance::on(&lake_with(averaged).await).await;
        let start = load(&mut new, whole(0)).await.unwrap();
        assert_eq!((start.offset.0, start.leader_epoch), expected);
    }
}

#[tokio::test]
async fn an_epoch_that_is_stored_beside_another_offset_says_nothing() {
    let lake = lake_with(10).await;
    let mut older = Instance::holding(&lake, &[0]).await;
    older.receive_events(0, 10, 2);
    older.land().await;
    older.average(true).await;
    let start = load(&mut Instance::on(&lake).await, whole(0)).await.unwrap();
    assert_eq!((start.offset.0, start.leader_epoch), (12, None));
}

#[tokio::test]
async fn the_end_of_a_transaction_has_the_epoch_of_its_own_leader() {
    let lake = lake_with(10).await;
    let mut instance = Instance::holding(&lake, &[0]).await;
    instance.partitions.iter_mut().for_each(|held| held.advance(Offset(11), epoch(7)));
    instance.land().await;
    instance.average(true).await;
    let start = load(&mut Instance::on(&lake).await, whole(0)).await.unwrap();
    assert_eq!((start.offset.0, start.leader_epoch), (11, epoch(7)));
}

#[tokio::test]
async fn a_log_that_was_cut_below_what_is_landed_is_refused_with_the_offsets_and_the_setting() {
    let mut new = Instance::on(&lake_with(10).await).await;
    let refused = load(&mut new, cut(10, 7)).await.unwrap_err().to_string();
    for part in ["topic camera-events, partition 0", "offsets 7 to 9", "kafka.on_data_loss"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert!(on_record(&new).is_empty());
}

#[tokio::test]
async fn a_verdict_over_what_had_not_landed_leaves_the_tables_as_they_are() {
    let mut new = Instance::on(&lake_with(10).await).await;
    let start = load(&mut new, cut(11, 10)).await.unwrap();
    assert_eq!((start.offset.0, start.leader_epoch), (10, epoch(5)));
}

#[tokio::test]
async fn a_verdict_over_what_had_not_landed_counts_where_the_cut_is_below_what_has() {
    let mut new = Instance::on(&lake_with(10).await).await;
    let refused = load(&mut new, cut(15, 7)).await.unwrap_err().to_string();
    assert!(refused.contains("offsets 7 to 9"), "{refused}");
}

/// A lake whose averages hold two records more than its `events`, which hold ten.
async fn lake_with_averages_ahead() -> Lake {
    let lake = lake_with(10).await;
    let mut instance = Instance::holding(&lake, &[0]).await;
    instance.receive_under(5, 10, 2);
    instance.average(true).await;
    lake
}

#[tokio::test]
async fn averages_that_are_ahead_of_events_are_of_the_log_that_was_cut_too() {
    let lake = lake_with_averages_ahead().await;
    let mut new = Instance::on(&lake).await;
    let refused = load(&mut new, cut(15, 11)).await.unwrap_err().to_string();
    assert!(refused.contains("offsets 11 to 11"), "{refused}");
    // The log has grown again meanwhile, and nobody has seen that it was shorter.
    let mut instance = Instance::holding(&lake, &[0]).await;
    let held = instance.partitions.get(PARTITION).unwrap();
    for (first, leader_epoch, contradicts) in [(10, 5, false), (11, 6, true), (12, 6, false)] {
        let mut batch = instance.batch(0, &[(first, Some(first))]);
        batch.leader_epoch = epoch(leader_epoch);
        assert_eq!(held.is_contradicted_by(&batch), contradicts, "{first}");
    }
    instance.receive_under(5, 10, 2);
    instance.land().await;
    assert_eq!(offsets(&lake, Table::Events).await.len(), 12);
}

/// A lake whose `events` hold ten records, and in which `table` alone covers two more of leader 5: the program ended between
/// the two commits.
async fn lake_with_rows_ahead(table: Table) -> Lake {
    let lake = lake_with(10).await;
    let mut instance = Instance::holding(&lake, &[0]).await;
    if table == Table::DeadLetters {
        instance.receive_records_under(5, &[(10, None), (11, None)]);
    } else {
        instance.partitions.iter_mut().for_each(|held| held.advance(Offset(12), epoch(5)));
    }
    instance.land_beside_events().await;
    assert_eq!(offsets(&lake, table).await, [(0, 10), (0, 11)]);
    lake
}

#[tokio::test]
async fn dead_letters_and_gaps_that_are_ahead_of_events_are_of_the_log_that_was_cut_too() {
    for table in [Table::DeadLetters, Table::OffsetGaps] {
        let lake = lake_with_rows_ahead(table).await;
        let refused = load(&mut Instance::on(&lake).await, cut(15, 11)).await.unwrap_err();
        assert!(refused.to_string().contains("offsets 11 to 11"), "{table:?}: {refused}");
        // The log has grown again meanwhile, and nobody has seen that it was shorter.
        let mut instance = Instance::holding(&lake, &[0]).await;
        let held = instance.partitions.get(PARTITION).unwrap();
        for (first, leader_epoch, contradicts) in [(10, 5, false), (11, 6, true), (12, 6, false)] {
            let mut batch = instance.batch(0, &[(first, Some(first))]);
            batch.leader_epoch = epoch(leader_epoch);
            assert_eq!(held.is_contradicted_by(&batch), contradicts, "{table:?}, {first}");
        }
        // Nothing was cut.
        instance.receive_under(5, 12, 2);
        instance.land().await;
        let end = load(&mut Instance::on(&lake).await, cut(15, 12)).await.unwrap_err();
        assert!(end.to_string().contains("offsets 12 to 13"), "{table:?}: {end}");
    }
}

#[tokio::test]
async fn where_rows_ahead_of_events_were_cut_the_record_says_how_far_they_reach() {
    for table in [Table::DeadLetters, Table::OffsetGaps] {
        let lake = lake_with_rows_ahead(table).await;
        let mut instance = accepting(&lake).await;
        for _ in 0..2 {
            assert_eq!(load(&mut instance, cut(15, 10)).await.unwrap().offset, Offset(10));
        }
        let tables = instance.committer.tables();
        let found = tables.app_ids.accepted_truncations(tables.events.state(), PARTITION);
        let found: Vec<_> = found.iter().map(|cut| (cut.position.0, cut.covered_to.0)).collect();
        assert_eq!(found, [(10, 12)], "{table:?}");
        // What is covered stays, and everything else is read from the new log.
        instance.receive_under(6, 10, 4);
        instance.land().await;
        instance.average(true).await;
        let all: Vec<_> = (0..10).chain(12..14).map(|offset| (0, offset)).collect();
        assert_eq!(offsets(&lake, Table::Events).await, all, "{table:?}");
        let mut strict = Instance::on(&lake).await;
        assert_eq!(load(&mut strict, whole(0)).await.unwrap().offset, Offset(14));
    }
}

#[tokio::test]
async fn rows_that_a_cut_left_ahead_contradict_nothing_of_the_new_log_once_it_was_accepted() {
    let lake = lake_with_rows_ahead(Table::DeadLetters).await;
    let mut instance = accepting(&lake).await;
    load(&mut instance, cut(15, 10)).await.unwrap();
    // The first of two records under offsets that are covered already.
    instance.receive_under(6, 10, 1);
    instance.land().await;
    let mut strict = Instance::on(&lake).await;
    assert_eq!(load(&mut strict, whole(0)).await.unwrap().offset, Offset(10));
    let mut batch = strict.batch(0, &[(11, Some(11))]);
    batch.leader_epoch = epoch(6);
    assert!(!strict.partitions.get(PARTITION).unwrap().is_contradicted_by(&batch));
}

#[tokio::test]
async fn a_cut_below_averages_alone_is_accepted_before_events_hold_anything() {
    let lake = lake();
    let mut instance = Instance::holding(&lake, &[0]).await;
    instance.receive_under(4, 0, 2);
    instance.average(true).await;
    let refused = load(&mut Instance::on(&lake).await, cut(2, 1)).await.unwrap_err();
    assert!(refused.to_string().contains("offsets 1 to 1"), "{refused}");
    let mut instance = accepting(&lake).await;
    assert_eq!(load(&mut instance, cut(2, 1)).await.unwrap().offset, Offset(0));
    assert_eq!(on_record(&instance), [(Some(1), 0)]);
    instance.receive_under(4, 0, 1);
    instance.receive_under(5, 1, 3);
    instance.land().await;
    instance.average(true).await;
    assert_eq!(offsets(&lake, Table::Events).await, [0, 1, 2, 3].map(|offset| (0, offset)));
    let mut strict = Instance::on(&lake).await;
    assert_eq!(load(&mut strict, whole(0)).await.unwrap().offset, Offset(4));
}

#[tokio::test]
async fn where_a_cut_is_accepted_consuming_goes_on_at_what_is_landed_and_it_is_on_record_once() {
    let lake = lake_with(10).await;
    let mut new = accepting(&lake).await;
    for _ in 0..2 {
        let start = load(&mut new, cut(10, 7)).await.unwrap();
        assert_eq!((start.offset.0, start.leader_epoch), (10, None), "it would be refused again");
        assert_eq!(on_record(&new), [(Some(7), 10)]);
    }
    // It was accepted for good, whatever the setting says later, and however short the log is.
    let mut strict = Instance::on(&lake).await;
    let short = AssignedPartition { high: Offset(8), ..whole(0) };
    assert_eq!(load(&mut strict, short).await.unwrap().offset, Offset(10));
    strict.receive_under(6, 10, 2);
    strict.land().await;
    strict.average(true).await;
    let start = load(&mut Instance::on(&lake).await, whole(0)).await.unwrap();
    assert_eq!((start.offset.0, start.leader_epoch), (12, epoch(6)));
    let all: Vec<_> = (0..12).map(|offset| (0, offset)).collect();
    assert_eq!(offsets(&lake, Table::Events).await, all);
}

#[tokio::test]
async fn a_shorter_log_without_a_leader_epoch_is_refused_once_newer_bounds_are_short_too() {
    // It may be a topic that was made anew.
    let lake = lake_with(10).await;
    let mut older = Instance::holding(&lake, &[0]).await;
    older.receive_events(0, 10, 2);
    older.land().await;
    older.average(true).await;
    let short = AssignedPartition { high: Offset(8), ..whole(0) };
    let mut new = accepting(&lake).await;
    assert!(ask(&mut new, short).await.unwrap().is_empty());
    let refused = load(&mut new, short).await.unwrap_err();
    assert!(
        matches!(refused, RecoveryError::Shorter { wanted: Offset(12), end: Offset(8), .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn whether_a_shorter_log_was_cut_and_where_is_for_kafka_to_say() {
    for (averaged, expected) in [(10, (10, epoch(5))), (6, (6, epoch(4)))] {
        let mut new = accepting(&lake_with(averaged).await).await;
        let short = AssignedPartition { high: Offset(8), ..whole(0) };
        let start = load(&mut new, short).await.unwrap();
        assert_eq!((start.offset.0, start.leader_epoch), expected, "a broker may lag behind");
        assert!(on_record(&new).is_empty());
    }
}

#[tokio::test]
async fn a_second_cut_is_accepted_and_recorded_as_another() {
    let lake = lake_with(10).await;
    let mut instance = accepting(&lake).await;
    load(&mut instance, cut(10, 7)).await.unwrap();
    instance.receive_under(6, 10, 2);
    instance.land().await;
    instance.average(true).await;
    assert_eq!(load(&mut instance, cut(12, 11)).await.unwrap().offset, Offset(12));
    assert_eq!(on_record(&instance), [(Some(7), 10), (Some(11), 12)]);
}

#[tokio::test]
async fn averages_that_were_behind_go_on_with_what_is_landed() {
    let lake = lake_with(6).await;
    // The program ends between the two commits.
    accept(Instance::on(&lake).await.committer.tables_mut(), CUT).await.unwrap();
    let mut instance = Instance::on(&lake).await;
    assert_eq!(load(&mut instance, whole(0)).await.unwrap().offset, Offset(10));
    assert_eq!(instance.partitions.get(PARTITION).unwrap().avg_speed_offset, Some(Offset(10)));
    let before = version(&lake, Table::AvgSpeed).await;
    load(&mut instance, whole(0)).await.unwrap();
    assert_eq!(version(&lake, Table::AvgSpeed).await, before);
}

#[tokio::test]
async fn a_log_that_was_cut_before_its_averages_began_is_found_by_its_records() {
    let instance = Instance::holding(&lake_with(0).await, &[0]).await;
    let held = instance.partitions.get(PARTITION).unwrap();
    assert_eq!((held.position(), held.avg_speed_offset), (Offset(0), None));
    for (leader_epoch, contradicts) in [(5, false), (6, true)] {
        let mut batch = instance.batch(0, &[(0, Some(0))]);
        batch.leader_epoch = epoch(leader_epoch);
        assert_eq!(held.is_contradicted_by(&batch), contradicts, "{leader_epoch}");
    }
}

#[tokio::test]
async fn averages_that_a_cut_left_ahead_contradict_nothing_once_it_was_accepted() {
    let lake = lake_with_averages_ahead().await;
    let mut instance = accepting(&lake).await;
    assert_eq!(load(&mut instance, cut(12, 10)).await.unwrap().offset, Offset(10));
    let tables = instance.committer.tables();
    let newest = newest(&tables.events, &tables.app_ids, PARTITION).unwrap();
    assert_eq!((newest.position, newest.averaged_to), (Offset(10), Offset(12)));
    instance.receive_under(6, 10, 1);
    instance.land().await;
    let instance = Instance::holding(&lake, &[0]).await;
    let mut batch = instance.batch(0, &[(11, Some(11))]);
    batch.leader_epoch = epoch(6);
    let held = instance.partitions.get(PARTITION).unwrap();
    assert_eq!((held.position(), held.avg_speed_offset), (Offset(11), Some(Offset(12))));
    assert!(!held.is_contradicted_by(&batch), "it would be accepted again");
    assert_eq!(on_record(&instance), [(Some(10), 10)]);
}

#[tokio::test]
async fn records_of_a_later_leader_than_what_is_landed_under_their_offsets_contradict_it() {
    // Averages are behind: the replay begins where both logs are the same still.
    let mut instance = Instance::holding(&lake_with(6).await, &[0]).await;
    let held = instance.partitions.get(PARTITION).unwrap();
    for (first, leader_epoch, contradicts) in [(6, 5, false), (8, 6, true), (10, 6, false)] {
        let mut batch = instance.batch(0, &[(first, Some(first)), (first + 1, None)]);
        batch.leader_epoch = epoch(leader_epoch);
        assert_eq!(held.is_contradicted_by(&batch), contradicts, "{first}");
    }
    let mut unknown = instance.batch(0, &[(8, None)]);
    unknown.leader_epoch = None;
    assert!(!held.is_contradicted_by(&unknown));
    let (held, committer) = (&mut instance.partitions, &mut instance.committer);
    let (takeover, rules) = (&mut instance.takeover, &instance.rules);
    let refused =
        takeover.reload_truncated(PARTITION, Offset(8), held, committer, rules).await.unwrap_err();
    assert!(refused.to_string().contains("offsets 8 to 9"), "{refused}");
}

#[tokio::test]
async fn a_verdict_that_was_accepted_already_says_nothing_of_what_has_landed_since() {
    let lake = lake_with(10).await;
    let mut owner = accepting(&lake).await;
    load(&mut owner, cut(10, 7)).await.unwrap();
    owner.receive_under(6, 10, 2);
    assert!(owner.land().await.is_empty());
    // It was suspended with Kafka's verdict from before the cut was accepted.
    let mut zombie = accepting(&lake).await;
    let before = version(&lake, Table::AvgSpeed).await;
    let start = load(&mut zombie, cut(10, 7)).await.unwrap();
    assert_eq!((start.offset.0, start.leader_epoch), (10, None), "it would be refused again");
    assert_eq!(on_record(&zombie), [(Some(7), 10)]);
    assert_eq!(version(&lake, Table::AvgSpeed).await, before);
    assert_eq!(owner.average(true).await, Some(BTreeSet::new()));
}

#[tokio::test]
async fn a_verdict_over_what_was_never_landed_says_nothing_of_what_a_later_leader_has_landed_since()
{
    for (found_for, is_refused) in [(5, false), (6, true), (7, true)] {
        let lake = lake_with(10).await;
        // It read on and was suspended; the log was cut where the tables end, and its successor landed what came then.
        let mut successor = Instance::holding(&lake, &[0]).await;
        successor.receive_under(6, 10, 6);
        successor.land().await;
        successor.average(true).await;
        let mut verdict = cut(14, 10);
        verdict.truncation =
            verdict.truncation.map(|it| Truncation { leader_epoch: epoch(found_for), ..it });
        let mut zombie = accepting(&lake).await;
        assert_eq!(load(&mut zombie, verdict).await.unwrap().offset, Offset(16));
        let accepted = usize::from(is_refused);
        assert_eq!(on_record(&zombie).len(), accepted, "found for a log up to leader {found_for}");
    }
}

#[tokio::test]
async fn a_verdict_over_averages_counts_though_a_later_leader_was_elected_before_events_landed() {
    let lake = lake_with(10).await;
    let mut instance = Instance::holding(&lake, &[0]).await;
    instance.receive_under(6, 10, 2);
    instance.land().await;
    let mut verdict = cut(10, 7);
    verdict.truncation = verdict.truncation.map(|it| Truncation { leader_epoch: epoch(5), ..it });
    let refused = load(&mut Instance::on(&lake).await, verdict).await.unwrap_err();
    assert!(refused.to_string().contains("offsets 7 to 11"), "{refused}");
}

#[tokio::test]
async fn who_was_overtaken_accepts_nothing_and_judges_again() {
    for lands in [false, true] {
        let lake = lake_with(6).await;
        let mut zombie = accepting(&lake).await;
        let mut owner = Instance::holding(&lake, &[0]).await;
        if lands {
            owner.receive_under(5, 6, 6);
            assert!(owner.land().await.is_empty());
        } else {
            // Its first news are of averages: `events` is claimed and its offset stays.
            owner.receive_under(5, 6, 1);
            assert_eq!(owner.average(true).await, Some(BTreeSet::new()));
        }
        let next = Offset(6);
        let judged = CutBelowLanded { position: next, covered_to: next, averaged_to: next, ..CUT };
        let refused = accept(zombie.committer.tables_mut(), judged).await;
        assert!(refused.unwrap_err().is_transient(), "its load is tried again");
        assert!(on_record(&Instance::on(&lake).await).is_empty());
        owner.receive_under(5, 12, 1);
        assert!(owner.land().await.is_empty());
        assert_eq!(owner.average(true).await, Some(BTreeSet::new()));
    }
}

#[tokio::test]
async fn averages_of_an_owner_that_has_landed_more_are_not_moved_to_where_a_cut_was_accepted() {
    let lake = lake_with(6).await;
    let mut owner = Instance::holding(&lake, &[0]).await;
    accept(Instance::on(&lake).await.committer.tables_mut(), CUT).await.unwrap();
    let mut zombie = Instance::on(&lake).await;
    owner.receive_under(5, 6, 6);
    assert!(owner.land().await.is_empty(), "what another has accepted fences nobody");
    let refused = apply_accepted(zombie.committer.tables_mut(), PARTITION).await;
    assert!(refused.unwrap_err().is_transient(), "its load is tried again");
    assert_eq!(owner.average(true).await, Some(BTreeSet::new()));
    assert_eq!(averaged(&lake).await, Some(Offset(12)));
}

/// The next offset of `avg_speed`.
async fn averaged(lake: &Lake) -> Option<Offset> {
    let instance = Instance::on(lake).await;
    let tables = instance.committer.tables();
    tables.app_ids.progress(tables.avg_speed.state(), PARTITION).next_offset
}
