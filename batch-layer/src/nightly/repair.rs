//! Finding rows that are missing in `batch_runs`, since their run was killed after it had made a day final.

use std::collections::BTreeSet;

use lake_delta::log::FileEntry;
use lake_delta::{LakeError, TableLog};
use lake_model::{Day, TableVersion};
use lake_tables::batch_runs::BatchRun;
use lake_tables::file_kind::AvgSpeedFile;

use crate::batch_runs::BatchRuns;

/// The key of the row in the `commitInfo` of the commit that makes a day final.
pub(super) const INFO_KEY: &str = "batchRun";

/// The rows of runs that wrote `files` and are not recorded, as far back as the entries of `log` go, in the order of
/// their commits. A day whose row is not found stays without one, and is dirty.
pub(super) async fn missing_runs<'a>(
    files: impl IntoIterator<Item = &'a FileEntry>,
    runs: &BatchRuns,
    log: &TableLog,
) -> Result<Vec<BatchRun>, LakeError> {
    let mut wanted = unrecorded(files, runs);
    let mut found = Vec::new();
    let mut version = log.state().version();
    while !wanted.is_empty() && version >= TableVersion::FIRST {
        let Some(info) = log.commit_info(version).await? else { break };
        let run: Option<BatchRun> = serde_json::from_value(info[INFO_KEY].clone()).ok();
        if let Some(run) = run
            && wanted.remove(&(run.run_id.clone(), run.day()))
        {
            found.push(run);
        }
        version = TableVersion(version.0 - 1);
    }
    for (run_id, day) in wanted {
        tracing::warn!(%day, run_id, "the run is not recorded, and its commit is cleaned away");
    }
    found.reverse();
    Ok(found)
}

/// Final days whose run is not recorded.
fn unrecorded<'a>(
    files: impl IntoIterator<Item = &'a FileEntry>,
    runs: &BatchRuns,
) -> BTreeSet<(String, Day)> {
    let written =
        files.into_iter().filter_map(|file| Some((AvgSpeedFile::run_id(file)?, file.partition?)));
    written.filter(|(run_id, day)| runs.find(run_id, *day).is_none()).collect()
}
