//! Noting the offsets of a file in `offset_gaps`.

use std::collections::BTreeMap;

use lake_delta::{Commit, CommitDecision, Lake, LakeError, TableLog, TableState, commit_with};
use lake_delta::{data_file, read};
use lake_model::{KafkaPartition, OffsetRange, OffsetRanges};
use lake_tables::offset_gaps::{self, GapReason, OffsetGap};
use lake_tables::{Table, file_kind};

use super::PartitionOffsets;
use crate::context::Context;
use crate::error::BatchError;

/// Notes the offsets in `offset_gaps`, those excepted that a gap covers already; returns what was noted.
pub(super) async fn note(
    context: &Context,
    offsets: PartitionOffsets,
) -> Result<PartitionOffsets, BatchError> {
    let mut log = context.open(Table::OffsetGaps).await?;
    let lake = &context.lake;
    let noted = commit_with(&mut log, async |log: &TableLog| {
        let covered = covered(lake, log.state()).await?;
        let new: PartitionOffsets = offsets
            .iter()
            .map(|(partition, ranges)| (*partition, uncovered(ranges, covered.get(partition))))
            .filter(|(_, ranges)| !ranges.is_empty())
            .collect();
        if new.is_empty() {
            return Ok::<_, LakeError>(CommitDecision::Nothing(new));
        }
        let batch = offset_gaps::batch(&gaps(context, &new));
        let file = file_kind::unpartitioned(lake.unique_id());
        let file = data_file::write(lake, Table::OffsetGaps, file, &batch).await?;
        let commit = Commit::new(lake, "NOTE QUARANTINED OFFSETS").add([file]);
        Ok(CommitDecision::Commit(commit, new))
    });
    Ok(noted.await?.value)
}

/// What gaps cover, by partition.
async fn covered(
    lake: &Lake,
    state: &TableState,
) -> Result<BTreeMap<KafkaPartition, OffsetRanges>, LakeError> {
    let files = state.files();
    let ranges = read::collect(lake, Table::OffsetGaps, files, &[], offset_gaps::ranges).await?;
    let mut covered: BTreeMap<KafkaPartition, OffsetRanges> = BTreeMap::new();
    for (partition, range) in ranges {
        covered.entry(partition).or_default().insert(range);
    }
    Ok(covered)
}

fn uncovered(ranges: &[OffsetRange], covered: Option<&OffsetRanges>) -> Vec<OffsetRange> {
    match covered {
        Some(covered) => ranges.iter().flat_map(|range| covered.missing_from(*range)).collect(),
        None => ranges.to_vec(),
    }
}

fn gaps(context: &Context, offsets: &PartitionOffsets) -> Vec<OffsetGap> {
    let noted_at = context.now();
    let each = offsets.iter().flat_map(|(id, ranges)| ranges.iter().map(|range| (*id, *range)));
    each.map(|(kafka_partition, range)| OffsetGap {
        kafka_partition,
        range,
        reason: GapReason::Quarantined,
        noted_at,
    })
    .collect()
}
