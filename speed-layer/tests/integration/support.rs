//! Topics, lakes and engines for tests, and the tables read back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lake_config::Settings;
use lake_delta::columns;
use lake_delta::{Lake, TableLog, read};
use lake_model::{KafkaPartition, Offset, OffsetRange, Timestamp};
use lake_tables::Table;
use lake_tables::txn::AppIds;
use lake_tables::{avg_speed, offset_gaps};
use speed_layer::Engine;
use speed_layer::tables::Tables;

use crate::log_source::{LogSource, Record, Topic};

pub const MINUTE_US: i64 = 60_000_000;

pub fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.speed.commit_interval = Duration::from_millis(2);
    settings.speed.landing_interval = Duration::from_millis(3);
    settings.speed.position_interval = Duration::from_millis(10);
    settings
}

pub fn event(offset: i64, camera: &str, minute: i64, thousandths: i64) -> Record {
    let time = Timestamp::from_micros(20_000 * 1440 * MINUTE_US + minute * MINUTE_US);
    let speed = thousandths as f64 / 1000.0;
    let payload =
        format!(r#"{{"kvfv_id":"{camera}","timestamp":"{time}","vehicle_speed":{speed}}}"#);
    // One Kafka timestamp beyond every event time, so that only the log's order matters.
    let kafka_timestamp = Timestamp::from_micros(20_010 * 1440 * MINUTE_US);
    Record { offset, kafka_timestamp, payload: Some(payload.into_bytes()) }
}

pub fn bad(offset: i64) -> Record {
    let kafka_timestamp = Timestamp::from_micros(20_010 * 1440 * MINUTE_US);
    Record { offset, kafka_timestamp, payload: Some(b"{".to_vec()) }
}

/// A topic of two partitions with events in and out of order, late ones, bad ones, and offsets that are
/// never delivered, at the end too.
pub fn topic() -> Arc<Topic> {
    let mut topic = Topic::default();
    for partition in 0..2 {
        let mut records = Vec::new();
        for step in 0_i64..60 {
            let offset = step + step / 7;
            let camera = format!("KV{}", (step + i64::from(partition)) % 3);
            let minute = match step % 10 {
                4 => (step * 9 - 150).max(0),
                9 => (step * 9 - 400).max(0),
                _ => step * 9,
            };
            records.push(match step % 13 {
                12 => bad(offset),
                _ => event(offset, &camera, minute, 40_000 + step * 777),
            });
        }
        topic.partitions.insert(partition, (records, 72));
    }
    Arc::new(topic)
}

/// The ends of a topic as an engine is given them.
pub fn ends_of(topic: &Topic) -> BTreeMap<KafkaPartition, Offset> {
    topic.ends().into_iter().map(|(id, end)| (KafkaPartition(id), Offset(end))).collect()
}

/// Runs an engine on `lake` until the topic's end, or until it is dropped.
pub async fn run_to_end(lake: Lake, topic: &Arc<Topic>, settings: &Settings) {
    run_on(Tables::open(&lake, settings).await.unwrap(), topic, settings).await;
}

/// Runs an engine on `tables` until the topic's end, or until it is dropped.
pub async fn run_on(tables: Tables, topic: &Arc<Topic>, settings: &Settings) {
    let (source, orders) = LogSource::new(topic, 5);
    let partitions = topic.partitions.keys().copied().collect();
    assert!(orders.send(crate::log_source::Order::Assign(partitions)).is_ok());
    let engine = Engine::new(source, tables, settings).unwrap();
    engine.until(ends_of(topic)).run(std::future::pending()).await.unwrap();
}

/// What the tables hold, in the forms that the oracle has, which counts in plain numbers.
#[derive(Debug, Default, PartialEq)]
pub struct Held {
    /// Lateness of events by partition and offset.
    pub events: BTreeMap<(i32, i64), bool>,
    /// Rows of `events`, to find repeated ones.
    pub event_rows: usize,
    pub dead_letters: Vec<(i32, i64)>,
    pub gaps: Vec<(i32, OffsetRange)>,
    /// Count and sum by partition, camera, window size and start.
    pub averages: BTreeMap<(i32, String, &'static str, i64), (u64, u64)>,
    pub average_rows: usize,
    /// Next offsets in `events` and in `avg_speed`, by partition.
    pub offsets: Vec<(i32, i64)>,
    pub averaged_offsets: Vec<(i32, i64)>,
}

fn plain((id, offset): (KafkaPartition, Offset)) -> (i32, i64) {
    (id.0, offset.0)
}

pub async fn held(lake: &Lake) -> Held {
    let mut held = Held::default();
    let app_ids = AppIds::new("camera-speeds", "camera-events");
    let log = TableLog::open(lake, Table::Events).await.unwrap();
    held.offsets = app_ids.partitions(log.state()).into_iter().map(plain).collect();
    let late = |batch: &_| {
        let late = columns::boolean(batch, "late").unwrap();
        let offsets = lake_tables::offsets(batch)?
            .into_iter()
            .map(plain)
            .zip(late.iter().map(Option::unwrap));
        Ok::<_, columns::ColumnError>(offsets.collect())
    };
    let events = read::collect(lake, Table::Events, log.state().files(), &[], late).await.unwrap();
    held.event_rows = events.len();
    held.events = events.into_iter().collect();
    let log = TableLog::open(lake, Table::DeadLetters).await.unwrap();
    let files = log.state().files();
    let letters =
        read::collect(lake, Table::DeadLetters, files, &[], lake_tables::offsets).await.unwrap();
    held.dead_letters = letters.into_iter().map(plain).collect();
    held.dead_letters.sort_unstable();
    let log = TableLog::open(lake, Table::OffsetGaps).await.unwrap();
    let files = log.state().files();
    let gaps =
        read::collect(lake, Table::OffsetGaps, files, &[], offset_gaps::ranges).await.unwrap();
    held.gaps = gaps.into_iter().map(|(id, range)| (id.0, range)).collect();
    held.gaps.sort_unstable();
    let log = TableLog::open(lake, Table::AvgSpeed).await.unwrap();
    held.averaged_offsets = app_ids.partitions(log.state()).into_iter().map(plain).collect();
    let files = log.state().files();
    let rows = read::collect(lake, Table::AvgSpeed, files, &[], avg_speed::rows).await.unwrap();
    held.average_rows = rows.len();
    for row in rows {
        let key = (
            row.kafka_partition.unwrap().0,
            row.camera_id.to_string(),
            row.window.size.as_str(),
            row.window.start.micros(),
        );
        held.averages.insert(key, (row.summary.count(), row.summary.sum_thousandths()));
    }
    held
}
