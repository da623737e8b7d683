//! Decoded records of one partition on their way to the engine: events by column, dead letters beside them.

use lake_model::{
    DeadLetter, EventColumns, EventRow, KafkaPartition, LeaderEpoch, Offset, Timestamp,
};

use super::{EventFormat, decode};

/// Records of one partition, in the order of their offsets.
#[derive(Debug)]
pub struct DecodedBatch {
    /// The partition.
    pub partition: KafkaPartition,
    /// The assignment that the records were fetched under.
    pub epoch: u64,
    /// The epoch of the leader that appended the records, if Kafka says so.
    pub leader_epoch: Option<LeaderEpoch>,
    events: EventColumns,
    dead_letters: Vec<DeadLetter>,
    dead_bytes: usize,
}

impl DecodedBatch {
    /// An empty batch of `partition`.
    pub fn new(partition: KafkaPartition, epoch: u64) -> DecodedBatch {
        DecodedBatch {
            partition,
            epoch,
            leader_epoch: None,
            events: EventColumns::default(),
            dead_letters: Vec::new(),
            dead_bytes: 0,
        }
    }

    /// The batch so far, in no more memory than it needs; what stays is an empty one with room for as much.
    pub fn take(&mut self) -> DecodedBatch {
        let events = self.events.with_as_much_room();
        let empty = DecodedBatch { events, ..DecodedBatch::new(self.partition, self.epoch) };
        let mut taken = std::mem::replace(self, empty);
        taken.events.trim();
        taken
    }

    /// Decodes a record and takes it, whatever it is.
    pub fn push(
        &mut self,
        offset: Offset,
        kafka_timestamp: Timestamp,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        settings: &EventFormat,
    ) {
        match decode(payload, kafka_timestamp, settings) {
            Ok(fields) => self.events.push(&EventRow {
                camera_id: &fields.camera_id,
                event_time: fields.event_time,
                speed_kmh: fields.speed_kmh,
                speed: fields.speed,
                plate_number: fields.plate_number.as_deref(),
                extra: fields.extra.as_deref(),
                kafka_timestamp,
                kafka_offset: offset,
            }),
            Err(rejection) => {
                let letter = DeadLetter {
                    reason: rejection.reason,
                    detail: rejection.detail,
                    key: key.map(<[u8]>::to_vec),
                    payload: payload.map(<[u8]>::to_vec),
                    kafka_timestamp,
                    kafka_partition: self.partition,
                    kafka_offset: offset,
                };
                self.dead_bytes += letter.bytes();
                self.dead_letters.push(letter);
            }
        }
    }

    /// The events and the dead letters, each in the order of their offsets.
    pub fn into_parts(self) -> (EventColumns, Vec<DeadLetter>) {
        (self.events, self.dead_letters)
    }

    /// The dead letters.
    pub fn dead_letters(&self) -> &[DeadLetter] {
        &self.dead_letters
    }

    /// The offset of the last record.
    pub fn last_offset(&self) -> Option<Offset> {
        let letter = self.dead_letters.last().map(|letter| letter.kafka_offset);
        self.events.last_offset().max(letter)
    }

    /// The offset of the first record.
    pub fn first_offset(&self) -> Option<Offset> {
        let letter = self.dead_letters.first().map(|letter| letter.kafka_offset);
        let event = self.events.kafka_offset.first().copied().map(Offset);
        event.into_iter().chain(letter).min()
    }

    /// Records taken.
    pub fn len(&self) -> usize {
        self.events.len() + self.dead_letters.len()
    }

    /// Whether no record was taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how much memory the records take.
    pub fn bytes(&self) -> usize {
        self.events.bytes() + self.dead_bytes
    }
}
