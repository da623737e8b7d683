//! Which offsets the file may hold, and which of them other data files hold, as the audit's coverage would find it.
//!
//! Only files are read whose bounds in the log meet those of the file to be quarantined. Those that can't be used themselves may
//! hold the same offsets: the report names them.

use std::collections::BTreeMap;

use lake_delta::log::FileEntry;
use lake_delta::read;
use lake_model::{KafkaPartition, Offset, OffsetRange, OffsetRanges};
use lake_tables::Table;
use lake_tables::offset_gaps;

use super::PartitionOffsets;
use super::inspection::Inspection;
use crate::context::Context;
use crate::error::BatchError;
use crate::faults::{self, FileFault, Judged, LoggedOffsets};
use crate::offset_set::OffsetSet;
use crate::scan::each_offset;

/// The offsets that the file may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Candidates {
    /// Those that were read from it.
    Exactly(PartitionOffsets),
    /// Those within the bounds that the log has.
    Within(LoggedOffsets),
    /// Any.
    Any,
}

impl Candidates {
    pub(super) fn of(file: &FileEntry, inspection: &Inspection) -> Candidates {
        match (&inspection.offsets, LoggedOffsets::of(file)) {
            (Some(offsets), _) => Candidates::Exactly(offsets.clone()),
            (None, Some(logged)) => Candidates::Within(logged),
            (None, None) => Candidates::Any,
        }
    }

    /// Those of one partition.
    pub(super) fn of_partition(&self, partition: KafkaPartition) -> Vec<OffsetRange> {
        match self {
            Candidates::Exactly(offsets) => offsets.get(&partition).cloned().unwrap_or_default(),
            Candidates::Within(logged) => logged.of_partition(partition).into_iter().collect(),
            Candidates::Any => vec![OffsetRange::new(Offset::ZERO, Offset::MAX)],
        }
    }

    /// Whether the file may hold that offset.
    fn has(&self, partition: KafkaPartition, offset: Offset) -> bool {
        match self {
            Candidates::Exactly(offsets) => offsets.get(&partition).is_some_and(|ranges| {
                let at = ranges.partition_point(|range| range.next <= offset);
                ranges.get(at).is_some_and(|range| range.contains(offset))
            }),
            Candidates::Within(logged) => {
                logged.of_partition(partition).is_some_and(|range| range.contains(offset))
            }
            Candidates::Any => true,
        }
    }

    /// Whether a file with those bounds may hold some of them.
    fn may_meet(&self, other: &LoggedOffsets) -> bool {
        other.ranges().any(|(partition, range)| self.meets(partition, range))
    }

    /// Whether some of them are in a range of a partition.
    fn meets(&self, partition: KafkaPartition, other: OffsetRange) -> bool {
        let mut ranges = self.of_partition(partition).into_iter();
        ranges.any(|range| range.first < other.next && other.first < range.next)
    }
}

/// What is known of offsets beside the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Holdings {
    /// Of each partition, the offsets that must be accounted for.
    pub(super) extents: BTreeMap<KafkaPartition, OffsetRange>,
    /// Those that other data files and gaps hold, as far as they are of interest.
    pub(super) held: BTreeMap<KafkaPartition, OffsetRanges>,
    /// Other data files that can't be used and may hold some of them.
    pub(super) unreadable: Vec<FileFault>,
}

/// Finds what other data files and gaps hold of the candidates.
pub(super) async fn find(
    context: &Context,
    table: Table,
    file: &FileEntry,
    candidates: &Candidates,
) -> Result<Holdings, BatchError> {
    let reached = context.reached(table).await?.into_iter();
    let extents = reached.map(|(id, next)| (id, OffsetRange::new(Offset::ZERO, next))).collect();
    let mut found = Holdings { extents, ..Holdings::default() };
    let mut rows: BTreeMap<KafkaPartition, OffsetSet> = BTreeMap::new();
    for other in [Table::Events, Table::DeadLetters] {
        let log = context.open(other).await?;
        let is_other = |entry: &&FileEntry| {
            let meets = LoggedOffsets::of(entry).is_none_or(|bounds| candidates.may_meet(&bounds));
            meets && !(other == table && entry.path == file.path)
        };
        let files: Vec<FileEntry> = log.state().files().filter(is_other).cloned().collect();
        let add = |partition, offset| {
            if candidates.has(partition, offset) {
                rows.entry(partition).or_default().insert(offset);
            }
        };
        let errors = each_offset(&context.lake, other, &files, add).await?;
        for judged in faults::judge_all(context, &[other], errors).await? {
            match judged {
                Judged::Fault(fault) => found.unreadable.push(fault),
                Judged::Moved(error) => return Err(error.into()),
            }
        }
    }
    for (partition, offsets) in rows {
        let held = found.held.entry(partition).or_default();
        offsets.ranges().into_iter().for_each(|range| {
            held.insert(range);
        });
    }
    add_gaps(context, candidates, &mut found).await?;
    Ok(found)
}

/// Adds what gaps hold. A floor of retention ends what must be accounted for.
async fn add_gaps(
    context: &Context,
    candidates: &Candidates,
    found: &mut Holdings,
) -> Result<(), BatchError> {
    let log = context.open(Table::OffsetGaps).await?;
    let files = log.state().files();
    let rows = offset_gaps::ranges_and_floors;
    let gaps = read::collect(&context.lake, Table::OffsetGaps, files, &[], rows).await?;
    for (partition, range, is_floor) in gaps {
        match found.extents.get_mut(&partition) {
            Some(extent) if is_floor => extent.first = extent.first.max(range.next),
            _ if candidates.meets(partition, range) => {
                found.held.entry(partition).or_default().insert(range);
            }
            _ => {}
        }
    }
    Ok(())
}
