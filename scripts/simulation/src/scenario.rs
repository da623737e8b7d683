//! The situations that are known to be hard: every seed has one, in turn. [`crate::play`] plays them.

use std::fmt;

/// A situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// Two nightly runs at once on a day that holds late events only.
    TwoNightliesOnADayOfLateEvents,
    /// The first rows of a new partition race the commit that makes their day final.
    NewPartitionAgainstFinal,
    /// An instance wakes and commits after its successor has loaded its partitions.
    ZombieAfterItsSuccessorLoaded,
    /// Watermarks are reset, which fences their instances, while these fetch on.
    FencedWhileFetching,
    /// An instance commits to a table on which others have committed on since, until the entries in between were
    /// cleaned away.
    SeldomWriter,
    /// A restart finds `events` and `avg_speed` at different offsets.
    TablesAtDifferentOffsets,
    /// A 5-minute window is closed while the file of its hour is still open, across a restart.
    WindowClosedInAnOpenFile,
    /// Logs end in the markers of aborted transactions.
    LogEndsInMarkers,
    /// A nightly run is killed between its final commit and its row in `batch_runs`, which two others make up for.
    KilledBeforeBatchRuns,
    /// The answers to commits of a nightly and of a maintenance run are lost while the speed layer commits on.
    AnswersOfBatchCommitsLost,
    /// Two maintenance runs compact the same day.
    TwoCompactionsOfOneDay,
    /// Maintenance deletes files while those of a nightly run wait for their commit.
    VacuumBesideAnUpload,
    /// A nightly run is suspended for days between an upload and its commit, while maintenance deletes what no log names.
    SuspendedForDays,
    /// Kafka's log is cut below what is landed, and grows again.
    LogCutBelowWhatIsLanded,
}

impl Scenario {
    /// Every scenario.
    pub const ALL: [Scenario; 14] = [
        Scenario::TwoNightliesOnADayOfLateEvents,
        Scenario::NewPartitionAgainstFinal,
        Scenario::ZombieAfterItsSuccessorLoaded,
        Scenario::FencedWhileFetching,
        Scenario::SeldomWriter,
        Scenario::TablesAtDifferentOffsets,
        Scenario::WindowClosedInAnOpenFile,
        Scenario::LogEndsInMarkers,
        Scenario::KilledBeforeBatchRuns,
        Scenario::AnswersOfBatchCommitsLost,
        Scenario::TwoCompactionsOfOneDay,
        Scenario::VacuumBesideAnUpload,
        Scenario::SuspendedForDays,
        Scenario::LogCutBelowWhatIsLanded,
    ];

    /// The scenario of a seed.
    pub fn of(seed: u64) -> Scenario {
        let at = usize::try_from(seed % Scenario::ALL.len() as u64).unwrap_or(0);
        Scenario::ALL[at]
    }

    /// What it is called in traces and summaries.
    pub const fn name(self) -> &'static str {
        match self {
            Scenario::TwoNightliesOnADayOfLateEvents => {
                "scenario: two nightlies on a day of late events only"
            }
            Scenario::NewPartitionAgainstFinal => {
                "scenario: a new partition's first rows race a final commit"
            }
            Scenario::ZombieAfterItsSuccessorLoaded => {
                "scenario: a zombie commits after its successor loaded"
            }
            Scenario::FencedWhileFetching => "scenario: fenced while records are being fetched",
            Scenario::SeldomWriter => "scenario: a commit after entries were cleaned away",
            Scenario::TablesAtDifferentOffsets => {
                "scenario: both tables at different offsets at restart"
            }
            Scenario::WindowClosedInAnOpenFile => "scenario: a window closed in a file still open",
            Scenario::LogEndsInMarkers => "scenario: a log that ends in markers",
            Scenario::KilledBeforeBatchRuns => {
                "scenario: a kill between the final commit and its batch_runs row"
            }
            Scenario::AnswersOfBatchCommitsLost => {
                "scenario: answers to commits of the batch are lost"
            }
            Scenario::TwoCompactionsOfOneDay => "scenario: two compactions of one day",
            Scenario::VacuumBesideAnUpload => "scenario: vacuum while files wait for their commit",
            Scenario::SuspendedForDays => "scenario: suspended for days between upload and commit",
            Scenario::LogCutBelowWhatIsLanded => "scenario: a log cut below what is landed",
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
