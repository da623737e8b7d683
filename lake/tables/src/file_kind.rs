//! What a data file holds: put into the tags of its `add` action when it is written, and read back from there.
//!
//! Files without tags (written by an earlier release, or by another tool) are recognised by their statistics: status,
//! Kafka partition and windows. A file of `avg_speed` whose rows belong to several groups, or whose statistics are too few, is
//! [`AvgSpeedFile::Mixed`]. Names of files are for people, and nothing is read from them.

mod recognise;

use std::collections::BTreeMap;
use std::fmt;

use lake_delta::data_file::NewFile;
use lake_delta::log::FileEntry;
use lake_delta::{FileUse, LakeError, TableSpec};
use lake_model::{
    Calendar, Day, DaySpan, KafkaPartition, Offset, OffsetRange, Timestamp, WindowSize,
};
use uuid::Uuid;

use crate::avg_speed::Status;
use crate::encoding;

const KIND: &str = "lambdalake.kind";
const KAFKA_PARTITION: &str = "lambdalake.kafkaPartition";
/// Of a landed file: a JSON object from its partitions to the first offset and the one after the last.
const KAFKA_OFFSETS: &str = "lambdalake.kafkaOffsets";
const WINDOWS: &str = "lambdalake.windows";
const WINDOW_SIZE: &str = "lambdalake.windowSize";
const RUN_ID: &str = "lambdalake.runId";
/// Which encodings the file has, if they are [`PORTABLE`].
const ENCODINGS: &str = "lambdalake.encodings";

const COMPACTED: &str = "compacted";
const PROVISIONAL: &str = "provisional";
const FINAL: &str = "final";
const LANDED: &str = "landed";

const PORTABLE: &str = "portable";

/// A file of landed rows of one day, whose offsets are in these ranges of their partitions.
pub fn landed(
    table: impl Into<&'static TableSpec>,
    day: Day,
    offsets: &BTreeMap<KafkaPartition, OffsetRange>,
    id: Uuid,
) -> NewFile {
    let table = table.into();
    let mut tags = tags(LANDED, [(KAFKA_OFFSETS, offsets_text(offsets))]);
    if encoding::is_portable_file(table, FileUse::ShortLived) {
        tags.extend([portable()]);
    }
    NewFile {
        path: format!("{}landed-{id}.parquet", folder(table, Some(day))),
        partition: Some(day),
        file_use: FileUse::ShortLived,
        tags,
    }
}

/// The ranges that the offsets of a landed file's rows are in, by partition, if the file says so.
pub fn landed_offsets(file: &FileEntry) -> Option<BTreeMap<KafkaPartition, OffsetRange>> {
    let ranges: BTreeMap<String, [i64; 2]> =
        serde_json::from_str(file.tags.get(KAFKA_OFFSETS)?).ok()?;
    let range = |(partition, [first, next]): (String, [i64; 2])| {
        let range = OffsetRange::new(Offset(first), Offset(next));
        Some((KafkaPartition(partition.parse().ok()?), range))
    };
    ranges.into_iter().map(range).collect()
}

fn offsets_text(offsets: &BTreeMap<KafkaPartition, OffsetRange>) -> String {
    let pair = |(partition, range): (&KafkaPartition, &OffsetRange)| {
        (partition.to_string(), serde_json::json!([range.first.0, range.next.0]))
    };
    serde_json::Value::Object(offsets.iter().map(pair).collect()).to_string()
}

/// A file that maintenance writes from several others, of one day where the table has days.
pub fn compacted(table: impl Into<&'static TableSpec>, day: Option<Day>, id: Uuid) -> NewFile {
    NewFile {
        path: format!("{}compacted-{id}.parquet", folder(table.into(), day)),
        partition: day,
        file_use: FileUse::LongLived,
        tags: tags(COMPACTED, [portable()]),
    }
}

/// A file of a table without days.
pub fn unpartitioned(id: Uuid) -> NewFile {
    NewFile {
        path: format!("rows-{id}.parquet"),
        partition: None,
        file_use: FileUse::ShortLived,
        tags: tags("rows", [portable()]),
    }
}

/// A file for the rows of `file` of `table` in portable encodings, which is of its kind.
pub fn portable_copy(table: impl Into<&'static TableSpec>, file: &FileEntry, id: Uuid) -> NewFile {
    let mut tags = BTreeMap::clone(&file.tags);
    tags.extend([portable()]);
    NewFile {
        path: format!("{}rewritten-{id}.parquet", folder(table.into(), file.partition)),
        partition: file.partition,
        file_use: FileUse::LongLived,
        tags,
    }
}

/// Whether maintenance made the file. One without the tag counts as landed.
pub fn is_compacted(file: &FileEntry) -> bool {
    file.tags.get(KIND).is_some_and(|kind| kind == COMPACTED)
}

/// Whether the file says that it is as the speed layer landed it.
pub fn is_landed(file: &FileEntry) -> bool {
    file.tags.get(KIND).is_some_and(|kind| kind == LANDED)
}

/// Whether the file says that every reader of Parquet knows its encodings.
pub fn is_portable(file: &FileEntry) -> bool {
    file.tags.get(ENCODINGS).is_some_and(|encodings| encodings == PORTABLE)
}

fn portable() -> (String, String) {
    (ENCODINGS.to_owned(), PORTABLE.to_owned())
}

fn folder(table: &TableSpec, day: Option<Day>) -> String {
    match (table.partition_column, day) {
        (Some(column), Some(day)) => format!("{column}={day}/"),
        _ => String::new(),
    }
}

fn tags<K: Into<String>, const N: usize>(
    kind: &str,
    more: [(K, String); N],
) -> BTreeMap<String, String> {
    let more = more.into_iter().map(|(key, value)| (key.into(), value));
    std::iter::once((KIND.to_owned(), kind.to_owned())).chain(more).collect()
}

/// What a file of `avg_speed` holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AvgSpeedFile {
    /// Rows of the speed layer.
    Provisional(ProvisionalGroup),
    /// Rows of the batch.
    Final {
        /// The batch run that wrote them, if the file names it.
        run_id: Option<String>,
        /// The windows of the rows; `None` if they are of several sizes.
        size: Option<WindowSize>,
    },
    /// Rows of several groups, or of unknown ones: another tool has rewritten the file.
    Mixed,
}

/// The error of whoever finds rows in `file`, which is [`AvgSpeedFile::Mixed`], that belong to no group.
pub fn mixed_file(file: &FileEntry) -> LakeError {
    LakeError::data_file(
        &file.path,
        "another tool has put averages into it that are not the speed layer's, though its day is not final: restore table \
         avg_speed to the version before (RESTORE in Spark, DeltaTable.restore in Python), or let `batch-layer nightly` \
         make the day final, which replaces all of its rows",
    )
}

/// Provisional rows that are kept in one file and rewritten together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProvisionalGroup {
    /// The day of the rows.
    pub day: Day,
    /// The Kafka partition whose events they count.
    pub kafka_partition: KafkaPartition,
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

impl GroupWindows {
    /// The end of the group's last window, in the day of `span`: once it is closed, the group is complete.
    pub fn end(self, span: &DaySpan) -> Timestamp {
        match self {
            GroupWindows::Day => span.end,
            GroupWindows::Hour(hour) => span.window(WindowSize::OneHour, hour).end,
        }
    }

    fn parse(text: &str) -> Option<GroupWindows> {
        match text.strip_prefix('h') {
            Some(hour) => hour.parse().ok().map(GroupWindows::Hour),
            None => (text == "day").then_some(GroupWindows::Day),
        }
    }
}

impl fmt::Display for GroupWindows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupWindows::Hour(hour) => write!(f, "h{hour:02}"),
            GroupWindows::Day => f.write_str("day"),
        }
    }
}

impl ProvisionalGroup {
    /// A new file for the group's rows.
    pub fn new_file(&self, id: Uuid) -> NewFile {
        let ProvisionalGroup { day, kafka_partition, windows } = *self;
        NewFile {
            path: format!("event_date={day}/provisional-p{kafka_partition}-{windows}-{id}.parquet"),
            partition: Some(day),
            file_use: FileUse::ShortLived,
            tags: tags(
                PROVISIONAL,
                [(KAFKA_PARTITION, kafka_partition.to_string()), (WINDOWS, windows.to_string())],
            ),
        }
    }
}

impl AvgSpeedFile {
    /// A new file for final rows.
    pub fn new_final(day: Day, run_id: &str, size: WindowSize, id: Uuid) -> NewFile {
        NewFile {
            path: format!("event_date={day}/final-{run_id}-{size}-{id}.parquet"),
            partition: Some(day),
            file_use: FileUse::LongLived,
            tags: tags(
                FINAL,
                [
                    (RUN_ID.to_owned(), run_id.to_owned()),
                    (WINDOW_SIZE.to_owned(), size.to_string()),
                    portable(),
                ],
            ),
        }
    }

    /// What `file` holds, by its tags or else its statistics. `calendar` is that of the lake.
    pub fn of(file: &FileEntry, calendar: &Calendar) -> AvgSpeedFile {
        AvgSpeedFile::tagged(file).unwrap_or_else(|| recognise::by_statistics(file, calendar))
    }

    /// What `file` holds by its tags alone.
    pub fn tagged(file: &FileEntry) -> Option<AvgSpeedFile> {
        let tag = |key: &str| file.tags.get(key).map(String::as_str);
        match tag(KIND)? {
            PROVISIONAL => Some(AvgSpeedFile::Provisional(ProvisionalGroup {
                day: file.partition?,
                kafka_partition: KafkaPartition(tag(KAFKA_PARTITION)?.parse().ok()?),
                windows: GroupWindows::parse(tag(WINDOWS)?)?,
            })),
            FINAL => Some(AvgSpeedFile::Final {
                run_id: tag(RUN_ID).map(str::to_owned),
                size: tag(WINDOW_SIZE).and_then(WindowSize::parse),
            }),
            _ => None,
        }
    }

    /// Whether the rows of `file` are final.
    pub fn is_final(file: &FileEntry) -> bool {
        match AvgSpeedFile::tagged(file) {
            Some(kind) => matches!(kind, AvgSpeedFile::Final { .. }),
            None => recognise::only_status(file) == Some(Status::Final),
        }
    }

    /// The batch run that wrote `file`, if it is of a batch run and names it.
    pub fn run_id(file: &FileEntry) -> Option<String> {
        match AvgSpeedFile::tagged(file) {
            Some(AvgSpeedFile::Final { run_id, .. }) => run_id,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_windows_of_a_group_survive_a_round_trip() {
        for windows in [GroupWindows::Hour(0), GroupWindows::Hour(24), GroupWindows::Day] {
            assert_eq!(GroupWindows::parse(&windows.to_string()), Some(windows));
        }
        for text in ["", "h", "hx", "12", "week"] {
            assert_eq!(GroupWindows::parse(text), None, "{text}");
        }
    }
}
