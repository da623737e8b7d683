//! Committing the work of partitions to one table, each fenced on its own.
//!
//! # Consistency
//! Whether a partition's work goes in is decided on exactly the version that is committed on ([`commit_with`]): its
//! transaction must be the one that the work was built on, the partition must be ours in this table or become ours (see
//! [`crate::ownership`]), its watermark must not have been reset since, the days of its files must have the bounds by the
//! table's rules that the work was computed with, and vacuum must
//! not have announced that it deletes files as old as those of the work. If another
//! writer is faster, everything is decided again on what it wrote; the files are written once only. Files to remove are
//! those of that version, never of memory. A partition of which that does not hold is left out, and the caller reloads it. Where
//! it has rows in a file that others share, nothing is committed, and the caller writes those of the others once more.

mod work;

use std::collections::BTreeSet;

use lake_delta::log::FileEntry;
use lake_delta::{Commit, CommitDecision, LakeError, TableLog, TableState, commit_with};
use lake_model::commit::{PartitionDecision, PartitionFacts, decide};
use lake_model::{Calendar, Day, KafkaPartition, Offset};
use lake_tables::Table;
use lake_tables::file_kind::{AvgSpeedFile, ProvisionalGroup};
use lake_tables::identity::check_claim;
use lake_tables::txn::AppIds;

pub use self::work::{PartitionCommit, SharedFile, TableWork};
use crate::{split, zone_rules};

/// Why a partition whose transaction did not move is fenced.
const TOO_OLD: &str =
    "files are so old that maintain may have deleted them before they were committed";

/// What became of the work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Partitions that another writer moved, whose work is of days that have other bounds by now, or whose files vacuum may
    /// have deleted.
    pub fenced: BTreeSet<KafkaPartition>,
    /// Days that are final, whose provisional files were left out.
    pub final_days: BTreeSet<Day>,
    /// Whether nothing was committed, because a file has rows of fenced partitions too.
    pub must_be_rewritten: bool,
}

/// Commits `work` under the name `operation`.
pub async fn publish(
    log: &mut TableLog,
    app_ids: &AppIds,
    calendar: &Calendar,
    operation: &'static str,
    work: &TableWork,
) -> Result<Published, LakeError> {
    loop {
        let committed = commit_with(log, async |log: &TableLog| {
            Ok::<_, LakeError>(match assemble(log, app_ids, calendar, operation, work)? {
                Some((commit, published)) if commit.is_empty() => {
                    CommitDecision::Nothing(Some(published))
                }
                Some((commit, published)) => CommitDecision::Commit(commit, Some(published)),
                None => CommitDecision::Nothing(None),
            })
        })
        .await?;
        if let Some(version) = committed.version {
            tracing::debug!(table = %log.table(), version = version.0, operation, "committed");
        }
        match committed.value {
            Some(published) => return Ok(published),
            None => split::split_mixed_files(log, calendar).await?,
        }
    }
}

/// Whether the batch has made `day` final, so that nothing may be added to it: any final file shows that. The batch itself is
/// stricter (`final_day` in its `days`): there, a day with any other file is not final and is recomputed. The two differ only
/// after another tool has changed the day.
pub fn is_final(state: &TableState, day: Day) -> bool {
    state.files_of(day).any(AvgSpeedFile::is_final)
}

/// The commit of `work`, and what becomes of the work with it; `None` if a file that it would replace holds rows of other
/// groups too.
fn assemble(
    log: &TableLog,
    app_ids: &AppIds,
    calendar: &Calendar,
    operation: &'static str,
    work: &TableWork,
) -> Result<Option<(Commit, Published)>, LakeError> {
    check_claim(log, app_ids)?;
    let mut commit = Commit::new(log.lake(), operation);
    let mut published = Published::default();
    for partition in &work.partitions {
        match decide(facts(log, app_ids, calendar, work, partition)?) {
            PartitionDecision::Fenced => {
                published.fenced.insert(partition.partition);
                continue;
            }
            PartitionDecision::NothingNew => continue,
            PartitionDecision::Claim => {}
            PartitionDecision::Commit => {
                let final_days = &mut published.final_days;
                match add_work(commit, log, app_ids, calendar, partition, final_days) {
                    Some(with_work) => commit = with_work,
                    None => return Ok(None),
                }
            }
        }
        if !partition.owner.is_made() {
            commit = commit.txns([app_ids.own(partition.partition, partition.owner.ours)]);
        }
    }
    if work.cannot_go_in_without(&published.fenced) {
        published.must_be_rewritten = true;
        return Ok(Some((Commit::new(log.lake(), operation), published)));
    }
    let shared = work.shared.iter().map(|shared| shared.file.clone());
    Ok(Some((commit.add(shared), published)))
}

/// Whether a day of the work's files has other bounds in the table than the work was computed with. Only the days of event
/// time have any that matter.
fn has_other_bounds(
    log: &TableLog,
    calendar: &Calendar,
    work: &TableWork,
    partition: &PartitionCommit,
) -> Result<bool, LakeError> {
    let has_days = [Table::Events, Table::AvgSpeed].iter().any(|t| t.as_str() == log.table().name);
    let days = work.files_of(partition).filter_map(|file| file.partition).filter(|_| has_days);
    zone_rules::has_other_bounds(log.state(), calendar, days)
}

/// What the part of `work` that is a partition's finds in the log.
fn facts(
    log: &TableLog,
    app_ids: &AppIds,
    calendar: &Calendar,
    work: &TableWork,
    commit: &PartitionCommit,
) -> Result<PartitionFacts, LakeError> {
    let (state, partition) = (log.state(), commit.partition);
    let may_be_vacuumed = work.files_of(commit).any(|file| state.may_be_vacuumed(file));
    if may_be_vacuumed {
        tracing::warn!(table = log.table().name, partition = partition.0, "{TOO_OLD}");
    }
    Ok(PartitionFacts {
        built_on: commit.built_on,
        found: app_ids.progress(state, partition).next_offset,
        target: commit.progress.next_offset.unwrap_or(Offset::ZERO),
        owner: commit.owner,
        found_owner: app_ids.owner_epoch(state, partition),
        was_reset: app_ids.reset_count(state, partition) != commit.resets,
        has_other_bounds: has_other_bounds(log, calendar, work, commit)?,
        may_be_vacuumed,
    })
}

/// The commit with `work` in it; `None` if that would replace a file with rows of several groups.
fn add_work(
    commit: Commit,
    log: &TableLog,
    app_ids: &AppIds,
    calendar: &Calendar,
    work: &PartitionCommit,
    final_days: &mut BTreeSet<Day>,
) -> Option<Commit> {
    let state = log.state();
    let (mut adds, mut removes) = (Vec::new(), Vec::new());
    for (group, file) in &work.files {
        if is_final(state, group.day) {
            final_days.insert(group.day);
            continue;
        }
        removes.extend(files_of_group(state, calendar, group)?);
        adds.push(file.clone());
    }
    Some(commit.add(adds).remove(removes).txns(app_ids.record(work.partition, work.progress)))
}

/// The files that hold the rows of `group`; `None` if one of its day holds rows of several groups.
fn files_of_group(
    state: &TableState,
    calendar: &Calendar,
    group: &ProvisionalGroup,
) -> Option<Vec<FileEntry>> {
    let mut found = Vec::new();
    for file in state.files_of(group.day) {
        match AvgSpeedFile::of(file, calendar) {
            AvgSpeedFile::Provisional(of_file) if of_file == *group => found.push(file.clone()),
            AvgSpeedFile::Provisional(_) | AvgSpeedFile::Final { .. } => {}
            AvgSpeedFile::Mixed => return None,
        }
    }
    Some(found)
}
