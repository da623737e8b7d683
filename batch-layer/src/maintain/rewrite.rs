//! Swapping files for others that hold the same rows.

use lake_delta::log::FileEntry;
use lake_delta::{Commit, CommitDecision, DataFile, LakeError, TableLog, commit_with};
use object_store::ObjectStoreExt;
use object_store::path::Path;

/// Why files were not swapped.
pub(super) const OVERTAKEN: &str = "another program has replaced files of it meanwhile, or the new files were too old to be committed";

/// Swaps `inputs` for `outputs`, which hold the same rows, in a commit called `operation`. If another writer has
/// removed one of the inputs meanwhile, or vacuum may have deleted one of the outputs, the outputs are given up. Returns
/// whether the swap was made.
pub(super) async fn swap(
    log: &mut TableLog,
    operation: &'static str,
    inputs: &[FileEntry],
    outputs: Vec<DataFile>,
) -> Result<bool, LakeError> {
    check_rows(inputs, &outputs)?;
    let lake = log.lake().clone();
    let swapped = commit_with(log, async |log: &TableLog| {
        let is_there = |input: &FileEntry| log.state().file(&input.path) == Some(input);
        let is_gone = |output: &DataFile| log.state().may_be_vacuumed(output);
        if !inputs.iter().all(is_there) || outputs.iter().any(is_gone) {
            return Ok::<_, LakeError>(CommitDecision::Nothing(()));
        }
        let commit = Commit::new(&lake, operation)
            .remove(inputs.iter().cloned())
            .add(outputs.iter().cloned())
            .rearranging();
        Ok(CommitDecision::Commit(commit, ()))
    });
    if swapped.await?.version.is_some() {
        return Ok(true);
    }
    let store = lake.table_store(log.table());
    for output in &outputs {
        if let Err(error) = store.delete(&Path::from(output.path.as_str())).await {
            tracing::debug!(path = output.path, %error, "the file is left to a later run");
        }
    }
    Ok(false)
}

/// No row may be lost or made up, whatever else goes wrong.
fn check_rows(inputs: &[FileEntry], outputs: &[DataFile]) -> Result<(), LakeError> {
    let read: u64 = inputs.iter().map(|file| file.rows).sum();
    let written: u64 = outputs.iter().map(|file| file.rows).sum();
    if read == written {
        return Ok(());
    }
    Err(together(inputs, &format!("the log says {read} rows, and rewriting found {written}")))
}

/// What is wrong with some of `files`, of which only all together are known to be at fault: an error about the first.
pub(super) fn together(files: &[FileEntry], problem: &str) -> LakeError {
    let mut paths = files.iter().map(|file| file.path.as_str());
    let first = paths.next().unwrap_or_default();
    match paths.len() {
        0 => LakeError::data_file(first, problem),
        others => {
            LakeError::data_file(first, format!("with {others} others of its day: {problem}"))
        }
    }
}
