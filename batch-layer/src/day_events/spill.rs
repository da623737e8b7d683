//! A local file of records in buckets, written by a thread of its own while the next records are read and decoded.
//!
//! The file has no name, so that nothing of it is left whatever becomes of the process.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use lake_delta::LakeError;

use super::buckets::distribute;

/// A file with blocks of records, each of one bucket.
#[derive(Debug)]
pub(super) struct SpillFile {
    folder: PathBuf,
    file: File,
    length: u64,
    /// Where the blocks of each bucket begin, and how long they are.
    blocks: Vec<Vec<(u64, usize)>>,
}

/// The thread that writes such a file. It has one load at a time; whoever brings the next one waits for it.
#[derive(Debug)]
pub(super) struct SpillWriter {
    loads: SyncSender<Load>,
    thread: JoinHandle<Result<SpillFile, LakeError>>,
}

/// Records in no order.
#[derive(Debug)]
struct Load {
    pieces: Vec<Vec<u8>>,
    /// The bucket of each camera, by the camera's number.
    of_camera: Arc<[usize]>,
}

impl SpillWriter {
    /// Begins a file of so many buckets in `folder`.
    pub(super) fn begin(folder: &Path, buckets: usize) -> Result<SpillWriter, LakeError> {
        let file = tempfile::tempfile_in(folder).map_err(|error| unusable(folder, error))?;
        let blocks = vec![Vec::new(); buckets];
        let mut file = SpillFile { folder: folder.to_owned(), file, length: 0, blocks };
        let (loads, waiting) = sync_channel::<Load>(0);
        let write = move || {
            for Load { pieces, of_camera } in waiting {
                let mut buckets = vec![Vec::new(); file.blocks.len()];
                distribute(pieces, &of_camera, &mut buckets);
                file.append(&buckets)?;
            }
            Ok(file)
        };
        let thread = std::thread::Builder::new().name("spill".to_owned()).spawn(write);
        let thread = thread.map_err(|error| unusable(folder, error))?;
        Ok(SpillWriter { loads, thread })
    }

    /// Writes the records of `pieces`; returns the writer, once it has taken them.
    pub(super) fn write(
        self,
        pieces: Vec<Vec<u8>>,
        of_camera: &[usize],
    ) -> Result<SpillWriter, LakeError> {
        if self.loads.send(Load { pieces, of_camera: of_camera.into() }).is_err() {
            // It has ended early, and says why.
            return Err(self.finish().expect_err("a thread without a fault receives every load"));
        }
        Ok(self)
    }

    /// The file, once everything is written.
    pub(super) fn finish(self) -> Result<SpillFile, LakeError> {
        drop(self.loads);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl SpillFile {
    fn append(&mut self, buckets: &[Vec<u8>]) -> Result<(), LakeError> {
        for (bucket, records) in buckets.iter().enumerate().filter(|(_, held)| !held.is_empty()) {
            let written = self.file.write_all_at(records, self.length);
            written.map_err(|error| unusable(&self.folder, error))?;
            self.blocks[bucket].push((self.length, records.len()));
            self.length += records.len() as u64;
        }
        Ok(())
    }

    /// The records of a bucket.
    pub(super) fn read(&self, bucket: usize) -> Result<Vec<u8>, LakeError> {
        let blocks = &self.blocks[bucket];
        let mut records = vec![0; blocks.iter().map(|(_, length)| length).sum()];
        let mut rest = &mut records[..];
        for (at, length) in blocks {
            let (block, after) = rest.split_at_mut(*length);
            let read = self.file.read_exact_at(block, *at);
            read.map_err(|error| unusable(&self.folder, error))?;
            rest = after;
        }
        Ok(records)
    }
}

fn unusable(folder: &Path, error: io::Error) -> LakeError {
    let folder = folder.display();
    let action = format!(
        "keep a day's rows in a file of {folder}, since they are more than batch.max_rows_in_memory; set \
         batch.spill_folder to a folder on a local disk with room for them"
    );
    let source = object_store::Error::Generic { store: "local file", source: Box::new(error) };
    LakeError::Storage { action, source }
}
