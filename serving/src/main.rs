//! `serving`: parses the command line, loads the settings, and serves until told to stop.

use std::process::ExitCode;

use clap::Parser;
use lake::settings::{SettingsError, environment};
use lake::{Settings, telemetry};
use serving::{Cli, Command, ServingError, run};
use tokio::signal::unix::{Signal, SignalKind, signal};

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
    // Our errors name their causes themselves.
    tracing::error!("{error}");
    ExitCode::from(exit_code(&error))
}

fn serve(cli: &Cli) -> anyhow::Result<()> {
    let settings = Settings::load(cli.config.as_deref(), environment(), &[])?;
    let runtime = tokio::runtime::Runtime::new().map_err(refused("start the program's threads"))?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (listen_for(SignalKind::interrupt())?, listen_for(SignalKind::terminate())?);
        let stopped = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        Ok(run(&settings, stopped).await?)
    })
}

fn listen_for(kind: SignalKind) -> Result<Signal, ServingError> {
    signal(kind).map_err(refused("listen for SIGTERM and SIGINT"))
}

fn refused(action: &'static str) -> impl FnOnce(std::io::Error) -> ServingError {
    move |source| ServingError::System { action, source }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<SettingsError>() {
        return USAGE;
    }
    error.downcast_ref::<ServingError>().map_or(OUTSIDE_FAULT, ServingError::exit_code)
}
