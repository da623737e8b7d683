//! Rule 1 of docs/contract.md: of every partition, each offset from 0, or from the retention floor, to the next offset
//! in `events` is accounted for exactly once.

use std::collections::BTreeMap;

use lake_delta::{TableState, read};
use lake_model::{KafkaPartition, Offset, OffsetRange, OffsetRanges};
use lake_tables::Table;
use lake_tables::offset_gaps;

use super::report::{AuditReport, AuditedPartition};
use super::{note, note_fault};
use crate::context::Context;
use crate::error::BatchError;
use crate::faults;
use crate::offset_set::OffsetSet;
use crate::scan::each_offset;

const GAP_COLUMNS: [&str; 4] = ["kafka_partition", "first_offset", "next_offset", "reason"];

/// What is found of one partition.
#[derive(Debug, Default)]
struct Partition {
    /// From the floor to the next offset.
    extent: Extent,
    events: u64,
    dead_letters: u64,
    gaps: Vec<OffsetRange>,
    /// What data files that can't be used may hold.
    unreadable: OffsetRanges,
    rows: OffsetSet,
    /// Rows of `events` at or after the next offset.
    beyond: u64,
}

/// The offsets that must be accounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    floor: Offset,
    next: Offset,
}

impl Default for Extent {
    fn default() -> Extent {
        Extent { floor: Offset::ZERO, next: Offset::ZERO }
    }
}

/// Checks every partition that any of the tables knows.
pub(super) async fn audit(
    context: &Context,
    events: &TableState,
    dead_letters: &TableState,
    offset_gaps: &TableState,
    report: &mut AuditReport,
) -> Result<(), BatchError> {
    let lake = &context.lake;
    let mut partitions: BTreeMap<KafkaPartition, Partition> = BTreeMap::new();
    for (partition, next) in context.app_ids.partitions(events) {
        partitions.entry(partition).or_default().extent.next = next;
    }
    add_gaps(context, offset_gaps, &mut partitions, report).await?;
    let files = |state: &TableState| state.files().cloned().collect::<Vec<_>>();
    let add_event = |partition, offset| {
        partitions.entry(partition).or_default().add_event(offset);
    };
    let mut errors = each_offset(lake, Table::Events, &files(events), add_event).await?;
    let add_letter = |partition, offset| {
        partitions.entry(partition).or_default().add_dead_letter(offset);
    };
    errors.extend(each_offset(lake, Table::DeadLetters, &files(dead_letters), add_letter).await?);
    let tables = [Table::Events, Table::DeadLetters];
    for judged in faults::judge_all(context, &tables, errors).await? {
        let fault = note(judged, report)?;
        if let Some(offsets) = fault.offsets {
            for (id, range) in offsets.ranges() {
                if let Some(partition) = partitions.get_mut(&id) {
                    partition.unreadable.insert(range);
                }
            }
        }
    }
    for (id, partition) in partitions {
        partition.report(id, report);
    }
    Ok(())
}

async fn add_gaps(
    context: &Context,
    gaps_table: &TableState,
    partitions: &mut BTreeMap<KafkaPartition, Partition>,
    report: &mut AuditReport,
) -> Result<(), BatchError> {
    for file in gaps_table.files() {
        let rows = offset_gaps::ranges_and_floors;
        let read = read::collect(&context.lake, Table::OffsetGaps, [file], &GAP_COLUMNS, rows);
        let gaps = match read.await {
            Ok(gaps) => gaps,
            Err(error) => {
                note_fault(context, &[Table::OffsetGaps], error, report).await?;
                continue;
            }
        };
        for (id, range, is_retention) in gaps {
            let partition = partitions.entry(id).or_default();
            if is_retention {
                partition.extent.floor = partition.extent.floor.max(range.next);
            } else {
                partition.gaps.push(range);
            }
        }
    }
    Ok(())
}

impl Partition {
    fn add_event(&mut self, offset: Offset) {
        if offset >= self.extent.next {
            self.beyond += 1;
        } else if offset >= self.extent.floor {
            self.events += 1;
            self.rows.insert(offset);
        }
    }

    /// Those beyond the next offset are landed ahead of events that are still on their way.
    fn add_dead_letter(&mut self, offset: Offset) {
        if (self.extent.floor..self.extent.next).contains(&offset) {
            self.dead_letters += 1;
            self.rows.insert(offset);
        }
    }

    fn report(self, id: KafkaPartition, report: &mut AuditReport) {
        let Extent { floor, next } = self.extent;
        let extent = OffsetRange::new(floor, next.max(floor));
        let rows = self.rows.ranges();
        let (missing, mut repeated) = sweep(rows.into_iter().chain(self.gaps.clone()), extent);
        self.rows.repeated().iter().for_each(|range| {
            repeated.insert(*range);
        });
        let gaps: i64 = self.gaps.iter().map(|gap| clip(*gap, extent).len()).sum();
        if self.beyond > 0 {
            report.problem(format!(
                "partition {id}: {} row(s) of events lie beyond the next offset in its log, {next}",
                self.beyond
            ));
        }
        let (missing, unreadable) = without(missing, &self.unreadable);
        for range in &missing {
            let OffsetRange { first, next } = range;
            report.problem(format!("partition {id}: offsets [{first}, {next}) are missing"));
        }
        for OffsetRange { first, next } in repeated.ranges() {
            report.problem(format!(
                "partition {id}: offsets [{first}, {next}) are accounted for more than once"
            ));
        }
        report.partitions.push(AuditedPartition {
            partition: id,
            first_offset: floor,
            next_offset: next,
            events: self.events,
            dead_letters: self.dead_letters,
            gap_offsets: gaps.max(0).cast_unsigned(),
            missing: pairs(&missing),
            unreadable: pairs(&unreadable),
            repeated: pairs(repeated.ranges()),
            repeated_rows: self.rows.repeats(),
        });
    }
}

/// The parts of `extent` that no range covers, and those that more than one does.
fn sweep(
    ranges: impl Iterator<Item = OffsetRange>,
    extent: OffsetRange,
) -> (Vec<OffsetRange>, OffsetRanges) {
    let mut ranges: Vec<OffsetRange> =
        ranges.map(|range| clip(range, extent)).filter(|range| !range.is_empty()).collect();
    ranges.sort_unstable();
    let (mut missing, mut repeated) = (Vec::new(), OffsetRanges::default());
    let mut covered = extent.first;
    for range in ranges {
        if range.first > covered {
            missing.push(OffsetRange::new(covered, range.first));
        }
        repeated.insert(OffsetRange::new(range.first, range.next.min(covered)));
        covered = covered.max(range.next);
    }
    if covered < extent.next {
        missing.push(OffsetRange::new(covered, extent.next));
    }
    (missing, repeated)
}

/// The parts of `ranges` that are not in `set`, and those that are.
fn without(ranges: Vec<OffsetRange>, set: &OffsetRanges) -> (Vec<OffsetRange>, Vec<OffsetRange>) {
    let (mut outside, mut inside) = (Vec::new(), Vec::new());
    for range in ranges {
        let rest = set.missing_from(range);
        let mut at = range.first;
        for OffsetRange { first, next } in rest.iter().copied() {
            inside.push(OffsetRange::new(at, first));
            at = next;
        }
        inside.push(OffsetRange::new(at, range.next));
        outside.extend(rest);
    }
    inside.retain(|range| !range.is_empty());
    (outside, inside)
}

fn clip(range: OffsetRange, extent: OffsetRange) -> OffsetRange {
    OffsetRange::new(range.first.max(extent.first), range.next.min(extent.next))
}

fn pairs(ranges: &[OffsetRange]) -> Vec<[Offset; 2]> {
    ranges.iter().map(|range| [range.first, range.next]).collect()
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    fn range(first: i64, next: i64) -> OffsetRange {
        OffsetRange::new(Offset(first), Offset(next))
    }

    #[test]
    fn a_sweep_finds_what_is_missing_and_what_is_there_twice() {
        let ranges = [(0, 5), (5, 10), (8, 12), (9, 10), (20, 40)];
        let ranges = ranges.into_iter().map(|(first, next)| range(first, next));
        let (missing, repeated) = sweep(ranges, range(2, 30));
        assert_eq!(missing, [range(12, 20)]);
        assert_eq!(repeated.ranges(), [range(8, 10)]);
    }

    #[test]
    fn what_a_file_that_cannot_be_read_may_hold_is_kept_apart_from_what_is_missing() {
        let mut set = OffsetRanges::default();
        set.insert(range(3, 6));
        set.insert(range(8, 20));
        let (outside, inside) = without(vec![range(0, 10), range(30, 31)], &set);
        let [a, b, c] = [(0, 3), (6, 8), (30, 31)].map(|(first, next)| range(first, next));
        assert_eq!(outside, [a, b, c]);
        assert_eq!(inside, [range(3, 6), range(8, 10)]);
    }

    #[test]
    fn what_lies_below_the_floor_is_passed_over() {
        let ranges = [range(0, 3), range(0, 10)];
        let (missing, repeated) = sweep(ranges.into_iter(), range(5, 10));
        assert!(missing.is_empty() && repeated.is_empty());
    }
}
