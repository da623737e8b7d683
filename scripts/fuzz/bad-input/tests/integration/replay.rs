//! Every input that is kept, as it is.

use std::panic::catch_unwind;
use std::path::PathBuf;

use crate::inputs::inputs;

/// Hands every input of a target to `check`, and names those of which something does not hold.
fn replay(target: &str, check: fn(&[u8])) {
    let fails =
        |(file, input): (PathBuf, Vec<u8>)| catch_unwind(|| check(&input)).err().map(|_| file);
    let failed: Vec<PathBuf> = inputs(target).into_iter().filter_map(fails).collect();
    assert!(failed.is_empty(), "of these inputs something does not hold: {failed:#?}");
}

#[test]
fn records_of_the_corpus_are_decoded_as_they_must() {
    replay("decode", bad_input::decode::check);
}

#[test]
fn configurations_of_the_corpus_are_taken_or_refused_as_they_must() {
    replay("configuration", bad_input::configuration::check);
}

#[test]
fn requests_of_the_corpus_are_answered_as_they_must() {
    replay("http", bad_input::http::check);
}
