//! The command line of `speed-layer`: settings in, components built and handed to the engine, or to a command.

use std::io::Write as _;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::builder::TypedValueParser as _;
use clap::{Args, Parser, Subcommand};
use lake_config::{Kafka, Settings};
use lake_delta::{Lake, LakeError};
use lake_kafka::{ClientError, LogEnds, TopicEnds};
use lake_model::exit_code::EXTERNAL_FAILURE;
use lake_model::{KafkaPartition, Timestamp};
use lake_runtime::startup::{self, RunOutcome};
use lake_runtime::{RandomIds, Readiness, SystemClock, telemetry};
use lake_tables::identity::LakeIdentity;
use lake_tables::txn::WatermarkReset;
use speed_layer::check;
use speed_layer::kafka::{KafkaSource, check_timestamps};
use speed_layer::reset::{ResetOutcome, reset_watermark};
use speed_layer::stop_at::StopAt;
use speed_layer::tables::Tables;
use speed_layer::topic_check::{TopicCheck, wait_for_topic};
use speed_layer::{Engine, EngineError};

/// Rows are allocated by one thread and freed by another, and every few minutes a checkpoint takes tens of MiB for
/// a moment. jemalloc gives back what that leaves behind, by threads of its own; the system's allocator keeps it.
/// librdkafka, which allocates every message in one thread and frees it in another, uses jemalloc too.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long Kafka is waited for at the start before that is reported.
const FIRST_ANSWER: Duration = Duration::from_secs(5);

/// Consumes camera events from Kafka, lands each exactly once and keeps provisional averages.
#[derive(Parser)]
#[command(version, after_help = lake_config::with_settings_help(EXAMPLES))]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  speed-layer check                            what the topic's records would become; lands nothing
  speed-layer run                              with ./lakehouse.toml, or defaults
  speed-layer run --config prod.toml           until SIGTERM, which commits what is held
                                               (for speed.shutdown_timeout at most)
  speed-layer run --until-end                  catch up, then stop
  speed-layer reset-watermark --partition 3    after a camera's clock ran ahead
  speed-layer rename-pipeline --from old-name  the lake goes on under pipeline.name
  LAKEHOUSE__KAFKA__BROKERS=k1:9092,k2:9092 speed-layer run

Exit codes: 0 done, 1 a check failed, 2 usage or configuration, 3 an external failure (Kafka, the object store).";

#[derive(Subcommand)]
enum Command {
    /// Consume, land and aggregate until stopped
    #[command(after_help = lake_config::with_settings_help(EXAMPLES))]
    Run(RunArgs),
    /// Show what the latest records of the topic would become, and propose settings
    ///
    /// Lands nothing, creates nothing, and commits no offset. Exits 1 where more records than speed.max_dead_share would become
    /// dead letters.
    #[command(after_help = lake_config::with_settings_help(EXAMPLES))]
    Check(CheckArgs),
    /// Set a partition's watermark back, after a faulty camera clock
    ///
    /// The speed layer may run: its next commit of the partition finds the reset, and the partition is loaded anew
    /// with it. Set the clock right first, or it carries the watermark away again.
    ResetWatermark(ResetArgs),
    /// Give the pipeline another name: the lake of the pipeline `--from` goes on under pipeline.name
    ///
    /// Stop all programs of the pipeline, set pipeline.name to the new name, rename, and start them again. Where one still
    /// runs under the former name, its next commit is refused. Run it again if it was interrupted.
    #[command(after_help = lake_config::with_settings_help(EXAMPLES))]
    RenamePipeline(RenameArgs),
}

#[derive(Args)]
struct CheckArgs {
    /// The settings file [default: ./lakehouse.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Records to look at
    #[arg(long, value_name = "N", default_value = "100")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    records: u32,
}

#[derive(Args)]
struct RenameArgs {
    /// The settings file, with the new name [default: ./lakehouse.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The name that the pipeline had
    #[arg(long, value_name = "NAME")]
    from: String,
}

#[derive(Args)]
struct ResetArgs {
    /// The settings file [default: ./lakehouse.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The Kafka partition
    #[arg(long, value_name = "P")]
    #[arg(value_parser = clap::value_parser!(i32).range(0..).map(KafkaPartition))]
    partition: KafkaPartition,
    /// The greatest event time to go on with, RFC 3339; now where it is not given
    #[arg(long, value_name = "TIME", value_parser = event_time)]
    to: Option<Timestamp>,
}

fn event_time(text: &str) -> Result<Timestamp, String> {
    let expected = || "expected an RFC 3339 time such as 2025-04-05T10:15:30Z".to_owned();
    Timestamp::parse_event(text).ok_or_else(expected)
}

#[derive(Args)]
struct RunArgs {
    /// The settings file [default: ./lakehouse.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Stop at the end offsets that the topic has at the start
    #[arg(long)]
    until_end: bool,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => {
            let work = async |settings| run(&settings, args.until_end).await;
            startup::run(args.config.as_deref(), &[], work, exit_code)
        }
        Command::Check(args) => {
            let work = async |settings| show_check(&settings, args.records).await;
            startup::run(args.config.as_deref(), &[], work, exit_code)
        }
        Command::ResetWatermark(args) => {
            let work = async |settings| reset(&settings, &args).await;
            startup::run(args.config.as_deref(), &[], work, exit_code)
        }
        Command::RenamePipeline(args) => {
            let work = async |settings| rename(&settings, &args.from).await;
            startup::run(args.config.as_deref(), &[], work, exit_code)
        }
    }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    let lake = match error.downcast_ref::<EngineError>() {
        Some(EngineError::Lake(error)) => Some(error),
        _ => error.downcast_ref::<LakeError>(),
    };
    match error.downcast_ref::<ClientError>() {
        Some(error) => error.exit_code(),
        None => lake.map_or(EXTERNAL_FAILURE, LakeError::exit_code),
    }
}

async fn run(settings: &Settings, until_end: bool) -> anyhow::Result<RunOutcome> {
    let recorder = telemetry::install_metrics("speed-layer", &settings.pipeline.name);
    speed_layer::describe_metrics();
    let readiness = Readiness::default();
    readiness.set("start", Some("Kafka or the lake has not answered yet".to_owned()));
    if let Some(listen) = settings.speed.metrics_listen {
        tokio::spawn(telemetry::serve_metrics(listen, recorder, readiness.clone()));
    }
    let mut stop = pin!(startup::stop_signal()?);
    let topic = TopicEnds::new(&settings.kafka);
    let (tables, identity, stop_at) = tokio::select! {
        biased;
        () = &mut stop => return Ok(RunOutcome::Done),
        opened = open(settings, &topic, until_end) => opened?,
    };
    tokio::spawn(check_timestamps(settings.clone()));
    // The group is joined last: from here on the engine sees to it that it is left in good order.
    let group = identity.consumer_group(&settings.kafka, tables.events.state());
    tracing::info!(group, "joining the consumer group");
    let source = KafkaSource::start(settings, &group)?;
    readiness.set("start", None);
    let engine = Engine::new(source, tables, settings)?.reporting(readiness);
    let engine = engine.checking(TopicCheck::Asking(Arc::new(topic), identity));
    let engine = match stop_at {
        Some(stop_at) => engine.until(stop_at),
        None => engine,
    };
    engine.run(stop).await?;
    tracing::info!("everything is committed");
    Ok(RunOutcome::Done)
}

async fn show_check(settings: &Settings, records: u32) -> anyhow::Result<RunOutcome> {
    let report = check::run(settings, usize::try_from(records)?).await?;
    let mut out = std::io::stdout().lock();
    write!(out, "{report}").context("write the report to standard output")?;
    Ok(if report.is_ok() { RunOutcome::Done } else { RunOutcome::CheckFailed })
}

/// Opens the tables on the topic that Kafka has and, where the run is to end there, its ends.
async fn open(
    settings: &Settings,
    topic: &TopicEnds,
    until_end: bool,
) -> anyhow::Result<(Tables, LakeIdentity, Option<StopAt>)> {
    let lake = Lake::open(&settings.lake, Arc::new(SystemClock), Arc::new(RandomIds))?;
    let identity = LakeIdentity::of(settings);
    // A lake of other settings needs no Kafka to be refused.
    identity.check_lake(&lake).await?;
    let ends = if until_end { Some(topic.ends().await?) } else { None };
    let found = match &ends {
        Some(extent) => extent.identity.clone(),
        None => {
            let asking = Kafka {
                request_timeout: settings.kafka.request_timeout.min(FIRST_ANSWER),
                ..settings.kafka.clone()
            };
            wait_for_topic(&TopicEnds::new(&asking)).await?
        }
    };
    let identity = identity.on(found);
    lake.make_folder()?;
    lake.probe().await?;
    let tables = Tables::open_as(&lake, identity.clone()).await?;
    let Some(extent) = ends else { return Ok((tables, identity, None)) };
    identity.check_partitions(&tables.events, |id| extent.partitions.contains_key(&id))?;
    let mut stop_at = StopAt::from(extent.ends());
    if stop_at.is_exceeded(&tables) {
        stop_at = stop_at.doubting(&tables, &topic.ends().await?.ends());
    }
    Ok((tables, identity, Some(stop_at)))
}

async fn reset(settings: &Settings, args: &ResetArgs) -> anyhow::Result<RunOutcome> {
    let lake = Lake::open(&settings.lake, Arc::new(SystemClock), Arc::new(RandomIds))?;
    let to = args.to.unwrap_or_else(|| lake.now());
    match reset_watermark(&lake, settings, args.partition, to).await? {
        ResetOutcome::Reset(WatermarkReset { partition, offset, from, to, .. }) => {
            let (partition, offset) = (partition.0, offset.0);
            tracing::info!(partition, offset, %from, %to, "watermark reset");
        }
        ResetOutcome::NotAhead(greatest) => tracing::warn!(
            partition = args.partition.0, %greatest, %to,
            "nothing reset: the partition's greatest event time is not after the one asked for"
        ),
        ResetOutcome::NoWatermark => {
            tracing::warn!(partition = args.partition.0, "the partition has no watermark yet");
        }
    }
    Ok(RunOutcome::Done)
}

async fn rename(settings: &Settings, former: &str) -> anyhow::Result<RunOutcome> {
    let lake = Lake::open(&settings.lake, Arc::new(SystemClock), Arc::new(RandomIds))?;
    let renamed = LakeIdentity::of(settings).rename_from(&lake, former).await?;
    let name = &settings.pipeline.name;
    match renamed {
        0 => tracing::info!(name, "nothing renamed: the lake has that name already"),
        tables => tracing::info!(from = former, to = name, tables, "pipeline renamed"),
    }
    Ok(RunOutcome::Done)
}
