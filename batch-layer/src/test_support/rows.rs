//! Single rows with offsets of choice, in files of their own.

use std::collections::BTreeMap;

use lake_delta::log::FileEntry;
use lake_delta::{Commit, DataFile};
use lake_model::{
    Day, DeadLetter, DeadLetterReason, EventColumns, EventRow, KafkaPartition, Offset, OffsetRange,
    Speed, Timestamp,
};
use lake_tables::txn::PartitionProgress;
use lake_tables::{Table, dead_letters, events, file_kind};

use super::{World, at};

impl World {
    /// A file with an event at `time`, which belongs to `day` by its place.
    pub(crate) async fn event_file(
        &self,
        day: Day,
        time: Timestamp,
        partition: KafkaPartition,
        offset: Offset,
    ) -> DataFile {
        let mut rows = EventColumns::default();
        rows.push(&EventRow {
            camera_id: "KV7",
            event_time: time,
            speed_kmh: 50.0,
            speed: Speed::rounded(50.0),
            plate_number: None,
            extra: None,
            kafka_timestamp: time,
            kafka_offset: offset,
        });
        let new = file_kind::landed(
            Table::Events,
            day,
            &alone(partition, offset),
            self.context.lake.unique_id(),
        );
        let batch = events::batch(rows, partition, vec![false].into());
        self.write(Table::Events, new, &batch).await
    }

    /// Lands an event at `time` as the next of a partition, in a file that the log assigns to `day`.
    pub(crate) async fn land_as_of(&self, day: Day, time: Timestamp, partition: i32) -> FileEntry {
        let partition = KafkaPartition(partition);
        let offset = self.next_offset(Table::Events, partition).await;
        let file = self.event_file(day, time, partition, offset).await;
        let path = file.path.clone();
        let next =
            PartitionProgress { next_offset: Some(offset.next()), ..PartitionProgress::default() };
        let commit = Commit::new(&self.context.lake, "LAND EVENTS")
            .add([file])
            .txns(self.context.app_ids.record(partition, next));
        self.commit(Table::Events, &commit).await;
        self.kafka_reaches(partition.0, offset.next().0);
        self.log(Table::Events).await.state().file(&path).expect("just committed").clone()
    }

    /// Adds a dead letter, in a file of `day`.
    pub(crate) async fn add_dead_letter(&self, day: Day, partition: i32, offset: i64) {
        let partition = KafkaPartition(partition);
        let letter = DeadLetter {
            reason: DeadLetterReason::Empty,
            detail: String::new(),
            key: None,
            payload: None,
            kafka_timestamp: at("2025-04-05T10:00:00Z"),
            kafka_partition: partition,
            kafka_offset: Offset(offset),
        };
        let id = self.context.lake.unique_id();
        let new = file_kind::landed(Table::DeadLetters, day, &alone(partition, Offset(offset)), id);
        let file = self.write(Table::DeadLetters, new, &dead_letters::batch([&letter])).await;
        let commit = Commit::new(&self.context.lake, "ADD").add([file]);
        self.commit(Table::DeadLetters, &commit).await;
    }
}

fn alone(partition: KafkaPartition, offset: Offset) -> BTreeMap<KafkaPartition, OffsetRange> {
    BTreeMap::from([(partition, OffsetRange::single(offset))])
}
