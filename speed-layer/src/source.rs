//! Where records come from: the interface between the engine and Kafka, small enough to be simulated.
//!
//! Everything arrives in one order. A partition's records come between its `Assigned` and its `Revoked` or
//! `Lost`, tagged with the epoch that its start was answered with; records of older epochs are stale. The leader epoch is
//! another matter: it counts Kafka's leaders, and tells whether the log is still the one that was read.

use async_trait::async_trait;
pub use lake_model::resume::Truncation;
use lake_model::{KafkaPartition, LeaderEpoch, Offset};
use tokio::sync::oneshot;

use crate::decode::DecodedBatch;

/// What a source reports to the engine.
#[derive(Debug)]
pub enum SourceEvent {
    /// Records of one partition, which one leader appended. Nothing went wrong between them: offsets that are missing there
    /// have no record.
    Records(Box<DecodedBatch>),
    /// Partitions were assigned; the source fetches once it knows where to start.
    Assigned {
        /// The partitions with what Kafka has of them.
        partitions: Vec<AssignedPartition>,
        /// Receives where each partition starts. One that is left out is assigned again, with what Kafka has of
        /// it by then.
        reply: oneshot::Sender<Vec<Start>>,
    },
    /// Partitions are taken away in an orderly way: what is held of them may still be committed.
    Revoked {
        /// The partitions.
        partitions: Vec<KafkaPartition>,
        /// Completed when the engine has released them.
        reply: oneshot::Sender<()>,
    },
    /// Partitions have been taken away already, and another instance may own them.
    Lost {
        /// The partitions.
        partitions: Vec<KafkaPartition>,
    },
    /// Everything before `next` was delivered or never will be (transaction markers, aborted records). Reported each time
    /// that all was fetched which Kafka had; never beyond that.
    Position {
        /// The partition.
        partition: KafkaPartition,
        /// The assignment that this was seen under.
        epoch: u64,
        /// The next offset that may be delivered.
        next: Offset,
        /// The epoch of the leader that appended what is before that, if Kafka says so.
        leader_epoch: Option<LeaderEpoch>,
    },
    /// The source failed for good.
    Failed {
        /// What happened and what to do.
        problem: String,
    },
}

/// A partition that was assigned, with what Kafka has of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssignedPartition {
    /// The partition.
    pub partition: KafkaPartition,
    /// The first offset that Kafka still has.
    pub low: Offset,
    /// The last stable offset.
    pub high: Offset,
    /// What Kafka says of a log that is no longer the one that was read.
    pub truncation: Option<Truncation>,
}

/// Where a partition starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The partition.
    pub partition: KafkaPartition,
    /// The first offset wanted.
    pub offset: Offset,
    /// The tag of the records to come.
    pub epoch: u64,
    /// The epoch of the leader that appended what is before the offset, for the source to find out whether that is still
    /// there.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// A source of records.
#[async_trait]
pub trait Source: Send {
    /// The next thing that happened. Cancelling the wait loses nothing.
    async fn next(&mut self) -> SourceEvent;

    /// Fetches a partition anew from another offset, under another epoch.
    fn seek(&mut self, start: Start);

    /// Reports to the group how far the tables are, for lag tools; nothing depends on it.
    fn commit_offsets(&mut self, next_offsets: &[(KafkaPartition, Offset)]);

    /// Leaves the group, once all is committed.
    async fn close(&mut self);
}
