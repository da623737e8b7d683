//! Rows of one day that wait to land, in pieces of a size that is good to encode.
//!
//! The source delivers a few rows at a time where there is little to do. Pieces are put together once there are enough
//! of them, so that many small ones take neither the memory nor the time of as many large ones.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;

/// Rows that are put together.
const PIECE_ROWS: usize = 4096;
/// Bytes that are put together however few rows they are.
const PIECE_BYTES: usize = 8 << 20;

/// Rows of one day.
#[derive(Debug, Default)]
pub struct DayRows {
    pieces: Vec<RecordBatch>,
    piece_bytes: usize,
    small: Vec<RecordBatch>,
    small_rows: usize,
    small_bytes: usize,
}

impl DayRows {
    /// Takes rows.
    pub(super) fn push(&mut self, rows: RecordBatch) {
        self.small_rows += rows.num_rows();
        self.small_bytes += rows.get_array_memory_size();
        self.small.push(rows);
        if self.small_rows >= PIECE_ROWS || self.small_bytes >= PIECE_BYTES {
            self.put_together();
        }
    }

    /// The rows as batches. They stay here until the commit is made.
    pub fn batches(&mut self) -> &[RecordBatch] {
        self.put_together();
        &self.pieces
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> u64 {
        let pieces: usize = self.pieces.iter().map(RecordBatch::num_rows).sum();
        (pieces + self.small_rows) as u64
    }

    /// About how much memory the rows take.
    pub(super) fn bytes(&self) -> usize {
        self.piece_bytes + self.small_bytes
    }

    fn put_together(&mut self) {
        let piece = match &*self.small {
            [] => return,
            [alone] => alone.clone(),
            [first, ..] => concat_batches(&first.schema(), &self.small)
                .expect("they have one schema and less than 2 GiB of text"),
        };
        self.piece_bytes += piece.get_array_memory_size();
        self.pieces.push(piece);
        self.small.clear();
        (self.small_rows, self.small_bytes) = (0, 0);
    }
}
