//! Giving each group of provisional rows a file of its own again, where another tool has put several into one file.
//!
//! Only a whole file can be replaced, and a partition's work replaces the files of its own groups alone. So a file that
//! holds more is split before anything is built on it.
//!
//! # Consistency
//! The rows stay as they are: which group each belongs to is in its columns. The commit removes a file that is active at
//! exactly the version committed on; if another writer has removed it by then, there is nothing left to split, and what was
//! written meanwhile is left to maintenance as orphans. No transaction moves, so no work is fenced.

use std::collections::BTreeMap;

use lake_delta::log::FileEntry;
use lake_delta::{
    Commit, CommitDecision, DataFile, LakeError, TableLog, commit_with, data_file, read,
};
use lake_model::{Calendar, DaySpan, WindowSize};
use lake_tables::Table;
use lake_tables::avg_speed::{self, AvgSpeedRow, Status};
use lake_tables::file_kind::{self, AvgSpeedFile, GroupWindows, ProvisionalGroup};

/// Splits every file of `log`, which is that of `avg_speed`, whose rows belong to several groups.
///
/// # Errors
/// A file holds rows that belong to no group.
pub async fn split_mixed_files(log: &mut TableLog, calendar: &Calendar) -> Result<(), LakeError> {
    while let Some(file) = first_mixed(log, calendar) {
        split(log, calendar, &file).await?;
    }
    Ok(())
}

fn first_mixed(log: &TableLog, calendar: &Calendar) -> Option<FileEntry> {
    let is_mixed = |file: &&FileEntry| AvgSpeedFile::of(file, calendar) == AvgSpeedFile::Mixed;
    log.state().files().find(is_mixed).cloned()
}

async fn split(log: &mut TableLog, calendar: &Calendar, file: &FileEntry) -> Result<(), LakeError> {
    let files = rewrite(log, calendar, file).await?;
    let groups = files.len();
    let commit = Commit::new(log.lake(), "SPLIT").remove([file.clone()]).add(files.clone());
    let commit = commit.rearranging();
    let committed = commit_with(log, async |log: &TableLog| {
        let state = log.state();
        let is_gone = files.iter().any(|file| state.may_be_vacuumed(file));
        Ok::<_, LakeError>(match state.file(&file.path) {
            Some(_) if !is_gone => CommitDecision::Commit(commit.clone(), ()),
            // Whoever splits goes on until no file is mixed, with new files.
            _ => CommitDecision::Nothing(()),
        })
    })
    .await?;
    if let Some(version) = committed.version {
        tracing::warn!(
            file = file.path,
            groups,
            version = version.0,
            "another tool had put provisional rows of several Kafka partitions or hours into one file: split it"
        );
    }
    Ok(())
}

/// Writes the rows of `file` into a file for each group.
async fn rewrite(
    log: &TableLog,
    calendar: &Calendar,
    file: &FileEntry,
) -> Result<Vec<DataFile>, LakeError> {
    let lake = log.lake();
    let span = file.partition.map(|day| calendar.span(day));
    let mut groups: BTreeMap<ProvisionalGroup, Vec<AvgSpeedRow>> = BTreeMap::new();
    for row in read::collect(lake, Table::AvgSpeed, [file], &[], avg_speed::rows).await? {
        let group = span.as_ref().and_then(|span| group_of(span, &row));
        groups.entry(group.ok_or_else(|| file_kind::mixed_file(file))?).or_default().push(row);
    }
    let mut files = Vec::new();
    for (group, rows) in groups {
        let new = group.new_file(lake.unique_id());
        files.push(data_file::write(lake, Table::AvgSpeed, new, &avg_speed::batch(&rows)).await?);
    }
    Ok(files)
}

/// The group of a provisional row of the day of `span`.
fn group_of(span: &DaySpan, row: &AvgSpeedRow) -> Option<ProvisionalGroup> {
    if row.status != Status::Provisional {
        return None;
    }
    let windows = match row.window.size {
        WindowSize::Day => GroupWindows::Day,
        _ => GroupWindows::Hour(span.window_index(WindowSize::OneHour, row.window.start)),
    };
    Some(ProvisionalGroup { day: span.day, kafka_partition: row.kafka_partition?, windows })
}
