//! What `dead_letters` and `offset_gaps` cover of a partition beside and beyond what `events` holds.
//!
//! Only files are read whose statistics leave open whether they hold such offsets: few, since whoever commits to those tables
//! commits to `events` right after.

use arrow::array::RecordBatch;
use lake_delta::columns::{self, ColumnError};
use lake_delta::log::FileEntry;
use lake_delta::{Lake, LakeError, read};
use lake_model::resume::Reached;
use lake_model::{KafkaPartition, Offset, OffsetRange, OffsetRanges};
use lake_tables::Table;
use lake_tables::offset_gaps::{self, GapReason};

use crate::tables::Tables;

/// Offsets that `dead_letters` and `offset_gaps` cover.
#[derive(Debug, Default)]
pub(super) struct Covered {
    /// Those from a given offset on.
    pub(super) offsets: OffsetRanges,
    /// Where consuming began, if Kafka had nothing before that.
    pub(super) begun: Option<Offset>,
    /// The offset after the last of `dead_letters`.
    letters: Option<Offset>,
    /// The offset after the last of `offset_gaps`.
    gaps: Option<Offset>,
}

impl Covered {
    /// Reads what is covered from `next` on. Gaps that had records when `events` was committed are not among that: a replay
    /// judges lateness by these records, as it was judged then.
    pub(super) async fn from(
        next: Offset,
        partition: KafkaPartition,
        tables: &Tables,
        lake: &Lake,
    ) -> Result<Covered, LakeError> {
        let mut covered = Covered::default();
        let (table, columns) = (Table::DeadLetters, ["kafka_partition", "kafka_offset"]);
        let files = files_from(next, partition, tables, table, "kafka_offset");
        for (id, at) in read::collect(lake, table, files, &columns, lake_tables::offsets).await? {
            if id == partition && at >= next {
                covered.offsets.insert(OffsetRange::single(at));
                covered.letters = covered.letters.max(Some(at.next()));
            }
        }
        let table = Table::OffsetGaps;
        let files = files_from(next, partition, tables, table, "next_offset");
        let landed = tables.app_ids.progress(tables.events.state(), partition).next_offset;
        for (id, gap, kind) in read::collect(lake, table, files, &[], gaps).await? {
            let had_records = kind == GapKind::HadRecords;
            let from = if had_records { landed.map_or(next, |at| next.max(at)) } else { next };
            let gap = OffsetRange::new(gap.first.max(from), gap.next);
            if id == partition && !gap.is_empty() {
                covered.offsets.insert(gap);
                covered.gaps = covered.gaps.max(Some(gap.next));
                if kind == GapKind::BeforeStart {
                    covered.begun = covered.begun.max(Some(gap.next));
                }
            }
        }
        Ok(covered)
    }

    /// How far `dead_letters` and `offset_gaps` reach, by the leaders of what they hold.
    pub(super) fn reached(
        &self,
        partition: KafkaPartition,
        tables: &Tables,
    ) -> impl Iterator<Item = Reached> {
        let ends = [(&tables.dead_letters, self.letters), (&tables.offset_gaps, self.gaps)];
        ends.into_iter().filter_map(move |(log, end)| {
            let leader_epoch = tables.app_ids.progress(log.state(), partition).leader_epoch;
            Some(Reached { next: end?, leader_epoch })
        })
    }

    /// Where the covered offsets end, or `position` if that is beyond them.
    pub(super) fn end(&self, position: Offset) -> Offset {
        [self.letters, self.gaps].into_iter().flatten().fold(position, Offset::max)
    }
}

/// The files of `table` that may hold offsets of `partition` from `next` on.
fn files_from<'a>(
    next: Offset,
    partition: KafkaPartition,
    tables: &'a Tables,
    table: Table,
    last_column: &'static str,
) -> impl Iterator<Item = &'a FileEntry> {
    let log = tables.log(table);
    let reaches = tables.app_ids.progress(log.state(), partition).next_offset;
    let is_ahead = reaches.is_some_and(|reaches| reaches > next);
    log.state().files().filter(move |file| {
        is_ahead
            && may_hold(file, "kafka_partition", |least, greatest| {
                least <= i64::from(partition.0) && i64::from(partition.0) <= greatest
            })
            && may_hold(file, last_column, |_, greatest| greatest >= next.0)
    })
}

/// What a gap says of its offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GapKind {
    /// Consuming began after them.
    BeforeStart,
    /// They had records in the tables before.
    HadRecords,
    Other,
}

/// The gaps of a batch.
fn gaps(batch: &RecordBatch) -> Result<Vec<(KafkaPartition, OffsetRange, GapKind)>, ColumnError> {
    let reasons = columns::string(batch, "reason")?;
    let kind = |row| match reasons.value(row) {
        reason if reason == GapReason::BeforeStart.as_str() => GapKind::BeforeStart,
        reason if GapReason::had_records(reason) => GapKind::HadRecords,
        _ => GapKind::Other,
    };
    let ranges = offset_gaps::ranges(batch)?.into_iter().enumerate();
    Ok(ranges.map(|(row, (id, range))| (id, range, kind(row))).collect())
}

/// Whether rows of `file` may have values of `column` as asked for, by the least and the greatest of them.
fn may_hold(file: &FileEntry, column: &str, is_asked_for: impl Fn(i64, i64) -> bool) -> bool {
    let bounds = file.bounds(column);
    let bounds = bounds.and_then(|(least, greatest)| least.as_i64().zip(greatest.as_i64()));
    bounds.is_none_or(|(least, greatest)| is_asked_for(least, greatest))
}
