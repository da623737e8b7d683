//! `speed-layer run`: settings in, components built and handed to the engine.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use lake::{Lake, LakeError, Settings, SystemAmbient, settings, telemetry};
use speed_layer::decode::DecodeSettings;
use speed_layer::kafka::{KafkaSource, end_offsets};
use speed_layer::{Engine, EngineError};
use tokio::signal::unix::{SignalKind, signal};

const USAGE_ERROR: u8 = 2;
const OUTSIDE_FAULT: u8 = 3;

/// Consumes camera events from Kafka, lands each exactly once and keeps provisional averages.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  speed-layer run                              with ./lakehouse.toml, or defaults
  speed-layer run --config prod.toml           until SIGTERM, which commits what is held
  speed-layer run --until-end                  catch up, then stop
  LAKEHOUSE__KAFKA__BROKERS=k1:9092,k2:9092 speed-layer run

Exit codes: 0 done, 2 usage or configuration, 3 a fault outside (Kafka, the object store).";

#[derive(Subcommand)]
enum Command {
    /// Consume, land and aggregate until stopped
    #[command(after_help = EXAMPLES)]
    Run(RunArgs),
}

#[derive(Args)]
struct RunArgs {
    /// The settings file; ./lakehouse.toml where it exists
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Stop at the end offsets that the topic has at the start
    #[arg(long)]
    until_end: bool,
}

fn main() -> ExitCode {
    let Command::Run(args) = Cli::parse().command;
    telemetry::init_logging();
    let settings = match Settings::load(args.config.as_deref(), settings::environment(), &[]) {
        Ok(settings) => settings,
        Err(error) => return fail(USAGE_ERROR, &error),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(OUTSIDE_FAULT, &error),
    };
    match runtime.block_on(run(&settings, args.until_end)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(exit_code(&error), &format!("{error:#}")),
    }
}

#[expect(clippy::print_stderr, reason = "the last word goes to the person at the terminal")]
fn fail(code: u8, error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(code)
}

fn exit_code(error: &anyhow::Error) -> u8 {
    let is_configuration = |error: &LakeError| matches!(error, LakeError::Configuration(_));
    let lake = error.downcast_ref::<LakeError>().is_some_and(is_configuration);
    let engine = matches!(
        error.downcast_ref::<EngineError>(),
        Some(EngineError::Lake(error)) if is_configuration(error)
    );
    if lake || engine { USAGE_ERROR } else { OUTSIDE_FAULT }
}

async fn run(settings: &Settings, until_end: bool) -> anyhow::Result<()> {
    let recorder = telemetry::install_metrics();
    if let Some(listen) = settings.speed.metrics_listen {
        tokio::spawn(telemetry::serve_metrics(listen, recorder));
    }
    let lake = Lake::open(&settings.lake, Arc::new(SystemAmbient))?;
    let ends = if until_end {
        let settings = settings.clone();
        let asked = tokio::task::spawn_blocking(move || end_offsets(&settings)).await;
        Some(asked.context("ask for the ends of the topic")??)
    } else {
        None
    };
    let source = KafkaSource::start(settings, decode_settings(settings))?;
    let engine = Engine::open(source, lake, settings).await?;
    let engine = match ends {
        Some(ends) => engine.until(ends),
        None => engine,
    };
    engine.run(stop_signal()?).await?;
    tracing::info!("everything is committed");
    Ok(())
}

fn decode_settings(settings: &Settings) -> DecodeSettings {
    let event = &settings.event;
    DecodeSettings {
        camera_field: event.camera_field.clone(),
        timestamp_field: event.timestamp_field.clone(),
        speed_field: event.speed_field.clone(),
        plate_field: event.plate_field.clone(),
        max_speed_kmh: event.max_speed_kmh,
        max_record_bytes: event.max_record_bytes,
        max_future_skew_us: i64::try_from(event.max_future_skew.as_micros()).unwrap_or(i64::MAX),
    }
}

fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: committing what is held");
    })
}
