//! The app ids under which offsets live in the Delta logs, beside the files they count for.
//!
//! Per Kafka partition a commit of `events` or `avg_speed` carries the next offset and the greatest event
//! time so far; `dead_letters` and `offset_gaps` carry an offset that grows with every commit, and that their rows do not reach
//! beyond. All four tables carry the epoch of the partition's owner. Where Kafka says which leader appended the record
//! before the next offset, its epoch is there with that offset. An epoch beside another offset says nothing: a program that
//! knows of no epochs has moved on. Watermarks that were set back are in `resets`, cuts of Kafka's log that were accepted in
//! `truncations`.

mod resets;
mod truncations;

use std::collections::BTreeSet;

use lake_model::commit::OwnerEpoch;
use lake_model::finalization::QuarantinedFiles;
use lake_model::{Day, KafkaPartition, LeaderEpoch, Offset, TableVersion, Timestamp};

pub use self::resets::WatermarkReset;
pub use self::truncations::{AcceptedTruncation, CutBelowLanded};
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
    /// The epoch of the leader that appended what is before that offset, if it is known.
    pub leader_epoch: Option<LeaderEpoch>,
}

impl AppIds {
    /// The app ids of `pipeline` on `topic`.
    pub fn new(pipeline: &str, topic: &str) -> AppIds {
        let prefix = format!("{pipeline}:{topic}");
        AppIds { pipeline: pipeline.to_owned(), topic: topic.to_owned(), prefix }
    }

    /// The pipeline.
    pub fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The app id of a partition's next offset.
    pub fn next_offset(&self, partition: KafkaPartition) -> String {
        format!("{}:{partition}", self.prefix)
    }

    /// The app id of a partition's greatest event time, in microseconds.
    pub fn max_event_time(&self, partition: KafkaPartition) -> String {
        format!("{}:{partition}:max_event_time", self.prefix)
    }

    /// The app id of the leader epoch of what is before the offset that [`AppIds::leader_epoch_offset`] names.
    pub fn leader_epoch(&self, partition: KafkaPartition) -> String {
        format!("{}:{partition}:leader_epoch", self.prefix)
    }

    /// The app id of the offset that a partition's leader epoch belongs to.
    pub fn leader_epoch_offset(&self, partition: KafkaPartition) -> String {
        format!("{}:{partition}:leader_epoch_offset", self.prefix)
    }

    /// The owner epoch of `partition` by `state`.
    pub fn owner_epoch(&self, state: &TableState, partition: KafkaPartition) -> OwnerEpoch {
        OwnerEpoch(state.txn(&self.owner(partition)).unwrap_or_default())
    }

    /// The transaction that makes `partition` that of `owner`.
    pub fn own(&self, partition: KafkaPartition, owner: OwnerEpoch) -> (String, i64) {
        (self.owner(partition), owner.0)
    }

    /// Whether `app_id`, of whatever pipeline, is that of the owner of a partition.
    pub(crate) fn is_owner(app_id: &str) -> bool {
        app_id.ends_with(":owner")
    }

    fn owner(&self, partition: KafkaPartition) -> String {
        format!("{}:{partition}:owner", self.prefix)
    }

    /// The app id of the retention floor: the first day that retention has not dropped, in days since 1970.
    pub fn retention_floor(&self) -> String {
        format!("{}:retention_floor_day", self.pipeline)
    }

    /// The transactions of the commit `version` of `events`, which takes a quarantined file of `day` out of the table;
    /// `is_last` if the day has no other.
    pub fn quarantine(
        &self,
        day: Day,
        version: TableVersion,
        is_last: bool,
    ) -> impl Iterator<Item = (String, i64)> {
        let emptied = is_last.then(|| (self.emptied_in(day), version.0));
        [(self.quarantined_in(day), version.0)].into_iter().chain(emptied)
    }

    fn quarantined_in(&self, day: Day) -> String {
        format!("{}:quarantined:{day}", self.pipeline)
    }

    fn emptied_in(&self, day: Day) -> String {
        format!("{}:emptied:{day}", self.pipeline)
    }

    /// What `state` holds for `partition`.
    pub fn progress(&self, state: &TableState, partition: KafkaPartition) -> PartitionProgress {
        let next_offset = state.txn(&self.next_offset(partition)).map(Offset);
        let epoch_is_of_it =
            state.txn(&self.leader_epoch_offset(partition)).map(Offset) == next_offset;
        let leader_epoch = state.txn(&self.leader_epoch(partition)).and_then(LeaderEpoch::new);
        PartitionProgress {
            next_offset,
            max_event_time: state.txn(&self.max_event_time(partition)).map(Timestamp::from_micros),
            leader_epoch: leader_epoch.filter(|_| epoch_is_of_it),
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
        let epoch = progress.next_offset.zip(progress.leader_epoch).map(|(next, epoch)| {
            let (id, id_of_offset) =
                (self.leader_epoch(partition), self.leader_epoch_offset(partition));
            [(id, i64::from(epoch.number())), (id_of_offset, next.0)]
        });
        offset.into_iter().chain(time).chain(epoch.into_iter().flatten()).collect()
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

    /// What the app id `app_id` of the pipeline of `former` is called under this name; `None` if it is of neither.
    pub(crate) fn renamed(&self, app_id: &str, former: &AppIds) -> Option<String> {
        let rest = app_id.strip_prefix(&former.pipeline)?.strip_prefix(':')?;
        Some(format!("{}:{rest}", self.pipeline))
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

    /// What of `day` was quarantined by `state` of `events`.
    pub fn quarantined(&self, state: &TableState, day: Day) -> QuarantinedFiles {
        QuarantinedFiles {
            last: state.txn(&self.quarantined_in(day)).map(TableVersion),
            emptied: state.txn(&self.emptied_in(day)).map(TableVersion),
        }
    }

    /// The first day of `state` that retention has not dropped.
    pub fn retention_floor_day(&self, state: &TableState) -> Option<Day> {
        let days = state.txn(&self.retention_floor())?;
        i32::try_from(days).ok().map(Day::from_days)
    }
}
