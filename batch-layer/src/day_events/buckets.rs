//! Records in buckets of neighbouring cameras: in memory, or, where they are more than may be held, in a local file.
//!
//! The file has no name, so that nothing of it is left whatever becomes of the process.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lake_delta::LakeError;

use super::record;

/// Buckets, each of the records of its cameras.
#[derive(Debug)]
pub(super) struct Buckets {
    /// The least camera of each bucket but the first, which holds all before these.
    starts: Vec<Arc<str>>,
    /// The bucket of each camera, by the camera's number.
    of_camera: Vec<usize>,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Memory(Vec<Vec<u8>>),
    File(SpillFile),
}

/// A file with blocks of records, each of one bucket.
#[derive(Debug)]
struct SpillFile {
    folder: PathBuf,
    file: File,
    length: u64,
    /// Where the blocks of each bucket begin, and how long they are.
    blocks: Vec<Vec<(u64, usize)>>,
}

impl Buckets {
    /// Empty buckets in memory, which begin with the cameras of `starts`.
    pub(super) fn in_memory(starts: Vec<Arc<str>>) -> Buckets {
        let held = Held::Memory(vec![Vec::new(); starts.len() + 1]);
        Buckets { starts, of_camera: Vec::new(), held }
    }

    /// Empty buckets in a file of `folder`.
    pub(super) fn in_file(starts: Vec<Arc<str>>, folder: &Path) -> Result<Buckets, LakeError> {
        let file = tempfile::tempfile_in(folder).map_err(|error| unusable(folder, error))?;
        let blocks = vec![Vec::new(); starts.len() + 1];
        let file = SpillFile { folder: folder.to_owned(), file, length: 0, blocks };
        Ok(Buckets { starts, of_camera: Vec::new(), held: Held::File(file) })
    }

    /// The bucket of a camera.
    pub(super) fn of(&self, camera: &str) -> usize {
        self.starts.partition_point(|start| **start <= *camera)
    }

    /// Distributes the records of `pieces`. `cameras` are those that have a number, by that number.
    pub(super) fn add(
        &mut self,
        pieces: impl IntoIterator<Item = Vec<u8>>,
        cameras: &[Arc<str>],
    ) -> Result<(), LakeError> {
        let numbered = cameras.iter().skip(self.of_camera.len());
        let added: Vec<usize> = numbered.map(|camera| self.of(camera)).collect();
        self.of_camera.extend(added);
        match &mut self.held {
            Held::Memory(buckets) => {
                distribute(pieces, &self.of_camera, buckets);
                Ok(())
            }
            Held::File(file) => {
                let mut buckets = vec![Vec::new(); file.blocks.len()];
                distribute(pieces, &self.of_camera, &mut buckets);
                file.append(&buckets)
            }
        }
    }

    /// The records of a bucket.
    pub(super) fn read(&self, bucket: usize) -> Result<Cow<'_, [u8]>, LakeError> {
        match &self.held {
            Held::Memory(buckets) => Ok(Cow::Borrowed(&buckets[bucket])),
            Held::File(file) => file.read(bucket).map(Cow::Owned),
        }
    }
}

fn distribute(
    pieces: impl IntoIterator<Item = Vec<u8>>,
    of_camera: &[usize],
    buckets: &mut [Vec<u8>],
) {
    for piece in pieces {
        for record in record::all(&piece) {
            buckets[of_camera[record.camera as usize]].extend_from_slice(record.bytes);
        }
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

    fn read(&self, bucket: usize) -> Result<Vec<u8>, LakeError> {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use lake_model::{Speed, Timestamp};

    use super::super::record::Key;
    use super::*;

    fn ids(ids: &[&str]) -> Vec<Arc<str>> {
        ids.iter().map(|id| Arc::from(*id)).collect()
    }

    /// Records of these cameras, by their numbers, whose speeds count them.
    fn piece(cameras: &[u32]) -> Vec<u8> {
        let mut piece = Vec::new();
        for (speed, camera) in (0..).zip(cameras) {
            let (time, speed) = (Timestamp::from_micros(0), Speed::from_thousandths(speed));
            record::push(&mut piece, *camera, Key::new(time, time, speed).unwrap(), Some("A1"));
        }
        piece
    }

    fn held(buckets: &Buckets, bucket: usize) -> Vec<u32> {
        let records = buckets.read(bucket).unwrap();
        record::all(&records).map(|record| record.camera).collect()
    }

    #[test]
    fn records_are_in_the_bucket_of_their_camera_in_memory_and_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let starts = || ids(&["b", "d"]);
        for mut buckets in
            [Buckets::in_memory(starts()), Buckets::in_file(starts(), folder.path()).unwrap()]
        {
            buckets.add([piece(&[0, 1, 0])], &ids(&["c", "a"])).unwrap();
            // Cameras are numbered as they are met.
            buckets.add([piece(&[2, 0]), piece(&[3])], &ids(&["c", "a", "d", "b"])).unwrap();
            let all = [0, 1, 2].map(|bucket| held(&buckets, bucket));
            assert_eq!(all, [vec![1], vec![0, 0, 0, 3], vec![2]]);
        }
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "the file has no name");
    }

    #[test]
    fn a_folder_that_can_not_be_used_is_named_with_the_setting() {
        let error = Buckets::in_file(Vec::new(), Path::new("/no/such/folder")).unwrap_err();
        for part in ["/no/such/folder", "batch.spill_folder", "batch.max_rows_in_memory"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
