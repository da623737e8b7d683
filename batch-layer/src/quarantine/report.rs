//! What a quarantine did or would do, for people.

use std::fmt;

use lake_model::{Day, OffsetRange, TableVersion};
use lake_tables::Table;

use super::PartitionOffsets;
use crate::faults::{FileFault, LoggedOffsets};

/// What was done about a data file, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineReport {
    /// Whether it only looked.
    pub dry_run: bool,
    /// The file, relative to the lake.
    pub file: String,
    /// Its table.
    pub table: Table,
    /// The day of its rows.
    pub day: Option<Day>,
    /// The rows that the log says it has.
    pub rows: u64,
    /// What is wrong with it; `None` if it reads well.
    pub problem: Option<String>,
    /// Whether its offsets could be read from it.
    pub offsets_are_read: bool,
    /// The bounds of its offsets in the log.
    pub logged: Option<LoggedOffsets>,
    /// The offsets that nothing else accounts for.
    pub offsets: PartitionOffsets,
    /// Other files that can't be used and may hold some of the same offsets.
    pub unreadable: Vec<FileFault>,
    /// Whether the day has no other file.
    pub is_last_of_day: bool,
    /// Why nothing is done.
    pub refusal: Option<Refusal>,
    /// What became of the object.
    pub kept: Kept,
    /// The offsets noted in `offset_gaps`.
    pub noted: PartitionOffsets,
    /// The version of the table that does not name the file any more; `None` if nothing was tried, or another program was
    /// faster.
    pub removed_in: Option<TableVersion>,
}

/// Why a file is not quarantined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It reads well.
    Sound,
    /// Neither the file nor the log says which offsets it holds.
    UnknownOffsets,
    /// More offsets are unaccounted for within its bounds than it has rows.
    MoreThanItsRows,
}

/// What became of the object of a quarantined file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nothing was done.
    NotTried,
    /// It was copied there, relative to the lake.
    At(String),
    /// There is none.
    Missing,
    /// It could not be copied.
    NotCopied(String),
}

impl QuarantineReport {
    /// Whether the file is quarantined, or would be.
    pub fn is_ok(&self) -> bool {
        self.refusal.is_none() && (self.dry_run || self.removed_in.is_some())
    }

    /// How many offsets nothing else accounts for.
    fn count(&self) -> i64 {
        self.offsets.values().flatten().map(OffsetRange::len).sum()
    }
}

impl fmt::Display for QuarantineReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = self.problem.as_deref().unwrap_or("it reads well");
        writeln!(f, "{}: {} rows by the log; {problem}", self.file, self.rows)?;
        match &self.logged {
            _ if self.offsets_are_read => writeln!(f, "its offsets were read from it")?,
            Some(logged) => writeln!(f, "by the log's statistics its rows have {logged}")?,
            None => writeln!(
                f,
                "the log has no bounds of its partitions and offsets: which offsets it held can't be known; below are all \
                 that nothing accounts for"
            )?,
        }
        writeln!(f, "offsets that nothing else holds: {}", describe(&self.offsets))?;
        for fault in &self.unreadable {
            writeln!(f, "some of them may be those of {}, which can't be used either", fault.file)?;
        }
        if let Some(refusal) = self.refusal {
            write!(f, "NOT QUARANTINED: ")?;
            return match refusal {
                Refusal::MoreThanItsRows => self.too_many(f),
                _ => writeln!(f, "{refusal}"),
            };
        }
        if self.dry_run {
            writeln!(f, "dry run: nothing was changed")?;
        } else {
            self.done(f)?;
        }
        self.outlook(f)
    }
}

impl QuarantineReport {
    fn done(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kept {
            Kept::NotTried => {}
            Kept::At(path) => writeln!(f, "the object is kept at {path}")?,
            Kept::Missing => writeln!(f, "there is no object to keep")?,
            Kept::NotCopied(error) => writeln!(
                f,
                "the object could not be copied ({error}): `batch-layer maintain` deletes it after lake.deleted_file_retention"
            )?,
        }
        writeln!(f, "noted in offset_gaps as quarantined: {}", describe(&self.noted))?;
        match self.removed_in {
            Some(version) => writeln!(f, "taken out of {} in version {version}", self.table),
            None => writeln!(
                f,
                "NOT QUARANTINED: another program has taken the file out of {} meanwhile; run `batch-layer audit`: if it names \
                 offsets that are accounted for more than once, the file was rewritten and its rows are still there",
                self.table
            ),
        }
    }

    /// That others than its own offsets are missing, and what to do.
    fn too_many(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "these are {} offsets, and the file has {} rows, so others are missing too",
            self.count(),
            self.rows
        )?;
        if self.unreadable.is_empty() {
            write!(f, ": see `batch-layer audit`")?;
        } else {
            let files: Vec<&str> =
                self.unreadable.iter().map(|other| other.file.as_str()).collect();
            write!(
                f,
                ". Restore {} first; a file that is restored after its offsets were counted as lost counts twice",
                files.join(", ")
            )?;
        }
        writeln!(f, "; --force counts them all as its own")
    }

    /// What becomes of the day.
    fn outlook(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.day.filter(|_| self.table == Table::Events) {
            Some(day) if self.is_last_of_day => writeln!(
                f,
                "{day} has no other file: its averages stay as they are, and if the day is final it is frozen"
            ),
            Some(day) => writeln!(
                f,
                "{day} has other files: once it is closed, `batch-layer nightly` computes it without these rows"
            ),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Sound => {
                "the file reads well, and quarantine is for those that don't; --force takes it out all the same"
            }
            Refusal::UnknownOffsets => {
                "its offsets are not known; --force counts all that nothing accounts for as its own"
            }
            Refusal::MoreThanItsRows => "more offsets are missing than it has rows",
        })
    }
}

fn describe(offsets: &PartitionOffsets) -> String {
    if offsets.is_empty() {
        return "none".to_owned();
    }
    let each = offsets.iter().map(|(partition, ranges)| {
        let range = |range: &OffsetRange| format!("[{}, {})", range.first, range.next);
        let ranges: Vec<String> = ranges.iter().map(range).collect();
        format!("partition {partition} {}", ranges.join(", "))
    });
    each.collect::<Vec<_>>().join("; ")
}
