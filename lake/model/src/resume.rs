//! Where consuming a partition begins, decided from what the tables hold and what Kafka still has.

use crate::offsets::{Offset, OffsetRange};

/// What is known of a partition when it is assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeFacts {
    /// The lesser of the next offsets in `events` and `avg_speed`; none before both have one.
    pub stored: Option<Offset>,
    /// The first offset that Kafka still has.
    pub low: Offset,
    /// The last stable offset.
    pub high: Offset,
    /// Whether a setting accepts that records are gone.
    pub accept_loss: bool,
}

/// Where consuming begins.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// At that offset, which continues what the tables hold.
    At(Offset),
    /// At that offset, the first that Kafka has: nothing older was ever consumed.
    First(Offset),
    /// At `at`; the offsets in `lost` are gone from Kafka, and that is accepted.
    AfterLoss {
        /// The first offset that Kafka has.
        at: Offset,
        /// The offsets that are gone.
        lost: OffsetRange,
    },
    /// Nowhere: the offset wanted is gone, and that is not accepted.
    Gone {
        /// The offset that the tables continue at.
        wanted: Offset,
        /// The first offset that Kafka has.
        available: Offset,
    },
    /// Nowhere: the log ends before the offset wanted, so it is not the log that was consumed.
    Truncated {
        /// The offset that the tables continue at.
        wanted: Offset,
        /// The last stable offset.
        end: Offset,
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

    const LOW: Offset = Offset(10);
    const HIGH: Offset = Offset(20);

    fn decided(stored: Option<Offset>, accept_loss: bool) -> Resume {
        decide(ResumeFacts { stored, low: LOW, high: HIGH, accept_loss })
    }

    #[test]
    fn consuming_continues_where_the_tables_end() {
        assert_eq!(decided(None, false), Resume::First(LOW));
        assert_eq!(decided(Some(LOW), false), Resume::At(LOW));
        assert_eq!(decided(Some(HIGH), false), Resume::At(HIGH));
        assert_eq!(decided(Some(LOW), true), Resume::At(LOW));
    }

    #[test]
    fn a_hole_is_never_passed_over_silently() {
        let (gone, beyond) = (Offset(9), HIGH.next());
        assert_eq!(decided(Some(gone), false), Resume::Gone { wanted: gone, available: LOW });
        let lost = OffsetRange::new(gone, LOW);
        assert_eq!(decided(Some(gone), true), Resume::AfterLoss { at: LOW, lost });
        assert_eq!(decided(Some(beyond), true), Resume::Truncated { wanted: beyond, end: HIGH });
    }
}
