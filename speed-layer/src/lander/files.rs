//! Writing the rows that wait into files: one for each day, with the rows of all partitions.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use futures::stream::{self, StreamExt, TryStreamExt};
use lake_delta::data_file::{FileWriter, NewFile};
use lake_delta::{DataFile, Lake, LakeError, data_file};
use lake_model::{Calendar, Day, DeadLetter, KafkaPartition, OffsetRange};
use lake_tables::offset_gaps::{self, OffsetGap};
use lake_tables::{Table, dead_letters, file_kind};

use crate::partition::Partition;
use crate::publish::SharedFile;

/// The gaps of `partitions`, in one file if there are any.
pub(super) async fn gaps(
    lake: &Lake,
    partitions: &[&Partition],
) -> Result<Vec<SharedFile>, LakeError> {
    let noted_at = lake.now();
    let gaps = partitions.iter().flat_map(|partition| {
        let kafka_partition = partition.id();
        partition.landing.gaps().iter().map(move |(range, reason)| OffsetGap {
            kafka_partition,
            range: *range,
            reason: *reason,
            noted_at,
        })
    });
    let gaps: Vec<OffsetGap> = gaps.collect();
    if gaps.is_empty() {
        return Ok(Vec::new());
    }
    let new = file_kind::unpartitioned(lake.unique_id());
    let file = data_file::write(lake, Table::OffsetGaps, new, &offset_gaps::batch(&gaps)).await?;
    let partitions = gaps.iter().map(|gap| gap.kafka_partition).collect();
    Ok(vec![SharedFile { partitions, file }])
}

/// Rows of a day: the range that the offsets of each partition's are in, and the rows.
struct DayRows<T> {
    offsets: BTreeMap<KafkaPartition, OffsetRange>,
    rows: Vec<T>,
}

impl<T> Default for DayRows<T> {
    fn default() -> DayRows<T> {
        DayRows { offsets: BTreeMap::new(), rows: Vec::new() }
    }
}

impl<T> DayRows<T> {
    /// Adds what has offsets in `added` of a partition.
    fn push(&mut self, partition: KafkaPartition, added: OffsetRange, rows: T) {
        let range = self.offsets.entry(partition).or_insert(added);
        *range = OffsetRange::new(range.first.min(added.first), range.next.max(added.next));
        self.rows.push(rows);
    }
}

/// The dead letters of `partitions`, by the day of their Kafka timestamp.
pub(super) async fn letters(
    lake: &Lake,
    calendar: &Calendar,
    partitions: &[&Partition],
) -> Result<Vec<SharedFile>, LakeError> {
    let mut days: BTreeMap<Day, DayRows<&DeadLetter>> = BTreeMap::new();
    for partition in partitions {
        for letter in partition.landing.dead_letters() {
            let day = calendar.span_at(letter.kafka_timestamp).day;
            let at = OffsetRange::single(letter.kafka_offset);
            days.entry(day).or_default().push(partition.id(), at, letter);
        }
    }
    let mut files = Vec::new();
    for (day, DayRows { offsets, rows }) in days {
        let new = file_kind::landed(Table::DeadLetters, day, &offsets, lake.unique_id());
        let batch = dead_letters::batch(rows);
        let file = data_file::write(lake, Table::DeadLetters, new, &batch).await?;
        files.push(SharedFile { partitions: offsets.into_keys().collect(), file });
    }
    Ok(files)
}

/// The events of `partitions`, by day. So many files are under way at once: while one is uploaded the next is encoded.
pub(super) async fn events<'a>(
    lake: &Lake,
    partitions: impl Iterator<Item = &'a mut Partition>,
    files_at_once: usize,
) -> Result<Vec<SharedFile>, LakeError> {
    let mut days: BTreeMap<Day, DayRows<RecordBatch>> = BTreeMap::new();
    for partition in partitions {
        let id = partition.id();
        for (day, rows) in partition.landing.days_mut() {
            let of_day = days.entry(*day).or_default();
            for batch in rows.batches() {
                let range = lake_tables::offset_range(batch).expect("events have offsets");
                if let Some(range) = range {
                    of_day.push(id, range, batch.clone());
                }
            }
        }
    }
    let writes = days.into_iter().map(|(day, DayRows { offsets, rows })| async move {
        let new = file_kind::landed(Table::Events, day, &offsets, lake.unique_id());
        let file = write_all(lake, new, &rows).await?;
        Ok(SharedFile { partitions: offsets.into_keys().collect(), file })
    });
    stream::iter(writes).buffered(files_at_once).try_collect().await
}

async fn write_all(
    lake: &Lake,
    new: NewFile,
    batches: &[RecordBatch],
) -> Result<DataFile, LakeError> {
    let mut writer = FileWriter::new(Table::Events, new)?;
    batches.iter().try_for_each(|batch| writer.push(batch))?;
    writer.upload(lake).await
}
