//! What really happened in a run: the log as it was produced and the store's every object, for the checker.
//!
//! Nothing here comes from the product. [`Truth`] is kept by the simulated broker and by the harness, [`History`]
//! by the shared store underneath all faults. Times are microseconds since 1970 on the world's true clock, which
//! processes see with a skew of at most [`Truth::max_clock_skew_us`].

use std::collections::BTreeMap;

use bytes::Bytes;

/// What was produced, and under which settings the product worked on it.
#[derive(Clone, Debug)]
pub struct Truth {
    /// The settings that decide what the tables must hold.
    pub settings: TrueSettings,
    /// Every partition of the topic.
    pub partitions: BTreeMap<i32, TruePartition>,
    /// Every time that a nightly run asked how far the partitions reach.
    pub nightly_questions: Vec<NightlyQuestion>,
    /// Watermarks that were set by hand.
    pub watermark_resets: Vec<WatermarkReset>,
    /// Cuts of logs that were accepted.
    pub accepted_cuts: Vec<AcceptedCut>,
    /// Since when the first process accepts that records are lost, if ever.
    pub accepts_loss_since_us: Option<i64>,
    /// How far a process's clock may be from the true one, either way, in microseconds.
    pub max_clock_skew_us: i64,
    /// The true time at which the run ended.
    pub ended_at_us: i64,
}

/// The settings that decide what the tables must hold, as `lakehouse.toml` names them.
#[derive(Clone, Debug)]
pub struct TrueSettings {
    /// `pipeline.name`.
    pub pipeline: String,
    /// `pipeline.timezone`, an IANA name.
    pub timezone: String,
    /// A release of the time-zone database by which that zone has the clocks of another, which some processes have.
    pub later_rules: Option<(&'static str, &'static str)>,
    /// `kafka.topic`.
    pub topic: String,
    /// `speed.allowed_lateness`.
    pub allowed_lateness_us: i64,
    /// `speed.out_of_orderness`.
    pub out_of_orderness_us: i64,
    /// `batch.close_after`.
    pub close_after_us: i64,
    /// `event.max_speed_kmh`.
    pub max_speed_kmh: f64,
    /// The same in processes of another release.
    pub other_max_speed_kmh: Option<f64>,
    /// `event.max_record_bytes`.
    pub max_record_bytes: u64,
    /// `event.max_future_skew`.
    pub max_future_skew_us: i64,
    /// `speed_limits.default_kmh`.
    pub default_limit_kmh: Option<f64>,
    /// `speed_limits.cameras`, km/h by camera.
    pub camera_limits_kmh: BTreeMap<String, f64>,
    /// `lake.deleted_file_retention`.
    pub deleted_file_retention_us: i64,
    /// `maintain.event_retention`; days are never dropped without it.
    pub event_retention_us: Option<i64>,
}

/// The log of a partition as it was produced.
#[derive(Clone, Debug, Default)]
pub struct TruePartition {
    /// Every record ever appended, in the order of offsets, those that retention deleted since too. Offsets
    /// below `end` without a record are transaction markers or were compacted away.
    pub records: Vec<TrueRecord>,
    /// The last stable offset at the run's end.
    pub end: i64,
    /// The first offset that retention has left.
    pub first_available: i64,
    /// The first offset that was available when the partition was first consumed, if it ever was.
    pub first_consumed: Option<i64>,
    /// Half-open ranges that retention deleted before they were landed, while nobody was writing the tables and both
    /// ended at the range's first offset. Empty unless losses are accepted.
    pub losses: Vec<(i64, i64)>,
    /// Where an unclean election cut the log, at most once.
    pub cut: Option<Cut>,
}

/// An unclean election: the log goes on at an offset that it had records at and after, which are gone.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The first offset that was cut off.
    pub offset: i64,
    /// When.
    pub at_us: i64,
    /// The last stable offset before that.
    pub stable_end: i64,
    /// What was cut off.
    pub records: Vec<TrueRecord>,
}

/// A cut that the tables have on record as accepted.
#[derive(Clone, Copy, Debug)]
pub struct AcceptedCut {
    /// The partition.
    pub partition: i32,
    /// The offset that consuming goes on at: what the tables hold before it is of the log before the cut.
    pub position: i64,
    /// Where the offsets end that dead letters and gaps cover by then, by the log before the cut, if beyond the position.
    pub covered_to: i64,
    /// The place of the record in the order of puts.
    pub sequence: u64,
    /// When it was put.
    pub at_us: i64,
}

/// A record.
#[derive(Clone, Debug)]
pub struct TrueRecord {
    /// Its offset.
    pub offset: i64,
    /// Its Kafka timestamp, in whole milliseconds.
    pub kafka_timestamp_us: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its payload.
    pub payload: Option<Vec<u8>>,
    /// Whether a reader of committed records sees it: false if its transaction was aborted.
    pub is_visible: bool,
}

/// What a nightly run was told of the partitions' ends.
#[derive(Clone, Debug)]
pub struct NightlyQuestion {
    /// The process that asked, as in [`ObjectVersion::writer`].
    pub process: String,
    /// When.
    pub at_us: i64,
    /// The end of all records of each partition then, those of open transactions too.
    pub ends: BTreeMap<i32, i64>,
}

/// A watermark that was set back by hand.
#[derive(Clone, Copy, Debug)]
pub struct WatermarkReset {
    /// The partition.
    pub partition: i32,
    /// The offset from which on it counts.
    pub from_offset: i64,
    /// The greatest event time from then on.
    pub to_us: i64,
}

/// Every object that the store ever held, by path relative to the lake.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The versions of each object, oldest first. An object is in the store at the end if its last version was
    /// not ended.
    pub objects: BTreeMap<String, Vec<ObjectVersion>>,
}

/// What an object was from one put to the next put or the deletion.
#[derive(Clone, Debug)]
pub struct ObjectVersion {
    /// Its place in the order of all puts and deletions.
    pub sequence: u64,
    /// When it was put.
    pub put_at_us: i64,
    /// The process that put it, such as `speed-2` or `nightly-5`.
    pub writer: String,
    /// Its contents.
    pub bytes: Bytes,
    /// The place in the order, the time and the process of its deletion or replacement.
    pub ended: Option<Ended>,
}

/// How an object's version ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its place in the order of all puts and deletions.
    pub sequence: u64,
    /// When.
    pub at_us: i64,
    /// The process that did it.
    pub by: String,
}
