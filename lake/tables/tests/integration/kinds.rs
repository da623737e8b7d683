//! Files of `avg_speed` that another tool has written, without tags or even without statistics: they are recognised by
//! what their rows have in common, on days of every length.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use lake_delta::data_file::NewFile;
use lake_delta::log::FileEntry;
use lake_delta::{FileUse, TableLog, data_file};
use lake_model::{
    Calendar, Day, KafkaPartition, Pane, Speed, TableVersion, Timestamp, Window, WindowSize,
};
use lake_tables::Table;
use lake_tables::avg_speed::{self, AvgSpeedRow, Status};
use lake_tables::file_kind::{self, AvgSpeedFile, GroupWindows, ProvisionalGroup};
use lake_testing::lake_in_memory;
use proptest::prelude::*;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::bed::put_entry_of;

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().unwrap());

/// Days of 23, 24 and 25 hours in Berlin.
static DAYS: [&str; 3] = ["2025-03-30", "2025-04-05", "2025-10-26"];

fn berlin() -> Calendar {
    Calendar::new("Europe/Berlin").unwrap()
}

fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

/// A row of `avg_speed` as far as it decides what a file is.
#[derive(Clone, Copy, Debug)]
struct Row {
    status: Status,
    kafka_partition: KafkaPartition,
    size: WindowSize,
    /// The place of the window in its day.
    index: u32,
}

impl Row {
    fn provisional(kafka_partition: i32, size: WindowSize, index: u32) -> Row {
        let kafka_partition = KafkaPartition(kafka_partition);
        Row { status: Status::Provisional, kafka_partition, size, index }
    }

    fn last(size: WindowSize, index: u32) -> Row {
        Row { status: Status::Final, kafka_partition: KafkaPartition(0), size, index }
    }

    fn window(&self, day: Day) -> Window {
        let span = berlin().span(day);
        let window = span.window(self.size, self.index);
        assert!(span.contains(window.start), "{self:?} is no window of {day}");
        window
    }

    /// The hour of the day that holds the window; `None` for the window of the day.
    fn hour(&self) -> Option<u32> {
        match self.size {
            WindowSize::FiveMinutes => Some(self.index / 12),
            WindowSize::OneHour => Some(self.index),
            WindowSize::Day => None,
        }
    }

    fn averages(&self, day: Day) -> AvgSpeedRow {
        let mut pane = Pane::default();
        pane.add(Speed::from_thousandths(85_200), None);
        let (window, now) = (self.window(day), Timestamp::from_micros(7));
        let row = AvgSpeedRow::provisional("KV1".into(), window, self.kafka_partition, pane, now);
        match self.status {
            Status::Provisional => row,
            Status::Final => AvgSpeedRow {
                kafka_partition: None,
                status: Status::Final,
                events_version: Some(TableVersion(12)),
                histogram: None,
                ..row
            },
        }
    }
}

/// How another tool leaves a file in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Log {
    /// With statistics.
    Statistics,
    /// With the number of rows alone.
    Count,
    /// With nothing.
    Nothing,
}

/// The entry of a file of these rows that another tool wrote.
async fn foreign_file(rows: &[Row], day: Day, log: Log) -> FileEntry {
    let lake = lake_in_memory();
    let mut table = TableLog::open_or_create(&lake, Table::AvgSpeed, &[]).await.unwrap();
    let new = NewFile {
        path: format!("event_date={day}/part-00000.snappy.parquet"),
        partition: Some(day),
        file_use: FileUse::LongLived,
        tags: BTreeMap::new(),
    };
    let averages: Vec<AvgSpeedRow> = rows.iter().map(|row| row.averages(day)).collect();
    let batch = avg_speed::batch(&averages);
    let file = data_file::write(&lake, Table::AvgSpeed, new, &batch).await.unwrap();
    let mut add = json!({
        "path": file.path, "partitionValues": { "event_date": day.to_string() },
        "size": file.size, "modificationTime": 7, "dataChange": false,
    });
    match log {
        Log::Statistics => add["stats"] = json!(file.stats),
        Log::Count => add["stats"] = json!(format!(r#"{{"numRecords":{}}}"#, rows.len())),
        Log::Nothing => {}
    }
    put_entry_of(&lake, Table::AvgSpeed, 1, json!({ "add": add }).to_string()).await;
    table.refresh().await.unwrap();
    let entry = table.state().file(&file.path).unwrap().clone();
    assert_eq!(entry.rows, rows.len() as u64, "{log:?}");
    entry
}

fn recognised(rows: &[Row], day: Day) -> AvgSpeedFile {
    let of = |log| {
        let file = RUNTIME.block_on(foreign_file(rows, day, log));
        let kind = AvgSpeedFile::of(&file, &berlin());
        assert_eq!(AvgSpeedFile::is_final(&file), matches!(kind, AvgSpeedFile::Final { .. }));
        assert_eq!(AvgSpeedFile::run_id(&file), None);
        kind
    };
    let kind = of(Log::Statistics);
    assert_eq!((&of(Log::Count), &of(Log::Nothing)), (&kind, &kind), "by the footer");
    kind
}

fn provisional(day: Day, kafka_partition: KafkaPartition, windows: GroupWindows) -> AvgSpeedFile {
    AvgSpeedFile::Provisional(ProvisionalGroup { day, kafka_partition, windows })
}

#[test]
fn a_provisional_group_is_recognised_without_tags_on_days_of_every_length() {
    use WindowSize::{Day as WholeDay, FiveMinutes, OneHour};
    for (text, last_hour) in DAYS.into_iter().zip([22, 23, 24]) {
        let day = day(text);
        for hour in [0, 2, last_hour] {
            let rows = [
                Row::provisional(3, FiveMinutes, 12 * hour),
                Row::provisional(3, FiveMinutes, 12 * hour + 11),
                Row::provisional(3, OneHour, hour),
            ];
            let expected = provisional(day, KafkaPartition(3), GroupWindows::Hour(hour));
            assert_eq!(recognised(&rows, day), expected, "{text}");
            assert_eq!(recognised(&rows[1..2], day), expected, "{text}, one window");
        }
        let rows = [Row::provisional(0, WholeDay, 0)];
        assert_eq!(
            recognised(&rows, day),
            provisional(day, KafkaPartition(0), GroupWindows::Day),
            "{text}"
        );
    }
}

#[test]
fn a_final_file_is_recognised_without_tags_by_its_one_size_or_several() {
    let day = day(DAYS[2]);
    for size in WindowSize::ALL {
        let kind = recognised(&[Row::last(size, 0)], day);
        assert_eq!(kind, AvgSpeedFile::Final { run_id: None, size: Some(size) });
    }
    let rows = [Row::last(WindowSize::FiveMinutes, 299), Row::last(WindowSize::Day, 0)];
    assert_eq!(recognised(&rows, day), AvgSpeedFile::Final { run_id: None, size: None });
}

#[test]
fn rows_of_several_groups_are_a_mixed_file_that_is_refused_with_its_path() {
    let day = day(DAYS[0]);
    let hour = |partition, hour| Row::provisional(partition, WindowSize::OneHour, hour);
    for rows in [
        [hour(0, 5), hour(1, 5)],
        [hour(0, 5), hour(0, 6)],
        [hour(0, 5), Row::provisional(0, WindowSize::Day, 0)],
        [hour(0, 5), Row::last(WindowSize::OneHour, 5)],
    ] {
        assert_eq!(recognised(&rows, day), AvgSpeedFile::Mixed, "{rows:?}");
        let file = RUNTIME.block_on(foreign_file(&rows, day, Log::Statistics));
        let message = file_kind::mixed_file(&file).to_string();
        assert!(message.contains(&file.path) && message.contains("restore"), "{message}");
    }
}

/// What a file of these rows is, by the rows themselves.
fn oracle(rows: &[Row], day: Day) -> AvgSpeedFile {
    let statuses: BTreeSet<Status> = rows.iter().map(|row| row.status).collect();
    let sizes: BTreeSet<WindowSize> = rows.iter().map(|row| row.size).collect();
    let groups: BTreeSet<(KafkaPartition, Option<u32>)> =
        rows.iter().map(|row| (row.kafka_partition, row.hour())).collect();
    let only = |sizes: BTreeSet<WindowSize>| (sizes.len() == 1).then(|| sizes.into_iter().next());
    match (statuses.into_iter().collect::<Vec<_>>().as_slice(), groups.len()) {
        ([Status::Final], _) => AvgSpeedFile::Final { run_id: None, size: only(sizes).flatten() },
        ([Status::Provisional], 1) => {
            let (kafka_partition, hour) = groups.into_iter().next().unwrap();
            let windows = hour.map_or(GroupWindows::Day, GroupWindows::Hour);
            provisional(day, kafka_partition, windows)
        }
        _ => AvgSpeedFile::Mixed,
    }
}

/// A day, and rows of it of few partitions and hours, so that files of one group are among them.
fn rows_of_a_day() -> impl Strategy<Value = (Day, Vec<Row>)> {
    (0..DAYS.len(), 0_u32..20, prop::bool::ANY, prop::bool::ANY).prop_flat_map(
        |(at, first_hour, mixes_status, mixes_hours)| {
            let hours = first_hour..first_hour + if mixes_hours { 3 } else { 1 };
            let status = match mixes_status {
                true => prop::sample::select(vec![Status::Provisional, Status::Final]).boxed(),
                false => Just(Status::Provisional).boxed(),
            };
            let size = prop::sample::select(WindowSize::ALL.to_vec());
            let row = (status, prop::bool::weighted(0.1), size, hours, 0_u32..12).prop_map(
                |(status, other_partition, size, hour, window)| Row {
                    status,
                    kafka_partition: KafkaPartition(i32::from(other_partition)),
                    size,
                    index: match size {
                        WindowSize::FiveMinutes => 12 * hour + window,
                        WindowSize::OneHour => hour,
                        WindowSize::Day => 0,
                    },
                },
            );
            (Just(day(DAYS[at])), prop::collection::vec(row, 1..5))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_file_without_tags_is_what_its_rows_say((day, rows) in rows_of_a_day()) {
        prop_assert_eq!(recognised(&rows, day), oracle(&rows, day));
    }
}
