//! Cases about what another reader of Delta, the deltalake library, sees of the tables.

use std::collections::BTreeMap;

use deltalake::DeltaTable;
use lake_delta::{Commit, TableLog, housekeeping};
use lake_tables::Table;
use serde_json::Value;

use crate::bed::{Bed, DAY};
use crate::rows;

/// Columns as the contract has them: name and type, `?` after the type of one that may be null.
fn contract(table: Table) -> &'static [&'static str] {
    match table {
        Table::Events => &[
            "camera_id string",
            "event_time timestamp",
            "speed_kmh double",
            "plate_number string?",
            "extra string?",
            "kafka_timestamp timestamp",
            "kafka_partition integer",
            "kafka_offset long",
            "late boolean",
            "event_date date",
        ],
        Table::DeadLetters => &[
            "reason string",
            "detail string",
            "key binary?",
            "payload binary?",
            "kafka_timestamp timestamp",
            "kafka_partition integer",
            "kafka_offset long",
            "landed_date date",
        ],
        Table::AvgSpeed => &[
            "camera_id string",
            "window_start timestamp",
            "window_end timestamp",
            "kafka_partition integer?",
            "avg_speed_kmh double",
            "vehicle_count long",
            "speed_sum_kmh decimal(20,3)",
            "min_speed_kmh double",
            "max_speed_kmh double",
            "p50_speed_kmh double",
            "p85_speed_kmh double",
            "p95_speed_kmh double",
            "over_limit_count long?",
            "status string",
            "events_version long?",
            "computed_at timestamp",
            "window_size string",
            "event_date date",
            "speed_histogram binary?",
        ],
        Table::OffsetGaps => &[
            "kafka_partition integer",
            "first_offset long",
            "next_offset long",
            "reason string",
            "noted_at timestamp",
        ],
        Table::BatchRuns => &[
            "run_id string",
            "event_date date",
            "events_version long",
            "kafka_offsets string",
            "rows_read long",
            "duplicates_dropped long",
            "late_rows long",
            "cameras long",
            "rows_written long",
            "drift_windows long",
            "drift_max_kmh double",
            "started_at timestamp",
            "finished_at timestamp",
        ],
    }
}

fn columns(delta: &DeltaTable) -> Vec<String> {
    let schema = serde_json::to_value(delta.snapshot().unwrap().schema()).unwrap();
    let column = |field: &Value| {
        let optional = if field["nullable"].as_bool().unwrap() { "?" } else { "" };
        format!("{} {}{optional}", field["name"].as_str().unwrap(), field["type"].as_str().unwrap())
    };
    schema["fields"].as_array().unwrap().iter().map(column).collect()
}

/// Every comment is of a column that there is, and shown.
fn assert_comments(table: Table, delta: &DeltaTable) {
    let schema = serde_json::to_value(delta.snapshot().unwrap().schema()).unwrap();
    let fields = schema["fields"].as_array().unwrap().iter();
    let shown = fields.filter_map(|field| {
        Some((
            field["name"].as_str()?.to_owned(),
            field["metadata"]["comment"].as_str()?.to_owned(),
        ))
    });
    let pair = |(column, text): &(&str, &str)| ((*column).to_owned(), (*text).to_owned());
    let wanted: BTreeMap<String, String> = table.spec().comments.iter().map(pair).collect();
    assert_eq!(shown.collect::<BTreeMap<_, _>>(), wanted, "{table}");
}

pub async fn deltalake_sees_the_tables_as_the_contract_has_them(bed: Bed) {
    let lake = bed.lake();
    let properties = [("lambdalake.topic".to_owned(), "camera-events".to_owned())];
    for table in Table::ALL {
        let log = TableLog::open_or_create(&lake, table, &properties).await.unwrap();
        let delta = housekeeping::delta_table(&lake, table).await.unwrap();
        assert_eq!(columns(&delta), contract(table), "{table}");
        assert_comments(table, &delta);
        let snapshot = delta.snapshot().unwrap();
        let protocol = snapshot.protocol();
        assert_eq!((protocol.min_reader_version(), protocol.min_writer_version()), (1, 2));
        let metadata = snapshot.metadata();
        assert_eq!(metadata.name(), Some(table.as_str()));
        let partitioning: Vec<&str> = table.partition_column().into_iter().collect();
        assert_eq!(metadata.partition_columns().iter().collect::<Vec<_>>(), partitioning);
        for (key, value) in metadata.configuration() {
            assert_eq!(log.state().property(key), Some(value.as_str()));
        }
        assert_eq!(metadata.configuration()["lambdalake.topic"], "camera-events");
        let config = snapshot.table_config();
        assert_eq!(config.log_retention_duration, Some(DAY));
        assert_eq!(config.deleted_file_retention_duration, Some(DAY / 24));
    }
}

pub async fn deltalake_sees_the_files_and_transactions_of_the_state(bed: Bed) {
    let lake = bed.lake();
    for table in Table::ALL {
        let mut log = TableLog::open_or_create(&lake, table, &[]).await.unwrap();
        let mut files = Vec::new();
        for _ in 0..3 {
            files.push(rows::file_of(&lake, table, &rows::sample(table)).await);
        }
        let txns = [("p:0".to_owned(), 41), ("p:1".to_owned(), -1)];
        let commit = Commit::new(&lake, "LAND").add(files).txns(txns);
        let _ = log.try_commit(&commit).await.unwrap();
        let removed = log.state().files().next().cloned();
        let commit = Commit::new(&lake, "DROP").remove(removed).txns([("p:0".to_owned(), 42)]);
        let _ = log.try_commit(&commit).await.unwrap();
        agree(&log, &housekeeping::delta_table(&lake, table).await.unwrap()).await;
        housekeeping::checkpoint(&bed.lake_ahead(2 * DAY), table).await.unwrap();
        agree(&log, &housekeeping::delta_table(&lake, table).await.unwrap()).await;
    }
}

async fn agree(log: &TableLog, delta: &DeltaTable) {
    assert_eq!(delta.version(), u64::try_from(log.state().version().0).ok());
    let snapshot = delta.snapshot().unwrap();
    let seen: BTreeMap<String, (i64, Option<usize>, Option<String>)> = snapshot
        .log_data()
        .iter()
        .map(|file| {
            let day = file.partition_values_map().into_values().next().flatten();
            (file.path().into_owned(), (file.size(), file.num_records(), day))
        })
        .collect();
    let expected = log.state().files().map(|file| {
        let day = file.partition.map(|day| day.to_string());
        let (size, rows) = (file.size.cast_signed(), usize::try_from(file.rows).ok());
        (file.path.clone(), (size, rows, day))
    });
    assert_eq!(seen, expected.collect());
    let store = delta.log_store();
    for (app_id, version) in log.state().txns() {
        let seen = snapshot.snapshot().transaction_version(&*store, app_id).await.unwrap();
        assert_eq!(seen, Some(version), "{app_id}");
    }
}
