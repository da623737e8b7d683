//! Reading the file that is to be quarantined as far as that goes.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use lake_delta::columns;
use lake_delta::log::FileEntry;
use lake_delta::{LakeError, TableSpec};
use lake_model::{Day, DaySpan, KafkaPartition, Timestamp};
use lake_tables::Table;
use lake_tables::identity::LakeIdentity;

use super::PartitionOffsets;
use crate::context::Context;
use crate::offset_set::OffsetSet;
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
    let mut found: BTreeMap<KafkaPartition, OffsetSet> = BTreeMap::new();
    let mut batches = batches(context.lake.table_store(table), file, &columns).await?;
    while let Some(batch) = batches.try_next().await? {
        let offsets = lake_tables::offsets(&batch);
        for (partition, offset) in offsets.map_err(|e| LakeError::data_file(&file.path, e))? {
            found.entry(partition).or_default().insert(offset);
        }
    }
    Ok(found.into_iter().map(|(partition, offsets)| (partition, offsets.ranges())).collect())
}

async fn check_rows(context: &Context, table: Table, file: &FileEntry) -> Result<(), LakeError> {
    let events = LakeIdentity::of(&context.settings).open(&context.lake, Table::Events).await?;
    let calendar = context.calendar_at(events.state())?;
    let day = file.partition.map(|day: Day| calendar.span(day));
    let mut batches = batches(context.lake.table_store(table), file, &[]).await?;
    while let Some(batch) = batches.try_next().await? {
        problem_of(&batch, table.spec(), day)
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
