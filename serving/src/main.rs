//! `serving`: parses the command line and serves until stopped by a signal.

use std::process::ExitCode;

use clap::Parser;
use lake_config::Settings;
use lake_runtime::startup::{self, RunOutcome};
use serving::{Cli, Command, ServingError, run};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Run => startup::run(cli.config.as_deref(), &[], serve, ServingError::exit_code),
    }
}

async fn serve(settings: Settings) -> Result<RunOutcome, ServingError> {
    let action = "listen for signals";
    let stop = startup::stop_signal().map_err(|source| ServingError::System { action, source })?;
    run(&settings, stop).await?;
    Ok(RunOutcome::Done)
}
