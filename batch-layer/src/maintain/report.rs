//! What maintenance did, or would do, for people and for metrics.

use std::fmt;

use lake_delta::TableSpec;
use lake_model::Day;
use lake_tables::Table;

/// What maintenance did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaintainReport {
    /// Whether it only looked.
    pub dry_run: bool,
    /// Days of `events` dropped.
    pub dropped_days: Vec<Day>,
    /// Files that others took the place of.
    pub rewritten: Vec<Rewritten>,
    /// Files deleted from the store, with their bytes.
    pub deleted: Vec<(Table, usize, u64)>,
    /// Tables whose log was checkpointed.
    pub checkpointed: Vec<Table>,
}

/// Files of a table, or of one day of it, that others took the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The table.
    pub table: &'static TableSpec,
    /// The day, in a table that is partitioned by it.
    pub day: Option<Day>,
    /// Files before.
    pub before: usize,
    /// Files after; not known in a dry run.
    pub after: Option<usize>,
    /// Why.
    pub reason: Reason,
}

/// Why files were rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// To have fewer of them.
    Size,
    /// Some readers refuse their encodings, or read them wrongly.
    Encodings,
}

impl Rewritten {
    pub(super) fn new(table: &'static TableSpec, day: Option<Day>, before: usize) -> Rewritten {
        Rewritten { table, day, before, after: None, reason: Reason::Size }
    }

    pub(super) fn for_readers(self) -> Rewritten {
        Rewritten { reason: Reason::Encodings, ..self }
    }
}

impl MaintainReport {
    pub(super) fn rewrote(&mut self, rewritten: Rewritten) {
        tracing::info!(table = %rewritten.table, "{rewritten}");
        self.rewritten.push(rewritten);
    }

    pub(super) fn deleted(&mut self, table: Table, files: usize, bytes: u64) {
        self.deleted.push((table, files, bytes));
    }

    fn is_empty(&self) -> bool {
        self.dropped_days.is_empty()
            && self.rewritten.is_empty()
            && self.deleted.is_empty()
            && self.checkpointed.is_empty()
    }
}

impl fmt::Display for MaintainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for day in &self.dropped_days {
            writeln!(f, "events {day}: dropped")?;
        }
        for rewritten in &self.rewritten {
            writeln!(f, "{rewritten}")?;
        }
        for (table, files, bytes) in &self.deleted {
            writeln!(f, "{table}: {files} file(s) of {bytes} bytes deleted")?;
        }
        for table in &self.checkpointed {
            writeln!(f, "{table}: log checkpointed")?;
        }
        if self.is_empty() {
            writeln!(f, "nothing to maintain")?;
        }
        if self.dry_run {
            writeln!(f, "dry run: nothing was changed")?;
        }
        Ok(())
    }
}

impl fmt::Display for Rewritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.table)?;
        if let Some(day) = self.day {
            write!(f, " {day}")?;
        }
        let before = self.before;
        match (self.reason, self.after) {
            (Reason::Size, Some(after)) => write!(f, ": {before} files became {after}"),
            (Reason::Size, None) => write!(f, ": {before} files would become fewer"),
            (Reason::Encodings, after) => {
                let would_be = if after.is_none() { " would be" } else { "" };
                write!(
                    f,
                    ": {before} file(s){would_be} rewritten in encodings that every reader knows"
                )
            }
        }
    }
}
