//! The clock of a partition: its greatest event time so far, and the resets of its watermark that lie ahead.
//!
//! A reset holds from an offset on: whoever comes to that offset, in a first pass or in a replay, goes on with the
//! event time that the reset says. So lateness depends on the partition's log and its resets alone.

use std::collections::VecDeque;

use lake_model::{DaySpan, Lateness, Offset, PartitionClock, Timestamp};
use lake_tables::txn::WatermarkReset;

/// The clock of a partition.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    now: PartitionClock,
    /// Resets that the partition has not come to, in the order of their offsets.
    ahead: VecDeque<WatermarkReset>,
    /// How many resets the partition has had when the clock was made.
    resets: usize,
}

impl Clock {
    /// The clock of a partition with these resets that stands at `position`, where the greatest event time is
    /// `max_event_time` but for a reset at `position` itself.
    pub fn resumed(
        position: Offset,
        max_event_time: Option<Timestamp>,
        resets: &[WatermarkReset],
    ) -> Clock {
        let ahead = resets.iter().filter(|reset| reset.offset >= position).copied().collect();
        let now = PartitionClock::resumed(max_event_time);
        let mut clock = Clock { now, ahead, resets: resets.len() };
        clock.reach(position);
        clock
    }

    /// Notes that the record at `position` is the next one, from which on a reset may hold.
    pub fn reach(&mut self, position: Offset) {
        while let Some(reset) = self.ahead.pop_front_if(|reset| reset.offset <= position) {
            self.now = PartitionClock::resumed(Some(reset.to));
        }
    }

    /// Takes the partition's next accepted event, which is in `day`, and says whether it is late.
    pub fn observe(&mut self, time: Timestamp, day: &DaySpan, lateness: Lateness) -> bool {
        self.now.observe(time, day, lateness)
    }

    /// The greatest event time.
    pub fn now(&self) -> PartitionClock {
        self.now
    }

    /// The earliest that the clock is or will be set to. What is open by that one may still take events.
    pub fn earliest(&self) -> PartitionClock {
        let ahead = self.ahead.iter().map(|reset| PartitionClock::resumed(Some(reset.to)));
        ahead.chain([self.now]).min_by_key(|clock| clock.max_event_time()).unwrap_or(self.now)
    }

    /// How many resets the partition has had when the clock was made.
    pub fn resets(&self) -> usize {
        self.resets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lake_model::{Calendar, KafkaPartition};
    use proptest::prelude::*;

    const LATENESS: Lateness = Lateness { allowed_us: 600_000_000, out_of_orderness_us: 0 };

    fn time(minutes: i64) -> Timestamp {
        Timestamp::from_micros(minutes * 60_000_000)
    }

    fn reset(offset: i64, to: i64) -> WatermarkReset {
        let (from, requested_at) = (time(9999), time(0));
        let (partition, offset) = (KafkaPartition(0), Offset(offset));
        WatermarkReset { partition, offset, from, to: time(to), requested_at }
    }

    #[test]
    fn a_reset_holds_from_its_offset_on_and_not_before() {
        let mut clock = Clock::resumed(Offset(4), Some(time(9000)), &[reset(2, 1), reset(5, 60)]);
        assert_eq!(clock.now().max_event_time(), Some(time(9000)));
        assert_eq!(clock.earliest().max_event_time(), Some(time(60)));
        clock.reach(Offset(5));
        assert_eq!(clock.now().max_event_time(), Some(time(60)));
        assert_eq!((clock.earliest(), clock.resets()), (clock.now(), 2));
    }

    #[test]
    fn the_last_of_several_resets_at_an_offset_holds() {
        let clock = Clock::resumed(Offset(5), Some(time(9000)), &[reset(5, 60), reset(5, 30)]);
        assert_eq!(clock.now().max_event_time(), Some(time(30)));
    }

    /// Which of these events are late, from `start` on.
    fn late(
        times: &[i64],
        resets: &[WatermarkReset],
        start: usize,
        max: Option<Timestamp>,
    ) -> Vec<(bool, Option<Timestamp>)> {
        let calendar = Calendar::utc();
        let mut clock = Clock::resumed(Offset(start as i64), max, resets);
        let judge = |(offset, minutes): (usize, &i64)| {
            clock.reach(Offset(offset as i64));
            let late = clock.observe(time(*minutes), &calendar.span_at(time(*minutes)), LATENESS);
            (late, clock.now().max_event_time())
        };
        times.iter().enumerate().skip(start).map(judge).collect()
    }

    proptest! {
        #[test]
        fn a_replay_from_anywhere_judges_as_the_first_pass_did(
            times in prop::collection::vec(0_i64..3000, 1..40),
            resets in prop::collection::vec((0_i64..40, 0_i64..2000), 0..4),
            start in 0_usize..40,
        ) {
            let mut resets: Vec<_> = resets.iter().map(|(at, to)| reset(*at, *to)).collect();
            resets.sort_by_key(|reset| reset.offset);
            let start = start.min(times.len());
            let whole = late(&times, &resets, 0, None);
            let stored = start.checked_sub(1).and_then(|last| whole[last].1);
            prop_assert_eq!(&late(&times, &resets, start, stored)[..], &whole[start..]);
        }
    }
}
