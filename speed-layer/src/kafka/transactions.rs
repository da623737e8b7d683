//! Open transactions as the statistics of librdkafka show them: records between the last stable offset and the high
//! watermark, which no reader of committed records is given before the transaction ends.
//!
//! Lag does not show them, since it counts to the last stable offset. A transaction that never ends holds back all records
//! after its first one.

use std::collections::BTreeMap;

use lake_model::KafkaPartition;

/// Since when each partition has stood at the same last stable offset with records beyond it.
#[derive(Debug, Default)]
pub(super) struct OpenTransactions {
    /// The offset and the instant that it was first seen at, in microseconds of librdkafka's clock.
    held_back: BTreeMap<KafkaPartition, (i64, i64)>,
}

/// What an open transaction holds back in a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct HeldBack {
    pub(super) records: i64,
    pub(super) seconds: f64,
}

impl OpenTransactions {
    /// Notes that the partition reached so far at `now_us`. Offsets that are not known yet are below 0.
    pub(super) fn observe(
        &mut self,
        partition: KafkaPartition,
        last_stable: i64,
        high_watermark: i64,
        now_us: i64,
    ) -> HeldBack {
        if last_stable < 0 || high_watermark <= last_stable {
            self.held_back.remove(&partition);
            return HeldBack::default();
        }
        let held = self.held_back.entry(partition).or_insert((last_stable, now_us));
        if held.0 != last_stable {
            *held = (last_stable, now_us);
        }
        let seconds = now_us.saturating_sub(held.1) as f64 / 1e6;
        HeldBack { records: high_watermark - last_stable, seconds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn the_age_counts_from_when_the_last_stable_offset_stopped() {
        let mut open = OpenTransactions::default();
        let none = HeldBack::default();
        assert_eq!(open.observe(KafkaPartition(0), 10, 10, SECOND), none);
        assert_eq!(
            open.observe(KafkaPartition(0), 10, 14, 2 * SECOND),
            HeldBack { records: 4, seconds: 0.0 }
        );
        assert_eq!(
            open.observe(KafkaPartition(0), 10, 20, 9 * SECOND),
            HeldBack { records: 10, seconds: 7.0 }
        );
        assert_eq!(
            open.observe(KafkaPartition(1), 10, 20, 9 * SECOND).seconds,
            0.0,
            "each partition for itself"
        );
        // Another transaction, which begins where the first one ended.
        assert_eq!(
            open.observe(KafkaPartition(0), 15, 20, 12 * SECOND),
            HeldBack { records: 5, seconds: 0.0 }
        );
        assert_eq!(open.observe(KafkaPartition(0), 20, 20, 15 * SECOND), none);
        assert_eq!(open.observe(KafkaPartition(0), 20, 21, 16 * SECOND).seconds, 0.0);
    }

    #[test]
    fn offsets_that_are_not_known_hold_nothing_back() {
        let mut open = OpenTransactions::default();
        assert_eq!(open.observe(KafkaPartition(0), -1001, -1001, SECOND), HeldBack::default());
        assert_eq!(open.observe(KafkaPartition(0), -1001, 7, SECOND), HeldBack::default());
    }
}
