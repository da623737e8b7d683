//! Which files are worth rewriting, and which of them together.

use lake_delta::log::FileEntry;
use lake_tables::file_kind;

/// Files of a table that is not compacted by day are merged once there are more than this many small ones.
const MANY_FILES: usize = 100;
/// How much larger rows are in memory than in files, at a guess.
const EXPANSION: u64 = 8;
/// What a row occupies in memory at least.
const LEAST_ROW_BYTES: u64 = 64;

/// What a slice of a day, which is compacted at a time and committed at once, has at most; a single file may have more.
#[derive(Clone, Copy, Debug)]
pub(super) struct SliceLimits {
    /// Files. It bounds the removals of a commit.
    pub(super) files: usize,
    /// Rows.
    pub(super) rows: u64,
    /// Bytes that the rows occupy in memory, at a guess.
    pub(super) held_bytes: u64,
}

/// The files of a day of `events` to be compacted, in slices: landed ones, and small ones with them, as they landed. Files become
/// fewer by it, or sorted. The last slice waits for more files unless `is_closed` says that few will come. Small ones that are
/// all of an earlier run stay, so that a run over what another has left rewrites nothing.
pub(super) fn slices<'a>(
    files: impl Iterator<Item = &'a FileEntry>,
    target_bytes: u64,
    limits: SliceLimits,
    is_closed: bool,
) -> Vec<Vec<FileEntry>> {
    let wanted = |file: &&FileEntry| is_small(file, target_bytes) || file_kind::is_landed(file);
    let mut slices = vec![Vec::new()];
    let mut used = Used::default();
    for file in as_appended(files.filter(wanted)) {
        let with_file = used.with(&file);
        if used.files > 0 && with_file.exceeds(limits) {
            slices.push(Vec::new());
            used = Used::default();
        }
        used = used.with(&file);
        slices.last_mut().expect("there is one").push(file);
    }
    if !is_closed {
        slices.pop();
    }
    slices.retain(|slice| is_worth_it(slice));
    slices
}

fn is_worth_it(slice: &[FileEntry]) -> bool {
    let has_landed = slice.iter().any(file_kind::is_landed);
    has_landed || (slice.len() > 1 && slice.iter().any(|file| !file_kind::is_compacted(file)))
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

/// The small files of a table or of one of its days, if they are many.
pub(super) fn worth_merging<'a>(
    files: impl Iterator<Item = &'a FileEntry>,
    target_bytes: u64,
) -> Vec<FileEntry> {
    let small = as_appended(files.filter(|file| is_small(file, target_bytes)));
    if small.len() <= MANY_FILES || small.iter().all(file_kind::is_compacted) {
        return Vec::new();
    }
    small
}

/// The files in the order in which their rows were appended.
fn as_appended<'a>(files: impl Iterator<Item = &'a FileEntry>) -> Vec<FileEntry> {
    let mut files: Vec<FileEntry> = files.cloned().collect();
    files.sort_by(|a, b| (a.modification_time, &a.path).cmp(&(b.modification_time, &b.path)));
    files
}

fn is_small(file: &FileEntry, target_bytes: u64) -> bool {
    file.size < target_bytes / 2
}

#[cfg(test)]
mod tests;
