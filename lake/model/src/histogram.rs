//! The sketch behind provisional quantiles: counts of speeds in bins of half a km/h.
//!
//! A quantile read from it is the middle of the bin that holds the exact nearest-rank value, and thus
//! within a quarter of a km/h of it.

use crate::speed::{Speed, nearest_rank};

/// Thousandths of km/h in a bin.
const BIN_WIDTH: u32 = 500;
/// Bins that the memory of a histogram grows by. A window of a camera has a hundred or two of them, and there
/// are a great many windows: doubling would waste half of their memory.
const BINS_AT_ONCE: usize = 16;

/// Counts of speeds by bins of half a km/h, from the first bin that holds any to the last. A bin counts to four
/// billion, more than any window of a camera holds, and stays there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpeedHistogram {
    first_bin: u32,
    counts: Vec<u32>,
}

/// Bytes that are no encoded histogram.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the speed histogram of {bytes} bytes is damaged")]
pub struct DamagedHistogram {
    /// Length of the damaged bytes.
    pub bytes: usize,
}

impl SpeedHistogram {
    /// Counts one speed.
    #[inline]
    pub fn add(&mut self, speed: Speed) {
        let bin = speed.thousandths() / BIN_WIDTH;
        match self.counts.get_mut(bin.wrapping_sub(self.first_bin) as usize) {
            Some(count) => *count = count.saturating_add(1),
            None => self.add_to_bin(bin, 1),
        }
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &SpeedHistogram) {
        for (bin, count) in other.bins() {
            self.add_to_bin(bin, count);
        }
    }

    /// Speeds counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().copied().map(u64::from).sum()
    }

    /// The middles of the bins that hold these percentiles, ascending, by nearest rank; `None` when empty.
    pub fn quantiles<const N: usize>(&self, percents: [u32; N]) -> Option<[Speed; N]> {
        let all = self.count();
        let (mut bins, mut bin, mut seen) = (self.bins(), 0, 0);
        let found = percents.map(|percent| {
            let rank = nearest_rank(all, percent);
            while seen < rank {
                let Some((next, count)) = bins.next() else { break };
                bin = next;
                seen += count;
            }
            Speed::from_thousandths(bin * BIN_WIDTH + BIN_WIDTH / 2)
        });
        (all > 0).then_some(found)
    }

    /// The histogram as bytes: pairs of varints, steps between bins that hold speeds and their counts.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.counts.len() * 2);
        let mut previous = 0;
        for (bin, count) in self.bins() {
            push_varint(&mut bytes, u64::from(bin - previous));
            push_varint(&mut bytes, count);
            previous = bin;
        }
        bytes
    }

    /// Reads what [`SpeedHistogram::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<SpeedHistogram, DamagedHistogram> {
        let damaged = || DamagedHistogram { bytes: bytes.len() };
        let (mut histogram, mut rest, mut bin) = (SpeedHistogram::default(), bytes, 0_u32);
        while !rest.is_empty() {
            let step = take_varint(&mut rest).ok_or_else(damaged)?;
            let count = take_varint(&mut rest).filter(|count| *count > 0).ok_or_else(damaged)?;
            bin = u32::try_from(step).ok().and_then(|s| bin.checked_add(s)).ok_or_else(damaged)?;
            if bin > GREATEST_BIN {
                return Err(damaged());
            }
            histogram.add_to_bin(bin, count);
        }
        Ok(histogram)
    }

    /// The memory that the counts occupy, in bytes.
    pub fn bytes(&self) -> usize {
        self.counts.capacity() * size_of::<u32>()
    }

    fn bins(&self) -> impl Iterator<Item = (u32, u64)> {
        let counts = self.counts.iter().copied().map(u64::from);
        (self.first_bin..).zip(counts).filter(|(_, count)| *count > 0)
    }

    fn add_to_bin(&mut self, bin: u32, count: u64) {
        if self.counts.is_empty() {
            self.first_bin = bin;
        } else if bin < self.first_bin {
            let missing = (self.first_bin - bin) as usize;
            self.make_room(self.counts.len() + missing);
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.first_bin = bin;
        }
        let index = (bin - self.first_bin) as usize;
        if index >= self.counts.len() {
            self.make_room(index + 1);
            self.counts.resize(index + 1, 0);
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.counts[index] = self.counts[index].saturating_add(count);
    }

    fn make_room(&mut self, bins: usize) {
        if bins > self.counts.capacity() {
            let rounded = bins.next_multiple_of(BINS_AT_ONCE);
            self.counts.reserve_exact(rounded - self.counts.len());
        }
    }
}

/// The bin of 10,000 km/h, beyond which no accepted speed lies.
const GREATEST_BIN: u32 = 10_000_000 / BIN_WIDTH;

fn push_varint(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            bytes.push(low & 0x7f);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn histogram(speeds: &[u32]) -> SpeedHistogram {
        let mut histogram = SpeedHistogram::default();
        speeds.iter().for_each(|speed| histogram.add(Speed::from_thousandths(*speed)));
        histogram
    }

    #[test]
    fn an_empty_histogram_has_no_quantiles() {
        assert_eq!(SpeedHistogram::default().quantiles([50]), None);
    }

    #[test]
    fn the_greatest_speed_is_encoded_and_what_no_histogram_encodes_to_is_refused() {
        let greatest = histogram(&[10_000_000]);
        let bytes = greatest.encode();
        assert_eq!(bytes, [0x80 | 0x20, 0x80 | 0x1c, 0x01, 1]);
        assert_eq!(SpeedHistogram::decode(&bytes), Ok(greatest));
        let (beyond, no_count, no_pair, no_end) =
            ([0x80 | 0x21, 0x80 | 0x1c, 0x01, 1], [5, 0], [5], [0x80]);
        for bytes in [&beyond[..], &no_count, &no_pair, &no_end] {
            let damaged = DamagedHistogram { bytes: bytes.len() };
            assert_eq!(SpeedHistogram::decode(bytes), Err(damaged), "{bytes:?}");
        }
    }

    #[test]
    fn memory_grows_by_a_few_bins_at_either_end() {
        let bytes = |bins: &[u32]| {
            let speeds: Vec<u32> = bins.iter().map(|bin| bin * BIN_WIDTH).collect();
            histogram(&speeds).bytes()
        };
        assert_eq!(bytes(&[]), 0);
        assert_eq!(bytes(&[100]), 64);
        assert_eq!(bytes(&[100, 115, 107]), 64);
        assert_eq!(bytes(&[100, 85, 92]), 64);
        assert_eq!(bytes(&[100, 116]), 128);
        assert_eq!(bytes(&[100, 84]), 128);
        assert_eq!(bytes(&[100, 107, 84, 116]), 192);
    }

    proptest! {
        #[test]
        fn quantiles_are_within_a_quarter_of_a_kmh_of_the_exact_ones(
            mut speeds in prop::collection::vec(0_u32..=400_000, 1..300),
        ) {
            let percents = [50, 85, 95];
            let histogram = histogram(&speeds);
            prop_assert_eq!(histogram.count(), speeds.len() as u64);
            let sketched = histogram.quantiles(percents).expect("it holds speeds");
            speeds.sort_unstable();
            for (percent, sketched) in percents.into_iter().zip(sketched) {
                let rank = usize::try_from(nearest_rank(speeds.len() as u64, percent));
                let exact = speeds[rank.expect("there are as many speeds") - 1];
                prop_assert!(sketched.thousandths().abs_diff(exact) <= 250);
            }
        }

        #[test]
        fn encoding_survives_a_round_trip(speeds in prop::collection::vec(0_u32..=10_000_000, 0..100)) {
            let histogram = histogram(&speeds);
            prop_assert_eq!(SpeedHistogram::decode(&histogram.encode()), Ok(histogram));
        }

        #[test]
        fn merging_equals_counting_all(
            left in prop::collection::vec(0_u32..=400_000, 0..60),
            right in prop::collection::vec(0_u32..=400_000, 0..60),
        ) {
            let mut merged = histogram(&left);
            merged.merge(&histogram(&right));
            let all: Vec<u32> = left.into_iter().chain(right).collect();
            prop_assert_eq!(merged, histogram(&all));
        }

        #[test]
        fn damaged_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = SpeedHistogram::decode(&bytes);
        }
    }
}
