//! Records that the bench damages by a seed: what must hold of any record holds of them.

use bad_input::decode::{check_records, settings};
use garbage::Garbage;
use garbage::mutation::Mutation;

/// Records of a test, a few of which are about as long as a record may be.
const RECORDS: u64 = 30_000;

#[test]
fn records_of_the_bench_are_decoded_as_they_must() {
    let mut settings = settings();
    settings.max_record_bytes = 1 << 20;
    let mut payload = Vec::new();
    for number in 0..RECORDS {
        let mutation = Garbage::new(1).write(number, &mut payload);
        check_records(&[(mutation != Mutation::NoPayload).then_some(&payload)], &settings);
    }
}
