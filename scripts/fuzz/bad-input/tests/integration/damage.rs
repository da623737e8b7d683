//! The inputs that are kept, damaged at random: fuzzing without a guide, by a seed.
//!
//! `BAD_INPUT_ROUNDS` sets how many inputs of each target are tried.

use std::panic::catch_unwind;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::inputs::{inputs, tokens};

/// Inputs tried unless the environment says otherwise.
const ROUNDS: u64 = 3000;
/// Inputs are cut to this length.
const MOST_BYTES: usize = 4096;

/// What inputs are made of.
struct Damage {
    inputs: Vec<Vec<u8>>,
    tokens: Vec<Vec<u8>>,
}

impl Damage {
    /// The damaged input of a round.
    fn draw(&self, round: u64) -> Vec<u8> {
        let mut random = SmallRng::seed_from_u64(round);
        let mut input = pick(&self.inputs, &mut random).clone();
        for _ in 0..random.random_range(1..=5) {
            self.damage(&mut input, &mut random);
        }
        input.truncate(MOST_BYTES);
        input
    }

    fn damage(&self, input: &mut Vec<u8>, random: &mut SmallRng) {
        let at = random.random_range(0..=input.len());
        let end = random.random_range(at..=input.len());
        let piece = match random.random_range(0..7) {
            0 => vec![],
            1 => vec![random.random()],
            2 => input[at..end].repeat(random.random_range(2..5)),
            3 => pick(&self.tokens, random).repeat(random.random_range(1..200)),
            4 => {
                let other = pick(&self.inputs, random);
                let from = random.random_range(0..=other.len());
                other[from..random.random_range(from..=other.len())].to_vec()
            }
            _ => {
                let token = pick(&self.tokens, random).clone();
                input.splice(at..at, token);
                return;
            }
        };
        input.splice(at..end, piece);
    }
}

fn pick<'a, T>(items: &'a [T], random: &mut SmallRng) -> &'a T {
    &items[random.random_range(0..items.len())]
}

/// Hands damaged inputs of a target to `check`.
fn damage(target: &str, check: fn(&[u8])) {
    let inputs = inputs(target).into_iter().map(|(_, input)| input).collect();
    let damage = Damage { inputs, tokens: tokens(target) };
    let rounds = std::env::var("BAD_INPUT_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    for round in 0..rounds {
        let input = damage.draw(round);
        let holds = catch_unwind(|| check(&input)).is_ok();
        assert!(holds, "of round {round} something does not hold: b\"{}\"", input.escape_ascii());
    }
}

#[test]
fn damaged_records_are_decoded_as_they_must() {
    damage("decode", bad_input::decode::check);
}

#[test]
fn damaged_configurations_are_taken_or_refused_as_they_must() {
    damage("configuration", bad_input::configuration::check);
}

#[test]
fn damaged_requests_are_answered_as_they_must() {
    damage("http", bad_input::http::check);
}
