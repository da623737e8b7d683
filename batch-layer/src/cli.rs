//! The command line.

mod examples;

use std::path::{Path, PathBuf};
use std::time::Duration;

use batch_layer::audit::{KafkaOptions, KafkaUse};
use batch_layer::nightly::DayFilter;
use batch_layer::quarantine::QuarantineOptions;
use batch_layer::reproduce::ReproduceOptions;
use batch_layer::{BatchError, Context};
use clap::{Args, Parser, Subcommand, ValueEnum};
use lake_model::{Day, Timestamp};

/// Makes closed days final from every event, and proves, checks and maintains the tables.
#[derive(Parser)]
#[command(version, after_help = lake_config::with_settings_help(examples::ALL))]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Recompute every closed day that is not final or is dirty
    #[command(after_help = lake_config::with_settings_help(examples::NIGHTLY))]
    Nightly(NightlyArgs),
    /// Prove from the tables that every offset is accounted for once and that final counts are right, and compare them with Kafka
    #[command(after_help = lake_config::with_settings_help(examples::AUDIT))]
    Audit(AuditArgs),
    /// Recompute one final day with Polars and compare it bit for bit
    #[command(after_help = lake_config::with_settings_help(examples::VERIFY))]
    Verify(VerifyArgs),
    /// Compact what has landed, drop expired days, delete old files, checkpoint logs
    #[command(after_help = lake_config::with_settings_help(examples::MAINTAIN))]
    Maintain(MaintainArgs),
    /// Take a data file that can't be used out of its table, and account for its offsets
    #[command(after_help = lake_config::with_settings_help(examples::QUARANTINE))]
    Quarantine(QuarantineArgs),
    /// Compute once more what a run published, from the events that it has seen
    #[command(after_help = lake_config::with_settings_help(examples::REPRODUCE))]
    Reproduce(ReproduceArgs),
    /// Say which runs were published at a time
    #[command(after_help = lake_config::with_settings_help(examples::AS_OF))]
    AsOf(AsOfArgs),
}

/// Arguments of `nightly`.
#[derive(Args)]
pub struct NightlyArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only this day
    #[arg(long, value_name = DAY, value_parser = named_day, conflicts_with_all = ["from", "to"])]
    date: Option<NamedDay>,
    /// The first day to look at
    #[arg(long, value_name = DAY, value_parser = named_day)]
    from: Option<NamedDay>,
    /// The last day to look at
    #[arg(long, value_name = DAY, value_parser = named_day)]
    to: Option<NamedDay>,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Recompute clean final days too; no open day is made final by it
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Longest wait for records that Kafka holds to land
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = humantime::parse_duration)]
    pub wait: Duration,
}

impl NightlyArgs {
    /// The days that are named.
    pub fn days(&self, context: &Context) -> Result<DayFilter, BatchError> {
        let day = |named: Option<NamedDay>| named.map(|named| named.day(context)).transpose();
        let (from, to) = (day(self.date.or(self.from))?, day(self.date.or(self.to))?);
        match (from, to) {
            (Some(from), Some(to)) if from > to => Err(BatchError::Configuration(format!(
                "--from {from} is after --to {to}; name the earlier day first"
            ))),
            _ => Ok(DayFilter { from, to }),
        }
    }
}

/// Arguments of `audit`.
#[derive(Args)]
pub struct AuditArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Whether to ask Kafka what it holds: where it can be reached, in any case, or not at all
    #[arg(long, value_name = "USE", value_enum, default_value_t = KafkaArg::Auto)]
    kafka: KafkaArg,
    /// How old a record in Kafka may be that has not landed
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    max_lag: Duration,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Whether Kafka is asked.
#[derive(Clone, Copy, ValueEnum)]
enum KafkaArg {
    Auto,
    Require,
    Skip,
}

impl AuditArgs {
    /// How Kafka is compared.
    pub fn kafka(&self) -> KafkaOptions {
        let kafka = match self.kafka {
            KafkaArg::Auto => KafkaUse::Auto,
            KafkaArg::Require => KafkaUse::Require,
            KafkaArg::Skip => KafkaUse::Skip,
        };
        KafkaOptions { kafka, max_lag: self.max_lag }
    }
}

/// Arguments of `verify`.
#[derive(Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The day
    #[arg(long, value_name = DAY, value_parser = named_day)]
    pub date: NamedDay,
}

/// Arguments of `maintain`.
#[derive(Args)]
pub struct MaintainArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Begin nothing after that; what is done by then is kept, and the rest is left to the next run
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub time_limit: Option<Duration>,
}

/// Arguments of `quarantine`.
#[derive(Args)]
pub struct QuarantineArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The data file of events or dead_letters, as reports name it
    #[arg(long, value_name = "PATH")]
    file: String,
    /// Say what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Also a file that reads well, or whose offsets are in doubt
    #[arg(long)]
    force: bool,
}

impl QuarantineArgs {
    /// What is to be quarantined.
    pub fn options(&self) -> QuarantineOptions {
        QuarantineOptions { file: self.file.clone(), dry_run: self.dry_run, force: self.force }
    }
}

/// Arguments of `reproduce`.
#[derive(Args)]
pub struct ReproduceArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The run, as batch_runs and `as-of` name it
    #[arg(long, value_name = "ID")]
    run: String,
    /// Only this of its days
    #[arg(long, value_name = DAY, value_parser = named_day)]
    date: Option<NamedDay>,
    /// A folder for a Parquet file of each day, with the columns of avg_speed
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

impl ReproduceArgs {
    /// What is to be reproduced.
    pub fn options(&self, context: &Context) -> Result<ReproduceOptions, BatchError> {
        let day = self.date.map(|named| named.day(context)).transpose()?;
        Ok(ReproduceOptions { run_id: self.run.clone(), day, out: self.out.clone() })
    }
}

/// Arguments of `as-of`.
#[derive(Args)]
pub struct AsOfArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// An instant, as in events
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    pub time: Timestamp,
    /// Only this day
    #[arg(long, value_name = DAY, value_parser = named_day)]
    pub date: Option<NamedDay>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
struct ConfigArgs {
    /// The settings file [default: ./lakehouse.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Command {
    /// The settings file that is named, if any.
    pub fn config(&self) -> Option<&Path> {
        let config = match self {
            Command::Nightly(args) => &args.config,
            Command::Audit(args) => &args.config,
            Command::Verify(args) => &args.config,
            Command::Maintain(args) => &args.config,
            Command::Quarantine(args) => &args.config,
            Command::Reproduce(args) => &args.config,
            Command::AsOf(args) => &args.config,
        };
        config.config.as_deref()
    }
}

/// A day as the command line names it.
#[derive(Clone, Copy, Debug)]
pub enum NamedDay {
    /// That day.
    Day(Day),
    /// The day before the present one.
    Yesterday,
}

impl NamedDay {
    /// The day that is meant, in the pipeline's time zone.
    pub fn day(self, context: &Context) -> Result<Day, BatchError> {
        match self {
            NamedDay::Day(day) => Ok(day),
            NamedDay::Yesterday => context.yesterday(),
        }
    }
}

/// What a day is called in the help.
const DAY: &str = "YYYY-MM-DD|yesterday";

fn named_day(text: &str) -> Result<NamedDay, String> {
    match Day::parse(text) {
        Some(day) => Ok(NamedDay::Day(day)),
        None if text == "yesterday" => Ok(NamedDay::Yesterday),
        None => Err("expected a day such as 2025-04-05, or yesterday".to_owned()),
    }
}

fn instant(text: &str) -> Result<Timestamp, String> {
    let expected = "expected an instant such as 2025-04-06T12:00:00Z or 2025-04-06T12:00:00+03:00";
    Timestamp::parse(text).ok_or_else(|| expected.to_owned())
}
