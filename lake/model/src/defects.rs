//! Deliberate defects, by which the tests are tested: each breaks one promise at one place.
//!
//! `scripts/defects.sh` switches them on one by one and shows that the simulation and the end-to-end tests notice.
//! Only debug builds have them: in release builds [`is_on`] is constant, what hangs on it is left out, and there is no
//! way to switch anything on. The switch is for a whole process and is set before anything else runs.

use std::fmt;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicUsize, Ordering};

/// The place of the defect that is switched on, counted from 1; 0 while none is.
#[cfg(debug_assertions)]
static SWITCHED_ON: AtomicUsize = AtomicUsize::new(0);

/// Whether the process was told to have this defect.
#[cfg(debug_assertions)]
#[must_use]
pub fn is_on(defect: Defect) -> bool {
    SWITCHED_ON.load(Ordering::Relaxed) == defect as usize + 1
}

/// Whether the process was told to have this defect: never in a release build.
#[cfg(not(debug_assertions))]
#[must_use]
#[inline(always)]
pub const fn is_on(_defect: Defect) -> bool {
    false
}

/// Gives the process this defect, in place of any other that it has.
#[cfg(debug_assertions)]
pub fn switch_on(defect: Defect) {
    SWITCHED_ON.store(defect as usize + 1, Ordering::Relaxed);
}

impl Defect {
    /// The defect of that name.
    pub fn from_name(name: &str) -> Option<Defect> {
        Defect::ALL.iter().copied().find(|defect| defect.name() == name)
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Each defect in one line: its name here, its name for people, and what it breaks.
macro_rules! defects {
    ($($variant:ident, $name:literal, $about:literal;)*) => {
        /// A deliberate defect.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Defect {
            $(#[doc = $about] $variant,)*
        }

        impl Defect {
            /// Every defect.
            pub const ALL: &[Defect] = &[$(Defect::$variant,)*];

            /// Its name on command lines.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Defect::$variant => $name,)* }
            }

            /// What it breaks, in one sentence.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Defect::$variant => $about,)* }
            }
        }
    };
}

defects! {
    // Commits and fencing.
    TxnCheckOff, "txn-check-off", "A partition's offset in the log is not compared with the one that the work was built on.";
    TxnOffByOne, "txn-off-by-one", "The last offset is stored instead of the next.";
    FencedOnOldSnapshot, "fenced-on-old-snapshot", "After a conflict the same decision is committed without deciding again.";
    OrphanFileAddedTwice, "orphan-file-added-twice", "A commit whose answer was lost is made again though it was made.";
    OwnCommitDisowned, "own-commit-disowned", "A commit of ours whose answer was lost is taken for another writer's.";
    LogEntryOverwritten, "log-entry-overwritten", "A log entry is put whether or not there is one already.";
    OldStateTrusted, "old-state-trusted", "A state so old that entries after it may be cleaned away is committed on.";
    StaleEpochsAccepted, "stale-epochs-accepted", "Records that were fetched under an earlier assignment are taken.";
    // Landing.
    GroupOffsetTrusted, "group-offset-trusted", "The group's offset is committed before the tables, and consuming starts from it.";
    EventsFirst, "events-first", "Events are committed before the dead letters and gaps that lie before them.";
    GapNotNoted, "gap-not-noted", "Offsets of transaction markers and aborted records are passed over without a note.";
    CoveredIgnored, "covered-ignored", "Offsets that only dead letters or gaps cover already are landed again after a crash.";
    LandedTwice, "landed-twice", "A replay lands again what the events table holds already.";
    RowsForgotten, "rows-forgotten", "Rows whose commit failed are forgotten.";
    ResumedTooFar, "resumed-too-far", "Consuming is resumed at the greater of the two tables' offsets.";
    StoppedUncommitted, "stopped-uncommitted", "What is held is not committed when the program is told to stop.";
    StoreFaultFatal, "store-fault-fatal", "A store that is away ends the program.";
    KafkaFaultFatal, "kafka-fault-fatal", "A broker that is away ends the program.";
    ExtraDropped, "extra-dropped", "Fields beyond the four known ones are dropped.";
    WrongReason, "wrong-reason", "Dead letters carry the reason that is checked next.";
    SpeedCut, "speed-cut", "Speeds are cut to thousandths instead of rounded.";
    // Lateness and days.
    LatenessOffByOne, "lateness-off-by-one", "An event late by exactly the allowed lateness counts as late.";
    WatermarkGlobal, "watermark-global", "The watermark is kept over all partitions of an instance.";
    WatermarkForgotten, "watermark-forgotten", "The watermark begins anew after a restart.";
    WatermarkAhead, "watermark-ahead", "A replay from one table's offset begins with the watermark stored beside the other's.";
    DayOf24Hours, "day-of-24-hours", "Every day has 24 hours, whatever the clocks do.";
    // Provisional rows.
    LateEventFolded, "late-event-folded", "Late events change provisional rows.";
    FoldedTwice, "folded-twice", "A replay folds events again that the provisional rows count already.";
    WindowsNotReadBack, "windows-not-read-back", "Open windows are not read back from the table after a restart.";
    StaleFileKept, "stale-file-kept", "A provisional file is not removed when a newer one takes its place.";
    PaneForgotten, "pane-forgotten", "A window that is closed is forgotten though its file will be written again.";
    HourShort, "hour-short", "The hour's row misses one of its five-minute windows.";
    FinalOverwritten, "final-overwritten", "Provisional rows are committed into a day that is final.";
    // The nightly run.
    LandingNotAwaited, "landing-not-awaited", "The nightly run does not wait until what Kafka holds has landed.";
    NewPartitionNotAwaited, "new-partition-not-awaited", "A partition that has not landed anything yet is not waited for.";
    ProvisionalAheadIgnored, "provisional-ahead-ignored", "A day is made final though its provisional rows hold events beyond the pinned version.";
    DayClosedEarly, "day-closed-early", "A day is made final as soon as it has ended.";
    LateOnlyDayMissed, "late-only-day-missed", "A day of late events only is never made final.";
    FinalBesideProvisional, "final-beside-provisional", "The rows that a day had are not removed when it is made final.";
    FinalInTwoCommits, "final-in-two-commits", "A day's old rows are removed in one commit and its final ones added in the next.";
    PinnedVersionWrong, "pinned-version-wrong", "Final rows name another version of events than they were computed from.";
    DuplicatesKept, "duplicates-kept", "Events that were sent twice count twice in final rows.";
    EmptyPlateIsNone, "empty-plate-is-none", "An empty plate and none at all are taken for the same.";
    LateAfterFinalClean, "late-after-final-clean", "A final day that events landed in since is taken for clean.";
    CleanDayRecomputed, "clean-day-recomputed", "A final day is recomputed though nothing landed in it since.";
    NightliesBothWin, "nightlies-both-win", "A nightly run overwrites what another has made final meanwhile from the same events or newer ones.";
    RunNotRepaired, "run-not-repaired", "The record of a run that was killed after its commit is not made up for.";
    RunRecordedTwice, "run-recorded-twice", "A run is recorded without a look at whether it is recorded already.";
    RunFiguresWrong, "run-figures-wrong", "The record of a run does not count the duplicates dropped.";
    // Maintenance.
    CompactionChangesData, "compaction-changes-data", "Compaction says of its files that they change data.";
    CompactionUnchecked, "compaction-unchecked", "Compaction commits though a file that it read is gone.";
    VacuumTakesOrphans, "vacuum-takes-orphans", "Vacuum deletes files that no log names, however young they are.";
    VacuumTakesRemoved, "vacuum-takes-removed", "Vacuum deletes removed files at once, though older versions still need them.";
    RetentionUnexpired, "retention-unexpired", "Days are dropped that Kafka has not expired yet.";
    // Configuration.
    KeyNotNamed, "key-not-named", "An error of the configuration does not name the key.";
    ValueNotNamed, "value-not-named", "An error of the configuration does not name the value.";
    RemedyNotNamed, "remedy-not-named", "An error of the configuration does not say what to do.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_defect_is_on_unless_it_is_switched_on() {
        assert!(Defect::ALL.iter().all(|defect| !is_on(*defect)));
    }

    #[test]
    fn every_defect_is_found_by_its_name_and_says_what_it_breaks() {
        let names: BTreeSet<&str> = Defect::ALL.iter().map(|defect| defect.name()).collect();
        assert_eq!(names.len(), Defect::ALL.len());
        for defect in Defect::ALL {
            assert_eq!(Defect::from_name(defect.name()), Some(*defect));
            assert!(defect.about().ends_with('.'), "{defect}");
        }
        assert_eq!(Defect::from_name("none"), None);
    }
}
