//! Committing averages: every group of windows that changed, as one file in place of the last.

use lake_tables::Table;
use lake_tables::avg_speed;
use lake_tables::file_kind::ProvisionalGroup;
use speed_layer::publish::Work;

use super::Replay;
use crate::costs::Stage;

impl Replay {
    /// Commits the windows that changed.
    pub(super) async fn average(&mut self) -> anyhow::Result<()> {
        let mut work = Vec::new();
        for partition in self.lanes.values().map(|lane| &lane.partition) {
            let (id, built_on, progress) =
                (partition.id(), partition.averaged, partition.progress());
            if built_on >= progress.next_offset || !partition.is_ahead() {
                continue;
            }
            let mut files = Vec::new();
            for (day, windows) in partition.provisional.dirty() {
                self.meter.enter(Stage::Average);
                let lake = self.files.lake();
                let rows = partition.provisional.rows((day, windows), id, lake.now());
                let group = ProvisionalGroup { day, kafka_partition: id, windows };
                let (new, rows) = (group.new_file(lake.unique_id()), [avg_speed::batch(&rows)]);
                let table = Table::AvgSpeed;
                let file = self.files.write(&mut self.meter, table, new, &rows).await?;
                files.push((Some(group), file));
            }
            work.push(Work { partition: id, built_on, resets: 0, progress, files });
        }
        let lateness = self.rules.lateness;
        self.publish(Table::AvgSpeed, "UPDATE PROVISIONAL AVERAGES", &work, |partition, next| {
            partition.averaged = next;
            partition.provisional.written(partition.clock.earliest(), lateness);
        })
        .await
    }
}
