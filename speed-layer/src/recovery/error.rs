//! Why a partition can't be continued, with what to set.

use lake_delta::LakeError;
use lake_model::{KafkaPartition, Offset};
use lake_tables::txn::CutBelowLanded;

/// Why a partition can't be continued.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The tables can't be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// Kafka no longer has the offset wanted.
    #[error(
        "partition {partition}: offset {wanted} is wanted and {available} is the first that Kafka still has: \
         {lost} records are lost; set kafka.on_data_loss = \"accept\" to go on and record the loss in \
         offset_gaps",
        lost = available.since(*wanted)
    )]
    Gone {
        /// The partition.
        partition: KafkaPartition,
        /// The offset that the tables continue at.
        wanted: Offset,
        /// The first offset that Kafka has.
        available: Offset,
    },
    /// The partition's log is not the one that was landed.
    #[error(
        "topic {topic}, partition {partition}: Kafka's log was truncated below what is landed, by an unclean leader election, \
         or the topic was recreated: {lost} are landed and no longer in Kafka, and new records under these offsets can't \
         be read any more; set kafka.on_data_loss = \"accept\" to go on at offset {position} and record that in events, or \
         use another lake.uri or kafka.topic for a new topic",
        partition = cut.partition,
        position = cut.position,
        lost = match cut.end {
            Some(end) => format!("offsets {end} to {}", wanted.0 - 1),
            None => format!("offsets before {wanted}"),
        }
    )]
    Truncated {
        /// The topic.
        topic: String,
        /// The next offset of the table that is further.
        wanted: Offset,
        /// Where the log was cut, and where consuming could go on.
        cut: CutBelowLanded,
    },
    /// The partition ends before what is landed, and no leader epoch says whose log that is.
    #[error(
        "topic {topic}, partition {partition}: offset {wanted} is wanted and the partition ends at {end}: the topic was \
         recreated or truncated, and since no leader epoch is stored beside that offset it can't be told which; use another \
         lake.uri or kafka.topic for the new topic"
    )]
    Shorter {
        /// The topic.
        topic: String,
        /// The partition.
        partition: KafkaPartition,
        /// The next offset that the tables hold.
        wanted: Offset,
        /// The partition's end.
        end: Offset,
    },
}
