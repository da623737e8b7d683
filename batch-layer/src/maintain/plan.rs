//! Which files are worth rewriting, and which of them together.

use lake_delta::log::FileEntry;
use lake_model::Timestamp;
use lake_tables::file_kind;

/// Files of a table that is not compacted by day are merged once there are more than this many small ones.
const MANY_FILES: usize = 100;
/// How much larger rows are in memory than in files, at a guess.
const EXPANSION: u64 = 8;
/// Bytes that the rows of all slices at work may occupy, at a guess.
const HELD_BYTES: u64 = 1 << 30;
/// What a row occupies in memory at least.
const LEAST_ROW_BYTES: u64 = 64;

/// What a slice of a day, which is compacted at a time and committed at once, has at most; a single file may have more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SliceLimits {
    /// Files. It bounds the removals of a commit.
    pub(super) files: usize,
    /// Rows.
    pub(super) rows: u64,
    /// Bytes that the rows occupy in memory, at a guess.
    pub(super) held_bytes: u64,
}

impl SliceLimits {
    /// The limits of every slice, on any machine, so that files get as large on one with many processors.
    const DEFAULT: SliceLimits =
        SliceLimits { files: 2000, rows: 4_000_000, held_bytes: 512 << 20 };
}

/// How a day is compacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slicing {
    /// The limits of a slice.
    pub(super) limits: SliceLimits,
    /// Slices that are worked on at once.
    pub(super) at_once: usize,
}

impl Slicing {
    /// That of a machine with so many processors, on which `max_rows` may be held.
    pub(super) fn of(max_rows: u64, processors: usize) -> Slicing {
        let rows = SliceLimits::DEFAULT.rows.min(max_rows).max(1);
        let limits = SliceLimits { rows, ..SliceLimits::DEFAULT };
        let room = (max_rows / rows).min(HELD_BYTES / limits.held_bytes);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        Slicing { limits, at_once: processors.min(room).max(1) }
    }
}

/// The files of a day of `events` to be compacted, in slices: landed ones, and small ones with them, in the order of Kafka's time.
/// Files become fewer by it, or sorted, so that a run over what another has left rewrites nothing. The last slice waits for more
/// files unless `is_closed` says that few will come.
pub(super) fn slices<'a>(
    files: impl Iterator<Item = &'a FileEntry>,
    target_bytes: u64,
    limits: SliceLimits,
    is_closed: bool,
) -> Vec<Vec<FileEntry>> {
    let wanted = |file: &&FileEntry| is_small(file, target_bytes) || file_kind::is_landed(file);
    let mut files: Vec<FileEntry> = files.filter(wanted).cloned().collect();
    files.sort_by_cached_key(|file| (begins_at(file), file.path.clone()));
    let mut slices = cut(files, limits);
    if !is_closed {
        slices.pop();
    }
    slices.retain(|slice| is_worth_it(slice));
    slices
}

/// The files in their order, in slices. There is at least one.
fn cut(files: Vec<FileEntry>, limits: SliceLimits) -> Vec<Vec<FileEntry>> {
    let mut slices = vec![Vec::new()];
    let mut used = Used::default();
    for file in files {
        let with_file = used.with(&file);
        if used.files > 0 && with_file.exceeds(limits) {
            slices.push(Vec::new());
            used = Used::default();
        }
        used = used.with(&file);
        slices.last_mut().expect("there is one").push(file);
    }
    slices
}

fn is_worth_it(slice: &[FileEntry]) -> bool {
    slice.len() > 1 || slice.iter().any(file_kind::is_landed)
}

/// When the first of the file's records came to Kafka, in microseconds, or else when the file was added.
fn begins_at(file: &FileEntry) -> i64 {
    let first =
        file.bounds("kafka_timestamp").and_then(|(first, _)| Timestamp::parse(first.as_str()?));
    first.map_or(file.modification_time.saturating_mul(1000), Timestamp::micros)
}

/// What the files of a slice come to.
#[derive(Clone, Copy, Default)]
struct Used {
    files: usize,
    rows: u64,
    held_bytes: u64,
}

impl Used {
    fn with(self, file: &FileEntry) -> Used {
        let held_bytes = (EXPANSION * file.size).max(LEAST_ROW_BYTES * file.rows);
        Used {
            files: self.files + 1,
            rows: self.rows + file.rows,
            held_bytes: self.held_bytes + held_bytes,
        }
    }

    fn exceeds(self, limits: SliceLimits) -> bool {
        self.files > limits.files || self.rows > limits.rows || self.held_bytes > limits.held_bytes
    }
}

/// The small files of a table or of one of its days in slices, in the order in which they were appended, if they are many.
pub(super) fn worth_merging<'a>(
    files: impl Iterator<Item = &'a FileEntry>,
    target_bytes: u64,
) -> Vec<Vec<FileEntry>> {
    let mut small: Vec<FileEntry> =
        files.filter(|file| is_small(file, target_bytes)).cloned().collect();
    if small.len() <= MANY_FILES || small.iter().all(file_kind::is_compacted) {
        return Vec::new();
    }
    small.sort_by(|a, b| (a.modification_time, &a.path).cmp(&(b.modification_time, &b.path)));
    cut(small, SliceLimits::DEFAULT)
}

fn is_small(file: &FileEntry, target_bytes: u64) -> bool {
    file.size < target_bytes / 2
}

#[cfg(test)]
mod tests;
