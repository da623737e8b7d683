//! Telling a fault of the data of one day from an external failure.
//!
//! A data file that the log names and that is missing, cut off, damaged, or not what the log says of it stays so however
//! often it is read: whoever meets one leaves what depends on it, reports it with the remedy, and goes on with the rest.
//! A store that is out of reach or refuses is no such fault, and ends the command.
//!
//! # Consistency
//! A file may also be missing because it was compacted or overwritten and then vacuumed after our log was read. So before a
//! file is judged, the logs are loaded anew ([`judge`]): only a file that they still name is at fault.

use std::collections::BTreeMap;

use lake_delta::log::FileEntry;
use lake_delta::{LakeError, TableLog};
use lake_model::{Day, KafkaPartition, Offset, OffsetRange};
use lake_tables::{Table, file_kind};
use serde::{Serialize, Serializer};

use crate::context::Context;
use crate::error::BatchError;

/// How often a command begins while other programs replace files that it is about to read.
const TRIES: u32 = 3;

/// What `attempt` returns, which is made again where another program has replaced a file since the logs were read.
///
/// # Errors
/// As `attempt`.
pub(crate) async fn on_newest_files<T>(
    attempt: impl AsyncFn() -> Result<T, BatchError>,
) -> Result<T, BatchError> {
    let mut tries = 1;
    loop {
        match attempt().await {
            Err(BatchError::Lake(error))
                if error.data_file_at_fault().is_some() && tries < TRIES =>
            {
                tracing::info!(%error, "files were replaced since the logs were read: beginning again");
                tries += 1;
            }
            result => return result,
        }
    }
}

/// A data file that the log names and that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileFault {
    /// The table.
    #[serde(serialize_with = "as_text")]
    pub table: Table,
    /// The day of its rows, in a table that is partitioned by it.
    #[serde(serialize_with = "as_optional_text")]
    pub day: Option<Day>,
    /// Its path, relative to the lake.
    pub file: String,
    /// What is wrong with it.
    pub problem: String,
    /// The rows that the log says it has.
    pub rows: u64,
    /// The offsets of its rows, if the log says so.
    pub offsets: Option<LoggedOffsets>,
    /// What to do.
    pub remedy: String,
}

/// Bounds of the offsets of a file's rows, by its tags or else its statistics in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoggedOffsets {
    /// The least Kafka partition of its rows.
    pub first_partition: KafkaPartition,
    /// The greatest.
    pub last_partition: KafkaPartition,
    /// The least offset, in whatever partition.
    pub first_offset: Offset,
    /// The offset after the greatest.
    pub next_offset: Offset,
    /// The bounds of each partition, if the file says so.
    #[serde(skip)]
    by_partition: Option<BTreeMap<KafkaPartition, OffsetRange>>,
}

/// What a failure to read data files is about.
#[must_use]
#[derive(Debug)]
pub(crate) enum Judged {
    /// A file that the log still names.
    Fault(FileFault),
    /// A file that the log does not name any more: trying again on the newest version helps.
    Moved(LakeError),
}

/// What `error` is about, which came of reading files of `tables`.
///
/// # Errors
/// It is about no data file, or the tables can't be loaded.
pub(crate) async fn judge(
    context: &Context,
    tables: &[Table],
    error: impl Into<BatchError>,
) -> Result<Judged, BatchError> {
    let error = match error.into() {
        BatchError::Lake(error) if error.data_file_at_fault().is_some() => error,
        other => return Err(other),
    };
    let judged = judge_all(context, tables, vec![error]).await?;
    Ok(judged.into_iter().next().expect("one error is judged once"))
}

/// As [`judge`], for many errors about data files: the logs are loaded once.
pub(crate) async fn judge_all(
    context: &Context,
    tables: &[Table],
    errors: Vec<LakeError>,
) -> Result<Vec<Judged>, BatchError> {
    let mut logs: Vec<(Table, TableLog)> = Vec::new();
    if !errors.is_empty() {
        for table in tables {
            logs.push((*table, context.open(*table).await?));
        }
    }
    let judged = errors.into_iter().map(|error| {
        let found = logs.iter().find_map(|(table, log)| {
            let named = error.data_file_at_fault().and_then(|path| log.state().file(path));
            let (file, problem) = named.zip(error.problem_of_data_file())?;
            Some(FileFault::of(*table, file, problem))
        });
        found.map_or(Judged::Moved(error), Judged::Fault)
    });
    Ok(judged.collect())
}

impl FileFault {
    pub(crate) fn of(table: Table, file: &FileEntry, problem: String) -> FileFault {
        FileFault {
            table,
            day: file.partition,
            file: format!("{table}/{}", file.path),
            problem,
            rows: file.rows,
            offsets: LoggedOffsets::of(file),
            remedy: remedy(table, file),
        }
    }
}

/// What can be done about a file that can't be used.
fn remedy(table: Table, file: &FileEntry) -> String {
    let restore = "restore the object from a backup";
    match (table, file.partition) {
        (Table::Events | Table::DeadLetters, _) => format!(
            "{restore}, or take it out of the table: `batch-layer quarantine --file {table}/{}`",
            file.path
        ),
        (Table::AvgSpeed, Some(day)) => {
            format!("`batch-layer nightly --date {day} --force` writes the day anew from events")
        }
        _ => format!("{restore}, or the table to a version without it (RESTORE in Spark)"),
    }
}

impl std::fmt::Display for FileFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let FileFault { file, problem, remedy, .. } = self;
        write!(f, "{file} can't be used: {problem}")?;
        if let Some(offsets) = &self.offsets {
            write!(f, "; its {} rows have {offsets}", self.rows)?;
        }
        write!(f, "; {remedy}")
    }
}

impl LoggedOffsets {
    /// The bounds of `file`, if the log has them.
    pub(crate) fn of(file: &FileEntry) -> Option<LoggedOffsets> {
        let bounds = |column| {
            let (least, greatest) = file.bounds(column)?;
            Some((least.as_i64()?, greatest.as_i64()?))
        };
        let (first_partition, last_partition) = bounds("kafka_partition")?;
        let (first_offset, last_offset) = bounds("kafka_offset")?;
        Some(LoggedOffsets {
            first_partition: KafkaPartition(first_partition.try_into().ok()?),
            last_partition: KafkaPartition(last_partition.try_into().ok()?),
            first_offset: Offset(first_offset),
            next_offset: Offset(last_offset.checked_add(1)?),
            by_partition: file_kind::landed_offsets(file),
        })
    }

    /// The range that offsets of `partition` are in, if rows of it may be among them.
    pub(crate) fn of_partition(&self, partition: KafkaPartition) -> Option<OffsetRange> {
        match &self.by_partition {
            Some(ranges) => ranges.get(&partition).copied(),
            None => (self.first_partition..=self.last_partition)
                .contains(&partition)
                .then(|| OffsetRange::new(self.first_offset, self.next_offset)),
        }
    }

    /// The partitions that rows may be of, with the ranges that their offsets are in.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = (KafkaPartition, OffsetRange)> {
        let partitions = (self.first_partition.0..=self.last_partition.0).map(KafkaPartition);
        partitions.filter_map(|partition| Some((partition, self.of_partition(partition)?)))
    }
}

impl std::fmt::Display for LoggedOffsets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(ranges) = &self.by_partition {
            let each = |(partition, range): (&KafkaPartition, &OffsetRange)| {
                format!("[{}, {}) of partition {partition}", range.first, range.next)
            };
            let each: Vec<String> = ranges.iter().map(each).collect();
            return write!(f, "offsets in {}", each.join(", "));
        }
        let LoggedOffsets { first_partition, last_partition, first_offset, next_offset, .. } = self;
        write!(f, "offsets in [{first_offset}, {next_offset}) of ")?;
        if first_partition == last_partition {
            write!(f, "partition {first_partition}")
        } else {
            write!(f, "partitions {first_partition} to {last_partition}")
        }
    }
}

fn as_text<S: Serializer>(value: &impl std::fmt::Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

#[expect(clippy::ref_option, reason = "serde passes the field by reference")]
fn as_optional_text<S: Serializer>(value: &Option<Day>, to: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(day) => to.collect_str(day),
        None => to.serialize_none(),
    }
}
