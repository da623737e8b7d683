//! How much more a broker of limited memory can take before its consumers must catch up.
//!
//! librdkafka's mock broker keeps the newest 5 MiB of each partition and silently drops older records,
//! consumed or not. So what is sent but not yet committed by the consumer group may never exceed that. Each
//! record counts as if it were alone in its batch, the most it can take; a batch that is consumed in part is
//! kept whole, so one batch is spared. The offsets of a partition count its records from 0.

use std::collections::VecDeque;

/// What the mock broker keeps of each partition, in bytes (`rd_kafka_mock_partition_init`).
const BROKER_KEEPS_BYTES: u64 = 5 * 1024 * 1024;
/// The greatest batch that the producer may send, in bytes.
pub const MAX_BATCH_BYTES: u64 = 128 * 1024;
/// The most that records may take in a partition before they are consumed, with a reserve for one batch
/// consumed in part and one whose size the producer overshoots.
const LIMIT_BYTES: u64 = BROKER_KEEPS_BYTES - 4 * MAX_BATCH_BYTES;
/// The most that a record takes beside its key and payload: the batch's header (61 bytes) and the record's
/// own lengths and deltas (at most 5 bytes each, seven of them), Kafka message format version 2.
const OVERHEAD_BYTES: u64 = 61 + 35;

/// The records that a partition must still keep.
#[derive(Clone, Debug, Default)]
struct Outstanding {
    /// Sizes of the records sent and not consumed, oldest first.
    sizes: VecDeque<u32>,
    /// Offset of the oldest of them.
    consumed: u64,
    bytes: u64,
}

/// What each partition can still take.
#[derive(Clone, Debug)]
pub struct Allowance {
    partitions: Vec<Outstanding>,
}

impl Allowance {
    /// Of a topic with this many empty partitions.
    pub fn new(partitions: usize) -> Allowance {
        Allowance { partitions: vec![Outstanding::default(); partitions] }
    }

    /// Whether a record with a key and payload of `bytes` may be sent to `partition`. One that is alone
    /// always may: the broker keeps the newest batch whatever its size.
    pub fn has_room(&self, partition: usize, bytes: usize) -> bool {
        let outstanding = &self.partitions[partition];
        outstanding.sizes.is_empty() || outstanding.bytes + u64::from(size(bytes)) <= LIMIT_BYTES
    }

    /// Notes that such a record was sent.
    pub fn sent(&mut self, partition: usize, bytes: usize) {
        let outstanding = &mut self.partitions[partition];
        outstanding.sizes.push_back(size(bytes));
        outstanding.bytes += u64::from(size(bytes));
    }

    /// Notes that the group has consumed `partition` up to `next_offset`. True if that is news.
    pub fn consumed(&mut self, partition: usize, next_offset: u64) -> bool {
        let outstanding = &mut self.partitions[partition];
        let before = outstanding.consumed;
        while outstanding.consumed < next_offset {
            let Some(size) = outstanding.sizes.pop_front() else { break };
            outstanding.bytes -= u64::from(size);
            outstanding.consumed += 1;
        }
        outstanding.consumed > before
    }

    /// Records sent and not consumed.
    pub fn outstanding(&self) -> usize {
        self.partitions.iter().map(|outstanding| outstanding.sizes.len()).sum()
    }
}

/// What a record with a key and payload of `bytes` takes at most.
fn size(bytes: usize) -> u32 {
    u32::try_from(bytes as u64 + OVERHEAD_BYTES).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_partition_fills_up_and_has_room_again_once_consumed() {
        let mut allowance = Allowance::new(2);
        let mut sent = 0_u64;
        while allowance.has_room(1, 4000) {
            allowance.sent(1, 4000);
            sent += 1;
        }
        assert_eq!(sent, LIMIT_BYTES / (4000 + OVERHEAD_BYTES));
        assert!(allowance.has_room(0, 4000), "partitions are counted apart");
        assert!(!allowance.consumed(1, 0), "nothing consumed is no news");
        assert!(allowance.consumed(1, 1) && allowance.has_room(1, 4000));
        assert!(allowance.consumed(1, u64::MAX) && !allowance.consumed(1, u64::MAX));
        assert_eq!(allowance.outstanding(), 0);
    }

    #[test]
    fn a_record_beyond_the_limit_may_go_alone() {
        let mut allowance = Allowance::new(1);
        let huge = usize::try_from(LIMIT_BYTES).expect("small");
        assert!(allowance.has_room(0, huge));
        allowance.sent(0, huge);
        assert!(!allowance.has_room(0, 1));
    }

    proptest! {
        #[test]
        fn what_is_outstanding_never_exceeds_what_the_broker_keeps(
            steps in prop::collection::vec((1_usize..200_000, 0_u64..300), 1..300),
        ) {
            let mut allowance = Allowance::new(1);
            let (mut sizes, mut consumed) = (Vec::new(), 0_u64);
            for (bytes, next_offset) in steps {
                if allowance.has_room(0, bytes) {
                    allowance.sent(0, bytes);
                    sizes.push(bytes as u64 + OVERHEAD_BYTES);
                } else {
                    allowance.consumed(0, next_offset);
                    consumed = consumed.max(next_offset.min(sizes.len() as u64));
                }
                let kept: u64 = sizes[usize::try_from(consumed).expect("few")..].iter().sum();
                prop_assert!(kept <= LIMIT_BYTES);
                prop_assert_eq!(allowance.outstanding() as u64, sizes.len() as u64 - consumed);
            }
        }
    }
}
