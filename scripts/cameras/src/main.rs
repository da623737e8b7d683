//! `camera-simulator`: parses the options and runs until done or stopped by a signal.

use std::process::ExitCode;

use anyhow::Context;
use camera_simulator::{Cli, SimulatorError, run};
use clap::Parser;
use lake_config::Settings;
use lake_model::exit_code::EXTERNAL_FAILURE;
use lake_runtime::startup::{self, RunOutcome};
use lake_runtime::{Shutdown, SystemClock};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (config, overrides) = (cli.config.clone(), cli.overrides());
    let work = async |settings| simulate(cli, settings).await;
    startup::run(config.as_deref(), &overrides, work, exit_code)
}

/// Runs, on a thread that may block, until all is sent or a signal comes.
async fn simulate(cli: Cli, settings: Settings) -> anyhow::Result<RunOutcome> {
    let shutdown = Shutdown::on(startup::stop_signal()?);
    let run = move || run(&cli, &settings, &SystemClock, &shutdown, &mut std::io::stdout());
    let summary = tokio::task::spawn_blocking(run).await.context("run the simulator")??;
    let not_delivered = summary.not_delivered;
    anyhow::ensure!(
        not_delivered == 0,
        "Kafka did not accept {not_delivered} records; see the first refusal above"
    );
    Ok(RunOutcome::Done)
}

fn exit_code(error: &anyhow::Error) -> u8 {
    error.downcast_ref::<SimulatorError>().map_or(EXTERNAL_FAILURE, SimulatorError::exit_code)
}
