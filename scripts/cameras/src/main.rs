//! `camera-simulator`: parses the options and runs until done or told to stop.

use std::process::ExitCode;

use anyhow::Context;
use camera_simulator::{Cli, Shutdown, SimulatorError, run};
use clap::Parser;
use lake::startup::{self, Ending, OUTSIDE_FAULT};
use lake::{Settings, SystemAmbient};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (config, overrides) = (cli.config.clone(), cli.overrides());
    let work = async |settings| simulate(cli, settings).await;
    startup::run(config.as_deref(), &overrides, work, exit_code)
}

/// Runs, on a thread that may block, until all is sent or a signal comes.
async fn simulate(cli: Cli, settings: Settings) -> anyhow::Result<Ending> {
    let shutdown = Shutdown::default();
    let (stop, told) = (startup::stop_signal()?, shutdown.clone());
    tokio::spawn(async move {
        stop.await;
        told.request();
    });
    let run = move || run(&cli, &settings, &SystemAmbient, &shutdown, &mut std::io::stdout());
    let summary = tokio::task::spawn_blocking(run).await.context("run the simulator")??;
    let not_delivered = summary.not_delivered;
    anyhow::ensure!(
        not_delivered == 0,
        "Kafka did not take {not_delivered} records; see the first refusal above"
    );
    Ok(Ending::Done)
}

fn exit_code(error: &anyhow::Error) -> u8 {
    error.downcast_ref::<SimulatorError>().map_or(OUTSIDE_FAULT, SimulatorError::exit_code)
}
