//! Situations of nightly and maintenance runs: against each other, and against the speed layer.

use std::sync::Arc;
use std::time::Duration;

use lake_model::{Calendar, Timestamp};
use tokio::time::sleep;

use crate::director::Director;
use crate::faults::Fate;
use crate::process::{Death, Process};
use crate::producer::{HOUR_US, MINUTE_US};
use crate::world::Fortune;

/// Longer than it takes to land what was sent.
const LANDS: Duration = Duration::from_secs(9);
/// How long nightly runs wait for landing.
const WAIT: Duration = Duration::from_secs(20);

/// Noon of the day that many days ago.
fn noon_before(director: &Director, days: i32) -> i64 {
    let zone = &director.world.settings.pipeline.timezone;
    let calendar = Calendar::new(zone).expect("plans name good zones");
    let today = calendar.span_at(Timestamp::from_micros(director.world.clock.now_us())).day;
    calendar.span(today.plus(-days)).start.micros() + 12 * HOUR_US
}

/// A nightly run that gets through, whatever the store does to others.
fn nightly(director: &mut Director) -> Option<Arc<Process>> {
    let run = director.nightly(Fortune::default(), WAIT)?;
    director.world.faults.spare(run.name());
    Some(run)
}

/// A maintenance run that gets through.
fn maintain(director: &mut Director) -> Option<Arc<Process>> {
    let run = director.maintain(Fortune::default())?;
    director.world.faults.spare(run.name());
    Some(run)
}

pub(super) async fn two_nightlies(director: &mut Director) {
    let partition = director.any_partition();
    // The watermark is of today before anything of that day comes.
    let now_us = director.world.clock.now_us();
    director.producer.events_at(partition, now_us, MINUTE_US, 2);
    let noon_us = noon_before(director, 4);
    director.producer.events_at(partition, noon_us, 3 * HOUR_US, 12);
    director.settle(Duration::from_secs(10)).await;
    nightly(director);
    sleep(Duration::from_millis(director.below(400))).await;
    nightly(director);
    director.settle(Duration::from_secs(4)).await;
}

pub(super) async fn new_partition(director: &mut Director) {
    let noon_us = noon_before(director, 2);
    let old = director.any_partition();
    let partition = director.world.broker.add_partition();
    director.producer.events_at(old, noon_us, HOUR_US, 6);
    // By then the new partition is handed out.
    director.settle(LANDS).await;
    // For these the run has to wait, and meanwhile the new partition's averages get ahead of its landed rows. Its
    // first event is never late, however old it is.
    director.producer.events_at(old, noon_us, HOUR_US, 3);
    nightly(director);
    for _ in 0..24 {
        director.producer.events_at(partition, noon_us, HOUR_US, 1);
        let wait = Duration::from_millis(director.below(600));
        director.settle(wait).await;
    }
    director.settle(Duration::from_secs(6)).await;
    nightly(director);
}

pub(super) async fn killed_before_batch_runs(director: &mut Director) {
    land_a_closed_day(director).await;
    let path = "avg_speed/_delta_log/";
    let death = Some(Death::Put { path, nth: 1, after_effect: true });
    let Some(killed) = director.nightly(Fortune { death, skew_us: 0 }, WAIT) else { return };
    director.world.faults.spare(killed.name());
    director.see_out(&killed).await;
    // Both find the row missing, and one is overtaken while it writes it.
    let first = nightly(director);
    let second = nightly(director);
    if let Some(first) = first {
        let late = Fate::AnsweredLate(Duration::from_secs(2));
        director.world.faults.plan(first.name(), "batch_runs/", late);
        director.see_out(&first).await;
    }
    if let Some(second) = second {
        director.see_out(&second).await;
    }
}

pub(super) async fn lost_answers(director: &mut Director) {
    land_a_closed_day(director).await;
    let Some(run) = nightly(director) else { return };
    lose_the_answer(director, &run, "avg_speed/_delta_log/");
    for _ in 0..10 {
        director.producer.burst(4);
        director.settle(Duration::from_millis(700)).await;
    }
    director.see_out(&run).await;
    let Some(run) = maintain(director) else { return };
    lose_the_answer(director, &run, "events/_delta_log/");
    director.producer.burst(8);
    director.see_out(&run).await;
}

/// The first put of `process` there takes effect, and it is not told.
fn lose_the_answer(director: &mut Director, process: &Process, path: &'static str) {
    let soon = Duration::from_millis(5);
    let fates = [
        Fate::FailedAfter(soon),
        Fate::ToldExists(soon),
        Fate::Hung { answer: Duration::from_secs(1), effect: Some(soon) },
    ];
    let fate = fates[usize::try_from(director.below(3)).unwrap_or(0)];
    director.world.faults.plan(process.name(), path, fate);
}

pub(super) async fn two_compactions(director: &mut Director) {
    land_a_closed_day(director).await;
    // The day has to be final and clean.
    let Some(run) = nightly(director) else { return };
    director.see_out(&run).await;
    let first = maintain(director);
    maintain(director);
    if let Some(first) = first {
        // The other one swaps the files while this one writes.
        let late = Fate::AnsweredLate(Duration::from_secs(2));
        director.world.faults.plan(first.name(), "/compacted-", late);
        director.see_out(&first).await;
    }
}

/// A nightly run that waits for the answer to its first upload.
async fn nightly_that_uploads(director: &mut Director) -> Option<Arc<Process>> {
    land_a_closed_day(director).await;
    let run = nightly(director)?;
    let late = Fate::AnsweredLate(Duration::from_secs(8));
    director.world.faults.plan(run.name(), "avg_speed/event_date", late);
    wait_for_put(director, &run).await;
    Some(run)
}

pub(super) async fn vacuum_beside_an_upload(director: &mut Director) {
    let Some(run) = nightly_that_uploads(director).await else { return };
    if let Some(maintenance) = maintain(director) {
        director.see_out(&maintenance).await;
    }
    director.see_out(&run).await;
}

pub(super) async fn suspended_for_days(director: &mut Director) {
    let Some(run) = nightly_that_uploads(director).await else { return };
    run.freeze(true);
    let kept_us = i64::try_from(director.world.settings.maintain.orphan_retention.as_micros());
    director.world.clock.skip(2 * kept_us.unwrap_or(0));
    if let Some(maintenance) = maintain(director) {
        director.see_out(&maintenance).await;
    }
    run.freeze(false);
    director.see_out(&run).await;
}

/// Lets time pass until `process` has met with what is planned for it, or is over.
async fn wait_for_put(director: &mut Director, process: &Process) {
    while director.world.faults.has_planned(process.name()) && !process.has_ended() {
        director.settle(Duration::from_millis(300)).await;
    }
}

/// Events of a day that is over land in several files, while no run of the batch is under way.
async fn land_a_closed_day(director: &mut Director) {
    let noon_us = noon_before(director, 2);
    let partition = director.any_partition();
    director.producer.events_at(partition, noon_us, 3 * HOUR_US, 8);
    director.settle(LANDS).await;
    let partition = director.any_partition();
    director.producer.events_at(partition, noon_us, 3 * HOUR_US, 8);
    director.settle(LANDS).await;
    director.see_all_out().await;
}
