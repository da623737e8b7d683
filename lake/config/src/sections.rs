//! The settings as programs use them, section by section.
//!
//! What each means is documented with its key in `super::keys`, its default and bounds too; the
//! file `lakehouse.toml` shows the same. A field is named like its key.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use lake_model::EventFormat;

use super::Settings;
use super::properties::Properties;
use super::values::Values;

/// What the pipeline is called, and whose days it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// Names the pipeline in the tables' transactions.
    pub name: String,
    /// IANA name of the time zone whose days are counted; `Calendar::new` takes it.
    pub timezone: String,
}

/// Where events come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kafka {
    /// `host:port`, several with commas.
    pub brokers: String,
    /// The topic of events.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// librdkafka's own settings, passed on.
    pub properties: Properties,
    /// What to do where Kafka no longer holds records that have not landed.
    pub on_data_loss: OnDataLoss,
    /// Longest wait for an answer of the brokers.
    pub request_timeout: Duration,
}

/// What to do where Kafka no longer holds records that have not landed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDataLoss {
    /// Stop with an error.
    Fail,
    /// Record the loss in `offset_gaps` and go on.
    Accept,
}

/// Where the tables are, and how their logs are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeSettings {
    /// A path, `file:///dir` or `s3://bucket/prefix`. A relative path is one from the current directory.
    pub uri: String,
    /// The object store's options. With an S3 address these are all there are: the `AWS_…` variables are
    /// among them, and names are the short ones that `AmazonS3ConfigKey` reads (`access_key_id`).
    pub storage: Properties,
    /// Longest wait for one request to the store.
    pub request_timeout: Duration,
    /// Longest time that one operation is tried again for.
    pub retry_timeout: Duration,
    /// How long a file stays after its removal from a table.
    pub deleted_file_retention: Duration,
    /// How long log entries stay.
    pub log_retention: Duration,
    /// Commits from one checkpoint of a log to the next.
    pub checkpoint_interval: u64,
}

/// How the speed layer paces itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speed {
    /// How long after its end a window still takes events.
    pub allowed_lateness: Duration,
    /// How far a watermark stays behind the greatest event time.
    pub out_of_orderness: Duration,
    /// Time between commits of provisional rows.
    pub commit_interval: Duration,
    /// Longest time that accepted rows wait before they land.
    pub landing_interval: Duration,
    /// Bytes of accepted rows after which they land at once.
    pub landing_bytes: u64,
    /// Time between commits of offsets alone.
    pub position_interval: Duration,
    /// Longest time that committing goes on once the program is told to stop.
    pub shutdown_timeout: Duration,
    /// Bytes of decoded records that may wait.
    pub queue_bytes: u64,
    /// Where metrics are served, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
}

/// When and how days are made final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// How long after its end a day may be made final.
    pub close_after: Duration,
    /// Rows of `events` held at a time.
    pub max_rows_in_memory: usize,
    /// File for the metrics of a run, if any.
    pub metrics_file: Option<PathBuf>,
    /// Time between looks at what has landed.
    pub landing_poll_interval: Duration,
}

/// Compaction and retention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintain {
    /// Size that files are compacted to, in bytes.
    pub target_file_size: u64,
    /// Age from which days of `events` are dropped, if ever.
    pub event_retention: Option<Duration>,
    /// Age from which files that no table names are deleted.
    pub orphan_retention: Duration,
}

/// The HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Greatest number of windows in a request.
    pub max_windows: usize,
    /// Time between looks at the table's log.
    pub refresh_interval: Duration,
    /// Bytes of rows held in memory.
    pub cache_bytes: u64,
    /// Longest time that a request may take.
    pub request_timeout: Duration,
    /// Requests answered at a time.
    pub max_concurrent_requests: usize,
}

/// The cameras' speed limits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpeedLimits {
    /// The limit of cameras that have none of their own, in km/h.
    pub default_kmh: Option<f64>,
    /// Limits by camera id, in km/h.
    pub cameras: BTreeMap<String, f64>,
}

impl SpeedLimits {
    /// The limit of a camera, in km/h: its own, or the default.
    pub fn kmh(&self, camera_id: &str) -> Option<f64> {
        self.cameras.get(camera_id).copied().or(self.default_kmh)
    }
}

/// The settings of values that were read.
pub(super) fn build(values: &Values) -> Settings {
    Settings {
        pipeline: Pipeline {
            name: values.text("pipeline.name"),
            timezone: values.text("pipeline.timezone"),
        },
        event: event(values),
        kafka: kafka(values),
        lake: lake(values),
        speed: speed(values),
        batch: Batch {
            close_after: values.duration("batch.close_after"),
            max_rows_in_memory: values.count("batch.max_rows_in_memory"),
            metrics_file: values.path("batch.metrics_file"),
            landing_poll_interval: values.duration("batch.landing_poll_interval"),
        },
        maintain: Maintain {
            target_file_size: values.whole("maintain.target_file_size"),
            event_retention: values.optional_duration("maintain.event_retention"),
            orphan_retention: values.duration("maintain.orphan_retention"),
        },
        serving: serving(values),
        speed_limits: SpeedLimits {
            default_kmh: values.optional_number("speed_limits.default_kmh"),
            cameras: values.camera_limits(),
        },
    }
}

fn event(values: &Values) -> EventFormat {
    let max_future_skew = values.duration("event.max_future_skew");
    EventFormat {
        camera_field: values.text("event.camera_field").into(),
        timestamp_field: values.text("event.timestamp_field").into(),
        speed_field: values.text("event.speed_field").into(),
        plate_field: values.text("event.plate_field").into(),
        max_speed_kmh: values.number("event.max_speed_kmh"),
        max_record_bytes: values.whole("event.max_record_bytes"),
        max_future_skew_us: i64::try_from(max_future_skew.as_micros()).unwrap_or(i64::MAX),
    }
}

fn kafka(values: &Values) -> Kafka {
    let group = values.optional_text("kafka.group");
    Kafka {
        brokers: values.text("kafka.brokers"),
        topic: values.text("kafka.topic"),
        group: group.unwrap_or_else(|| values.text("pipeline.name")),
        properties: values.kafka_properties(),
        on_data_loss: match values.text("kafka.on_data_loss").as_str() {
            "accept" => OnDataLoss::Accept,
            _ => OnDataLoss::Fail,
        },
        request_timeout: values.duration("kafka.request_timeout"),
    }
}

fn lake(values: &Values) -> LakeSettings {
    LakeSettings {
        uri: values.text("lake.uri"),
        storage: values.storage_options(),
        request_timeout: values.duration("lake.request_timeout"),
        retry_timeout: values.duration("lake.retry_timeout"),
        deleted_file_retention: values.duration("lake.deleted_file_retention"),
        log_retention: values.duration("lake.log_retention"),
        checkpoint_interval: values.whole("lake.checkpoint_interval"),
    }
}

fn speed(values: &Values) -> Speed {
    Speed {
        allowed_lateness: values.duration("speed.allowed_lateness"),
        out_of_orderness: values.duration("speed.out_of_orderness"),
        commit_interval: values.duration("speed.commit_interval"),
        landing_interval: values.duration("speed.landing_interval"),
        landing_bytes: values.whole("speed.landing_bytes"),
        position_interval: values.duration("speed.position_interval"),
        shutdown_timeout: values.duration("speed.shutdown_timeout"),
        queue_bytes: values.whole("speed.queue_bytes"),
        metrics_listen: values.address("speed.metrics_listen"),
    }
}

fn serving(values: &Values) -> Serving {
    Serving {
        listen: values.address("serving.listen").expect("the rule for it refuses an empty text"),
        max_windows: values.count("serving.max_windows"),
        refresh_interval: values.duration("serving.refresh_interval"),
        cache_bytes: values.whole("serving.cache_bytes"),
        request_timeout: values.duration("serving.request_timeout"),
        max_concurrent_requests: values.count("serving.max_concurrent_requests"),
    }
}
