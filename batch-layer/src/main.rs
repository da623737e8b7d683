//! `batch-layer`: the command line, settings and signals; the work is in the library.

mod cli;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use batch_layer::kafka_ends::KafkaEnds;
use batch_layer::nightly::NightlyOptions;
use batch_layer::{BatchError, Context, Shutdown, audit, maintain, nightly, verify};
use clap::Parser;
use lake::startup::{self, Ending, OUTSIDE_FAULT};
use lake::{Lake, Settings, SystemAmbient, telemetry};

use self::cli::{Cli, Command};

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let work = async |settings| Ok(ending(run(&command, settings).await?));
    startup::run(command.config(), &[], work, exit_code)
}

fn ending(in_order: bool) -> Ending {
    if in_order { Ending::Done } else { Ending::CheckFailed }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    error.downcast_ref::<BatchError>().map_or(OUTSIDE_FAULT, BatchError::exit_code)
}

/// Carries out the command; returns whether everything was in order.
async fn run(command: &Command, settings: Settings) -> anyhow::Result<bool> {
    let recorder = telemetry::install_metrics();
    let lake = Lake::open(&settings.lake, Arc::new(SystemAmbient)).map_err(BatchError::from)?;
    let ends = KafkaEnds::new(&settings);
    let metrics_file = settings.batch.metrics_file.clone();
    let context = Context::new(settings, lake)?;
    match command {
        Command::Nightly(args) => {
            let options = NightlyOptions {
                days: args.days()?,
                dry_run: args.dry_run,
                force: args.force,
                wait: args.wait,
            };
            let done = nightly::run(&context, &ends, &options, &stop_signal()?).await;
            let written = match metrics_file {
                Some(path) => telemetry::write_textfile(&recorder, &path).await,
                None => Ok(()),
            };
            let report = done?;
            say(&report)?;
            written?;
            Ok(report.is_complete())
        }
        Command::Audit(args) => {
            let report = audit::run(&context).await?;
            if args.json {
                say(&report.json())?;
            } else {
                say(&report)?;
            }
            Ok(report.is_ok())
        }
        Command::Verify(args) => {
            let report = verify::run(&context, args.date).await?;
            say(&report)?;
            Ok(report.is_ok())
        }
        Command::Maintain(args) => {
            let stop = stop_signal()?;
            say(&maintain::run(&context, &ends, args.dry_run, &stop).await?)?;
            Ok(true)
        }
    }
}

fn say(report: &dyn std::fmt::Display) -> anyhow::Result<()> {
    let text = report.to_string();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.trim_end()).context("write the report to standard output")
}

fn stop_signal() -> std::io::Result<Shutdown> {
    Ok(Shutdown::on(startup::stop_signal()?))
}
