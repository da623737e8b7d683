//! Decoding as the speed layer does, in batches, and the account of what became of every record.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use lake_model::{DeadLetter, DeadLetterReason, KafkaPartition, Offset};
use speed_layer_decode::{DecodedBatch, EventFormat};

use crate::mutation::Mutation;
use crate::{Garbage, record};

/// Records of a batch at most.
const BATCH_RECORDS: u64 = 20_000;
/// A batch is decoded as soon as its payloads have so many bytes.
const BATCH_BYTES: usize = 8 << 20;
/// What a record may cost in memory besides its payload and key.
const RECORD_OVERHEAD_BYTES: usize = 1600;
const KEY: &[u8] = b"KV00001";

/// What became of records.
#[derive(Debug, Default)]
pub struct Tally {
    /// Records decoded.
    pub records: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Time that decoding them took.
    pub decoding: Duration,
    /// Those that are events.
    pub events: u64,
    /// Those that are dead letters, by reason.
    pub dead_letters: BTreeMap<DeadLetterReason, u64>,
}

/// Payloads on their way to the decoder.
struct Payloads {
    first: u64,
    bytes: Vec<u8>,
    records: Vec<(Range<usize>, Mutation)>,
}

impl Tally {
    /// Decodes the records `numbers` and accounts for each.
    ///
    /// # Errors
    /// If one is not accounted for, or makes the decoder panic: with its number.
    pub fn take(
        &mut self,
        garbage: Garbage,
        numbers: Range<u64>,
        settings: &EventFormat,
    ) -> anyhow::Result<()> {
        let mut next = numbers.start;
        while next < numbers.end {
            let payloads = Payloads::write(garbage, next..numbers.end);
            next += payloads.len();
            let started = now();
            let Ok(batch) = catch_unwind(|| payloads.decode(settings)) else {
                bail!("the decoder panicked at one of the records {}..{next}", payloads.first);
            };
            self.decoding += started.elapsed();
            self.count(&payloads, batch)?;
        }
        Ok(())
    }

    /// Adds a batch, in which every record has to be, whole.
    fn count(&mut self, payloads: &Payloads, batch: DecodedBatch) -> anyhow::Result<()> {
        let most = payloads.bytes.len() + payloads.records.len() * RECORD_OVERHEAD_BYTES;
        let (bytes, first) = (batch.bytes(), payloads.first);
        ensure!(bytes <= most, "{bytes} bytes are held of the batch from record {first} on");
        ensure!(batch.len() == payloads.records.len(), "records are missing from {first} on");
        let (events, letters) = batch.into_parts();
        let mut offsets = events.kafka_offset.iter().peekable();
        let mut letters = letters.iter().peekable();
        for (number, (range, mutation)) in (first..).zip(&payloads.records) {
            let is_here = |offset: i64| u64::try_from(offset) == Ok(number);
            let payload = payloads.payload(range, *mutation);
            if offsets.next_if(|offset| is_here(**offset)).is_some() {
                ensure!(payload.is_some(), "record {number} is an event without a payload");
                self.events += 1;
                continue;
            }
            let letter = letters.next_if(|letter| is_here(letter.kafka_offset.0));
            let letter = letter.with_context(|| format!("record {number} is out of place"))?;
            self.account(letter, payload, *mutation).context(format!("record {number}"))?;
        }
        self.records += payloads.len();
        self.bytes += payloads.bytes.len() as u64;
        Ok(())
    }

    /// A dead letter holds all of its record, which was not left intact.
    fn account(
        &mut self,
        letter: &DeadLetter,
        payload: Option<&[u8]>,
        mutation: Mutation,
    ) -> anyhow::Result<()> {
        ensure!(mutation != Mutation::Intact, "a good event is refused: {}", letter.detail);
        let is_whole = letter.payload.as_deref() == payload
            && letter.key.as_deref() == Some(KEY)
            && !letter.detail.is_empty();
        ensure!(is_whole, "the dead letter is not whole: {}", letter.detail);
        *self.dead_letters.entry(letter.reason).or_default() += 1;
        Ok(())
    }
}

impl Payloads {
    /// As many of the records as a batch takes.
    fn write(garbage: Garbage, numbers: Range<u64>) -> Payloads {
        let first = numbers.start;
        let mut payloads = Payloads { first, bytes: Vec::new(), records: Vec::new() };
        let mut payload = Vec::new();
        for number in numbers {
            if payloads.len() == BATCH_RECORDS || payloads.bytes.len() >= BATCH_BYTES {
                break;
            }
            let mutation = garbage.write(number, &mut payload);
            let start = payloads.bytes.len();
            payloads.bytes.extend_from_slice(&payload);
            payloads.records.push((start..payloads.bytes.len(), mutation));
        }
        payloads
    }

    fn len(&self) -> u64 {
        self.records.len() as u64
    }

    fn payload(&self, range: &Range<usize>, mutation: Mutation) -> Option<&[u8]> {
        (mutation != Mutation::NoPayload).then(|| &self.bytes[range.clone()])
    }

    fn decode(&self, settings: &EventFormat) -> DecodedBatch {
        let mut batch = DecodedBatch::new(KafkaPartition(0), 0);
        for (number, (range, mutation)) in (self.first..).zip(&self.records) {
            let offset = i64::try_from(number).map_or(Offset::MAX, Offset);
            let payload = self.payload(range, *mutation);
            batch.push(offset, record::kafka_timestamp(number), Some(KEY), payload, settings);
        }
        batch
    }
}

#[expect(clippy::disallowed_methods, reason = "what is measured is the time of this machine")]
fn now() -> Instant {
    Instant::now()
}
