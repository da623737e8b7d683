//! Replays of a small topic into a lake in memory.

#![allow(clippy::unwrap_used)]

use lake_delta::TableLog;
use lake_model::Timestamp;
use lake_tables::Table;

use super::held::held;
use super::*;
use crate::input::Record;

const PARTITIONS: [KafkaPartition; 2] = [KafkaPartition(0), KafkaPartition(1)];
const RECORDS: i64 = 3000;
const BATCH: i64 = 500;
const SECOND_US: i64 = 1_000_000;
const BEGIN: &str = "2025-04-05T06:00:00Z";

/// A topic of ten hours: one record in a hundred is no event, one in fifty is five hours late.
fn topic() -> Input {
    let log = |partition: KafkaPartition| {
        let mut log = Log::default();
        (0..RECORDS).for_each(|offset| push(&mut log, partition, offset));
        (partition, log)
    };
    PARTITIONS.into_iter().map(log).collect()
}

fn push(log: &mut Log, partition: KafkaPartition, offset: i64) {
    let kafka_timestamp = Timestamp::parse(BEGIN).unwrap().saturating_add(offset * 12 * SECOND_US);
    let late_us = if offset % 50 == 49 { 5 * 3600 * SECOND_US } else { 0 };
    let event_time = kafka_timestamp.saturating_add(-late_us);
    let payload = match offset % 100 {
        7 => "{".to_owned(),
        _ => format!(
            r#"{{"kvfv_id":"KV{partition}{}","timestamp":"{event_time}","vehicle_speed":{}.5}}"#,
            offset % 5,
            40 + offset % 90
        ),
    };
    let payload = Some(payload.as_bytes());
    log.push(&Record { offset: Offset(offset), kafka_timestamp, key: None, payload }).unwrap();
}

/// The topic in batches, the partitions in turn.
fn batches() -> Vec<BatchEnd> {
    let ends = (1..=RECORDS / BATCH).map(|number| Offset(number * BATCH));
    let of_all = |next_offset| PARTITIONS.map(|partition| BatchEnd { partition, next_offset });
    ends.flat_map(of_all).collect()
}

/// A clock on which everything takes a millisecond.
fn clock() -> Clock {
    let mut now = Duration::ZERO;
    Box::new(move || {
        now += Duration::from_millis(1);
        now
    })
}

fn lake() -> Lake {
    lake_testing::lake_in_memory()
}

/// Lands after every few batches.
fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.speed.landing_bytes = 200_000;
    settings
}

async fn replay(lake: &Lake) -> Replayed {
    let replay = Replay::new(lake.clone(), &settings(), clock()).await.unwrap();
    replay.run(&topic(), &batches(), 2500).await.unwrap()
}

#[tokio::test]
async fn every_record_is_decoded_and_lands_and_windows_count_all_that_is_not_late() {
    let lake = lake();
    let replayed = replay(&lake).await;
    let held = held(&lake).await.unwrap();
    assert_eq!(replayed.check(&held), Ok(()));
    assert_eq!(replayed.tally.records, 6000);
    assert_eq!(held.dead_letters, 60);
    assert_eq!(replayed.tally.late, 120);
}

#[tokio::test]
async fn commits_are_as_far_apart_as_they_are_told_to_be() {
    let lake = lake();
    replay(&lake).await;
    let version = async |table| TableLog::open(&lake, table).await.unwrap().state().version().0;
    assert_eq!(version(Table::AvgSpeed).await, 6000 / 2500 + 1, "and one at the end");
    assert!(version(Table::Events).await > 1, "rows land whenever enough of them wait");
}

#[tokio::test]
async fn every_stage_but_fetching_is_charged() {
    let replayed = replay(&lake()).await;
    let stages: Vec<Stage> = replayed.spent.keys().copied().collect();
    let expected =
        [Stage::Decode, Stage::Fold, Stage::Encode, Stage::Average, Stage::Upload, Stage::Commit];
    assert_eq!(stages, expected);
}

#[tokio::test]
async fn batches_that_leave_records_out_are_refused() {
    let replay = Replay::new(lake(), &settings(), clock()).await.unwrap();
    let left_out = &batches()[..11];
    let problem = replay.run(&topic(), left_out, 2500).await.unwrap_err().to_string();
    assert!(problem.contains("records are missing"), "{problem}");
}

#[tokio::test]
async fn a_lake_that_holds_something_is_refused() {
    let lake = lake();
    replay(&lake).await;
    let problem = Replay::new(lake, &settings(), clock()).await.err().unwrap().to_string();
    assert!(problem.contains("name a new one"), "{problem}");
}

#[test]
fn tables_that_lack_something_are_told_apart_from_whole_ones() {
    let tally = Tally { records: 10, bytes: 0, late: 2 };
    let replayed = Replayed { spent: BTreeMap::new(), tally };
    let whole = Held { events: 9, dead_letters: 1, counted: 7 };
    assert_eq!(replayed.check(&whole), Ok(()));
    for lacking in [
        Held { events: 8, ..whole },
        Held { dead_letters: 0, ..whole },
        Held { counted: 6, ..whole },
        Held { counted: 9, ..whole },
    ] {
        assert!(replayed.check(&lacking).is_err(), "{lacking:?}");
    }
}
