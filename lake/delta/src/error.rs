//! What can go wrong with the tables, and whether trying again may help.

use std::any::Any;

use crate::log_problem::LogProblem;
use crate::storage::fault::lasting_fault;
use lake_model::TableVersion;
use lake_model::exit_code::{EXTERNAL_FAILURE, USAGE_ERROR};

/// A failure to read or commit a table.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The store failed or did not answer; trying later may help.
    #[error("{action}: {}", describe(source))]
    Storage {
        /// What was being done.
        action: String,
        /// The store's own error.
        source: object_store::Error,
    },
    /// The lake can't be opened as configured.
    #[error("{0}")]
    Configuration(String),
    /// The table's log can't be read as a Delta log of the supported protocol.
    #[error("the log of table {table} at version {version}: {problem}")]
    Log {
        /// The table.
        table: &'static str,
        /// The version whose entry is at fault.
        version: TableVersion,
        /// What is wrong with it.
        problem: LogProblem,
    },
    /// The table does not exist.
    #[error(
        "there is no table {table} at {uri}: start `speed-layer run`, which creates it, or correct lake.uri"
    )]
    NoTable {
        /// The table.
        table: &'static str,
        /// Where it was looked for.
        uri: String,
    },
    /// A data file's contents are not what its table prescribes.
    #[error("data file {path}: {problem}")]
    DataFile {
        /// The file, relative to its table.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A data file that the log named is not in the store. Trying on a newer version of the log helps where another
    /// program has removed it there meanwhile.
    #[error("data file {path}: the store does not have it, though the log names it")]
    MissingFile {
        /// The file, relative to its table.
        path: String,
    },
    /// Other writers were faster each time; trying later may help.
    #[error(
        "table {table}: a commit was tried {tries} times, and another writer was faster each time; stop writers that do \
         not belong there (another pipeline with the same lake.uri, a tool that rewrites files), and try again"
    )]
    Overtaken {
        /// The table.
        table: &'static str,
        /// How often the commit was tried.
        tries: u32,
    },
    /// A file that was to be committed may have been deleted meanwhile; doing the work again helps.
    #[error(
        "table {table}: {path} was not committed, since maintain has announced that it may delete files as old as that \
         which no commit names: the process was suspended for too long, or its clock is slow; the work has to be done \
         again. If that happens without a suspension, correct the clock or raise maintain.orphan_retention"
    )]
    Vacuumed {
        /// The table.
        table: &'static str,
        /// The file, relative to the table.
        path: String,
    },
    /// Work done through the deltalake library failed; trying later may help.
    #[error("{action}: {source}")]
    Delta {
        /// What was being done.
        action: String,
        /// The library's own error.
        source: Box<deltalake::DeltaTableError>,
    },
}

impl LakeError {
    /// Whether the same call may succeed later, without anybody changing anything but the outside.
    pub fn is_transient(&self) -> bool {
        use LakeError::{Delta, MissingFile, Overtaken, Storage, Vacuumed};
        matches!(
            self,
            Storage { .. } | Delta { .. } | Overtaken { .. } | MissingFile { .. } | Vacuumed { .. }
        )
    }

    /// The data file at fault, relative to its table, if the error is about the contents or the absence of one and not
    /// about the store that it is in.
    pub fn data_file_at_fault(&self) -> Option<&str> {
        match self {
            LakeError::DataFile { path, .. } | LakeError::MissingFile { path } => Some(path),
            _ => None,
        }
    }

    /// What is wrong with the data file at fault.
    pub fn problem_of_data_file(&self) -> Option<String> {
        match self {
            LakeError::DataFile { problem, .. } => Some(problem.clone()),
            LakeError::MissingFile { .. } => Some("the store does not have it".to_owned()),
            _ => None,
        }
    }

    /// Whether the store fails in a way that stays until somebody changes a setting, a right or the store, as where it
    /// refuses the credentials. A program that is at work tries again nevertheless, since that may happen meanwhile
    /// (policies take time to spread, and temporary credentials are renewed); one that starts ends.
    pub fn is_lasting(&self) -> bool {
        let LakeError::Storage { source, .. } = self else { return false };
        is_refusal(source) || lasting_fault(source).is_some()
    }

    /// Whether somebody has to change a setting or a right, and not the store.
    fn is_of_settings(&self) -> bool {
        let LakeError::Storage { source, .. } = self else { return false };
        is_refusal(source) || lasting_fault(source).is_some_and(|fault| !fault.is_outside)
    }

    /// The exit code of a program that ends with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            _ if self.is_of_settings() => USAGE_ERROR,
            LakeError::Configuration(_) | LakeError::NoTable { .. } => USAGE_ERROR,
            _ => EXTERNAL_FAILURE,
        }
    }

    pub(crate) fn storage(
        action: impl Into<String>,
    ) -> impl FnOnce(object_store::Error) -> LakeError {
        let action = action.into();
        move |source| LakeError::Storage { action, source }
    }

    /// A data file that does not hold what it must.
    pub fn data_file(path: &str, problem: impl std::fmt::Display) -> LakeError {
        LakeError::DataFile { path: path.to_owned(), problem: problem.to_string() }
    }

    /// A data file over whose bytes a library panicked while it decoded them.
    pub fn undecodable(path: &str, panic: &(dyn Any + Send)) -> LakeError {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        LakeError::data_file(path, format!("it can't be decoded: {}", text.unwrap_or("panic")))
    }
}

fn is_refusal(error: &object_store::Error) -> bool {
    use object_store::Error::{PermissionDenied, Unauthenticated};
    matches!(error, PermissionDenied { .. } | Unauthenticated { .. })
}

/// What went wrong, and what to do if that is known.
fn describe(error: &object_store::Error) -> String {
    if is_refusal(error) {
        return format!("{error}{DENIED}");
    }
    lasting_fault(error).map_or_else(|| error.to_string(), |fault| fault.to_string())
}

const DENIED: &str = "; see that the credentials in lake.storage (or AWS_…) are the right ones, and may read, write, list and \
     delete under lake.uri";
