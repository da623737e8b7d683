//! Which of a partition's leaders, counted by Kafka, appended a record.
//!
//! A leader that was elected although others knew more (an unclean election) cuts the log, and new records come under offsets that
//! others had before. An offset alone does not show that. An offset with the epoch of the record before it does: where that epoch
//! ends in the log of the new leader, all that was read before is still there, or it is not (KIP-320).

/// A leader epoch. It grows with every election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaderEpoch(i32);

impl LeaderEpoch {
    /// The epoch of that number; none where Kafka says -1, because it knows none.
    #[inline]
    pub fn new(number: i64) -> Option<LeaderEpoch> {
        i32::try_from(number).ok().filter(|number| *number >= 0).map(LeaderEpoch)
    }

    /// Its number.
    pub const fn number(self) -> i32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_kafka_counts_is_an_epoch() {
        for number in [0, 7] {
            assert_eq!(LeaderEpoch::new(number.into()).map(LeaderEpoch::number), Some(number));
        }
        assert_eq!(LeaderEpoch::new(-1), None);
        assert_eq!(LeaderEpoch::new(1 << 31), None);
    }
}
