//! What Kafka has of a topic at one moment.

use std::collections::BTreeMap;

use lake_model::{KafkaPartition, Offset, OffsetRange, TopicIdentity};

/// A topic, with how far each of its partitions reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicExtent {
    /// Which topic it is.
    pub identity: TopicIdentity,
    /// Its partitions.
    pub partitions: BTreeMap<KafkaPartition, PartitionExtent>,
}

/// How far a partition reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionExtent {
    /// From the first offset that Kafka still has to the last stable offset, where a reader of committed records has to
    /// stop.
    pub stable: OffsetRange,
    /// The end of all records, also of transactions that are open still. It is above the last stable offset while one is.
    pub high_watermark: Offset,
}

impl TopicExtent {
    /// The first offset that Kafka still has of each partition and its last stable offset.
    pub fn stable(&self) -> BTreeMap<KafkaPartition, OffsetRange> {
        self.partitions.iter().map(|(id, extent)| (*id, extent.stable)).collect()
    }

    /// The last stable offset of each partition.
    pub fn ends(&self) -> BTreeMap<KafkaPartition, Offset> {
        self.partitions.iter().map(|(id, extent)| (*id, extent.stable.next)).collect()
    }
}

impl PartitionExtent {
    /// A partition without open transactions.
    pub const fn all_stable(stable: OffsetRange) -> PartitionExtent {
        PartitionExtent { stable, high_watermark: stable.next }
    }

    /// Whether an open transaction holds records back.
    pub const fn is_held_back(&self) -> bool {
        self.stable.next.0 < self.high_watermark.0
    }
}
