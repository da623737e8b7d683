//! Records in buckets of neighbouring cameras: in memory, or, where they are more than may be held, in a local file.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use lake_delta::LakeError;

use super::record;
use super::spill::{SpillFile, SpillWriter};

/// Buckets that are filled, each with the records of its cameras.
#[derive(Debug)]
pub(super) struct OpenBuckets {
    /// The least camera of each bucket but the first, which holds all before these.
    starts: Vec<Arc<str>>,
    /// The bucket of each camera, by the camera's number.
    of_camera: Vec<usize>,
    place: Place<SpillWriter>,
}

/// Buckets that are complete.
#[derive(Debug)]
pub(super) struct Buckets {
    starts: Vec<Arc<str>>,
    place: Place<SpillFile>,
}

/// Where records are.
#[derive(Debug)]
enum Place<F> {
    Memory(Vec<Vec<u8>>),
    File(F),
}

impl OpenBuckets {
    /// Empty buckets in memory, which begin with the cameras of `starts`.
    pub(super) fn in_memory(starts: Vec<Arc<str>>) -> OpenBuckets {
        let place = Place::Memory(vec![Vec::new(); starts.len() + 1]);
        OpenBuckets { starts, of_camera: Vec::new(), place }
    }

    /// Empty buckets in a file of `folder`.
    pub(super) fn in_file(starts: Vec<Arc<str>>, folder: &Path) -> Result<OpenBuckets, LakeError> {
        let place = Place::File(SpillWriter::begin(folder, starts.len() + 1)?);
        Ok(OpenBuckets { starts, of_camera: Vec::new(), place })
    }

    /// With the records of `pieces` in their buckets. `cameras` are those that have a number, by that number.
    pub(super) fn with(
        self,
        pieces: Vec<Vec<u8>>,
        cameras: &[Arc<str>],
    ) -> Result<OpenBuckets, LakeError> {
        let OpenBuckets { starts, mut of_camera, place } = self;
        let numbered = cameras.iter().skip(of_camera.len());
        of_camera.extend(numbered.map(|camera| bucket_of(&starts, camera)));
        let place = match place {
            Place::Memory(mut buckets) => {
                distribute(pieces, &of_camera, &mut buckets);
                Place::Memory(buckets)
            }
            Place::File(writer) => Place::File(writer.write(pieces, &of_camera)?),
        };
        Ok(OpenBuckets { starts, of_camera, place })
    }

    /// The buckets, complete.
    pub(super) fn finish(self) -> Result<Buckets, LakeError> {
        let place = match self.place {
            Place::Memory(buckets) => Place::Memory(buckets),
            Place::File(writer) => Place::File(writer.finish()?),
        };
        Ok(Buckets { starts: self.starts, place })
    }
}

impl Buckets {
    /// The bucket of a camera.
    pub(super) fn of(&self, camera: &str) -> usize {
        bucket_of(&self.starts, camera)
    }

    /// The records of a bucket.
    pub(super) fn read(&self, bucket: usize) -> Result<Cow<'_, [u8]>, LakeError> {
        match &self.place {
            Place::Memory(buckets) => Ok(Cow::Borrowed(&buckets[bucket])),
            Place::File(file) => file.read(bucket).map(Cow::Owned),
        }
    }
}

fn bucket_of(starts: &[Arc<str>], camera: &str) -> usize {
    starts.partition_point(|start| **start <= *camera)
}

/// Puts the records of `pieces` into their buckets, by the bucket of each camera.
pub(super) fn distribute(pieces: Vec<Vec<u8>>, of_camera: &[usize], buckets: &mut [Vec<u8>]) {
    for piece in pieces {
        for record in record::all(&piece) {
            buckets[of_camera[record.camera as usize]].extend_from_slice(record.bytes);
        }
    }
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
        for buckets in [
            OpenBuckets::in_memory(starts()),
            OpenBuckets::in_file(starts(), folder.path()).unwrap(),
        ] {
            let buckets = buckets.with(vec![piece(&[0, 1, 0])], &ids(&["c", "a"])).unwrap();
            // Cameras are numbered as they are met.
            let more = vec![piece(&[2, 0]), piece(&[3])];
            let buckets = buckets.with(more, &ids(&["c", "a", "d", "b"])).unwrap();
            let buckets = buckets.finish().unwrap();
            let all = [0, 1, 2].map(|bucket| held(&buckets, bucket));
            assert_eq!(all, [vec![1], vec![0, 0, 0, 3], vec![2]]);
        }
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "the file has no name");
    }

    #[test]
    fn a_folder_that_can_not_be_used_is_named_with_the_setting() {
        let error = OpenBuckets::in_file(Vec::new(), Path::new("/no/such/folder")).unwrap_err();
        for part in ["/no/such/folder", "batch.spill_folder", "batch.max_rows_in_memory"] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
