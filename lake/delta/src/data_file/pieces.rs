//! A file while it is encoded: pieces of one size, so that memory that one file frees fits the next.

use std::io::{self, Write};

use bytes::Bytes;
use object_store::PutPayload;

/// Bytes of a piece.
const PIECE_BYTES: usize = 256 << 10;

/// What was written, piece by piece.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    full: Vec<Bytes>,
    last: Vec<u8>,
}

impl Pieces {
    /// All that was written.
    pub(super) fn into_payload(mut self) -> PutPayload {
        // A small file does not keep the memory of a large one while it is uploaded.
        if self.last.len() < PIECE_BYTES / 2 {
            self.last.shrink_to_fit();
        }
        self.full.push(self.last.into());
        self.full.into_iter().collect()
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.last.len() == PIECE_BYTES {
            self.full.push(std::mem::take(&mut self.last).into());
        }
        self.last.reserve_exact(PIECE_BYTES - self.last.len());
        let accepted = bytes.len().min(PIECE_BYTES - self.last.len());
        self.last.extend_from_slice(&bytes[..accepted]);
        Ok(accepted)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn pieces_are_what_was_written_in_order() {
        let written: Vec<u8> =
            (0..3 * PIECE_BYTES + 5).map(|at| (at % 251).to_le_bytes()[0]).collect();
        for step in [1, 1000, PIECE_BYTES, 2 * PIECE_BYTES + 1] {
            let mut pieces = Pieces::default();
            written.chunks(step).for_each(|bytes| pieces.write_all(bytes).unwrap());
            let payload = pieces.into_payload();
            let found: Vec<u8> = payload.iter().flatten().copied().collect();
            assert!(found == written, "in steps of {step}");
            assert!(payload.iter().all(|piece| piece.len() <= PIECE_BYTES));
        }
    }
}
