//! Where consuming a partition begins, decided from what the tables hold and what Kafka still has.

use crate::offsets::OffsetRange;

/// What is known of a partition when it is assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeFacts {
    /// The lesser of the next offsets in `events` and `avg_speed`; none before both have one.
    pub stored: Option<i64>,
    /// The first offset that Kafka still has.
    pub low: i64,
    /// The last stable offset.
    pub high: i64,
    /// Whether a setting accepts that records are gone.
    pub accept_loss: bool,
}

/// Where consuming begins.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// At that offset, which continues what the tables hold.
    At(i64),
    /// At that offset, the first that Kafka has: nothing older was ever consumed.
    First(i64),
    /// At `at`; the offsets in `lost` are gone from Kafka, and that is accepted.
    AfterLoss {
        /// The first offset that Kafka has.
        at: i64,
        /// The offsets that are gone.
        lost: OffsetRange,
    },
    /// Nowhere: the offset wanted is gone, and that is not accepted.
    Gone {
        /// The offset that the tables continue at.
        wanted: i64,
        /// The first offset that Kafka has.
        available: i64,
    },
    /// Nowhere: the log ends before the offset wanted, so it is not the log that was consumed.
    Truncated {
        /// The offset that the tables continue at.
        wanted: i64,
        /// The last stable offset.
        end: i64,
    },
}

/// Decides where consuming begins.
pub fn decide(facts: ResumeFacts) -> Resume {
    let ResumeFacts { stored, low, high, accept_loss } = facts;
    match stored {
        None => Resume::First(low),
        Some(wanted) if wanted > high.max(low) => Resume::Truncated { wanted, end: high },
        Some(wanted) if wanted < low && accept_loss => {
            Resume::AfterLoss { at: low, lost: OffsetRange::new(wanted, low) }
        }
        Some(wanted) if wanted < low => Resume::Gone { wanted, available: low },
        Some(wanted) => Resume::At(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(stored: Option<i64>, accept_loss: bool) -> Resume {
        decide(ResumeFacts { stored, low: 10, high: 20, accept_loss })
    }

    #[test]
    fn consuming_continues_where_the_tables_end() {
        assert_eq!(decided(None, false), Resume::First(10));
        assert_eq!(decided(Some(10), false), Resume::At(10));
        assert_eq!(decided(Some(20), false), Resume::At(20));
        assert_eq!(decided(Some(10), true), Resume::At(10));
    }

    #[test]
    fn a_hole_is_never_passed_over_silently() {
        assert_eq!(decided(Some(9), false), Resume::Gone { wanted: 9, available: 10 });
        let lost = OffsetRange::new(9, 10);
        assert_eq!(decided(Some(9), true), Resume::AfterLoss { at: 10, lost });
        assert_eq!(decided(Some(21), true), Resume::Truncated { wanted: 21, end: 20 });
    }
}
