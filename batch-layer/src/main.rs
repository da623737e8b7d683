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
use lake::{Lake, LakeError, Settings, SystemAmbient, settings, telemetry};
use tokio::signal::unix::{SignalKind, signal};

use self::cli::{Cli, Command};

const CHECK_FAILED: u8 = 1;
const USAGE_ERROR: u8 = 2;
const OUTSIDE_FAULT: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::init_logging();
    let config = cli.command.config();
    let settings = match Settings::load(config, settings::environment(), &[]) {
        Ok(settings) => settings,
        Err(error) => return fail(USAGE_ERROR, &error),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(OUTSIDE_FAULT, &error),
    };
    match runtime.block_on(run(&cli.command, settings)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(CHECK_FAILED),
        Err(error) => fail(exit_code(&error), &format!("{error:#}")),
    }
}

#[expect(clippy::print_stderr, reason = "the last word goes to the person at the terminal")]
fn fail(code: u8, error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(code)
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(error) = error.downcast_ref::<BatchError>() {
        return error.exit_code();
    }
    match error.downcast_ref::<LakeError>() {
        Some(LakeError::Configuration(_)) => USAGE_ERROR,
        _ => OUTSIDE_FAULT,
    }
}

/// Carries out the command; returns whether everything was in order.
async fn run(command: &Command, settings: Settings) -> anyhow::Result<bool> {
    let recorder = telemetry::install_metrics();
    let lake = Lake::open(&settings.lake, Arc::new(SystemAmbient))?;
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

fn stop_signal() -> anyhow::Result<Shutdown> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    Ok(Shutdown::on(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    }))
}
