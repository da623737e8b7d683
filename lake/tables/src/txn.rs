//! The app ids under which offsets live in the Delta logs, beside the files they count for.
//!
//! Per Kafka partition a commit of `events` or `avg_speed` carries the next offset and the greatest event
//! time so far; `dead_letters` and `offset_gaps` carry the next offset alone. All four tables carry the epoch of the
//! partition's owner. Watermarks that were set back are in `resets`.

mod resets;

use std::collections::BTreeSet;

use lake_model::commit::OwnerEpoch;
use lake_model::{Day, KafkaPartition, Offset, Timestamp};

pub use self::resets::WatermarkReset;
use lake_delta::TableState;

/// The app ids of one pipeline on one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppIds {
    pipeline: String,
    topic: String,
    prefix: String,
}

/// What a table's log holds for a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionProgress {
    /// The next offset; `None` before the first commit.
    pub next_offset: Option<Offset>,
    /// The greatest event time of accepted events before that offset.
    pub max_event_time: Option<Timestamp>,
}

impl AppIds {
    /// The app ids of `pipeline` on `topic`.
    pub fn new(pipeline: &str, topic: &str) -> AppIds {
        let prefix = format!("{pipeline}:{topic}");
        AppIds { pipeline: pipeline.to_owned(), topic: topic.to_owned(), prefix }
    }

    /// The app id of a partition's next offset.
    pub fn next_offset(&self, partition: KafkaPartition) -> String {
        format!("{}:{partition}", self.prefix)
    }

    /// The app id of a partition's greatest event time, in microseconds.
    pub fn max_event_time(&self, partition: KafkaPartition) -> String {
        format!("{}:{partition}:max_event_time", self.prefix)
    }

    /// The owner epoch of `partition` by `state`.
    pub fn owner_epoch(&self, state: &TableState, partition: KafkaPartition) -> OwnerEpoch {
        OwnerEpoch(state.txn(&self.owner(partition)).unwrap_or_default())
    }

    /// The transaction that makes `partition` that of `owner`.
    pub fn own(&self, partition: KafkaPartition, owner: OwnerEpoch) -> (String, i64) {
        (self.owner(partition), owner.0)
    }

    fn owner(&self, partition: KafkaPartition) -> String {
        format!("{}:{partition}:owner", self.prefix)
    }

    /// The app id of the retention floor: the first day that retention has not dropped, in days since 1970.
    pub fn retention_floor(&self) -> String {
        format!("{}:retention_floor_day", self.pipeline)
    }

    /// What `state` holds for `partition`.
    pub fn progress(&self, state: &TableState, partition: KafkaPartition) -> PartitionProgress {
        PartitionProgress {
            next_offset: state.txn(&self.next_offset(partition)).map(Offset),
            max_event_time: state.txn(&self.max_event_time(partition)).map(Timestamp::from_micros),
        }
    }

    /// The transactions that record `progress` of `partition`.
    pub fn record(
        &self,
        partition: KafkaPartition,
        progress: PartitionProgress,
    ) -> Vec<(String, i64)> {
        let offset = progress.next_offset.map(|next| (self.next_offset(partition), next.0));
        let time = progress.max_event_time.map(|t| (self.max_event_time(partition), t.micros()));
        offset.into_iter().chain(time).collect()
    }

    /// The partitions that `state` holds a next offset for, ascending, with that offset.
    pub fn partitions(&self, state: &TableState) -> Vec<(KafkaPartition, Offset)> {
        let mut found: Vec<(KafkaPartition, Offset)> = state
            .txns()
            .filter_map(|(app_id, next)| {
                let rest = app_id.strip_prefix(&self.prefix)?.strip_prefix(':')?;
                Some((KafkaPartition(rest.parse().ok()?), Offset(next)))
            })
            .collect();
        found.sort_unstable();
        found
    }

    /// The pipeline whose offsets of the same topic `state` holds, where it holds none of this one.
    pub fn other_pipeline(&self, state: &TableState) -> Option<String> {
        let pipeline = |app_id: &str| {
            let (rest, partition) = app_id.rsplit_once(':')?;
            partition.parse::<i32>().ok()?;
            rest.strip_suffix(self.topic.as_str())?.strip_suffix(':').map(str::to_owned)
        };
        let found: BTreeSet<String> =
            state.txns().filter_map(|(app_id, _)| pipeline(app_id)).collect();
        if found.contains(&self.pipeline) { None } else { found.into_iter().next() }
    }

    /// The first day of `state` that retention has not dropped.
    pub fn retention_floor_day(&self, state: &TableState) -> Option<Day> {
        let days = state.txn(&self.retention_floor())?;
        i32::try_from(days).ok().map(Day::from_days)
    }
}
