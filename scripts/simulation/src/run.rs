//! One seed from beginning to end: the disturbed part, then, without faults, what must come of it.
//!
//! In the end one instance drains the topic, every day is closed and made final, and the audit must be clean;
//! running everything once more must change nothing; and the checker, which shares no code with the product,
//! goes through every version of every table. All of it must be done within a bound of simulated time.

use std::sync::Arc;
use std::time::Duration;

use lake_model::{Calendar, Timestamp};
use rand::RngExt;
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::chance;
use crate::clock::Clock;
use crate::director::{Director, MAX_SKEW_US};
use crate::plan::Plan;
use crate::play::play;
use crate::producer::HOUR_US;
use crate::trace::{Record, Trace};
use crate::truth::{AcceptedCut, History, ObjectVersion, Truth, WatermarkReset};
use crate::world::{AGAIN, Fortune, Running, World};

/// How long anything may take once nothing goes wrong any more, in the runtime's time.
const CALM_LIMIT: Duration = Duration::from_secs(120);

/// What came of a seed.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What happened.
    pub record: Record,
    /// What really was produced.
    pub truth: Truth,
    /// Every object that ever was.
    pub history: History,
}

/// Runs `seed`, and keeps the lines of its trace if they are wanted.
///
/// # Errors
/// The runtime can't be built.
pub fn run(seed: u64, keep_lines: bool) -> std::io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .max_blocking_threads(4)
        .build()?;
    let local = LocalSet::new();
    let outcome = local.block_on(&runtime, whole_run(seed, keep_lines));
    drop(local);
    Ok(outcome)
}

async fn whole_run(seed: u64, keep_lines: bool) -> Outcome {
    let plan = Plan::of(seed);
    let clock = Clock::starting_at(plan.begins_us, plan.rate);
    let trace = Trace::new(&clock, keep_lines);
    let world = World::new(seed, &plan, clock, trace);
    let broker = Arc::clone(&world.broker);
    let group = tokio::task::spawn_local(async move { broker.run().await });
    let mut director = Director::new(&world, plan.instances, plan.hazards);
    play_steps(&plan, &mut director).await;
    director.finish(CALM_LIMIT).await;
    conclude(&world).await;
    group.abort();
    let (partitions, nightly_questions) = world.broker.truth();
    let history = world.store.history();
    Outcome {
        seed,
        record: world.trace.finish(),
        truth: Truth {
            settings: world.true_settings(),
            partitions,
            nightly_questions,
            watermark_resets: watermark_resets(&history),
            accepted_cuts: accepted_cuts(&history),
            accepts_loss_since_us: world.accepts_loss_since_us(),
            max_clock_skew_us: MAX_SKEW_US,
            ended_at_us: world.clock.now_us(),
        },
        history,
    }
}

/// Plays the steps of `plan`, and its scenarios after their steps.
async fn play_steps(plan: &Plan, director: &mut Director) {
    for step in 0..plan.steps {
        director.step().await;
        for (_, scenario) in plan.scenarios.iter().filter(|(at, _)| *at == step) {
            director.world.trace.count(scenario.name());
            director.world.trace.say(scenario.name());
            play(*scenario, director).await;
        }
    }
}

/// The resets that are on record. From which offset on each counts is up to the moment at which it is put in force,
/// so that the record is what tells.
fn watermark_resets(history: &History) -> Vec<WatermarkReset> {
    let reset = |(_, info): (_, serde_json::Value)| {
        let said = &info["watermarkReset"];
        Some(WatermarkReset {
            partition: i32::try_from(said["kafkaPartition"].as_i64()?).ok()?,
            from_offset: said["offset"].as_i64()?,
            to_us: Timestamp::parse(said["to"].as_str()?)?.micros(),
        })
    };
    commit_infos(history).filter_map(reset).collect()
}

/// The cuts of logs that are on record as accepted: at which offset consuming went on is up to the moment, too.
fn accepted_cuts(history: &History) -> Vec<AcceptedCut> {
    let cut = |(entry, info): (&ObjectVersion, serde_json::Value)| {
        let said = &info["acceptedTruncation"];
        Some(AcceptedCut {
            partition: i32::try_from(said["kafkaPartition"].as_i64()?).ok()?,
            position: said["position"].as_i64()?,
            covered_to: said["coveredTo"].as_i64()?,
            sequence: entry.sequence,
            at_us: entry.put_at_us,
        })
    };
    commit_infos(history).filter_map(cut).collect()
}

/// The entries of the log of `events`, with what each says of itself.
fn commit_infos(
    history: &History,
) -> impl Iterator<Item = (&ObjectVersion, serde_json::Value)> + '_ {
    let entries = history
        .objects
        .iter()
        .filter(|(path, _)| path.starts_with("events/_delta_log/") && path.ends_with(".json"));
    entries.filter_map(|(_, versions)| {
        let entry = versions.first()?;
        let line = entry.bytes.split(|byte| *byte == b'\n').next()?;
        let mut action: serde_json::Value = serde_json::from_slice(line).ok()?;
        Some((entry, action.get_mut("commitInfo")?.take()))
    })
}

/// Drains, closes and audits what the run has left.
async fn conclude(world: &Arc<World>) {
    let calm = Fortune::default();
    world.accept_loss();
    let ends = world.broker.ends();
    step_ends_back(world);
    must(world, "the drain", world.speed_layer("drain".to_owned(), calm, Some(ends.clone()))).await;
    world.broker.catch_up();
    close_every_day(world);
    for again in ["", AGAIN] {
        let before = commits(world);
        let wait = Duration::from_secs(5);
        let nightly = world.nightly(format!("last-nightly{again}"), calm, wait);
        must(world, "the last nightly run", nightly).await;
        let ends = Some(ends.clone());
        let drain = world.speed_layer(format!("last-drain{again}"), calm, ends);
        must(world, "the last drain", drain).await;
        if !again.is_empty() && commits(world) != before {
            world.trace.problem("running everything again made commits".to_owned());
        }
    }
    must(world, "the audit", world.audit("audit".to_owned())).await;
}

/// A broker answers from now on that has less than the one that was asked for the ends, for a while.
fn step_ends_back(world: &World) {
    let mut chance = chance::stream(world.seed, "conclusion");
    for partition in world.broker.partitions() {
        if chance.random_bool(0.5) {
            let length = Duration::from_millis(chance.random_range(500..8_000));
            world.broker.step_back(partition, chance.random_range(1..12), length);
        }
    }
}

async fn must(world: &World, what: &str, running: Running) {
    let process = Arc::clone(&running.process);
    match timeout(CALM_LIMIT, running.ended()).await {
        Ok(true) => {}
        Ok(false) => world.trace.problem(format!("{what} failed, without any fault")),
        Err(_) => {
            process.kill();
            world
                .trace
                .problem(format!("{what} took longer than {CALM_LIMIT:?}, without any fault"));
        }
    }
}

/// Moves the clock on until every day that may hold events with a timestamp is closed.
fn close_every_day(world: &World) {
    let zone = &world.settings.pipeline.timezone;
    let calendar = Calendar::new(zone).expect("plans name good zones");
    let now_us = world.clock.now_us();
    // No event with a timestamp is further ahead than the setting lets pass, nor is any clock. Other rules of the zone are
    // an hour apart.
    let today = calendar.span_at(Timestamp::from_micros(now_us + 2 * HOUR_US));
    let close_after_us = i64::try_from(world.settings.batch.close_after.as_micros()).unwrap_or(0);
    world.clock.skip(today.end.micros() + close_after_us + 2 * HOUR_US - now_us);
}

/// Entries of all logs.
fn commits(world: &World) -> usize {
    let history = world.store.history();
    history
        .objects
        .keys()
        .filter(|path| path.contains("/_delta_log/") && path.ends_with(".json"))
        .count()
}
