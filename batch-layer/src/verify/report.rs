//! What a verification found, for people.

use std::fmt;

use lake_model::Day;
use lake_tables::batch_runs::BatchRun;

use super::figures::Difference;
use crate::faults::FileFault;

/// Differences that are kept to be shown.
const MAX_SHOWN: usize = 20;

/// What a verification found.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifyReport {
    /// The day.
    pub day: Day,
    /// The outcome.
    pub verdict: Verdict,
    /// Windows compared.
    pub compared: u64,
    /// Windows that differ.
    pub differences: u64,
    /// The first of them.
    pub shown: Vec<Difference>,
    /// The runs that recomputed the day, oldest first.
    pub runs: Vec<BatchRun>,
    /// The data file that can't be used, if that is the verdict.
    pub fault: Option<FileFault>,
}

/// The outcome for a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every window is as recomputed, to the bit.
    Equal,
    /// Some are not.
    Different,
    /// The day is not final.
    NotFinal,
    /// Events landed in it since it was made final, or its run is not recorded.
    Dirty {
        /// Its rows in `events`.
        event_rows: u64,
        /// The rows that its run read, if it is recorded.
        rows_read: Option<u64>,
    },
    /// Retention has dropped its events, or the last file of them was quarantined.
    Frozen,
    /// A data file of it can't be used.
    Unreadable,
}

impl VerifyReport {
    pub(super) fn new(day: Day, verdict: Verdict) -> VerifyReport {
        VerifyReport {
            day,
            verdict,
            compared: 0,
            differences: 0,
            shown: Vec::new(),
            runs: vec![],
            fault: None,
        }
    }

    pub(super) fn leave_at_fault(&mut self, fault: FileFault) {
        self.verdict = Verdict::Unreadable;
        self.fault = Some(fault);
    }

    pub(super) fn differ(&mut self, difference: Difference) {
        self.differences += 1;
        if self.shown.len() < MAX_SHOWN {
            self.shown.push(difference);
        }
    }

    /// Whether the day is final and every window as recomputed.
    pub fn is_ok(&self) -> bool {
        self.verdict == Verdict::Equal
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = self.day;
        match self.verdict {
            Verdict::NotFinal => {
                return writeln!(
                    f,
                    "{day}: not final; run `batch-layer nightly --date {day}` once it is closed"
                );
            }
            Verdict::Frozen => {
                writeln!(
                    f,
                    "{day}: frozen, its events are dropped or quarantined and can't be recomputed"
                )?;
            }
            Verdict::Dirty { event_rows, rows_read } => {
                let read = rows_read.map_or("an unrecorded number".to_owned(), |r| r.to_string());
                writeln!(
                    f,
                    "{day}: dirty, its run read {read} of the {event_rows} rows that have landed; \
                     `batch-layer nightly` recomputes it"
                )?;
            }
            Verdict::Unreadable => {
                write!(f, "{day}: not verified")?;
                self.fault.iter().try_for_each(|fault| write!(f, ", {fault}"))?;
                writeln!(f)?;
            }
            Verdict::Equal => {
                writeln!(f, "{day}: {} windows compared, all equal to the bit", self.compared)?;
            }
            Verdict::Different => {
                writeln!(
                    f,
                    "{day}: {} windows compared, {} DIFFER",
                    self.compared, self.differences
                )?;
                self.shown.iter().try_for_each(|difference| writeln!(f, "  {difference}"))?;
                writeln!(
                    f,
                    "if speed limits have changed since, `batch-layer nightly --date {day} --force` applies them"
                )?;
            }
        }
        self.runs.iter().enumerate().try_for_each(|(at, run)| drift(f, at == 0, run))
    }
}

fn drift(f: &mut fmt::Formatter<'_>, is_first: bool, run: &BatchRun) -> fmt::Result {
    let what = if is_first { "provisional to final" } else { "final to final" };
    writeln!(
        f,
        "drift, {what} (run {}): {} windows changed, averages by at most {:.3} km/h; {} late rows, {} duplicates",
        run.run_id, run.drift_windows, run.drift_max_kmh, run.late_rows, run.duplicates_dropped
    )
}
