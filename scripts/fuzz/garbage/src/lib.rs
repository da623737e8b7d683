//! Garbage: realistic records damaged in every way that bytes on a wire are, and what the decoder makes of them.
//!
//! [`record`] writes what a camera sends; [`mutation`] damages it; [`Garbage`] draws both by seed and number, so that any one
//! record can be had again by itself. [`tally`] decodes batches of them as the speed layer does, and accounts for each.

pub mod mutation;
pub mod record;
pub mod tally;

use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::mutation::Mutation;

/// Spreads the numbers of records over the seeds of their randomness (2^64 divided by the golden ratio).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Records by seed and number.
#[derive(Clone, Copy, Debug)]
pub struct Garbage {
    seed: u64,
}

impl Garbage {
    /// The records of a seed.
    pub const fn new(seed: u64) -> Garbage {
        Garbage { seed }
    }

    /// Replaces `payload` by that of the record `number`, and tells what was done to it.
    pub fn write(&self, number: u64, payload: &mut Vec<u8>) -> Mutation {
        let mut random = SmallRng::seed_from_u64(self.seed ^ number.wrapping_mul(SPREAD));
        let mutation = Mutation::draw(&mut random);
        payload.clear();
        record::write(number, &mut random, payload);
        mutation.apply(number, payload, &mut random);
        mutation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_follows_from_seed_and_number() {
        let (mut payload, mut again) = (Vec::new(), b"of another record".to_vec());
        for number in 0..2000 {
            let mutation = Garbage::new(1).write(number, &mut payload);
            assert_eq!(Garbage::new(1).write(number, &mut again), mutation);
            assert_eq!(payload, again, "record {number}");
        }
    }

    #[test]
    fn every_mutation_is_drawn() {
        let mut payload = Vec::new();
        let mut missing: Vec<_> = Mutation::WEIGHTS.iter().map(|(mutation, _)| *mutation).collect();
        for number in 0..100_000 {
            let drawn = Garbage::new(1).write(number, &mut payload);
            missing.retain(|mutation| *mutation != drawn);
        }
        assert_eq!(missing, []);
    }
}
