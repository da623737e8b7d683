//! `speed-layer run`: settings in, components built and handed to the engine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use lake::{Lake, LakeError, Settings, SystemAmbient, settings, telemetry};
use lake_model::EventTime;
use speed_layer::decode::DecodeSettings;
use speed_layer::kafka::{KafkaSource, SourceError, end_offsets};
use speed_layer::reset::{Reset, reset_watermark};
use speed_layer::tables::Tables;
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
  speed-layer reset-watermark --partition 3    after a camera's clock ran ahead
  LAKEHOUSE__KAFKA__BROKERS=k1:9092,k2:9092 speed-layer run

Exit codes: 0 done, 2 usage or configuration, 3 a fault outside (Kafka, the object store).";

#[derive(Subcommand)]
enum Command {
    /// Consume, land and aggregate until stopped
    #[command(after_help = EXAMPLES)]
    Run(RunArgs),
    /// Set a partition's watermark back, for a clock gone mad
    ///
    /// Stop the speed layer first: an instance that runs goes on with the watermark in its memory.
    ResetWatermark(ResetArgs),
}

#[derive(Args)]
struct ResetArgs {
    /// The settings file; ./lakehouse.toml where it exists
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The Kafka partition
    #[arg(long, value_name = "P")]
    partition: i32,
    /// The greatest event time from now on, RFC 3339; now where it is not given
    #[arg(long, value_name = "TIME", value_parser = event_time)]
    to: Option<EventTime>,
}

fn event_time(text: &str) -> Result<EventTime, String> {
    let expected = || "expected an RFC 3339 time such as 2025-04-05T10:15:30Z".to_owned();
    EventTime::parse_event(text).ok_or_else(expected)
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
    let command = Cli::parse().command;
    telemetry::init_logging();
    let config = match &command {
        Command::Run(args) => args.config.as_deref(),
        Command::ResetWatermark(args) => args.config.as_deref(),
    };
    let settings = match Settings::load(config, settings::environment(), &[]) {
        Ok(settings) => settings,
        Err(error) => return fail(USAGE_ERROR, &error),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(OUTSIDE_FAULT, &error),
    };
    let result = match &command {
        Command::Run(args) => runtime.block_on(run(&settings, args.until_end)),
        Command::ResetWatermark(args) => runtime.block_on(reset(&settings, args)),
    };
    match result {
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
    let source = matches!(error.downcast_ref::<SourceError>(), Some(SourceError::Setting { .. }));
    if lake || engine || source { USAGE_ERROR } else { OUTSIDE_FAULT }
}

async fn run(settings: &Settings, until_end: bool) -> anyhow::Result<()> {
    let recorder = telemetry::install_metrics();
    if let Some(listen) = settings.speed.metrics_listen {
        tokio::spawn(telemetry::serve_metrics(listen, recorder));
    }
    let mut stop = pin!(stop_signal()?);
    let (tables, ends) = tokio::select! {
        biased;
        () = &mut stop => return Ok(()),
        opened = open(settings, until_end) => opened?,
    };
    // The group is joined last: from here on the engine sees to it that it is left in good order.
    let source = KafkaSource::start(settings, decode_settings(settings))?;
    let engine = Engine::new(source, tables, settings)?;
    let engine = match ends {
        Some(ends) => engine.until(ends),
        None => engine,
    };
    engine.run(stop).await?;
    tracing::info!("everything is committed");
    Ok(())
}

/// Opens the tables and, where the run is to end there, asks for the ends of the topic.
async fn open(
    settings: &Settings,
    until_end: bool,
) -> anyhow::Result<(Tables, Option<BTreeMap<i32, i64>>)> {
    let lake = Lake::open(&settings.lake, Arc::new(SystemAmbient))?;
    let tables = Tables::open(&lake, settings).await?;
    if !until_end {
        return Ok((tables, None));
    }
    let settings = settings.clone();
    let asked = tokio::task::spawn_blocking(move || end_offsets(&settings)).await;
    Ok((tables, Some(asked.context("ask for the ends of the topic")??)))
}

async fn reset(settings: &Settings, args: &ResetArgs) -> anyhow::Result<()> {
    let lake = Lake::open(&settings.lake, Arc::new(SystemAmbient))?;
    let to = args.to.unwrap_or_else(|| lake.ambient().now());
    match reset_watermark(&lake, settings, args.partition, to).await? {
        Some(Reset { before, after }) => {
            tracing::info!(partition = args.partition, %before, %after, "watermark reset");
        }
        None => tracing::warn!(partition = args.partition, "the partition has no watermark yet"),
    }
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
