//! `bench-stages`: takes a topic through the speed layer's stages, each by itself, and prints what they took as a line of
//! JSON.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use bench_stages::costs::seconds;
use bench_stages::cpu::processor_time;
use bench_stages::replay::held::held;
use bench_stages::replay::{Replay, Replayed};
use bench_stages::{input, reading};
use clap::Parser;
use lake_config::Settings;
use lake_delta::Lake;
use lake_model::exit_code::EXTERNAL_FAILURE;
use lake_runtime::startup::{self, RunOutcome};
use lake_runtime::{RandomIds, SystemClock, telemetry};

/// As the speed layer has it: how allocations are made is a part of what every stage takes.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Takes the topic that the settings name through the speed layer's stages, each by itself, into a new lake.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// The settings file [default: ./lakehouse.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Records from one commit of averages to the next
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    average_every: u64,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let work = async |settings| run(&settings, cli.average_every).await;
    startup::run(cli.config.as_deref(), &[], work, |_: &anyhow::Error| EXTERNAL_FAILURE)
}

#[expect(clippy::print_stdout, reason = "the line is the program's output")]
async fn run(settings: &Settings, average_every: u64) -> anyhow::Result<RunOutcome> {
    // Metrics are recorded on the way, as the speed layer does it.
    telemetry::install_metrics("bench-stages", "bench");
    let reading = reading::read(settings).await?;
    let kafka = settings.kafka.clone();
    let input = tokio::task::spawn_blocking(move || input::read(&kafka)).await;
    let input = input.context("read the topic again")??;
    let lake = Lake::open(&settings.lake, Arc::new(SystemClock), Arc::new(RandomIds))?;
    let replay = Replay::new(lake.clone(), settings, Box::new(processor_time)).await?;
    let replayed = replay.run(&input, &reading.batches, average_every).await?;
    let held = held(&lake).await?;
    if let Err(problem) = replayed.check(&held) {
        tracing::error!("{problem}");
        return Ok(RunOutcome::CheckFailed);
    }
    let Replayed { spent, tally } = replayed;
    println!(
        "{}",
        serde_json::json!({
            "records": tally.records, "payload_bytes": tally.bytes, "batches": reading.batches.len(),
            "events": held.events, "late": tally.late, "dead_letters": held.dead_letters,
            "seconds": seconds(reading.spent, &spent),
        })
    );
    Ok(RunOutcome::Done)
}
