//! What writers that were killed leave in a store and no listing of objects shows: staging files of a folder, uploads in parts
//! that nobody will finish, and probes.
//!
//! # Consistency
//! Whatever is younger than an orphan's age may belong to a writer that is at work. What is older belongs to none that could
//! still commit (`vacuum` of `batch-layer maintain` announces that). A writer that was suspended for that long finds its
//! upload gone when it goes on, which is a failure to write like any other.
//!
//! # Crash consistency
//! Each leftover is deleted by itself; a run that is killed leaves the rest to the next one.

use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::time::{Duration, SystemTime};

use lake_model::Timestamp;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::Lake;
use super::probe;
use crate::error::LakeError;

/// The most that one run deletes of each kind; the next one goes on.
const MOST_DELETED: usize = 100_000;

/// What was found, or deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Staging files and probes.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Unfinished uploads in parts.
    pub uploads: usize,
}

impl Lake {
    /// Deletes what was left before the instant `before`, in the folders of `tables` and of probes. With `dry_run` it
    /// only looks.
    ///
    /// # Errors
    /// The store can't be listed, or does not delete.
    pub async fn clear_leftovers(
        &self,
        tables: Vec<&'static str>,
        before: Timestamp,
        dry_run: bool,
    ) -> Result<Leftovers, LakeError> {
        let mut found = self.clear_probes(before, dry_run).await?;
        if let Some(folder) = self.folder.clone() {
            let clear = move || clear_staging_files(&folder, &tables, before, dry_run);
            let cleared = tokio::task::spawn_blocking(clear).await;
            let cleared =
                cleared.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            let (files, bytes) = cleared.map_err(|error| {
                let source = object_store::Error::Generic { store: "folder", source: error.into() };
                LakeError::storage(format!("delete staging files under {}", self.uri()))(source)
            })?;
            found = Leftovers { files: found.files + files, bytes: found.bytes + bytes, ..found };
        } else if let Some(bucket) = &self.bucket {
            found.uploads = bucket.abort_uploads(&tables, before, MOST_DELETED, dry_run).await?;
        }
        Ok(found)
    }

    async fn clear_probes(&self, before: Timestamp, dry_run: bool) -> Result<Leftovers, LakeError> {
        let listing = self.store.list_with_delimiter(None).await;
        let listed = listing.map_err(LakeError::storage(format!("list {}", self.uri())))?;
        let is_left = |file: &&ObjectMeta| {
            let name = file.location.filename().unwrap_or_default();
            name.starts_with(probe::PREFIX)
                && file.last_modified.timestamp_micros() < before.micros()
        };
        let mut found = Leftovers::default();
        for file in listed.objects.iter().filter(is_left).take(MOST_DELETED) {
            if !dry_run {
                let deleted = self.store.delete(&file.location).await;
                deleted.map_err(LakeError::storage(format!("delete {}", file.location)))?;
            }
            found.files += 1;
            found.bytes += file.size;
        }
        Ok(found)
    }
}

/// Deletes staging files in the folders of tables; returns how many, and their bytes.
fn clear_staging_files(
    folder: &FilePath,
    tables: &[&str],
    before: Timestamp,
    dry_run: bool,
) -> io::Result<(usize, u64)> {
    let (mut files, mut bytes) = (0, 0);
    let mut folders: Vec<PathBuf> = tables.iter().map(|table| folder.join(table)).collect();
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if is_staging_file(&entry.file_name().to_string_lossy()) {
                // Its writer may be about to finish it.
                let Ok(found) = entry.metadata() else { continue };
                if !is_before(found.modified()?, before) {
                    continue;
                }
                if !dry_run {
                    std::fs::remove_file(entry.path())?;
                }
                files += 1;
                bytes += found.len();
                if files == MOST_DELETED {
                    return Ok((files, bytes));
                }
            }
        }
    }
    Ok((files, bytes))
}

/// Whether a file is one that a library writes before it renames it: `x.parquet#1` is `object_store`'s, `.tmp-…` other tools'.
fn is_staging_file(name: &str) -> bool {
    let is_numbered = |(_, number): (&str, &str)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    name.starts_with(".tmp-") || name.rsplit_once('#').is_some_and(is_numbered)
}

fn is_before(modified: SystemTime, before: Timestamp) -> bool {
    let since_epoch = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since_epoch.as_micros()).is_ok_and(|micros| micros < before.micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_staging_files_are_taken_for_some() {
        for name in ["a.parquet#1", "00000000000000000007.json#12", ".tmp-7f"] {
            assert!(is_staging_file(name), "{name}");
        }
        for name in ["a.parquet", "a#b.parquet", "a.parquet#", "a#1.parquet", "tmp-1", "#x"] {
            assert!(!is_staging_file(name), "{name}");
        }
    }
}
