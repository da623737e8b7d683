//! The paths of data files, relative to their table. One type builds and reads each.

use lake_model::{Day, WindowSize};
use uuid::Uuid;

/// The folder of a partition of a table that is partitioned by `column`.
fn folder(column: &str, day: Day) -> String {
    format!("{column}={day}")
}

/// The path of a file of landed rows of one Kafka partition.
pub fn landed(column: &str, day: Day, kafka_partition: i32, id: Uuid) -> String {
    format!("{}/landed-p{kafka_partition}-{id}.parquet", folder(column, day))
}

/// The path of a file that maintenance wrote from several others.
pub fn compacted(column: &str, day: Day, id: Uuid) -> String {
    format!("{}/compacted-{id}.parquet", folder(column, day))
}

/// The path of a file of a table without partitions.
pub fn unpartitioned(id: Uuid) -> String {
    format!("rows-{id}.parquet")
}

/// What a file of `avg_speed` holds, as its path says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AvgSpeedFile {
    /// Rows of the speed layer.
    Provisional(ProvisionalGroup),
    /// Rows of the batch.
    Final {
        /// The day of the rows.
        day: Day,
        /// The batch run that wrote them.
        run_id: String,
        /// The windows of the rows.
        size: WindowSize,
    },
}

/// Provisional rows that are kept in one file and rewritten together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProvisionalGroup {
    /// The day of the rows.
    pub day: Day,
    /// The Kafka partition whose events they count.
    pub kafka_partition: i32,
    /// Which of the day's windows.
    pub windows: GroupWindows,
}

/// Which windows of a day a provisional file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupWindows {
    /// The one-hour window at this place in the day, and its 5-minute windows.
    Hour(u32),
    /// The window of the whole day.
    Day,
}

impl ProvisionalGroup {
    /// A new path for the group's rows.
    pub fn path(&self, id: Uuid) -> String {
        let windows = match self.windows {
            GroupWindows::Hour(hour) => format!("h{hour:02}"),
            GroupWindows::Day => "day".to_owned(),
        };
        let folder = folder("event_date", self.day);
        format!("{folder}/provisional-p{}-{windows}-{id}.parquet", self.kafka_partition)
    }
}

impl AvgSpeedFile {
    /// A new path for final rows.
    pub fn final_path(day: Day, run_id: &str, size: WindowSize, id: Uuid) -> String {
        format!("{}/final-{run_id}-{size}-{id}.parquet", folder("event_date", day))
    }

    /// What the file at `path` holds; `None` if the path is none of ours.
    pub fn parse(path: &str) -> Option<AvgSpeedFile> {
        let (folder, name) = path.split_once('/')?;
        let day = Day::parse(folder.strip_prefix("event_date=")?)?;
        // The id at the end is of fixed length and holds dashes itself.
        let stem = name.strip_suffix(".parquet")?;
        let words = stem.get(..stem.len().checked_sub(37)?)?;
        if let Some(rest) = words.strip_prefix("provisional-p") {
            let (partition, windows) = rest.split_once('-')?;
            let windows = match windows.strip_prefix('h') {
                Some(hour) => GroupWindows::Hour(hour.parse().ok()?),
                None => (windows == "day").then_some(GroupWindows::Day)?,
            };
            let kafka_partition = partition.parse().ok()?;
            return Some(AvgSpeedFile::Provisional(ProvisionalGroup {
                day,
                kafka_partition,
                windows,
            }));
        }
        let (run_id, size) = words.strip_prefix("final-")?.rsplit_once('-')?;
        let size = WindowSize::parse(size)?;
        Some(AvgSpeedFile::Final { day, run_id: run_id.to_owned(), size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_avg_speed_files_survive_a_round_trip() {
        let day = Day::from_days(20_183);
        for windows in [GroupWindows::Hour(0), GroupWindows::Hour(24), GroupWindows::Day] {
            let group = ProvisionalGroup { day, kafka_partition: 12, windows };
            let path = group.path(Uuid::nil());
            assert_eq!(AvgSpeedFile::parse(&path), Some(AvgSpeedFile::Provisional(group)));
        }
        let path = AvgSpeedFile::final_path(day, "2025-a-b", WindowSize::OneHour, Uuid::nil());
        let expected =
            AvgSpeedFile::Final { day, run_id: "2025-a-b".to_owned(), size: WindowSize::OneHour };
        assert_eq!(AvgSpeedFile::parse(&path), Some(expected));
    }

    #[test]
    fn foreign_paths_are_none_of_ours() {
        for path in ["", "x.parquet", "event_date=2025-04-05/part-0.parquet", "event_date=x/final-"]
        {
            assert_eq!(AvgSpeedFile::parse(path), None, "{path}");
        }
    }
}
