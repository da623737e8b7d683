//! Chance that follows from the seed alone.
//!
//! Whoever acts in one order draws from a generator of its own ([`stream`]). What may be decided in any order,
//! such as the fate of a request, is decided by a hash of what it is about ([`Draw`]): so it does not depend on
//! which of two tasks that wake at the same instant runs first.

use rand::SeedableRng;
use rand::rngs::SmallRng;

/// A generator for the actor called `name`.
pub fn stream(seed: u64, name: &str) -> SmallRng {
    SmallRng::seed_from_u64(hash(seed, name.as_bytes()))
}

/// A decision about one thing: numbers that follow from the seed and from what is decided about.
#[derive(Clone, Copy, Debug)]
pub struct Draw(u64);

impl Draw {
    /// The decision about what `parts` name.
    pub fn about(seed: u64, parts: &[&str]) -> Draw {
        let named = |state, part: &&str| hash(state, part.as_bytes());
        Draw(parts.iter().fold(mixed(seed), named))
    }

    /// The next number of this decision.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number from `least` up to, not including, `end`.
    pub fn between(&mut self, least: u64, end: u64) -> u64 {
        least + self.number() % (end - least).max(1)
    }

    /// Whether something happens that happens `permille` times in a thousand.
    pub fn happens(&mut self, permille: u64) -> bool {
        self.number() % 1000 < permille
    }
}

/// A hash of `bytes` that is the same on every machine and in every run (FNV-1a, mixed).
pub fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let fold = |state: u64, byte: &u8| (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mixed(bytes.iter().fold(seed ^ 0xcbf2_9ce4_8422_2325, fold))
}

/// The finalizer of SplitMix64.
fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
