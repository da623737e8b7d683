//! A speed layer of a few lines: lands events and keeps provisional rows, each when the test asks for it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use arrow::compute::concat_batches;
use lake_delta::Commit;
use lake_model::{Calendar, Day, EventColumns, EventRow, KafkaPartition, Offset, Speed, Timestamp};
use lake_tables::avg_speed::{self, AvgSpeedRow};
use lake_tables::file_kind::{self, AvgSpeedFile, ProvisionalGroup};
use lake_tables::txn::PartitionProgress;
use lake_tables::{Table, events, offset_range};
use lake_testing::{Observation, provisional_rows};

use super::{World, at};

/// An event to land.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) partition: KafkaPartition,
    pub(crate) camera: String,
    pub(crate) time: Timestamp,
    pub(crate) thousandths: u32,
    pub(crate) plate: Option<String>,
    pub(crate) late: bool,
}

/// An event of camera `camera` in partition 0.
pub(crate) fn seen(camera: &str, time: &str, thousandths: u32) -> Seen {
    Seen {
        partition: KafkaPartition(0),
        camera: camera.to_owned(),
        time: at(time),
        thousandths,
        plate: None,
        late: false,
    }
}

impl Seen {
    pub(crate) fn in_partition(self, partition: i32) -> Seen {
        Seen { partition: KafkaPartition(partition), ..self }
    }

    pub(crate) fn with_plate(self, plate: &str) -> Seen {
        Seen { plate: Some(plate.to_owned()), ..self }
    }

    pub(crate) fn late(self) -> Seen {
        Seen { late: true, ..self }
    }
}

impl World {
    /// Lands events and updates provisional rows, and Kafka holds what has landed.
    pub(crate) async fn process(&mut self, events: &[Seen]) {
        self.land(events).await;
        self.average(events).await;
    }

    /// Lands events with the next offsets of their partitions.
    pub(crate) async fn land(&mut self, events: &[Seen]) {
        let mut days: BTreeMap<Day, BTreeMap<KafkaPartition, (EventColumns, Vec<bool>)>> =
            BTreeMap::new();
        let mut next: BTreeMap<KafkaPartition, Offset> = BTreeMap::new();
        let calendar = self.days().await;
        for event in events {
            let offset = match next.entry(event.partition) {
                Entry::Occupied(held) => held.into_mut(),
                Entry::Vacant(new) => {
                    new.insert(self.next_offset(Table::Events, event.partition).await)
                }
            };
            let day = calendar.span_at(event.time).day;
            let (rows, late) = days.entry(day).or_default().entry(event.partition).or_default();
            rows.push(&row(event, *offset));
            late.push(event.late);
            *offset = offset.next();
        }
        let mut commit = Commit::new(&self.context.lake, "LAND EVENTS");
        for (day, partitions) in days {
            let (mut offsets, mut batches) = (BTreeMap::new(), Vec::new());
            for (partition, (rows, late)) in partitions {
                let rows = events::batch(rows, partition, late.into());
                let range = offset_range(&rows).expect("events have offsets");
                offsets.insert(partition, range.expect("there are rows"));
                batches.push(rows);
            }
            let rows = concat_batches(&Table::Events.file_schema(), &batches)
                .expect("they are of one schema");
            let id = self.context.lake.unique_id();
            let new = file_kind::landed(Table::Events, day, &offsets, id);
            commit = commit.add([self.write(Table::Events, new, &rows).await]);
        }
        for (partition, next) in next {
            self.kafka_reaches(partition.0, next.0);
            commit = commit.txns(self.progress(partition, next));
        }
        self.commit(Table::Events, &commit).await;
    }

    /// Adds events that are not late to provisional rows, up to the offsets after them.
    pub(crate) async fn average(&mut self, events: &[Seen]) {
        let mut counts: BTreeMap<KafkaPartition, i64> = BTreeMap::new();
        for event in events {
            *counts.entry(event.partition).or_insert(0) += 1;
        }
        let in_time: Vec<Seen> = events.iter().filter(|event| !event.late).cloned().collect();
        let calendar = self.days().await;
        let changed = self.provisional(&calendar, &in_time);
        self.averaged.extend(in_time);
        let mut groups = self.provisional(&calendar, &self.averaged);
        groups.retain(|group, _| changed.contains_key(group));
        let mut commit = Commit::new(&self.context.lake, "UPDATE PROVISIONAL AVERAGES");
        let log = self.log(Table::AvgSpeed).await;
        for (group, rows) in groups {
            let kind = Some(AvgSpeedFile::Provisional(group));
            let files = log.state().files_of(group.day);
            let old = files.filter(|file| AvgSpeedFile::tagged(file) == kind);
            let new = group.new_file(self.context.lake.unique_id());
            let new = self.write(Table::AvgSpeed, new, &avg_speed::batch(&rows)).await;
            commit = commit.remove(old.cloned()).add([new]);
        }
        for (partition, added) in counts {
            let next = self.next_offset(Table::AvgSpeed, partition).await.plus(added);
            commit = commit.txns(self.progress(partition, next));
        }
        self.commit(Table::AvgSpeed, &commit).await;
    }

    fn provisional(
        &self,
        calendar: &Calendar,
        events: &[Seen],
    ) -> BTreeMap<ProvisionalGroup, Vec<AvgSpeedRow>> {
        let observed = events.iter().map(|event| Observation {
            camera: &event.camera,
            kafka_partition: event.partition,
            time: event.time,
            speed: Speed::from_thousandths(event.thousandths),
        });
        let limits = &self.context.limits;
        provisional_rows(calendar, observed, |camera| limits.of(camera), self.context.now())
    }

    fn progress(&self, partition: KafkaPartition, next: Offset) -> Vec<(String, i64)> {
        let progress =
            PartitionProgress { next_offset: Some(next), ..PartitionProgress::default() };
        self.context.app_ids.record(partition, progress)
    }
}

fn row(event: &Seen, offset: Offset) -> EventRow<'_> {
    EventRow {
        camera_id: &event.camera,
        event_time: event.time,
        speed_kmh: f64::from(event.thousandths) / 1000.0,
        speed: Speed::from_thousandths(event.thousandths),
        plate_number: event.plate.as_deref(),
        extra: None,
        kafka_timestamp: event.time,
        kafka_offset: offset,
    }
}
