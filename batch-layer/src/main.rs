//! `batch-layer`: the command line, settings and signals; the work is in the library.

mod cli;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use batch_layer::as_of::AsOfReport;
use batch_layer::audit::{AuditReport, KafkaUse};
use batch_layer::nightly::{NightlyOptions, NightlyReport};
use batch_layer::{
    BatchError, Context, Shutdown, as_of, audit, maintain, nightly, quarantine, reproduce,
};
use clap::Parser;
use lake_config::{Kafka, Settings};
use lake_delta::Lake;
use lake_kafka::TopicEnds;
use lake_model::Day;
use lake_model::exit_code::EXTERNAL_FAILURE;
use lake_runtime::startup::{self, RunOutcome};
use lake_runtime::{RandomIds, SystemClock, telemetry};
use lake_tables::last_runs::Command as Recorded;

use self::cli::{Cli, Command};

/// Rows are allocated and freed by the hundred MiB, on many threads. jemalloc uses memory again that the system's allocator gives
/// back and has to ask for anew.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long an answer of Kafka is waited for that is not needed: an audit goes on without.
const ANSWER_IN_PASSING: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let work = async |settings| Ok(ending(run(&command, settings).await?));
    startup::run(command.config(), &[], work, exit_code)
}

fn ending(in_order: bool) -> RunOutcome {
    if in_order { RunOutcome::Done } else { RunOutcome::CheckFailed }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    error.downcast_ref::<BatchError>().map_or(EXTERNAL_FAILURE, BatchError::exit_code)
}

/// Carries out the command; returns whether everything was in order.
async fn run(command: &Command, settings: Settings) -> anyhow::Result<bool> {
    let pipeline = settings.pipeline.name.clone();
    let recorder = telemetry::install_metrics("batch-layer", &pipeline);
    let lake = Lake::open(&settings.lake, Arc::new(SystemClock), Arc::new(RandomIds))
        .map_err(BatchError::from)?;
    let kafka = settings.kafka.clone();
    let ends = TopicEnds::new(&kafka);
    let metrics_file = settings.batch.metrics_file.clone();
    let context = Context::new(settings, lake)?;
    match command {
        Command::Nightly(args) => {
            let options = NightlyOptions {
                days: args.days(&context)?,
                dry_run: args.dry_run,
                force: args.force,
                wait: args.wait,
            };
            let done = nightly::run(&context, &ends, &options, &stop_signal()?).await;
            let written = match metrics_file {
                Some(path) if !args.dry_run => {
                    telemetry::write_textfile(&recorder, &pipeline, &path).await
                }
                _ => Ok(()),
            };
            let report = done?;
            if options.days.is_unbounded() && !args.dry_run {
                context.record_run(Recorded::Nightly, report.is_complete()).await;
            }
            print_as(args.json, &report, NightlyReport::json)?;
            written?;
            Ok(report.is_complete())
        }
        Command::Audit(args) => {
            let options = args.kafka();
            let ends = match options.kafka {
                KafkaUse::Auto => asked_in_passing(kafka),
                KafkaUse::Require | KafkaUse::Skip => ends,
            };
            let report = audit::run_beside(&context, &ends, &options).await?;
            context.record_run(Recorded::Audit, report.is_ok()).await;
            print_as(args.json, &report, AuditReport::json)?;
            Ok(report.is_ok())
        }
        Command::Verify(args) => verify(&context, args.date.day(&context)?).await,
        Command::Maintain(args) => {
            let stop = match args.time_limit {
                Some(limit) => stop_signal()?.or_after(limit),
                None => stop_signal()?,
            };
            let report = maintain::run(&context, &ends, args.dry_run, &stop).await?;
            if !args.dry_run {
                context.record_run(Recorded::Maintain, report.is_complete()).await;
            }
            print(&report)?;
            Ok(report.is_complete())
        }
        Command::Reproduce(args) => {
            let report = reproduce::run(&context, &args.options(&context)?).await?;
            print(&report)?;
            Ok(report.is_ok())
        }
        Command::AsOf(args) => {
            let only = args.date.map(|named| named.day(&context)).transpose()?;
            let report = as_of::run(&context, args.time, only).await?;
            print_as(args.json, &report, AsOfReport::json)?;
            Ok(true)
        }
        Command::Quarantine(args) => {
            let report = quarantine::run(&context, &args.options()).await?;
            print(&report)?;
            Ok(report.is_ok())
        }
    }
}

/// Asks Kafka without waiting for long.
fn asked_in_passing(mut kafka: Kafka) -> TopicEnds {
    kafka.request_timeout = kafka.request_timeout.min(ANSWER_IN_PASSING);
    TopicEnds::new(&kafka)
}

#[cfg(feature = "verify")]
async fn verify(context: &Context, day: Day) -> anyhow::Result<bool> {
    let report = batch_layer::verify::run(context, day).await?;
    print(&report)?;
    Ok(report.is_ok())
}

#[cfg(not(feature = "verify"))]
#[expect(clippy::unused_async, reason = "it stands in for one that reads the tables")]
async fn verify(_context: &Context, _day: Day) -> anyhow::Result<bool> {
    Err(BatchError::Configuration(
        "batch-layer verify: this program was built without Polars; build it with the cargo feature `verify`, which is on \
         by default"
            .to_owned(),
    )
    .into())
}

fn print_as<R: std::fmt::Display>(
    as_json: bool,
    report: &R,
    json: impl Fn(&R) -> serde_json::Value,
) -> anyhow::Result<()> {
    if as_json { print(&json(report)) } else { print(report) }
}

fn print(report: &dyn std::fmt::Display) -> anyhow::Result<()> {
    let text = report.to_string();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.trim_end()).context("write the report to standard output")
}

fn stop_signal() -> std::io::Result<Shutdown> {
    Ok(Shutdown::on(startup::stop_signal()?))
}
