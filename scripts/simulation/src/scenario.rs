//! The situations that are known to be hard, played on purpose: every seed has one, in turn.

use std::fmt;
use std::time::Duration;

use lake_model::Calendar;
use lake_model::EventTime;
use tokio::time::sleep;

use crate::director::Director;
use crate::process::Death;
use crate::producer::{HOUR_US, MINUTE_US};
use crate::world::Fortune;

/// A situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// Two nightly runs at once on a day that holds late events only.
    TwoNightliesOnADayOfLateEvents,
    /// The first rows of a new partition race the commit that makes their day final.
    NewPartitionAgainstFinal,
    /// An instance wakes and commits after its successor has loaded its partitions.
    ZombieAfterItsSuccessorLoaded,
    /// A restart finds `events` and `avg_speed` at different offsets.
    TablesAtDifferentOffsets,
    /// A 5-minute window is closed while the file of its hour is still open, across a restart.
    WindowClosedInAnOpenFile,
    /// Logs end in the markers of aborted transactions.
    LogEndsInMarkers,
    /// A nightly run is killed between its final commit and its row in `batch_runs`.
    KilledBeforeBatchRuns,
}

impl Scenario {
    /// Every scenario.
    pub const ALL: [Scenario; 7] = [
        Scenario::TwoNightliesOnADayOfLateEvents,
        Scenario::NewPartitionAgainstFinal,
        Scenario::ZombieAfterItsSuccessorLoaded,
        Scenario::TablesAtDifferentOffsets,
        Scenario::WindowClosedInAnOpenFile,
        Scenario::LogEndsInMarkers,
        Scenario::KilledBeforeBatchRuns,
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
            Scenario::TablesAtDifferentOffsets => {
                "scenario: both tables at different offsets at restart"
            }
            Scenario::WindowClosedInAnOpenFile => "scenario: a window closed in a file still open",
            Scenario::LogEndsInMarkers => "scenario: a log that ends in markers",
            Scenario::KilledBeforeBatchRuns => {
                "scenario: a kill between the final commit and its batch_runs row"
            }
        }
    }

    /// Plays it.
    pub async fn play(self, director: &mut Director) {
        match self {
            Scenario::TwoNightliesOnADayOfLateEvents => two_nightlies(director).await,
            Scenario::NewPartitionAgainstFinal => new_partition(director).await,
            Scenario::ZombieAfterItsSuccessorLoaded => zombie(director).await,
            Scenario::TablesAtDifferentOffsets => different_offsets(director).await,
            Scenario::WindowClosedInAnOpenFile => closed_window(director).await,
            Scenario::LogEndsInMarkers => director.ends_in_markers = true,
            Scenario::KilledBeforeBatchRuns => killed_before_batch_runs(director).await,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Noon of the day that many days ago.
fn noon_before(director: &Director, days: i32) -> i64 {
    let zone = &director.world.settings.pipeline.timezone;
    let calendar = Calendar::new(zone).expect("plans name good zones");
    let today = calendar.span_at(EventTime::from_micros(director.world.clock.now_us())).day;
    calendar.span(today.plus(-days)).start.micros() + 12 * HOUR_US
}

async fn two_nightlies(director: &mut Director) {
    let partition = director.any_partition();
    // The watermark is of today before anything of that day comes.
    let now_us = director.world.clock.now_us();
    director.producer.events_at(partition, now_us, MINUTE_US, 2);
    let noon_us = noon_before(director, 4);
    director.producer.events_at(partition, noon_us, 3 * HOUR_US, 12);
    director.settle(Duration::from_secs(10)).await;
    director.nightly(Fortune::default(), Duration::from_secs(20));
    sleep(Duration::from_millis(director.below(400))).await;
    director.nightly(Fortune::default(), Duration::from_secs(20));
    director.settle(Duration::from_secs(4)).await;
}

async fn new_partition(director: &mut Director) {
    let noon_us = noon_before(director, 2);
    let old = director.any_partition();
    director.producer.events_at(old, noon_us, HOUR_US, 6);
    director.settle(Duration::from_secs(8)).await;
    let partition = director.world.broker.add_partition();
    director.nightly(Fortune::default(), Duration::from_secs(20));
    // The first event of a partition is never late, however old it is.
    for _ in 0..6 {
        let wait = Duration::from_millis(director.below(700));
        director.settle(wait).await;
        director.producer.events_at(partition, noon_us, HOUR_US, 1);
    }
    director.settle(Duration::from_secs(6)).await;
    director.nightly(Fortune::default(), Duration::from_secs(20));
}

async fn zombie(director: &mut Director) {
    director.fill_slots();
    director.producer.burst(25);
    director.settle(Duration::from_millis(1_200)).await;
    let Some(name) = director.freeze_an_owner() else { return };
    director.producer.burst(15);
    // Long enough for its expulsion, and for others to take its partitions and commit.
    for _ in 0..80 {
        director.settle(Duration::from_millis(500)).await;
        let owners = director.world.broker.owners();
        let is_out = owners.iter().all(|(owner, _)| *owner != name);
        if is_out && owners.iter().any(|(_, partitions)| !partitions.is_empty()) {
            break;
        }
    }
    director.producer.burst(10);
    let wait = Duration::from_millis(director.below(4_000));
    director.settle(wait).await;
    director.thaw(&name);
    director.settle(Duration::from_secs(3)).await;
}

async fn different_offsets(director: &mut Director) {
    // Dies once it has committed to one of the tables and not to the other.
    let path = ["events/_delta_log/", "avg_speed/_delta_log/"]
        [usize::try_from(director.below(2)).unwrap_or(0)];
    let death = Death::Put { path, nth: 1, after_effect: true };
    director.doom_all(death);
    director.producer.burst(20);
    director.settle(Duration::from_secs(12)).await;
}

async fn closed_window(director: &mut Director) {
    let settings = &director.world.settings;
    let lateness_us = i64::try_from(settings.speed.allowed_lateness.as_micros()).unwrap_or(0);
    // The first 5 minutes of an hour are closed by a watermark within that hour, shifted by the lateness.
    let now_us = director.world.clock.now_us();
    let hour_us = (now_us - lateness_us).div_euclid(HOUR_US) * HOUR_US - HOUR_US;
    let partition = director.world.broker.add_partition();
    let window_us = hour_us + 2 * MINUTE_US;
    director.producer.events_at(partition, window_us, MINUTE_US, 4);
    director.settle(Duration::from_secs(6)).await;
    director.producer.events_at(partition, hour_us + lateness_us + 20 * MINUTE_US, MINUTE_US, 2);
    director.settle(Duration::from_secs(6)).await;
    director.kill_all();
    director.settle(Duration::from_secs(2)).await;
    // Of these the first are late, and the others belong to the same file.
    director.producer.events_at(partition, window_us, MINUTE_US, 3);
    director.producer.events_at(partition, hour_us + 40 * MINUTE_US, 10 * MINUTE_US, 4);
    director.settle(Duration::from_secs(8)).await;
}

async fn killed_before_batch_runs(director: &mut Director) {
    let noon_us = noon_before(director, 2);
    let partition = director.any_partition();
    director.producer.events_at(partition, noon_us, 3 * HOUR_US, 10);
    director.settle(Duration::from_secs(8)).await;
    let path = "avg_speed/_delta_log/";
    let death = Some(Death::Put { path, nth: 1, after_effect: true });
    director.nightly(Fortune { death, skew_us: 0 }, Duration::from_secs(20));
    director.settle(Duration::from_secs(8)).await;
    // Both find the row missing.
    director.nightly(Fortune::default(), Duration::from_secs(20));
    director.nightly(Fortune::default(), Duration::from_secs(20));
    director.settle(Duration::from_secs(4)).await;
}
