//! A set of offsets that come in any order, in at most a bit for each and far less once they are dense.
//!
//! Rows of compacted files come by camera, and thus offsets in no order: ranges would be as many as rows until
//! the last file is read. Blocks of bits are not, and a full block needs no memory.

use std::collections::BTreeMap;

use lake_model::{Offset, OffsetRange, OffsetRanges};

/// Offsets in a block, and words of bits.
const BLOCK: i64 = 65_536;
const WORDS: usize = 1024;
/// Ranges of repeated offsets that are kept to be shown.
const MAX_REPEATED: usize = 1000;

/// A set of offsets, with those that were inserted twice.
#[derive(Debug, Default)]
pub(crate) struct OffsetSet {
    /// By their place: the first offset divided by [`BLOCK`].
    blocks: BTreeMap<i64, Block>,
    repeated: OffsetRanges,
    repeats: u64,
}

#[derive(Debug)]
enum Block {
    Partial { bits: Box<[u64]>, held: i64 },
    Full,
}

impl OffsetSet {
    /// Adds an offset.
    pub(crate) fn insert(&mut self, offset: Offset) {
        let (block, within) = (offset.0.div_euclid(BLOCK), offset.0.rem_euclid(BLOCK));
        let empty = || Block::Partial { bits: vec![0; WORDS].into_boxed_slice(), held: 0 };
        let block = self.blocks.entry(block).or_insert_with(empty);
        if !block.insert(within) {
            self.repeats += 1;
            if self.repeated.ranges().len() < MAX_REPEATED {
                self.repeated.insert(OffsetRange::single(offset));
            }
        }
    }

    /// How often an offset was inserted that was there already.
    pub(crate) fn repeats(&self) -> u64 {
        self.repeats
    }

    /// The first ranges of offsets that were inserted more than once.
    pub(crate) fn repeated(&self) -> &[OffsetRange] {
        self.repeated.ranges()
    }

    /// The offsets as ranges, in order and as few as possible.
    pub(crate) fn ranges(&self) -> Vec<OffsetRange> {
        let mut ranges = Vec::new();
        for (at, block) in &self.blocks {
            let first = Offset(at * BLOCK);
            match block {
                Block::Full => extend(&mut ranges, OffsetRange::new(first, first.plus(BLOCK))),
                Block::Partial { bits, .. } => {
                    let offsets = (first.0..).map(Offset).zip(0..WORDS * 64);
                    let set = offsets.filter(|(_, bit)| is_set(bits, *bit));
                    set.for_each(|(offset, _)| extend(&mut ranges, OffsetRange::single(offset)));
                }
            }
        }
        ranges
    }
}

impl Block {
    /// Adds the offset at that place of the block; returns whether it was not there.
    fn insert(&mut self, within: i64) -> bool {
        let Block::Partial { bits, held } = self else { return false };
        let bit = usize::try_from(within).expect("a place in a block is not negative");
        if is_set(bits, bit) {
            return false;
        }
        bits[bit / 64] |= 1 << (bit % 64);
        *held += 1;
        if *held == BLOCK {
            *self = Block::Full;
        }
        true
    }
}

fn is_set(bits: &[u64], bit: usize) -> bool {
    bits[bit / 64] >> (bit % 64) & 1 == 1
}

fn extend(ranges: &mut Vec<OffsetRange>, more: OffsetRange) {
    match ranges.last_mut() {
        Some(last) if last.next == more.first => last.next = more.next,
        _ => ranges.push(more),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_full_block_is_one_range_and_still_finds_repeats() {
        let mut set = OffsetSet::default();
        (0..BLOCK + 1).rev().for_each(|offset| set.insert(Offset(offset)));
        assert!(matches!(set.blocks[&0], Block::Full));
        set.insert(Offset(7));
        assert_eq!(set.ranges(), [OffsetRange::new(Offset::ZERO, Offset(BLOCK + 1))]);
        assert_eq!((set.repeats(), set.repeated()), (1, &[OffsetRange::single(Offset(7))][..]));
    }

    proptest! {
        #[test]
        fn it_holds_what_a_plain_set_holds(
            offsets in prop::collection::vec(BLOCK - 40..BLOCK + 40, 0..120),
        ) {
            let mut set = OffsetSet::default();
            let offsets: Vec<Offset> = offsets.into_iter().map(Offset).collect();
            offsets.iter().for_each(|offset| set.insert(*offset));
            let plain: std::collections::BTreeSet<Offset> = offsets.iter().copied().collect();
            let held: Vec<Offset> =
                set.ranges().into_iter().flat_map(OffsetRange::offsets).collect();
            prop_assert_eq!(held, plain.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.repeats(), (offsets.len() - plain.len()) as u64);
        }
    }
}
