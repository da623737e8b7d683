//! What a seed stands for: settings, the shape of the topic and of the group, how much of what goes wrong, and
//! the scenarios that are always part of it.

use std::time::Duration;

use lake_config::OnDataLoss;
use lake_config::Settings;
use lake_model::Timestamp;
use rand::RngExt;
use rand::rngs::SmallRng;

use crate::chance;
use crate::director::Hazards;
use crate::faults::Profile;
use crate::group::{GroupSettings, Protocol};
use crate::scenario::Scenario;

/// Where runs begin: around changes of the clock in Europe and America, and on a plain day. They lie ahead of
/// the machine's clock, by which the Delta library drops expired records of removed files from checkpoints.
const BEGINNINGS: [&str; 4] = [
    "2040-03-24T05:00:00Z",
    "2040-10-27T03:00:00Z",
    "2040-11-03T09:00:00Z",
    "2040-06-10T18:00:00Z",
];
/// Zones, each with one whose clocks it gets by a later release of the time-zone database.
const ZONES: [(&str, &str); 4] = [
    ("UTC", "Africa/Lagos"),
    ("Europe/Berlin", "Europe/Athens"),
    ("America/New_York", "America/Chicago"),
    ("Asia/Kolkata", "Asia/Karachi"),
];

/// What a second release of the product does otherwise, which some processes are of.
#[derive(Clone, Copy, Debug, Default)]
pub struct SecondRelease {
    /// The greatest speed that is accepted.
    pub max_speed_kmh: Option<f64>,
    /// The zone whose clocks the pipeline's zone has by a later time-zone database.
    pub zone: Option<&'static str>,
}

/// What a seed stands for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The settings of every process.
    pub settings: Settings,
    /// The second release.
    pub second_release: SecondRelease,
    /// The wall time at the beginning.
    pub begins_us: i64,
    /// How fast the wall clock runs.
    pub rate: i64,
    /// Steps of a few seconds each.
    pub steps: usize,
    /// The first offset of each partition at the beginning.
    pub firsts: Vec<i64>,
    /// Instances of the speed layer.
    pub instances: usize,
    /// The group.
    pub group: GroupSettings,
    /// The store's faults.
    pub profile: Profile,
    /// What goes wrong with processes and with the topic.
    pub hazards: Hazards,
    /// Scenarios that are part of the run, with the step that each is played at.
    pub scenarios: Vec<(usize, Scenario)>,
}

impl Plan {
    /// The plan of `seed`.
    pub fn of(seed: u64) -> Plan {
        let mut chance = chance::stream(seed, "plan");
        let steps = chance.random_range(45..75);
        // Every seed has one scenario, in turn, and some have a second.
        let first = Scenario::of(seed);
        let second = Scenario::of(chance.random_range(0..1_000));
        let mut scenarios = vec![(chance.random_range(12..steps - 8), first)];
        if chance.random_bool(0.3) && second != first {
            scenarios.push((chance.random_range(12..steps - 8), second));
        }
        let mut settings = settings(&mut chance);
        suit(&mut settings, first);
        let second_release = second_release(&mut chance, &settings);
        let protocol =
            if chance.random_bool(0.5) { Protocol::Eager } else { Protocol::Cooperative };
        Plan {
            settings,
            second_release,
            begins_us: beginning(&mut chance),
            // Changes of the zone's rules are announced days ahead.
            rate: chance.random_range(900..1_600)
                * if second_release.zone.is_some() { 2 } else { 1 },
            steps,
            firsts: firsts(&mut chance),
            instances: chance.random_range(1..=3),
            group: GroupSettings {
                protocol,
                session_timeout_ms: chance.random_range(1_000..4_000),
                rebalance_timeout_ms: chance.random_range(5_000..15_000),
            },
            profile: Profile::of(seed),
            hazards: Hazards {
                violence: [0, 10, 25, 45][chance.random_range(0..4)],
                unclean_elections: [0, 0, 0, 6][chance.random_range(0..4)],
            },
            scenarios,
        }
    }
}

/// Changes what a scenario could not be played with.
fn suit(settings: &mut Settings, scenario: Scenario) {
    match scenario {
        // Averages are to be ahead of landed rows.
        Scenario::NewPartitionAgainstFinal => {
            settings.speed.commit_interval = Duration::from_millis(600);
            settings.speed.landing_interval = Duration::from_secs(6);
        }
        // Log entries are to be cleaned away soon.
        Scenario::SeldomWriter => {
            settings.speed.landing_interval = Duration::from_secs(1);
            settings.lake.log_retention = Duration::from_secs(6 * 3600);
            settings.lake.checkpoint_interval = 3;
        }
        _ => {}
    }
}

fn settings(chance: &mut SmallRng) -> Settings {
    let seconds = |chance: &mut SmallRng, least: u64, most: u64| {
        Duration::from_millis(chance.random_range(least * 1_000..=most * 1_000))
    };
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let mut settings = Settings::default();
    settings.pipeline.timezone = ZONES[chance.random_range(0..ZONES.len())].0.to_owned();
    settings.speed.commit_interval = seconds(chance, 1, 5);
    settings.speed.landing_interval = seconds(chance, 1, 8);
    settings.speed.position_interval = seconds(chance, 5, 15);
    settings.batch.landing_poll_interval = seconds(chance, 1, 2);
    settings.batch.max_rows_in_memory = [25, 1_000_000][chance.random_range(0..2)];
    settings.lake.retry_timeout = seconds(chance, 1, 6);
    settings.lake.checkpoint_interval = chance.random_range(8..40);
    settings.lake.deleted_file_retention = hours([1, 3, 6][chance.random_range(0..3)]);
    settings.lake.log_retention = hours([6, 24, 48][chance.random_range(0..3)]);
    settings.maintain.orphan_retention = hours([6, 24][chance.random_range(0..2)]);
    settings.maintain.event_retention = chance.random_bool(0.3).then(|| hours(24));
    if chance.random_bool(0.08) {
        settings.kafka.on_data_loss = OnDataLoss::Accept;
    }
    if chance.random_bool(0.5) {
        settings.speed_limits.default_kmh = Some(60.0);
        settings.speed_limits.cameras.insert("KV2".to_owned(), 90.0);
    }
    settings
}

fn second_release(chance: &mut SmallRng, settings: &Settings) -> SecondRelease {
    let zone = ZONES.iter().find(|(zone, _)| *zone == settings.pipeline.timezone);
    SecondRelease {
        max_speed_kmh: chance.random_bool(0.25).then_some(399.0),
        zone: zone.filter(|_| chance.random_bool(0.25)).map(|(_, other)| *other),
    }
}

fn beginning(chance: &mut SmallRng) -> i64 {
    let text = BEGINNINGS[chance.random_range(0..BEGINNINGS.len())];
    Timestamp::parse(text).expect("the beginnings are good times").micros()
}

fn firsts(chance: &mut SmallRng) -> Vec<i64> {
    let count = chance.random_range(1..=3);
    (0..count).map(|_| if chance.random_bool(0.2) { 17 } else { 0 }).collect()
}
