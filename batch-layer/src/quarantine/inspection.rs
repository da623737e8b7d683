//! Reading the file that is to be quarantined as far as that goes.
//!
//! A damaged file can decode to offsets that it never held. They are believed only if they are as many as the log has rows
//! of the file, all of them others, and within its bounds by the log; without such bounds, within what the tables reach.
//! That bounds the memory too: there is one number for each row that the log has.

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use lake_delta::columns;
use lake_delta::log::FileEntry;
use lake_delta::{LakeError, TableSpec};
use lake_model::{Day, DaySpan, KafkaPartition, Offset, OffsetRange, OffsetRanges, Timestamp};
use lake_tables::Table;
use lake_tables::identity::LakeIdentity;

use super::PartitionOffsets;
use crate::cameras;
use crate::context::Context;
use crate::faults::LoggedOffsets;
use crate::scan::batches;

/// What reading the file came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Inspection {
    /// What is wrong with it, if anything is.
    pub(super) problem: Option<String>,
    /// The offsets of its rows, if all of them can be read.
    pub(super) offsets: Option<PartitionOffsets>,
}

/// Reads the file twice: its offsets, and everything.
///
/// # Errors
/// The store fails.
pub(super) async fn inspect(
    context: &Context,
    table: Table,
    file: &FileEntry,
) -> Result<Inspection, LakeError> {
    let offsets = unless_at_fault(offsets(context, table, file).await)?;
    let rows = unless_at_fault(check_rows(context, table, file).await)?;
    let problem = offsets.as_ref().err().or(rows.as_ref().err()).cloned();
    Ok(Inspection { problem, offsets: offsets.ok() })
}

/// What was read, or what is wrong with the file.
fn unless_at_fault<T>(read: Result<T, LakeError>) -> Result<Result<T, String>, LakeError> {
    read.map(Ok).or_else(|error| error.problem_of_data_file().map(Err).ok_or(error))
}

async fn offsets(
    context: &Context,
    table: Table,
    file: &FileEntry,
) -> Result<PartitionOffsets, LakeError> {
    let columns = ["kafka_partition", "kafka_offset"];
    let damaged = |problem: String| LakeError::data_file(&file.path, problem);
    let logged = LoggedOffsets::of(file);
    let reached = context.reached(table).await?;
    let may_be = |partition: KafkaPartition, offset: Offset| match &logged {
        Some(logged) => logged.of_partition(partition).is_some_and(|range| range.contains(offset)),
        None => reached.get(&partition).is_some_and(|next| (Offset::ZERO..*next).contains(&offset)),
    };
    let mut found: Vec<(KafkaPartition, Offset)> = Vec::new();
    let mut batches = batches(context.lake.table_store(table), file, &columns).await?;
    while let Some(batch) = batches.try_next().await? {
        let offsets = lake_tables::offsets(&batch).map_err(|e| damaged(e.to_string()))?;
        if let Some((partition, offset)) = offsets.iter().find(|(id, at)| !may_be(*id, *at)) {
            let bounds = logged.as_ref().map_or_else(
                || "what the tables reach".to_owned(),
                |logged| format!("what the log says of it: {logged}"),
            );
            return Err(damaged(format!(
                "a row has offset {offset} of partition {partition}, which is outside of {bounds}"
            )));
        }
        found.extend(offsets);
    }
    in_ranges(found).map_err(damaged)
}

/// Offsets, each of which must be there once, as ranges by partition.
fn in_ranges(mut offsets: Vec<(KafkaPartition, Offset)>) -> Result<PartitionOffsets, String> {
    offsets.sort_unstable();
    if let Some(twice) = offsets.windows(2).find(|pair| pair[0] == pair[1]) {
        let (partition, offset) = twice[0];
        return Err(format!("two rows have offset {offset} of partition {partition}"));
    }
    let of_partition = |rows: &[(KafkaPartition, Offset)]| {
        let mut ranges = OffsetRanges::default();
        for (_, offset) in rows {
            ranges.insert(OffsetRange::single(*offset));
        }
        (rows[0].0, ranges.ranges().to_vec())
    };
    Ok(offsets.chunk_by(|a, b| a.0 == b.0).map(of_partition).collect())
}

async fn check_rows(context: &Context, table: Table, file: &FileEntry) -> Result<(), LakeError> {
    let events = LakeIdentity::of(&context.settings).open(&context.lake, Table::Events).await?;
    let calendar = context.calendar_at(events.state())?;
    let day = file.partition.map(|day: Day| calendar.span(day));
    let mut batches = batches(context.lake.table_store(table), file, &[]).await?;
    while let Some(batch) = batches.try_next().await? {
        let camera = || {
            let ids = columns::string(&batch, "camera_id").ok()?;
            cameras::outside_bounds(file, ids)
        };
        problem_of(&batch, table.spec(), day)
            .or_else(camera)
            .map_or(Ok(()), |problem| Err(LakeError::data_file(&file.path, problem)))?;
    }
    Ok(())
}

/// What is wrong with rows of `table` that belong to a day.
fn problem_of(batch: &RecordBatch, table: &TableSpec, day: Option<DaySpan>) -> Option<String> {
    for field in table.file_schema.fields() {
        let name = field.name();
        match batch.column_by_name(name) {
            Some(column) if column.data_type() == field.data_type() => {}
            Some(column) => {
                return Some(format!("column {name} is of type {}", column.data_type()));
            }
            None => return Some(format!("column {name} is missing")),
        }
    }
    let column =
        if table.name == Table::Events.as_str() { "event_time" } else { "kafka_timestamp" };
    let (day, times) = (day?, columns::timestamp(batch, column).ok()?);
    let astray = times.values().iter().map(|micros| Timestamp::from_micros(*micros));
    let astray = astray.into_iter().find(|time| !day.contains(*time))?;
    Some(format!("a row of {astray} is not in {}", day.day))
}
