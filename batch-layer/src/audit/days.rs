//! That every final day's counts and sums are those of its distinct events.
//!
//! What a final row was computed from is the version of `events` that it names. While a day is clean, the
//! present version holds the same rows of that day, and that one is read.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt;
use lake_delta::log::FileEntry;
use lake_delta::{LakeError, TableState};
use lake_model::Day;
use lake_model::finalization::{DayFacts, DayState};
use lake_tables::Table;

use super::note_fault;
use super::report::{AuditReport, AuditedDay, DayStatus};
use crate::batch_runs::BatchRuns;
use crate::cameras::CameraSpan;
use crate::context::Context;
use crate::day_events::{Covered, DayEvents, DistinctEvents, EventRange, Limits};
use crate::days::{self, KnownDay};
use crate::error::BatchError;
use crate::window_totals::{self, MAX_WINDOWS, Totals, WindowKey};

/// Differences of a day that are reported one by one.
const MAX_REPORTED: usize = 20;

/// Checks every final day.
pub(super) async fn audit(
    context: &Context,
    events: &TableState,
    avg_speed: &TableState,
    runs: &BatchRuns,
    report: &mut AuditReport,
) -> Result<(), BatchError> {
    let known = days::known_days(context, events, avg_speed, runs)?;
    for day in known.iter().filter(|day| day.facts.is_final) {
        let status = status(&day.facts);
        let mut audited = AuditedDay {
            day: day.facts.span.day.to_string(),
            status,
            event_rows: day.facts.event_rows,
            distinct_events: None,
            counts: BTreeMap::new(),
        };
        match status {
            DayStatus::Clean => {
                let checked = check(context, events, avg_speed, day, &mut audited, report).await;
                if let Err(error) = checked {
                    note_fault(context, &[Table::Events, Table::AvgSpeed], error, report).await?;
                    audited.status = DayStatus::Unreadable;
                    audited.counts.clear();
                }
            }
            DayStatus::Lost => report.problem(format!(
                "{}: the day is final, and its events are gone though retention has not dropped them",
                day.facts.span.day
            )),
            DayStatus::Dirty | DayStatus::Frozen | DayStatus::Unreadable => {}
        }
        report.days.push(audited);
    }
    Ok(())
}

/// The status of a day that is final.
fn status(facts: &DayFacts) -> DayStatus {
    match facts.state() {
        DayState::Clean => DayStatus::Clean,
        DayState::Frozen => DayStatus::Frozen,
        DayState::Empty => DayStatus::Lost,
        DayState::Dirty | DayState::NotFinal => DayStatus::Dirty,
    }
}

async fn check(
    context: &Context,
    events: &TableState,
    avg_speed: &TableState,
    day: &KnownDay,
    audited: &mut AuditedDay,
    report: &mut AuditReport,
) -> Result<(), LakeError> {
    let span = day.facts.span;
    let files: Vec<FileEntry> = events.files_of(span.day).cloned().collect();
    let final_files: Vec<FileEntry> = avg_speed.files_of(span.day).cloned().collect();
    let limits = Limits::of(&context.settings);
    let day_events =
        Arc::new(DayEvents::read(&context.lake, span, &files, Covered::All, limits, |_| ()).await?);
    let mut differences = Differences { day: span.day, found: 0 };
    let mut distinct = 0;
    let mut ranges = day_events.each_range(RangeTotals::of);
    let mut compare_all = async |range: RangeTotals| {
        distinct += range.distinct;
        let report = |difference: String| differences.add(report, &difference);
        compare(context, range, &final_files, audited, report).await
    };
    // Ranges of few windows are compared together, so that the final files are opened less often.
    let mut held: Option<RangeTotals> = None;
    while let Some(next) = ranges.try_next().await? {
        held = Some(match held {
            Some(held) if held.fits_with(&next) => held.and(next),
            Some(full) => {
                compare_all(full).await?;
                next
            }
            None => next,
        });
    }
    if let Some(last) = held {
        compare_all(last).await?;
    }
    differences.report_rest(report);
    audited.distinct_events = Some(distinct);
    Ok(())
}

/// What the events of a range of cameras add up to.
struct RangeTotals {
    span: CameraSpan,
    distinct: u64,
    windows: Vec<(WindowKey, Totals)>,
}

impl RangeTotals {
    fn of(day: &DayEvents, range: &EventRange, events: &DistinctEvents) -> RangeTotals {
        let mut speeds = Vec::new();
        let windows = events.windows(day.span()).map(|window| {
            window.speeds_into(&mut speeds);
            let sum = speeds.iter().map(|speed| u64::from(*speed)).sum();
            let key = WindowKey {
                camera: Arc::clone(&day.cameras()[window.camera]),
                size: window.window.size,
                start: window.window.start,
            };
            (key, Totals { count: window.count(), sum })
        });
        let windows = windows.collect();
        RangeTotals { span: range.cameras.span.clone(), distinct: events.len(), windows }
    }

    /// Whether it may be compared together with the cameras of `next`.
    fn fits_with(&self, next: &RangeTotals) -> bool {
        (self.windows.len() + next.windows.len()) as u64 <= MAX_WINDOWS
    }

    /// With the cameras of `next`, which follow on its own.
    fn and(mut self, next: RangeTotals) -> RangeTotals {
        self.span.extend_to(&next.span);
        self.distinct += next.distinct;
        self.windows.extend(next.windows);
        self
    }
}

/// Compares the windows of a range of cameras.
async fn compare(
    context: &Context,
    range: RangeTotals,
    final_files: &[FileEntry],
    audited: &mut AuditedDay,
    mut report: impl FnMut(String),
) -> Result<(), LakeError> {
    let mut rows = window_totals::read(&context.lake, final_files, &range.span).await?;
    for (key, totals) in &rows {
        *audited.counts.entry(key.size.as_str()).or_default() += totals.count;
    }
    for (key, events) in range.windows {
        let row = rows.remove(&key);
        if row != Some(events) {
            report(difference(&key, row, Some(events)));
        }
    }
    let mut invented: Vec<_> = rows.into_iter().collect();
    invented.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    invented.into_iter().for_each(|(key, row)| report(difference(&key, Some(row), None)));
    Ok(())
}

fn difference(key: &WindowKey, row: Option<Totals>, events: Option<Totals>) -> String {
    let describe = |totals: Option<Totals>| match totals {
        Some(Totals { count, sum }) => format!("{count} events with a sum of {sum} thousandths"),
        None => "nothing".to_owned(),
    };
    format!(
        "camera {}, {} window at {}: avg_speed says {}, events say {}",
        key.camera,
        key.size,
        key.start,
        describe(row),
        describe(events)
    )
}

/// The differences of a day, of which the first are reported.
struct Differences {
    day: Day,
    found: usize,
}

impl Differences {
    fn add(&mut self, report: &mut AuditReport, difference: &str) {
        self.found += 1;
        if self.found <= MAX_REPORTED {
            report.problem(format!("{}: {difference}", self.day));
        }
    }

    fn report_rest(&self, report: &mut AuditReport) {
        let rest = self.found.saturating_sub(MAX_REPORTED);
        if rest > 0 {
            report.problem(format!("{}: and {rest} more differences", self.day));
        }
    }
}
