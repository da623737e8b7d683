//! Cuts below what only one of the tables holds, since the program ended between two commits.

use super::*;

/// A lake whose `events` hold ten records, and in which `table` alone has two more of leader 5: the program ended between the
/// two commits.
async fn lake_ahead_in(table: Table) -> Lake {
    let lake = lake_with(10).await;
    let mut instance = Instance::holding(&lake, &[0]).await;
    match table {
        Table::AvgSpeed => {
            instance.receive_under(5, 10, 2);
            instance.average(true).await;
            return lake;
        }
        Table::DeadLetters => instance.receive_records_under(5, &[(10, None), (11, None)]),
        _ => instance.partitions.iter_mut().for_each(|held| held.advance(Offset(12), epoch(5))),
    }
    instance.land_beside_events().await;
    assert_eq!(offsets(&lake, table).await, [(0, 10), (0, 11)]);
    lake
}

#[tokio::test]
async fn what_a_table_holds_ahead_of_events_is_of_the_log_that_was_cut_too() {
    for table in [Table::AvgSpeed, Table::DeadLetters, Table::OffsetGaps] {
        let lake = lake_ahead_in(table).await;
        let refused = load(&mut Instance::on(&lake).await, cut(15, 11)).await.unwrap_err();
        assert!(refused.to_string().contains("offsets 11 to 11"), "{table:?}: {refused}");
        // The log has grown again meanwhile, and nobody has seen that it was shorter.
        let mut instance = Instance::holding(&lake, &[0]).await;
        for (offset, leader_epoch, contradicts) in [(10, 5, false), (11, 6, true), (12, 6, false)] {
            let found = is_contradicted(&instance, offset, Some(leader_epoch));
            assert_eq!(found, contradicts, "{table:?}, {offset}");
        }
        // Nothing was cut.
        instance.receive_under(5, 10, 4);
        instance.land().await;
        let end = load(&mut Instance::on(&lake).await, cut(15, 12)).await.unwrap_err();
        assert!(end.to_string().contains("offsets 12 to 13"), "{table:?}: {end}");
    }
}

#[tokio::test]
async fn where_rows_ahead_of_events_were_cut_the_record_says_how_far_they_reach() {
    for table in [Table::DeadLetters, Table::OffsetGaps] {
        let lake = lake_ahead_in(table).await;
        let mut instance = accepting(&lake).await;
        for _ in 0..2 {
            assert_eq!(load(&mut instance, cut(15, 10)).await.unwrap().offset, Offset(10));
        }
        let tables = instance.committer.tables();
        let found = tables.app_ids.accepted_truncations(tables.events.state(), PARTITION);
        let found: Vec<_> =
            found.iter().map(|found| (found.cut.position.0, found.cut.covered_to.0)).collect();
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
    let lake = lake_ahead_in(Table::DeadLetters).await;
    let mut instance = accepting(&lake).await;
    load(&mut instance, cut(15, 10)).await.unwrap();
    // The first of two records under offsets that are covered already.
    instance.receive_under(6, 10, 1);
    instance.land().await;
    let mut strict = Instance::on(&lake).await;
    assert_eq!(load(&mut strict, whole(0)).await.unwrap().offset, Offset(10));
    assert!(!is_contradicted(&strict, 11, Some(6)));
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
async fn averages_that_a_cut_left_ahead_contradict_nothing_once_it_was_accepted() {
    let lake = lake_ahead_in(Table::AvgSpeed).await;
    let mut instance = accepting(&lake).await;
    assert_eq!(load(&mut instance, cut(12, 10)).await.unwrap().offset, Offset(10));
    let tables = instance.committer.tables();
    let newest = newest(&tables.events, &tables.app_ids, PARTITION).unwrap().cut;
    assert_eq!((newest.position, newest.averaged_to), (Offset(10), Offset(12)));
    instance.receive_under(6, 10, 1);
    instance.land().await;
    let instance = Instance::holding(&lake, &[0]).await;
    let held = instance.partitions.get(PARTITION).unwrap();
    assert_eq!((held.position(), held.avg_speed_offset), (Offset(11), Some(Offset(12))));
    assert!(!is_contradicted(&instance, 11, Some(6)), "it would be accepted again");
    assert_eq!(on_record(&instance), [(Some(10), 10)]);
}

#[tokio::test]
async fn what_a_cut_left_ahead_contradicts_nothing_while_records_before_the_cut_still_come() {
    for table in [Table::AvgSpeed, Table::DeadLetters, Table::OffsetGaps] {
        let lake = lake_ahead_in(table).await;
        let mut instance = accepting(&lake).await;
        assert_eq!(load(&mut instance, cut(12, 11)).await.unwrap().offset, Offset(10));
        // What the new log has before the cut is of the leaders before it.
        instance.receive_under(5, 10, 1);
        instance.land().await;
        let mut strict = Instance::on(&lake).await;
        load(&mut strict, whole(0)).await.unwrap();
        assert!(!is_contradicted(&strict, 11, Some(6)), "{table:?}: it would be accepted again");
        let mut instance = accepting(&lake).await;
        load(&mut instance, cut(15, 11)).await.unwrap();
        assert_eq!(on_record(&instance), [(Some(11), 10)], "{table:?}");
    }
}

#[tokio::test]
async fn averages_that_a_cut_left_ahead_are_gone_on_with_once_events_have_passed_them() {
    let lake = lake_ahead_in(Table::AvgSpeed).await;
    let mut instance = accepting(&lake).await;
    assert_eq!(load(&mut instance, cut(12, 11)).await.unwrap().offset, Offset(10));
    instance.receive_under(5, 10, 1);
    instance.receive_under(6, 11, 4);
    // The program ends before it commits averages of these.
    instance.land().await;
    let mut instance = accepting(&lake).await;
    let start = load(&mut instance, whole(0)).await.unwrap();
    assert_eq!((start.offset.0, start.leader_epoch), (12, None), "it would be refused for ever");
    assert!(!is_contradicted(&instance, 12, Some(6)));
    instance.receive_under(6, 12, 4);
    instance.land().await;
    instance.average(true).await;
    assert_eq!(load(&mut Instance::on(&lake).await, whole(0)).await.unwrap().offset, Offset(16));
}
