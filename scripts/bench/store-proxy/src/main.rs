//! `store-proxy`: parses the command line, prints the addresses, and serves until a signal asks it to stop.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, error::ErrorKind};
use lake_model::exit_code::EXTERNAL_FAILURE;
use lake_runtime::{startup, telemetry};
use store_proxy::{Cli, Opened};

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(name) = cli.repeated_client() {
        let fault = format!("--client {name}: two clients have this name; give each its own");
        Cli::command().error(ErrorKind::ValueValidation, fault).exit();
    }
    telemetry::init_logging();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(EXTERNAL_FAILURE)
        }
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the line is the program's output")]
async fn run(cli: &Cli) -> anyhow::Result<()> {
    let stop = startup::stop_signal()?;
    let opened = Opened::open(cli).await?;
    println!("{}", opened.addresses()?);
    opened.serve(stop).await;
    Ok(())
}
