//! Rows and files for the cases.

use std::collections::BTreeMap;

use std::sync::Arc;

use arrow::array::RecordBatch;
use lake_delta::data_file::NewFile;
use lake_delta::{Commit, DataFile, Lake, data_file};
use lake_model::{
    Calendar, Day, DeadLetterReason, EventColumns, EventRow, KafkaPartition, Offset, OffsetRange,
    Pane, Speed, TableVersion, Timestamp, WindowSize,
};
use lake_tables::avg_speed::{self, AvgSpeedRow};
use lake_tables::batch_runs::{self, BatchRun};
use lake_tables::dead_letters::{self, DeadLetter};
use lake_tables::events as events_table;
use lake_tables::offset_gaps::{self, GapReason, OffsetGap};
use lake_tables::{Table, file_kind};

/// The day of the rows.
pub fn day() -> Day {
    Day::parse("2025-04-05").unwrap()
}

fn time(micros: i64) -> Timestamp {
    Timestamp::parse("2025-04-05T10:15:30Z").unwrap().saturating_add(micros)
}

/// An event for each offset of `range`.
pub fn events(kafka_partition: i32, range: OffsetRange) -> RecordBatch {
    let (mut rows, mut late) = (EventColumns::default(), Vec::new());
    for kafka_offset in range.offsets() {
        let number = kafka_offset.0;
        rows.push(&EventRow {
            camera_id: "КВ-12345",
            event_time: time(number),
            speed_kmh: 85.2,
            speed: Speed::rounded(85.2),
            plate_number: (number % 2 == 0).then_some("А123ВС77"),
            extra: (number % 3 == 0).then_some(r#"{"lane":2}"#),
            kafka_timestamp: time(number + 7),
            kafka_offset,
        });
        late.push(number % 5 == 0);
    }
    events_table::batch(rows, KafkaPartition(kafka_partition), late.into())
}

/// Rows of every kind of `table`.
pub fn sample(table: Table) -> RecordBatch {
    match table {
        Table::Events => events(3, OffsetRange::new(Offset::ZERO, Offset(20))),
        Table::DeadLetters => dead_letters::batch(&[
            letter(DeadLetterReason::Empty, None, None),
            letter(DeadLetterReason::NotUtf8, Some(vec![0xff]), Some(vec![0xff, 0, 7])),
        ]),
        Table::AvgSpeed => avg_speed::batch(&averages()),
        Table::OffsetGaps => offset_gaps::batch(&[OffsetGap {
            kafka_partition: KafkaPartition(1),
            range: OffsetRange::new(Offset(5), Offset(9)),
            reason: GapReason::NotDelivered,
            noted_at: time(0),
        }]),
        Table::BatchRuns => batch_runs::batch(&[run()]),
    }
}

fn letter(reason: DeadLetterReason, key: Option<Vec<u8>>, payload: Option<Vec<u8>>) -> DeadLetter {
    DeadLetter {
        reason,
        detail: "no payload".to_owned(),
        key,
        payload,
        kafka_timestamp: time(1),
        kafka_partition: KafkaPartition(0),
        kafka_offset: Offset(4),
    }
}

fn averages() -> [AvgSpeedRow; 2] {
    let window = Calendar::utc().span(day()).window_at(WindowSize::OneHour, time(0));
    let mut pane = Pane::default();
    pane.add(Speed::from_thousandths(85_200), Some(Speed::from_thousandths(60_000)));
    let provisional =
        AvgSpeedRow::provisional("KV1".into(), window, KafkaPartition(3), pane, time(9));
    let last = AvgSpeedRow {
        kafka_partition: None,
        status: avg_speed::Status::Final,
        events_version: Some(TableVersion(12)),
        histogram: None,
        camera_id: Arc::from("KV2"),
        ..provisional
    };
    [provisional, last]
}

fn run() -> BatchRun {
    BatchRun {
        run_id: "run-1".to_owned(),
        event_date: day().days(),
        events_version: TableVersion(3),
        kafka_offsets: r#"{"0":12}"#.to_owned(),
        rows_read: 12,
        duplicates_dropped: 1,
        late_rows: 2,
        cameras: 3,
        rows_written: 4,
        drift_windows: 5,
        drift_max_kmh: 0.25,
        started_at: time(0).micros(),
        finished_at: time(1).micros(),
    }
}

/// A data file of `batch`, uploaded and in no commit.
pub async fn file_of(lake: &Lake, table: Table, batch: &RecordBatch) -> DataFile {
    let id = lake.unique_id();
    let new = match table.partition_column() {
        Some(_) => file_kind::landed(table, day(), &BTreeMap::new(), id),
        None => file_kind::unpartitioned(id),
    };
    data_file::write(lake, table, new, batch).await.unwrap()
}

/// A file of `events` for the offsets of `range`, uploaded and in no commit.
pub async fn file(lake: &Lake, kafka_partition: i32, range: OffsetRange) -> DataFile {
    file_of(lake, Table::Events, &events(kafka_partition, range)).await
}

/// A file of `events` that no store holds, for cases about logs alone.
pub fn unwritten(lake: &Lake, day: Day) -> DataFile {
    let NewFile { path, partition, tags, .. } =
        file_kind::landed(Table::Events, day, &BTreeMap::new(), lake.unique_id());
    DataFile {
        path,
        partition,
        tags,
        size: 1000,
        rows: 5,
        upload_began_at: lake.now(),
        stats: r#"{"numRecords":5,"minValues":{"kafka_offset":1},"maxValues":{"kafka_offset":5},"nullCount":{}}"#
            .to_owned(),
    }
}

/// A commit of one such file.
pub fn landing(lake: &Lake) -> Commit {
    Commit::new(lake, "LAND").add([unwritten(lake, day())])
}
