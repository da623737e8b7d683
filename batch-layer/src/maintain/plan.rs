//! Which files are worth rewriting.

use lake_delta::log::FileEntry;
use lake_tables::file_kind;

/// Files of a table that is not compacted by day are merged once there are more than this many small ones.
const MANY_FILES: usize = 100;

/// The files of a closed day to be compacted: landed ones, and small ones with them, which become fewer. Small ones
/// that are all of an earlier run stay, so that a run over what another has left rewrites nothing.
pub(super) fn worth_compacting<'a>(
    files: impl Iterator<Item = &'a FileEntry>,
    target_bytes: u64,
) -> Vec<FileEntry> {
    let wanted = |file: &&FileEntry| is_small(file, target_bytes) || file_kind::is_landed(file);
    let files: Vec<FileEntry> = files.filter(wanted).cloned().collect();
    let has_landed = files.iter().any(file_kind::is_landed);
    let has_other = files.len() > 1 && files.iter().any(|file| !file_kind::is_compacted(file));
    if has_landed || has_other { files } else { Vec::new() }
}

/// The small files of a table or of one of its days, if they are many.
pub(super) fn worth_merging<'a>(
    files: impl Iterator<Item = &'a FileEntry>,
    target_bytes: u64,
) -> Vec<FileEntry> {
    let mut small: Vec<FileEntry> =
        files.filter(|file| is_small(file, target_bytes)).cloned().collect();
    if small.len() <= MANY_FILES || small.iter().all(file_kind::is_compacted) {
        return Vec::new();
    }
    // Rows stay in the order in which they were appended.
    small.sort_by(|a, b| (a.modification_time, &a.path).cmp(&(b.modification_time, &b.path)));
    small
}

fn is_small(file: &FileEntry, target_bytes: u64) -> bool {
    file.size < target_bytes / 2
}
