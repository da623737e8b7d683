//! `camera-simulator`: parses the options, loads the settings, and runs until done or told to stop.

use std::process::ExitCode;

use anyhow::Context;
use camera_simulator::{Cli, Shutdown, SimulatorError, run};
use clap::Parser;
use lake::settings::{SettingsError, environment};
use lake::{Settings, SystemAmbient, telemetry};
use tokio::signal::unix::{SignalKind, signal};

/// The exit code of usage and configuration errors.
const USAGE: u8 = 2;
/// The exit code of outside faults.
const OUTSIDE_FAULT: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::init_logging();
    match simulate(&cli) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(not_delivered) => {
            tracing::error!(
                not_delivered,
                "Kafka did not take every record; see the first refusal above"
            );
            ExitCode::from(OUTSIDE_FAULT)
        }
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}

/// Runs and returns the number of records that were not delivered.
fn simulate(cli: &Cli) -> anyhow::Result<u64> {
    let settings = Settings::load(cli.config.as_deref(), environment(), &cli.overrides())?;
    let shutdown = Shutdown::default();
    stop_on_signal(shutdown.clone()).context("listen for signals")?;
    let summary = run(cli, &settings, &SystemAmbient, &shutdown, &mut std::io::stdout())?;
    Ok(summary.not_delivered)
}

/// Requests the stop when SIGINT or SIGTERM comes, from a thread of its own.
fn stop_on_signal(shutdown: Shutdown) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    drop(entered);
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        shutdown.request();
    })?;
    Ok(())
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<SettingsError>() {
        return USAGE;
    }
    error.downcast_ref::<SimulatorError>().map_or(OUTSIDE_FAULT, SimulatorError::exit_code)
}
