//! Landing what waits: dead letters, then events, each partition's in files of their own.

use std::collections::BTreeMap;

use lake_delta::DataFile;
use lake_model::{Calendar, Day, DeadLetter};
use lake_tables::dead_letters;
use lake_tables::txn::PartitionProgress;
use lake_tables::{Table, file_kind};
use speed_layer::publish::Work;

use super::Replay;
use crate::costs::Stage;

impl Replay {
    /// Commits the rows that wait.
    pub(super) async fn land(&mut self) -> anyhow::Result<()> {
        self.land_dead_letters().await?;
        self.land_events().await
    }

    async fn land_dead_letters(&mut self) -> anyhow::Result<()> {
        let mut work = Vec::new();
        let lanes =
            self.lanes.values().filter(|lane| !lane.partition.landing.dead_letters().is_empty());
        for partition in lanes.map(|lane| &lane.partition) {
            let mut files = Vec::new();
            for (day, letters) in by_day(partition.landing.dead_letters(), &self.rules.calendar) {
                self.meter.enter(Stage::Encode);
                let id = self.files.lake().unique_id();
                let new = file_kind::landed(Table::DeadLetters, day, partition.id(), id);
                let rows = [dead_letters::batch(letters)];
                let table = Table::DeadLetters;
                files.push(self.files.write(&mut self.meter, table, new, &rows).await?);
            }
            let next_offset = Some(partition.position());
            let progress = PartitionProgress { next_offset, max_event_time: None };
            let built_on = partition.landing.landed().dead_letters;
            work.push(work_of(partition.id(), built_on, progress, files));
        }
        self.publish(Table::DeadLetters, "LAND DEAD LETTERS", &work, |partition, next| {
            partition.landing.clear_dead_letters(next);
        })
        .await
    }

    async fn land_events(&mut self) -> anyhow::Result<()> {
        let mut work = Vec::new();
        for partition in self.lanes.values_mut().map(|lane| &mut lane.partition) {
            let (id, progress) = (partition.id(), partition.progress());
            let built_on = partition.landing.landed().events;
            if built_on >= progress.next_offset || !partition.is_ahead() {
                continue;
            }
            let mut files = Vec::new();
            for (day, rows) in partition.landing.days_mut() {
                self.meter.enter(Stage::Encode);
                let new = file_kind::landed(Table::Events, *day, id, self.files.lake().unique_id());
                let (table, rows) = (Table::Events, rows.batches());
                files.push(self.files.write(&mut self.meter, table, new, rows).await?);
            }
            self.tally.late += partition.landing.late_rows();
            work.push(work_of(id, built_on, progress, files));
        }
        self.publish(Table::Events, "LAND EVENTS", &work, |partition, next| {
            partition.landing.clear_events(next);
        })
        .await
    }
}

fn by_day<'a>(
    letters: &'a [DeadLetter],
    calendar: &Calendar,
) -> BTreeMap<Day, Vec<&'a DeadLetter>> {
    let mut days: BTreeMap<Day, Vec<&DeadLetter>> = BTreeMap::new();
    for letter in letters {
        days.entry(calendar.span_at(letter.kafka_timestamp).day).or_default().push(letter);
    }
    days
}

fn work_of(
    partition: i32,
    built_on: Option<i64>,
    progress: PartitionProgress,
    files: Vec<DataFile>,
) -> Work {
    let files = files.into_iter().map(|file| (None, file)).collect();
    Work { partition, built_on, resets: 0, progress, files }
}
