//! Which files are worth rewriting.

use lake_delta::log::FileEntry;
use lake_tables::file_kind;

/// Files of a table that is not compacted by day are merged once there are more than this many small ones.
const MANY_FILES: usize = 100;

/// The files of a closed day that become fewer when they are rewritten: small ones, at least two, and not all
/// of them made by an earlier run. So a run over what another has left rewrites nothing.
pub(super) fn worth_compacting<'a>(
    files: impl Iterator<Item = &'a FileEntry>,
    target_bytes: u64,
) -> Vec<FileEntry> {
    let small = small(files, target_bytes);
    let is_worth_it = small.len() > 1 && small.iter().any(|file| !file_kind::is_compacted(file));
    if is_worth_it { small } else { Vec::new() }
}

/// The small files of a table or of one of its days, if they are many.
pub(super) fn worth_merging<'a>(
    files: impl Iterator<Item = &'a FileEntry>,
    target_bytes: u64,
) -> Vec<FileEntry> {
    let mut small = small(files, target_bytes);
    if small.len() <= MANY_FILES || small.iter().all(file_kind::is_compacted) {
        return Vec::new();
    }
    // Rows stay in the order in which they were appended.
    small.sort_by(|a, b| (a.modification_time, &a.path).cmp(&(b.modification_time, &b.path)));
    small
}

fn small<'a>(files: impl Iterator<Item = &'a FileEntry>, target_bytes: u64) -> Vec<FileEntry> {
    files.filter(|file| file.size < target_bytes / 2).cloned().collect()
}
