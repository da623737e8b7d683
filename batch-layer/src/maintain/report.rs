//! What maintenance did, or would do, for people and for metrics.

use std::fmt;

use lake_delta::TableSpec;
use lake_delta::storage::leftovers::Leftovers;
use lake_model::Day;
use lake_tables::Table;

use crate::context::Context;
use crate::error::BatchError;
use crate::faults::{self, FileFault, Judged};

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
    /// What killed writers had left, deleted.
    pub leftovers: Leftovers,
    /// Tables whose log was checkpointed.
    pub checkpointed: Vec<Table>,
    /// Data files that can't be used, so that what they belong to was left as it is.
    pub faults: Vec<FileFault>,
    /// What is left to a later run, and why.
    pub left: Vec<LeftWork>,
}

/// Work that was due and is left to a later run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftWork {
    /// The table.
    pub table: &'static TableSpec,
    /// The day, in a table that is partitioned by it.
    pub day: Option<Day>,
    /// Why.
    pub reason: String,
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
    /// Whether everything that was due was done.
    pub fn is_complete(&self) -> bool {
        self.faults.is_empty() && self.left.is_empty()
    }

    /// Leaves work to a later run.
    pub(super) fn leave(&mut self, table: &'static TableSpec, day: Option<Day>, reason: String) {
        let day_text = day.map(|day| day.to_string());
        tracing::warn!(%table, day = day_text, reason, "left to a later run");
        self.left.push(LeftWork { table, day, reason });
    }

    pub(super) fn has_fault_of(&self, table: Table, day: Day) -> bool {
        self.faults.iter().any(|fault| fault.table == table && fault.day == Some(day))
    }

    /// What `done` came to; `None` if a data file of `table` is at fault, which the report then names. One that another
    /// program has replaced meanwhile is left to a later run.
    pub(super) async fn leave_at_fault<T, E: Into<BatchError>>(
        &mut self,
        context: &Context,
        table: Table,
        done: Result<T, E>,
    ) -> Result<Option<T>, BatchError> {
        let error = match done {
            Ok(done) => return Ok(Some(done)),
            Err(error) => error,
        };
        match faults::judge(context, &[table], error).await? {
            Judged::Fault(fault) if self.faults.iter().any(|noted| noted.file == fault.file) => {}
            Judged::Fault(fault) => {
                tracing::warn!(table = %fault.table, file = fault.file, problem = fault.problem, "left as it is");
                self.faults.push(fault);
            }
            Judged::Moved(error) => {
                let reason = format!("another program has replaced files meanwhile ({error})");
                self.leave(table.spec(), None, reason);
            }
        }
        Ok(None)
    }

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
            && self.leftovers == Leftovers::default()
            && self.checkpointed.is_empty()
            && self.is_complete()
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
        if self.leftovers != Leftovers::default() {
            let Leftovers { files, bytes, uploads } = self.leftovers;
            writeln!(
                f,
                "left by killed writers: {files} staging file(s) of {bytes} bytes and {uploads} unfinished upload(s) deleted"
            )?;
        }
        for table in &self.checkpointed {
            writeln!(f, "{table}: log checkpointed")?;
        }
        for fault in &self.faults {
            let day = fault.day.map(|day| format!(" {day}")).unwrap_or_default();
            writeln!(f, "{}{day}: LEFT: {fault}", fault.table)?;
        }
        for LeftWork { table, day, reason } in &self.left {
            let day = day.map(|day| format!(" {day}")).unwrap_or_default();
            writeln!(f, "{table}{day}: LEFT to a later run: {reason}")?;
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
