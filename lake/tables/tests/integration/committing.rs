//! Cases about one commit after another.

use lake_delta::{Commit, CommitOutcome, TableLog};
use lake_model::{Offset, OffsetRange, TableVersion};
use lake_tables::Table;
use serde_json::json;

use crate::bed::{Bed, entry, events, paths};
use crate::rows;

pub async fn an_append_is_followed_by_another_log(bed: Bed) {
    let lake = bed.lake();
    let mut writer = events(&lake).await;
    let mut follower = events(&bed.lake()).await;
    let file = rows::file(&lake, 0, OffsetRange::new(Offset::ZERO, Offset(5))).await;
    let commit = Commit::new(&lake, "LAND").add([file.clone()]);
    let outcome = writer.try_commit(&commit).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { version: TableVersion(1) });

    assert!(follower.refresh().await.unwrap());
    assert!(!follower.refresh().await.unwrap());
    let found = follower.state().file(&file.path).unwrap();
    assert_eq!((found.size, found.rows, found.partition), (file.size, 5, Some(rows::day())));
    assert_eq!(found.bounds("kafka_offset"), Some((json!(0), json!(4))));
    assert_eq!(writer.state().file(&file.path), Some(found));
}

pub async fn a_long_way_behind_is_caught_up_in_order(bed: Bed) {
    let lake = bed.lake();
    let mut writer = events(&lake).await;
    let mut follower = events(&bed.lake()).await;
    for step in 1..=40 {
        let commit = rows::landing(&lake).txns([("p".to_owned(), step)]);
        let _ = writer.try_commit(&commit).await.unwrap();
    }
    assert!(follower.refresh().await.unwrap());
    assert_eq!(
        (follower.state().version(), follower.state().txn("p")),
        (TableVersion(40), Some(40))
    );
    assert_eq!(paths(&follower), paths(&writer));
}

pub async fn a_taken_version_is_a_conflict_on_a_refreshed_state_and_the_same_files_commit_again(
    bed: Bed,
) {
    let lake = bed.lake();
    let mut first = events(&lake).await;
    let mut second = events(&bed.lake()).await;
    let (ours, theirs) = (rows::unwritten(&lake, rows::day()), rows::unwritten(&lake, rows::day()));
    let commit = |file: &lake_delta::DataFile| Commit::new(&lake, "LAND").add([file.clone()]);
    let _ = first.try_commit(&commit(&theirs)).await.unwrap();

    let outcome = second.try_commit(&commit(&ours)).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Conflict);
    assert_eq!(
        (second.state().version(), paths(&second)),
        (TableVersion(1), vec![theirs.path.clone()])
    );

    let outcome = second.try_commit(&commit(&ours)).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { version: TableVersion(2) });
    first.refresh().await.unwrap();
    let mut expected = [ours.path, theirs.path];
    expected.sort();
    assert_eq!(paths(&first), expected);
}

pub async fn removed_files_are_gone_and_files_are_found_by_their_day(bed: Bed) {
    let lake = bed.lake();
    let mut log = events(&lake).await;
    let next_day = rows::day().plus(1);
    let files = [rows::day(), rows::day(), next_day].map(|day| rows::unwritten(&lake, day));
    let _ = log.try_commit(&Commit::new(&lake, "LAND").add(files.clone())).await.unwrap();
    assert_eq!(log.state().files_of(rows::day()).count(), 2);

    let removed = log.state().file(&files[0].path).unwrap().clone();
    let added = rows::unwritten(&lake, next_day);
    let swap = Commit::new(&lake, "SWAP").add([added.clone()]).remove([removed]);
    let _ = log.try_commit(&swap).await.unwrap();
    let reopened = TableLog::open(&bed.lake(), Table::Events).await.unwrap();
    for log in [&log, &reopened] {
        let of = |day| log.state().files_of(day).map(|f| f.path.clone()).collect::<Vec<_>>();
        assert_eq!(of(rows::day()), [files[1].path.clone()]);
        let mut expected = [files[2].path.clone(), added.path.clone()];
        expected.sort();
        assert_eq!(of(next_day), expected);
        assert_eq!(of(next_day.plus(1)), [""; 0]);
    }
}

pub async fn transactions_are_read_back_the_last_one_of_each(bed: Bed) {
    let lake = bed.lake();
    let mut log = events(&lake).await;
    let txns = |pairs: &[(&str, i64)]| {
        let pairs = pairs.iter().map(|(id, version)| ((*id).to_owned(), *version));
        Commit::new(&lake, "PROGRESS").txns(pairs.collect::<Vec<_>>())
    };
    let _ = log.try_commit(&txns(&[("a:0", 5), ("a:1", -7)])).await.unwrap();
    let _ = log.try_commit(&txns(&[("a:0", 9)])).await.unwrap();
    let reopened = events(&bed.lake()).await;
    for state in [log.state(), reopened.state()] {
        assert_eq!(state.txn("a:0"), Some(9));
        assert_eq!(state.txn("a:1"), Some(-7));
        assert_eq!(state.txn("a:2"), None);
        assert_eq!(state.txns().count(), 2);
    }
}

pub async fn a_commit_says_what_it_is(bed: Bed) {
    let lake = bed.lake();
    let mut log = events(&lake).await;
    let commit = rows::landing(&lake).info("runs", json!([{ "run_id": "r" }]));
    let _ = log.try_commit(&commit).await.unwrap();
    let info = log.commit_info(TableVersion(1)).await.unwrap().unwrap();
    assert_eq!(info["operation"], "LAND");
    assert_eq!(info["timestamp"], json!(lake.now().micros() / 1000));
    assert_eq!(info["runs"][0]["run_id"], "r");
    assert!(info["engineInfo"].as_str().unwrap().starts_with("lambdalake/"), "{info}");
    let lines = entry(&lake, 1).await.unwrap();
    assert_eq!(lines[0]["commitInfo"], info);
    let add = &lines[1]["add"];
    assert_eq!(add["partitionValues"], json!({ "event_date": "2025-04-05" }));
    assert_eq!(add["dataChange"], json!(true));
}

pub async fn a_rearranging_commit_changes_no_data(bed: Bed) {
    let lake = bed.lake();
    let mut log = events(&lake).await;
    let _ = log.try_commit(&rows::landing(&lake)).await.unwrap();
    let old: Vec<_> = log.state().files().cloned().collect();
    let compaction = Commit::new(&lake, "COMPACT")
        .add([rows::unwritten(&lake, rows::day())])
        .remove(old)
        .rearranging();
    let _ = log.try_commit(&compaction).await.unwrap();
    let lines = entry(&lake, 2).await.unwrap();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1]["remove"]["dataChange"], json!(false));
    assert_eq!(lines[1]["remove"]["partitionValues"], json!({ "event_date": "2025-04-05" }));
    assert_eq!(lines[2]["add"]["dataChange"], json!(false));
}
