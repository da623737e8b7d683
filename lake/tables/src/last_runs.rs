//! When each command of the batch layer last ran, and last found or left everything in order: a note beside `batch_runs` for
//! each of them.
//!
//! Rows of `batch_runs` are of days that were recomputed. A run that had nothing to do commits nothing, and neither `audit`
//! nor `maintain` recomputes a day; serving shows from these notes that they ran at all.

use lake_delta::{Lake, LakeError};
use lake_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Table;

/// A command that is to run regularly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `batch-layer nightly`, over all days.
    Nightly,
    /// `batch-layer maintain`.
    Maintain,
    /// `batch-layer audit`.
    Audit,
}

impl Command {
    /// All of them.
    pub const ALL: [Command; 3] = [Command::Nightly, Command::Maintain, Command::Audit];

    /// Its name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Command::Nightly => "nightly",
            Command::Maintain => "maintain",
            Command::Audit => "audit",
        }
    }

    fn path(self) -> String {
        format!("_last_runs/{}.json", self.as_str())
    }
}

/// When a command last ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastRun {
    /// When the last run ended.
    pub ended_at: Timestamp,
    /// When a run last ended with everything in order, if one did.
    pub succeeded_at: Option<Timestamp>,
}

/// [`LastRun`] as it is written.
#[derive(Serialize, Deserialize)]
struct Note {
    ended_at: String,
    succeeded_at: Option<String>,
}

impl LastRun {
    /// What is on record of `command`; nothing before its first run, or where the note can't be understood.
    ///
    /// # Errors
    /// The store fails.
    pub async fn of(lake: &Lake, command: Command) -> Result<Option<LastRun>, LakeError> {
        let content = lake.read_note(Table::BatchRuns.spec(), &command.path()).await?;
        Ok(content.and_then(|content| LastRun::parse(&content)))
    }

    /// Puts on record that a run of `command` has ended just now.
    ///
    /// # Errors
    /// The store fails.
    pub async fn record(lake: &Lake, command: Command, is_in_order: bool) -> Result<(), LakeError> {
        let ended_at = lake.now();
        let succeeded_at = match is_in_order {
            true => Some(ended_at),
            false => LastRun::of(lake, command).await?.and_then(|former| former.succeeded_at),
        };
        let run = LastRun { ended_at, succeeded_at };
        lake.write_note(Table::BatchRuns.spec(), &command.path(), run.text().into_bytes()).await
    }

    fn text(self) -> String {
        let LastRun { ended_at, succeeded_at } = self;
        let note = Note {
            ended_at: ended_at.to_string(),
            succeeded_at: succeeded_at.map(|time| time.to_string()),
        };
        serde_json::to_string(&note).expect("texts can be written as JSON")
    }

    fn parse(content: &[u8]) -> Option<LastRun> {
        let note: Note = serde_json::from_slice(content).ok()?;
        let succeeded_at = match note.succeeded_at {
            Some(text) => Some(Timestamp::parse_event(&text)?),
            None => None,
        };
        Some(LastRun { ended_at: Timestamp::parse_event(&note.ended_at)?, succeeded_at })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use lake_testing::lake_in_memory;

    #[tokio::test]
    async fn a_run_that_fails_keeps_the_time_of_the_last_success() {
        let lake = lake_in_memory();
        assert_eq!(LastRun::of(&lake, Command::Audit).await.unwrap(), None);
        LastRun::record(&lake, Command::Audit, true).await.unwrap();
        let good = LastRun::of(&lake, Command::Audit).await.unwrap().unwrap();
        assert_eq!(good.succeeded_at, Some(good.ended_at));
        LastRun::record(&lake, Command::Audit, false).await.unwrap();
        let bad = LastRun::of(&lake, Command::Audit).await.unwrap().unwrap();
        assert_eq!(bad.succeeded_at, Some(good.ended_at));
        assert_eq!(LastRun::of(&lake, Command::Maintain).await.unwrap(), None, "each its own");
    }

    #[tokio::test]
    async fn a_first_run_that_fails_has_no_success() {
        let lake = lake_in_memory();
        LastRun::record(&lake, Command::Nightly, false).await.unwrap();
        let run = LastRun::of(&lake, Command::Nightly).await.unwrap().unwrap();
        assert_eq!(run.succeeded_at, None);
    }

    #[test]
    fn what_is_no_such_note_is_no_run() {
        for text in ["", "{}", "[]", r#"{"ended_at":"today","succeeded_at":null}"#] {
            assert_eq!(LastRun::parse(text.as_bytes()), None, "{text}");
        }
        let text = r#"{"ended_at":"2025-04-05T10:15:30.000001Z","succeeded_at":null}"#;
        let run = LastRun::parse(text.as_bytes()).unwrap();
        assert_eq!(run.text(), text);
    }
}
