//! Verdicts and records of cuts beside another instance, which goes on with the partition.

use super::*;

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
