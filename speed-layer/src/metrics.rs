//! What each metric of the speed layer means, for whoever reads them. `docs/operations.md` says more of each.

use ::metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

const COUNTERS: [(&str, &str); 9] = [
    (
        "lambdalake_kafka_partition_faults_total",
        "Times that a partition was fetched again after a fault",
    ),
    (
        "lambdalake_speed_accepted_truncations_total",
        "Times that a cut of Kafka's log below what has landed was accepted",
    ),
    ("lambdalake_speed_records_total", "Records consumed from Kafka, including replayed ones"),
    ("lambdalake_speed_events_landed_total", "Rows committed to events"),
    ("lambdalake_speed_late_events_total", "Rows committed to events that were late"),
    ("lambdalake_speed_dead_letters_total", "Rows committed to dead_letters, by reason"),
    (
        "lambdalake_speed_records_without_timestamp_total",
        "Records without a Kafka timestamp in milliseconds",
    ),
    ("lambdalake_speed_commit_failures_total", "Commits that failed and are tried again"),
    ("lambdalake_speed_fenced_total", "Partitions loaded again because another writer moved them"),
];

const GAUGES: [(&str, Unit, &str); 15] = [
    (
        "lambdalake_kafka_consumer_lag_records",
        Unit::Count,
        "Records in Kafka and not yet in the tables",
    ),
    (
        "lambdalake_kafka_open_transaction_records",
        Unit::Count,
        "Records that an open transaction holds back",
    ),
    (
        "lambdalake_kafka_open_transaction_seconds",
        Unit::Seconds,
        "How long the last stable offset has not moved while records are held back",
    ),
    (
        "lambdalake_kafka_queue_bytes",
        Unit::Bytes,
        "Records fetched by librdkafka and not yet consumed",
    ),
    (
        "lambdalake_kafka_queue_records",
        Unit::Count,
        "Records that librdkafka had fetched when they were last consumed",
    ),
    ("lambdalake_speed_queue_bytes", Unit::Bytes, "Decoded records on their way to the engine"),
    ("lambdalake_speed_waiting_bytes", Unit::Bytes, "Rows that are not committed yet"),
    ("lambdalake_speed_window_bytes", Unit::Bytes, "Panes of open windows"),
    ("lambdalake_speed_open_windows", Unit::Count, "Panes held in memory"),
    (
        "lambdalake_speed_dead_share",
        Unit::Count,
        "Share of the latest records that are no events, from 0 to 1",
    ),
    (
        "lambdalake_speed_max_dead_share",
        Unit::Count,
        "The setting speed.max_dead_share, above which that share is warned of",
    ),
    (
        "lambdalake_speed_freshness_seconds",
        Unit::Seconds,
        "Age of the newest record in the last commit of averages, at that commit",
    ),
    (
        "lambdalake_speed_landed_record_timestamp_seconds",
        Unit::Seconds,
        "Kafka timestamp of the partition's newest record in the tables",
    ),
    (
        "lambdalake_speed_watermark_ahead_seconds",
        Unit::Seconds,
        "How far the partition's watermark is ahead of the clock",
    ),
    (
        "lambdalake_speed_last_commit_timestamp_seconds",
        Unit::Seconds,
        "When the table was last committed to",
    ),
];

/// Describes each metric.
pub fn describe() {
    for (name, help) in COUNTERS {
        describe_counter!(name, help);
    }
    for (name, unit, help) in GAUGES {
        describe_gauge!(name, unit, help);
    }
    describe_histogram!(
        "lambdalake_speed_commit_duration_seconds",
        Unit::Seconds,
        "Duration of a commit after its files were written, by table"
    );
    lake_delta::describe_metrics();
}
