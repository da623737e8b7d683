//! Where records come from: the interface between the engine and Kafka, small enough to be simulated.
//!
//! Everything arrives in one order. A partition's records come between its `Assigned` and its `Revoked` or
//! `Lost`, tagged with the epoch that its start was answered with; records of older epochs are stale.

use async_trait::async_trait;
use lake_model::{KafkaPartition, Offset};
use tokio::sync::oneshot;

use crate::decode::DecodedBatch;

/// What a source reports to the engine.
#[derive(Debug)]
pub enum SourceEvent {
    /// Records of one partition.
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
