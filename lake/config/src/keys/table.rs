//! The table itself, in the order of `lakehouse.toml`.

use std::time::Duration;

use super::rules::{
    ADDRESS, ADDRESS_OR_NONE, BROKERS, FIELD, GROUP, LAKE_URI, PIPELINE_NAME, PROM_FILE_OR_NONE,
    TIME_ZONE, TOPIC,
};
use super::{Family, Key, Section};
use crate::kind::{Kind, TextRule};

const MILLISECOND: u64 = 1;
const SECOND: u64 = 1_000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// The longest duration that makes sense anywhere, so that sums of times cannot overflow.
const CENTURY: u64 = 36_500 * DAY;

const MB: u64 = 1_000_000;
const MIB: u64 = 1 << 20;
const TB: u64 = 1_000_000 * MB;

const fn key(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { name, kind, default: Some(default), example: default, doc }
}

const fn text(name: &'static str, rule: TextRule, default: &'static str, doc: &'static str) -> Key {
    key(name, Kind::Text(rule), default, doc)
}

/// A kind of duration, bounds in milliseconds.
const fn duration(min: u64, max: u64) -> Kind {
    Kind::Duration { min: Duration::from_millis(min), max: Duration::from_millis(max) }
}

const fn bytes(min: u64, max: u64) -> Kind {
    Kind::Bytes { min, max }
}

const fn count(min: u64, max: u64) -> Kind {
    Kind::Count { min, max }
}

impl Key {
    /// The key without a default of its own.
    const fn unset(self) -> Key {
        Key { default: None, ..self }
    }

    /// The key with an example that is not its default.
    const fn such_as(self, example: &'static str) -> Key {
        Key { example, ..self }
    }
}

/// The sections, in the order of the file.
pub const SECTIONS: &[Section] = &[
    Section { name: "pipeline", doc: "What the pipeline is called, and whose days it counts." },
    Section { name: "event", doc: "What an event looks like on the wire: JSON in UTF-8." },
    Section { name: "kafka", doc: "Where events come from." },
    Section { name: "lake", doc: "Where the tables are, and how their logs are kept." },
    Section { name: "speed", doc: "How the speed layer paces itself." },
    Section { name: "batch", doc: "When and how days are made final." },
    Section { name: "maintain", doc: "Compaction and retention (`batch-layer maintain`)." },
    Section { name: "serving", doc: "The HTTP server." },
    Section {
        name: "speed_limits",
        doc: "The cameras' speed limits, which `over_limit_count` counts by.",
    },
];

/// Every key with a fixed name, section by section.
pub const KEYS: &[Key] = &[
    text(
        "pipeline.name",
        PIPELINE_NAME,
        "camera-speeds",
        "Names the pipeline in the transactions of the tables, beside its offsets. Keep it: under\n\
         another name the pipeline would know nothing of what has landed.",
    ),
    text(
        "pipeline.timezone",
        TIME_ZONE,
        "UTC",
        "The time zone whose calendar days are counted. It is written into the tables when they are\n\
         created, and another one is refused from then on.",
    ),
    text("event.camera_field", FIELD, "kvfv_id", "The field that holds the camera's id."),
    text("event.timestamp_field", FIELD, "timestamp", "The field that holds the event time, in RFC 3339."),
    text("event.speed_field", FIELD, "vehicle_speed", "The field that holds the speed, in km/h."),
    text(
        "event.plate_field",
        FIELD,
        "plate_number",
        "The field that holds the plate number, which may be absent.",
    ),
    key(
        "event.max_speed_kmh",
        Kind::Kmh,
        "400",
        "Greatest speed accepted, in km/h; faster ones become dead letters (`bad_speed`).",
    ),
    key(
        "event.max_record_bytes",
        bytes(1, 64 * MIB),
        "1MiB",
        "Largest payload accepted; larger ones become dead letters (`too_large`).",
    ),
    key(
        "event.max_future_skew",
        duration(MILLISECOND, CENTURY),
        "10m",
        "How far the event time may be after the record's Kafka timestamp; records from further in the\n\
         future become dead letters (`future_event_time`), so that one clock gone mad cannot make\n\
         the events of all others late.",
    ),
    text("kafka.brokers", BROKERS, "127.0.0.1:9092", "The brokers to begin with."),
    text("kafka.topic", TOPIC, "camera-events", "The topic of events."),
    text(
        "kafka.group",
        GROUP,
        "camera-speeds",
        "The consumer group. Its offsets are for tools that show lag; the tables hold the true ones.\n\
         Without it the group is called what pipeline.name says.",
    )
    .unset(),
    key(
        "kafka.on_data_loss",
        Kind::Choice(&["fail", "accept"]),
        "fail",
        "What to do where Kafka no longer holds records that have not landed: stop with an error, or\n\
         record the loss in `offset_gaps` and go on.",
    ),
    key(
        "kafka.request_timeout",
        duration(100 * MILLISECOND, HOUR),
        "30s",
        "Longest wait for an answer of the brokers.",
    ),
    text(
        "lake.uri",
        LAKE_URI,
        "./lake",
        "Where the tables are: a path, file:///path or s3://bucket/prefix. A relative path is one from\n\
         the current directory.",
    ),
    key(
        "lake.request_timeout",
        duration(100 * MILLISECOND, HOUR),
        "30s",
        "Longest wait for one request to the store.",
    ),
    key(
        "lake.retry_timeout",
        duration(100 * MILLISECOND, DAY),
        "3m",
        "Longest time that one operation on the store is tried again for.",
    ),
    key(
        "lake.deleted_file_retention",
        duration(SECOND, CENTURY),
        "1h",
        "How long a file stays after its removal from a table: at least as long as the longest query.",
    ),
    key(
        "lake.log_retention",
        duration(SECOND, CENTURY),
        "1d",
        "How long the entries of a table's log stay once a checkpoint holds them, and so how far back\n\
         time travel goes. At least lake.deleted_file_retention, and four times lake.retry_timeout.",
    ),
    key(
        "lake.checkpoint_interval",
        count(1, 10_000),
        "100",
        "Commits from one checkpoint of a table's log to the next.",
    ),
    key(
        "speed.allowed_lateness",
        duration(0, CENTURY),
        "3h",
        "How long after its end a window still takes events, in event time. Events later than that\n\
         land with late = true, and count when the batch next makes their day final.",
    ),
    key(
        "speed.out_of_orderness",
        duration(0, CENTURY),
        "30s",
        "How far the watermark of a partition stays behind its greatest event time.",
    ),
    key(
        "speed.commit_interval",
        duration(100 * MILLISECOND, 5 * MINUTE),
        "5s",
        "Time between commits of provisional rows, and so how fresh averages are.",
    ),
    key(
        "speed.landing_interval",
        duration(100 * MILLISECOND, 30 * MINUTE),
        "30s",
        "Longest time that accepted rows wait before they land in `events`. Longer makes fewer and\n\
         larger files; nothing is lost in a crash, since Kafka still holds what waits.",
    ),
    key(
        "speed.landing_bytes",
        bytes(MB, TB),
        "64MB",
        "Accepted rows land as soon as this much of them waits.",
    ),
    key(
        "speed.position_interval",
        duration(100 * MILLISECOND, 30 * MINUTE),
        "60s",
        "Time between commits of offsets alone, while no records come.",
    ),
    key(
        "speed.shutdown_timeout",
        duration(100 * MILLISECOND, HOUR),
        "30s",
        "Longest time that the speed layer goes on committing what it holds once it is told to stop.\n\
         What the store has not taken by then is read from Kafka again at the next start.",
    ),
    key(
        "speed.queue_bytes",
        bytes(MB, TB),
        "64MB",
        "Decoded records that may wait for the aggregation; beyond it fetching pauses. At least\n\
         event.max_record_bytes.",
    ),
    text(
        "speed.metrics_listen",
        ADDRESS_OR_NONE,
        "127.0.0.1:9101",
        "Where the speed layer serves its metrics (GET /metrics); \"\" turns that off.",
    ),
    key(
        "batch.close_after",
        duration(MILLISECOND, CENTURY),
        "4h",
        "How long after its end a day may be made final. At least speed.allowed_lateness +\n\
         speed.out_of_orderness.",
    ),
    key(
        "batch.max_rows_in_memory",
        count(100_000, 10_000_000_000),
        "8000000",
        "Rows of `events` that a run holds at a time; a larger day is read in ranges of cameras.",
    ),
    text(
        "batch.metrics_file",
        PROM_FILE_OR_NONE,
        "",
        "A file for the metrics of a run, for Prometheus's textfile collector; \"\" writes none.",
    )
    .such_as("/var/lib/node_exporter/textfile/lambdalake.prom"),
    key(
        "batch.landing_poll_interval",
        duration(10 * MILLISECOND, HOUR),
        "1s",
        "Time between looks at what has landed, while a run waits for it.",
    ),
    key(
        "maintain.target_file_size",
        bytes(MB, TB),
        "256MB",
        "Size of the files that closed days are compacted to.",
    ),
    key(
        "maintain.event_retention",
        Kind::DurationOrNone {
            min: Duration::from_millis(DAY),
            max: Duration::from_millis(CENTURY),
        },
        "",
        "Days of `events` older than this are dropped once they are final, clean and expired in Kafka\n\
         too; their averages stay. \"\" keeps all. More than batch.close_after.",
    )
    .such_as("400d"),
    key(
        "maintain.orphan_retention",
        duration(DAY, CENTURY),
        "7d",
        "Files that no table names, left by writers that lost a race or crashed, are deleted at this\n\
         age. More than lake.retry_timeout.",
    ),
    text(
        "serving.listen",
        ADDRESS,
        "127.0.0.1:8080",
        "The address to listen on; port 0 takes a free one.",
    ),
    key(
        "serving.max_windows",
        count(1, 10_000_000),
        "10000",
        "Greatest number of windows in one request.",
    ),
    key(
        "serving.refresh_interval",
        duration(10 * MILLISECOND, HOUR),
        "1s",
        "Time between looks at the log of `avg_speed`.",
    ),
    key("serving.cache_bytes", bytes(MB, 1_000 * TB), "512MB", "Rows held in memory."),
    key(
        "serving.request_timeout",
        duration(100 * MILLISECOND, HOUR),
        "30s",
        "Longest time that a request may take.",
    ),
    key(
        "serving.max_concurrent_requests",
        count(1, 1_000_000),
        "1024",
        "Requests answered at a time; more of them are refused with 503.",
    ),
    key(
        "speed_limits.default_kmh",
        Kind::Kmh,
        "90",
        "The limit of cameras that have none of their own, in km/h. Not set by default: without any\n\
         limit `over_limit_count` is null.",
    )
    .unset(),
];

/// Every family of keys.
pub const FAMILIES: &[Family] = &[KAFKA_PROPERTIES, STORAGE_OPTIONS, CAMERA_LIMITS];

/// librdkafka's own settings.
pub const KAFKA_PROPERTIES: Family = Family {
    prefix: "kafka.properties.",
    kind: Kind::Property,
    examples: &[
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", "lambdalake"),
        ("sasl.password", "…"),
        ("ssl.ca.location", "/etc/ssl/certs/ca.pem"),
    ],
    doc: "librdkafka's own settings, passed on as they are: TLS, SASL, fetching. Refused are those that\n\
          the pipeline's guarantees rest on, such as enable.auto.commit and isolation.level.",
};

/// Options of the object store.
pub const STORAGE_OPTIONS: Family = Family {
    prefix: "lake.storage.",
    kind: Kind::Property,
    examples: &[
        ("endpoint", "http://127.0.0.1:9000"),
        ("region", "us-east-1"),
        ("access_key_id", "lambdalake"),
        ("secret_access_key", "…"),
        ("allow_http", "true"),
    ],
    doc: "Options of an S3 lake, by the names of object_store's AmazonS3ConfigKey. The variables AWS_… give\n\
          the same (AWS_ACCESS_KEY_ID), and these win over them. Credentials are needed: a key and its\n\
          secret, a web identity token, those of a container, or on a machine with a role\n\
          metadata_endpoint = \"http://169.254.169.254\".",
};

/// The limits of single cameras.
pub const CAMERA_LIMITS: Family = Family {
    prefix: "speed_limits.cameras.",
    kind: Kind::Kmh,
    examples: &[("KV12345", "60")],
    doc: "The limits of single cameras by id, in km/h. Ids keep their case, in variables too.",
};
