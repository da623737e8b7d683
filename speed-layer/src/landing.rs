//! The landing buffer: what a partition's records become in `events`, `dead_letters` and `offset_gaps`, held until the
//! next commit.
//!
//! Rows stay here until a commit has them, so that a store that is away costs memory (bounded by the engine),
//! never a record. Offsets that are in the tables already are passed over.

mod day_rows;

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::{BooleanBufferBuilder, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use lake_model::{
    Day, DeadLetter, EventColumns, KafkaPartition, Offset, OffsetRange, OffsetRanges,
};
use lake_tables::events;
use lake_tables::offset_gaps::GapReason;

use self::day_rows::DayRows;

/// What the tables hold of a partition.
#[derive(Clone, Debug, Default)]
pub struct Landed {
    /// The next offset that `events` holds.
    pub events: Option<Offset>,
    /// The next offset that `dead_letters` holds.
    pub dead_letters: Option<Offset>,
    /// The next offset that `offset_gaps` holds.
    pub offset_gaps: Option<Offset>,
    /// Offsets that `dead_letters` or `offset_gaps` cover, from where the replay begins on: before the next offset of
    /// `events`, and beyond it where the commit of `events` that belonged to theirs never came. An earlier owner may have
    /// decoded these records in another way than we do.
    pub covered: OffsetRanges,
}

/// Rows of one partition that no commit has yet.
#[derive(Debug, Default)]
pub struct LandingBuffer {
    landed: Landed,
    days: BTreeMap<Day, DayRows>,
    dead_letters: Vec<DeadLetter>,
    dead_bytes: usize,
    gaps: Vec<(OffsetRange, GapReason)>,
    late_rows: u64,
}

/// What is decided over the rows of a batch of events.
#[derive(Debug)]
pub struct LateMask {
    /// Whether each came after its window was closed to the speed layer.
    pub late: BooleanBufferBuilder,
    /// The rows that are to land, in order. Neighbours in the log are mostly of one day.
    runs: Vec<(Day, Range<usize>)>,
}

impl LateMask {
    /// Nothing is decided yet over `rows` rows.
    pub fn with_room_for(rows: usize) -> LateMask {
        LateMask { late: BooleanBufferBuilder::new(rows), runs: Vec::new() }
    }

    /// The event at `row`, which is behind those that were named before, is to land in `day`.
    pub fn land(&mut self, row: usize, day: Day) {
        match self.runs.last_mut() {
            Some((last, rows)) if *last == day && rows.end == row => rows.end += 1,
            _ => self.runs.push((day, row..row + 1)),
        }
    }
}

impl LandingBuffer {
    /// Continues what the tables hold.
    pub fn resumed(landed: Landed) -> LandingBuffer {
        LandingBuffer { landed, ..LandingBuffer::default() }
    }

    /// What the tables hold.
    pub fn landed(&self) -> &Landed {
        &self.landed
    }

    /// Whether the record at `offset` is still to be landed.
    pub fn wants(&self, offset: Offset) -> bool {
        offset >= self.landed.events.unwrap_or(Offset::ZERO) && !self.is_covered(offset)
    }

    /// Whether `dead_letters` or `offset_gaps` cover that offset already, by what was loaded.
    pub fn is_covered(&self, offset: Offset) -> bool {
        self.landed.covered.contains(offset)
    }

    /// Takes the accepted events that are to land.
    pub fn push_events(
        &mut self,
        kafka_partition: KafkaPartition,
        events: EventColumns,
        late_mask: LateMask,
    ) {
        let LateMask { mut late, runs } = late_mask;
        if runs.is_empty() {
            return;
        }
        let late = late.finish();
        let late_in = |rows: &Range<usize>| late.slice(rows.start, rows.len()).count_set_bits();
        self.late_rows += runs.iter().map(|(_, rows)| late_in(rows)).sum::<usize>() as u64;
        let all = 0..events.len();
        let batch = events::batch(events, kafka_partition, late);
        if let [(day, rows)] = &*runs
            && *rows == all
        {
            self.days.entry(*day).or_default().push(batch);
            return;
        }
        let mut days: BTreeMap<Day, Vec<u32>> = BTreeMap::new();
        for (day, rows) in runs {
            let rows = rows.map(|row| u32::try_from(row).expect("a batch has less than 2^32 rows"));
            days.entry(day).or_default().extend(rows);
        }
        for (day, rows) in days {
            self.days.entry(day).or_default().push(select(&batch, rows));
        }
    }

    /// Takes a dead letter.
    pub fn push_dead_letter(&mut self, letter: DeadLetter) {
        self.dead_bytes += letter.bytes();
        self.dead_letters.push(letter);
    }

    /// Notes that `range` holds no record that could land.
    pub fn push_gap(&mut self, range: OffsetRange, reason: GapReason) {
        let from = self.landed.events.unwrap_or(Offset::ZERO);
        let new = OffsetRange::new(range.first.max(from), range.next);
        let missing = self.landed.covered.missing_from(new);
        self.gaps.extend(missing.into_iter().map(|range| (range, reason)));
    }

    /// The days with rows.
    pub fn days_mut(&mut self) -> &mut BTreeMap<Day, DayRows> {
        &mut self.days
    }

    /// The dead letters.
    pub fn dead_letters(&self) -> &[DeadLetter] {
        &self.dead_letters
    }

    /// The gaps.
    pub fn gaps(&self) -> &[(OffsetRange, GapReason)] {
        &self.gaps
    }

    /// Forgets the gaps, which a commit that records `next` has.
    pub fn clear_gaps(&mut self, next: Option<Offset>) {
        self.landed.offset_gaps = next;
        self.gaps.clear();
    }

    /// Forgets the dead letters, which a commit that records `next` has.
    pub fn clear_dead_letters(&mut self, next: Option<Offset>) {
        self.landed.dead_letters = next;
        self.dead_letters.clear();
        self.dead_bytes = 0;
    }

    /// Forgets the events, which a commit up to `next` has, and what was covered before that.
    pub fn clear_events(&mut self, next: Option<Offset>) {
        self.days.clear();
        self.late_rows = 0;
        self.landed.events = next;
        let last = self.landed.covered.ranges().last().map(|range| range.next);
        if last <= next {
            self.landed.covered = OffsetRanges::default();
        }
    }

    /// Events that wait.
    pub fn rows(&self) -> u64 {
        self.days.values().map(DayRows::rows).sum()
    }

    /// Late events among the rows.
    pub fn late_rows(&self) -> u64 {
        self.late_rows
    }

    /// Whether there is anything but offsets to commit.
    pub fn is_empty(&self) -> bool {
        self.days.is_empty() && self.dead_letters.is_empty() && self.gaps.is_empty()
    }

    /// About how much memory the rows take.
    pub fn bytes(&self) -> usize {
        self.dead_bytes + self.days.values().map(DayRows::bytes).sum::<usize>()
    }
}

/// These rows of a batch.
fn select(batch: &RecordBatch, rows: Vec<u32>) -> RecordBatch {
    take_record_batch(batch, &UInt32Array::from(rows)).expect("the rows are the batch's own")
}
