//! `batch-layer nightly`: makes every closed day final that is not, and recomputes final days that events landed
//! in since.
//!
//! A run goes through these steps:
//! 1. `repair` appends rows of `batch_runs` that runs before were killed too early to append.
//! 2. `plan` decides for each day what becomes of it. Where there is nothing to recompute, the run ends.
//! 3. Kafka is asked how far its partitions reach, also with records of transactions that are still open, and `landing`
//!    waits until `events` reaches that far. The version of `events` found then is the one that the run is pinned to; the
//!    plan is made again on it.
//! 4. `compute` writes the final rows of one day after the other from every distinct event, and
//!    `publish` overwrites the day with them in one commit, which carries the `drift` against the rows replaced.
//!
//! # Consistency
//! The state of `avg_speed` that a day starts from is older than the pinned version, and the pinned version
//! reaches every offset that the provisional rows in it hold. `publish` commits only on a version for which
//! that still holds; otherwise the day is computed again on a newer version of `events`.
//!
//! # Crash consistency
//! Until the one commit of a day its old rows are served. A run that is killed before it leaves files that no
//! log names, which `maintain` deletes. One that is killed after it leaves a row of `batch_runs` in the
//! commit, where the next run finds it.
//!
//! # Faults
//! A day with a data file that can't be used (`crate::faults`) is left with its reason, and the days after it go on. Its rows
//! stay as they are, and no run of it is recorded.

mod compute;
mod drift;
mod landing;
mod plan;
mod publish;
mod repair;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use lake_delta::{LakeError, TableLog, TableState};
use lake_kafka::LogEnds;
use lake_model::finalization::{DayDecision, Reason};
use lake_model::{Day, KafkaPartition, Offset, Timestamp};
use lake_runtime::Shutdown;
use lake_tables::Table;
use tokio::time::Instant;

use self::landing::{LandingWait, Waiter};
use self::publish::{Base, Published};
use crate::batch_runs::BatchRuns;
use crate::context::Context;
use crate::days;
use crate::error::BatchError;
use crate::faults::{self, FileFault, Judged};
use crate::metrics;

pub use self::plan::{DayFilter, PlannedDay};
pub use self::report::{LeftDay, NightlyReport};

/// How often a day is computed, however short the wait, while newer events reach its provisional rows meanwhile.
const TRIES_PER_DAY: u32 = 3;

/// What a run is asked to do.
#[derive(Clone, Debug)]
pub struct NightlyOptions {
    /// The days to look at.
    pub days: DayFilter,
    /// Only report what would be done.
    pub dry_run: bool,
    /// Recompute clean final days too.
    pub force: bool,
    /// Longest wait for records to land.
    pub wait: Duration,
}

/// Makes closed days final. The report lists what was done and what was left.
///
/// # Errors
/// The store or Kafka fails, or the settings do not fit the tables. Days that were published
/// before the error stay final. A data file that can't be used leaves its day, and is no error.
pub async fn run(
    context: &Context,
    ends: &dyn LogEnds,
    options: &NightlyOptions,
    shutdown: &Shutdown,
) -> Result<NightlyReport, BatchError> {
    metrics::begin();
    let ended = look_and_recompute(context, ends, options, shutdown).await;
    if let Ok(report) = &ended
        && !options.dry_run
    {
        report.record_end(context.now(), options.days.is_unbounded());
    }
    ended
}

async fn look_and_recompute(
    context: &Context,
    ends: &dyn LogEnds,
    options: &NightlyOptions,
    shutdown: &Shutdown,
) -> Result<NightlyReport, BatchError> {
    let mut run = Run::open(context, options, shutdown).await?;
    let mut report = NightlyReport { dry_run: options.dry_run, ..NightlyReport::default() };
    let files = run.avg_speed.state().files();
    let missing = repair::missing_runs(files, &run.runs, &run.avg_speed).await?;
    if !options.dry_run {
        report.repaired = run.runs.append(&missing).await?;
    }
    report.planned = run.plan(run.events.state(), &missing)?;
    if let Some(day) = options.days.named()
        && let Some(reason) = run.why_open(day)?
    {
        report.leave(day, &reason);
    }
    if options.dry_run || !report.has_work() {
        return Ok(report);
    }
    let topic = context.topic(ends, &run.events).await?;
    landing::warn_of_open_transactions(&topic);
    match run.wait_for(&landing::everything(&topic)).await? {
        LandingWait::Reached => {
            let pinned = run.events.state().clone();
            report.planned = run.plan(&pinned, &[])?;
            run.recompute_all(pinned, &mut report).await?;
        }
        short => {
            // What was open at the start may have ended, and something else may hold the records back.
            let topic = ends.ends().await.unwrap_or(topic);
            report.leave_all(&short.reason_on(&topic));
        }
    }
    Ok(report)
}

/// A run under way.
struct Run<'a> {
    context: &'a Context,
    options: &'a NightlyOptions,
    shutdown: &'a Shutdown,
    deadline: Instant,
    run_id: String,
    events: TableLog,
    avg_speed: TableLog,
    /// The state of `avg_speed` that days start from.
    base: TableState,
    runs: BatchRuns,
}

/// What became of one day.
enum Outcome {
    Done(Published),
    Left(String),
    AtFault(FileFault),
}

impl<'a> Run<'a> {
    async fn open(
        context: &'a Context,
        options: &'a NightlyOptions,
        shutdown: &'a Shutdown,
    ) -> Result<Run<'a>, BatchError> {
        let avg_speed = context.open(Table::AvgSpeed).await?;
        Ok(Run {
            context,
            options,
            shutdown,
            deadline: Instant::now() + options.wait,
            run_id: run_id(context),
            events: context.open(Table::Events).await?,
            base: avg_speed.state().clone(),
            avg_speed,
            runs: BatchRuns::open(context).await?,
        })
    }

    /// What becomes of each day that is asked for, by `events` as given. `unrecorded` are runs that are not in
    /// `batch_runs` yet.
    fn plan(
        &self,
        events: &TableState,
        unrecorded: &[lake_tables::batch_runs::BatchRun],
    ) -> Result<Vec<PlannedDay>, LakeError> {
        let known = days::known_days(self.context, events, &self.base, &self.runs)?;
        let planned = known
            .into_iter()
            .filter(|day| self.options.days.contains(day.facts.span.day))
            .map(|day| plan::with_unrecorded(day, &self.base, unrecorded))
            .map(|day| PlannedDay::of(&day, day.decision(self.context, self.options.force)));
        Ok(planned.collect())
    }

    /// Until when `day` is open, if it is: no option makes it final.
    fn why_open(&self, day: Day) -> Result<Option<String>, LakeError> {
        let calendar = self.context.calendar_at(self.events.state())?;
        let closes_at = calendar.span(day).end.saturating_add(self.context.close_after_us());
        if closes_at <= self.context.now() {
            return Ok(None);
        }
        let zone = &self.context.settings.pipeline.timezone;
        Ok(Some(format!(
            "the day is open: it closes at {} ({zone}), batch.close_after = {} after its end; run it again then",
            calendar.local_text(closes_at),
            humantime::format_duration(self.context.settings.batch.close_after),
        )))
    }

    async fn wait_for(
        &mut self,
        wanted: &BTreeMap<KafkaPartition, Offset>,
    ) -> Result<LandingWait, BatchError> {
        let waiter = Waiter {
            app_ids: &self.context.app_ids,
            poll_interval: self.context.settings.batch.landing_poll_interval,
            deadline: self.deadline,
            shutdown: self.shutdown,
        };
        Ok(waiter.wait(&mut self.events, wanted).await?)
    }

    async fn recompute_all(
        &mut self,
        mut pinned: TableState,
        report: &mut NightlyReport,
    ) -> Result<(), BatchError> {
        let days: Vec<(Day, Reason)> = report.to_recompute().collect();
        for (day, reason) in days {
            if self.shutdown.is_requested() {
                report.leave(day, "the run was asked to stop");
                continue;
            }
            tracing::info!(%day, reason = reason.as_str(), version = pinned.version().0, "recomputing");
            match self.recompute(day, &mut pinned).await? {
                Outcome::Done(Published::Final(run)) => {
                    self.runs.append(std::slice::from_ref(&run)).await?;
                    report.finish(run);
                }
                Outcome::Done(published) => report.superseded(day, &published),
                Outcome::Left(reason) => report.leave(day, &reason),
                Outcome::AtFault(fault) => report.leave_at_fault(day, fault),
            }
        }
        Ok(())
    }

    /// Computes and publishes one day, on a newer version of `events` for as long as that turns out to be needed
    /// and the wait lasts.
    async fn recompute(
        &mut self,
        day: Day,
        pinned: &mut TableState,
    ) -> Result<Outcome, BatchError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let base = Base::of(&self.context.app_ids, &self.base, day);
            if let Some(short) = self.cover(&base, pinned).await? {
                return Ok(Outcome::Left(short));
            }
            if !self.is_still_due(day, pinned)? {
                return Ok(Outcome::Done(Published::Unneeded));
            }
            let shutdown = self.shutdown;
            let attempted = tokio::select! {
                biased;
                attempted = self.attempt(day, pinned, &base) => attempted,
                () = shutdown.requested() => {
                    return Ok(Outcome::Left("the run was asked to stop".to_owned()));
                }
            };
            match attempted {
                Ok(Published::Behind(why)) if tries >= TRIES_PER_DAY && self.is_time_up() => {
                    return Ok(Outcome::Left(why));
                }
                Ok(Published::Behind(why)) => tracing::info!(%day, why, "computing the day again"),
                Ok(published) => return Ok(Outcome::Done(published)),
                Err(error) => match faults::judge(self.context, &[Table::Events], error).await? {
                    Judged::Fault(fault) => return Ok(Outcome::AtFault(fault)),
                    Judged::Moved(error) if tries >= TRIES_PER_DAY => return Err(error.into()),
                    Judged::Moved(error) => {
                        tracing::info!(%day, %error, "computing the day again from newer files");
                        self.events.refresh().await?;
                        *pinned = self.events.state().clone();
                    }
                },
            }
            self.avg_speed.refresh().await?;
            self.base = self.avg_speed.state().clone();
            self.runs.refresh().await?;
        }
    }

    fn is_time_up(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Makes sure that the pinned version reaches every offset that the day's provisional rows hold, if need
    /// be by pinning a newer one. Returns what is missing if that is not reached in time.
    async fn cover(
        &mut self,
        base: &Base,
        pinned: &mut TableState,
    ) -> Result<Option<String>, BatchError> {
        if base.is_covered_by(&self.context.app_ids, pinned) {
            return Ok(None);
        }
        let wanted = base.to_reach(&self.context.app_ids, self.events.state());
        match self.wait_for(&wanted).await? {
            LandingWait::Reached => *pinned = self.events.state().clone(),
            short => return Ok(Some(short.reason())),
        }
        Ok(None)
    }

    fn is_still_due(&self, day: Day, pinned: &TableState) -> Result<bool, LakeError> {
        let known = days::known_day(self.context, pinned, &self.base, &self.runs, day)?;
        let decision = known.decision(self.context, self.options.force);
        Ok(matches!(decision, DayDecision::Recompute(_)))
    }

    async fn attempt(
        &mut self,
        day: Day,
        pinned: &TableState,
        base: &Base,
    ) -> Result<Published, BatchError> {
        let computed = compute::compute(self.context, &self.run_id, pinned, day).await?;
        let tables = publish::Tables { avg_speed: &mut self.avg_speed, runs: &mut self.runs };
        Ok(publish::publish(self.context, tables, pinned, base, computed).await?)
    }
}

/// An id that shows when the run began, such as `20251121T021500Z-1a2b3c4d`.
fn run_id(context: &Context) -> String {
    let second = context.now().micros().div_euclid(1_000_000) * 1_000_000;
    let started = Timestamp::from_micros(second).to_string().replace(['-', ':'], "");
    let unique = context.lake.unique_id().simple().to_string();
    format!("{started}-{}", &unique[..8])
}
