//! `serving`: parses the command line, loads the settings, and serves until told to stop.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use lake::settings::{SettingsError, environment};
use lake::{Settings, telemetry};
use serving::{Cli, Command, ServingError, run};
use tokio::signal::unix::{SignalKind, signal};

/// The exit code of usage and configuration errors.
const USAGE: u8 = 2;
/// The exit code of outside faults.
const OUTSIDE_FAULT: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::init_logging();
    let done = match cli.command {
        Command::Run => serve(&cli),
    };
    let Err(error) = done else { return ExitCode::SUCCESS };
    tracing::error!("{error:#}");
    ExitCode::from(exit_code(&error))
}

fn serve(cli: &Cli) -> anyhow::Result<()> {
    let settings = Settings::load(cli.config.as_deref(), environment(), &[])?;
    let runtime = tokio::runtime::Runtime::new().context("start the threads of the program")?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let stopped = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        Ok(run(&settings, stopped).await?)
    })
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<SettingsError>() {
        return USAGE;
    }
    error.downcast_ref::<ServingError>().map_or(OUTSIDE_FAULT, ServingError::exit_code)
}
