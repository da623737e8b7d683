//! Cases about logs that are checkpointed and cleaned, and about states that this leaves behind.
//!
//! A cleaner whose clock is two days ahead deletes every entry that its checkpoint makes unnecessary.

use std::time::Duration;

use lake_delta::storage::TableOptions;
use lake_delta::{CommitOutcome, Lake, LakeError, TableLog, housekeeping};
use lake_model::TableVersion;
use lake_tables::Table;
use lake_testing::{ManualClock, default_options};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use crate::bed::{Bed, DAY, contents, delete_entry, entry, events, put_entry};
use crate::rows;

/// Lands one file per commit until the log is at `version`.
async fn land_until(lake: &Lake, log: &mut TableLog, version: i64) {
    while log.state().version().0 < version {
        let _ = log.try_commit(&rows::landing(lake)).await.unwrap();
    }
}

/// Checkpoints the log of `events` and deletes every entry before that.
async fn clean(bed: &Bed) {
    housekeeping::checkpoint(&bed.lake_ahead(2 * DAY), Table::Events).await.unwrap();
}

pub async fn a_checkpointed_and_cleaned_log_adds_up_to_the_state_that_was_followed(bed: Bed) {
    let lake = bed.lake();
    let properties = [("lambdalake.timezone".to_owned(), "Europe/Berlin".to_owned())];
    let mut log = TableLog::open_or_create(&lake, Table::Events, &properties).await.unwrap();
    for step in 0..6 {
        let oldest = log.state().files().next().cloned().filter(|_| step % 2 == 1);
        let txns = [("p:0".to_owned(), step), (format!("p:{step}:max_event_time"), -step)];
        let commit = rows::landing(&lake).remove(oldest).txns(txns);
        let _ = log.try_commit(&commit).await.unwrap();
    }
    clean(&bed).await;
    assert_eq!(entry(&lake, 0).await, None);
    assert_eq!(entry(&lake, 5).await, None);
    assert!(entry(&lake, 6).await.is_some());

    let mut opened = events(&bed.lake()).await;
    assert_eq!(contents(&opened), contents(&log));
    for key in ["lambdalake.timezone", "delta.logRetentionDuration", "delta.checkpointInterval"] {
        assert_eq!(opened.state().property(key), log.state().property(key), "{key}");
        assert!(log.state().property(key).is_some(), "{key}");
    }
    let _ = opened.try_commit(&rows::landing(&lake)).await.unwrap();
    log.refresh().await.unwrap();
    assert_eq!(contents(&opened), contents(&log));
    assert_eq!(contents(&events(&bed.lake()).await), contents(&log));
}

pub async fn a_property_is_changed_in_a_log_whose_creation_is_cleaned_away(bed: Bed) {
    let lake = bed.lake();
    let mut log = events(&lake).await;
    land_until(&lake, &mut log, 3).await;
    let metadata = async || {
        let delta = housekeeping::delta_table(&lake, Table::Events).await.unwrap();
        serde_json::to_value(delta.snapshot().unwrap().metadata()).unwrap()
    };
    let mut expected = metadata().await;
    clean(&bed).await;
    assert_eq!(entry(&lake, 0).await, None);
    let mut opened = events(&bed.lake()).await;
    opened
        .change_properties(|state| match state.property("user.note") {
            Some(_) => Vec::new(),
            None => vec![("user.note".to_owned(), "new".to_owned())],
        })
        .await
        .unwrap();
    expected["configuration"]["user.note"] = "new".into();
    assert_eq!(metadata().await, expected);
    assert_eq!(opened.state().property("user.note"), Some("new"));
}

pub async fn a_checkpoint_of_several_parts_is_read(bed: Bed) {
    let lake = bed.lake();
    let mut log = events(&lake).await;
    land_until(&lake, &mut log, 3).await;
    clean(&bed).await;
    let store = lake.table_store(Table::Events);
    let name = |rest: &str| Path::from(format!("_delta_log/{:020}.checkpoint{rest}.parquet", 3));
    let whole = store.get(&name("")).await.unwrap().bytes().await.unwrap();
    store.delete(&name("")).await.unwrap();
    let part = |number| name(&format!(".{number:010}.0000000002"));
    store.put(&part(1), PutPayload::from(whole.clone())).await.unwrap();
    let incomplete = TableLog::open(&bed.lake(), Table::Events).await.unwrap_err();
    assert!(matches!(incomplete, LakeError::Log { version: TableVersion(0), .. }), "{incomplete}");
    store.put(&part(2), PutPayload::from(whole)).await.unwrap();
    assert_eq!(contents(&events(&bed.lake()).await), contents(&log));
}

pub async fn cleaners_at_once_do_not_stumble_over_one_another(bed: Bed) {
    let lake = bed.lake();
    let mut log = events(&lake).await;
    land_until(&lake, &mut log, 40).await;
    tokio::join!(clean(&bed), clean(&bed), clean(&bed), clean(&bed));
    assert_eq!(entry(&lake, 39).await, None);
    assert_eq!(contents(&events(&bed.lake()).await), contents(&log));
}

pub async fn a_missed_checkpoint_is_made_up_for(bed: Bed) {
    let options = TableOptions { checkpoint_interval: 3, ..default_options() };
    let lake = bed.lake_with(&bed.clock, options);
    let mut log = events(&lake).await;
    land_until(&lake, &mut log, 1).await;
    let tidy = async |version| {
        let version = TableVersion(version);
        housekeeping::checkpoint_if_due(&lake, Table::Events, version).await.unwrap()
    };
    assert!(!tidy(1).await);
    land_until(&lake, &mut log, 7).await;
    assert!(tidy(7).await);
    assert!(!tidy(7).await);
    land_until(&lake, &mut log, 10).await;
    assert!(tidy(10).await);
}

pub async fn a_log_is_opened_while_it_is_checkpointed_and_cleaned(bed: Bed) {
    let lake = bed.lake();
    let mut log = events(&lake).await;
    let cleaning = async {
        for version in 1..=8 {
            land_until(&lake, &mut log, version).await;
            clean(&bed).await;
        }
    };
    let opening = async {
        let mut version = 0;
        while version < 8 {
            let opened = TableLog::open(&bed.lake(), Table::Events).await.unwrap();
            let state = opened.state();
            assert!(state.version().0 >= version, "{} after {version}", state.version());
            version = state.version().0;
            assert_eq!(i64::try_from(state.files().count()).unwrap(), version);
            // A store in memory never lets the other go on by itself.
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(cleaning, opening);
}

pub async fn a_missing_entry_in_the_middle_is_an_error(bed: Bed) {
    let lake = bed.lake();
    let mut log = events(&lake).await;
    land_until(&lake, &mut log, 3).await;
    delete_entry(&lake, 2).await;
    let error = TableLog::open(&bed.lake(), Table::Events).await.unwrap_err();
    assert!(matches!(error, LakeError::Log { version: TableVersion(2), .. }), "{error}");
    assert!(!error.is_transient());
    assert!(error.to_string().contains("missing"), "{error}");
}

pub async fn entries_stay_for_the_longer_of_the_retentions(bed: Bed) {
    let with_retention = |days, ahead| {
        let options = TableOptions { log_retention: days * DAY, ..default_options() };
        bed.lake_with(&bed.clock.later(ahead), options)
    };
    // The table says two days, the cleaner's settings one.
    let lake = with_retention(2, Duration::ZERO);
    let mut log = events(&lake).await;
    land_until(&lake, &mut log, 2).await;
    let too_soon = with_retention(1, DAY * 3 / 2);
    housekeeping::checkpoint(&too_soon, Table::Events).await.unwrap();
    assert!(entry(&lake, 0).await.is_some());
    // The settings say four.
    let patient = with_retention(4, DAY * 3);
    housekeeping::checkpoint(&patient, Table::Events).await.unwrap();
    assert!(entry(&lake, 0).await.is_some());
    let due = with_retention(1, DAY * 3);
    housekeeping::checkpoint(&due, Table::Events).await.unwrap();
    assert_eq!(entry(&lake, 0).await, None);
}

/// A log at version 1 with its clock, and another of the same table that went on to version 6 and was cleaned.
async fn left_behind(bed: &Bed) -> (TableLog, ManualClock, TableLog) {
    let lake = bed.lake();
    let mut log = events(&lake).await;
    land_until(&lake, &mut log, 1).await;
    let clock = bed.clock.later(Duration::ZERO);
    let zombie = events(&bed.lake_with(&clock, default_options())).await;
    land_until(&lake, &mut log, 6).await;
    clean(bed).await;
    assert_eq!(entry(&lake, 2).await, None);
    (zombie, clock, log)
}

pub async fn an_old_state_is_loaded_anew_before_it_is_followed(bed: Bed) {
    let (mut zombie, clock, log) = left_behind(&bed).await;
    // Its own entry is there, as in a cleaning that is under way: only its age shows that it is old.
    put_entry(zombie.lake(), 1, r#"{"commitInfo":{}}"#.to_owned()).await;
    clock.advance(DAY / 2 + Duration::from_micros(1));
    assert!(zombie.refresh().await.unwrap());
    assert_eq!(contents(&zombie), contents(&log));
}

pub async fn a_zombie_does_not_write_into_a_hole(bed: Bed) {
    let (mut zombie, clock, mut log) = left_behind(&bed).await;
    let lake = bed.lake();
    let commit = rows::landing(&lake);
    clock.advance(2 * DAY);
    assert_eq!(zombie.try_commit(&commit).await.unwrap(), CommitOutcome::Conflict);
    assert_eq!(entry(&lake, 2).await, None);
    assert_eq!(contents(&zombie), contents(&log));

    let outcome = zombie.try_commit(&commit).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { version: TableVersion(7) });
    log.refresh().await.unwrap();
    assert_eq!(contents(&zombie), contents(&log));
}

pub async fn an_old_state_that_is_the_newest_commits(bed: Bed) {
    let lake = bed.lake();
    let mut log = events(&lake).await;
    land_until(&lake, &mut log, 2).await;
    bed.clock.advance(2 * DAY);
    let outcome = log.try_commit(&rows::landing(&lake)).await.unwrap();
    assert_eq!(outcome, CommitOutcome::Committed { version: TableVersion(3) });
}

pub async fn a_hole_is_noticed_even_if_the_clock_stands_still(bed: Bed) {
    let (mut zombie, _, log) = left_behind(&bed).await;
    assert!(zombie.refresh().await.unwrap());
    assert_eq!(contents(&zombie), contents(&log));
}
