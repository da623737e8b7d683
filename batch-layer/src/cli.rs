//! The command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use batch_layer::audit::{KafkaOptions, KafkaUse};
use batch_layer::nightly::DayFilter;
use batch_layer::quarantine::QuarantineOptions;
use batch_layer::{BatchError, Context};
use clap::{Args, Parser, Subcommand, ValueEnum};
use lake_model::Day;

/// Makes closed days final from every event, and proves, checks and maintains the tables.
#[derive(Parser)]
#[command(version, after_help = lake_config::with_settings_help(EXAMPLES))]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  batch-layer nightly                          every closed day that is not final, or is dirty
  batch-layer audit                            prove that nothing is lost or counted twice
  batch-layer verify --date 2025-04-05         recompute a final day independently
  batch-layer maintain                         compact, drop, delete, checkpoint
  batch-layer quarantine --file PATH           take out a data file that can't be read

Exit codes: 0 done, 1 a check failed or a day was left, 2 usage or configuration, 3 an external failure (Kafka, the object store).";

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Recompute every closed day that is not final or is dirty
    #[command(after_help = lake_config::with_settings_help(NIGHTLY_EXAMPLES))]
    Nightly(NightlyArgs),
    /// Prove from the tables that every offset is accounted for once and that final counts are right, and compare them with Kafka
    #[command(after_help = lake_config::with_settings_help(AUDIT_EXAMPLES))]
    Audit(AuditArgs),
    /// Recompute one final day with Polars and compare it bit for bit
    #[command(after_help = lake_config::with_settings_help(VERIFY_EXAMPLES))]
    Verify(VerifyArgs),
    /// Compact what has landed, drop expired days, delete old files, checkpoint logs
    #[command(after_help = lake_config::with_settings_help(MAINTAIN_EXAMPLES))]
    Maintain(MaintainArgs),
    /// Take a data file that can't be used out of its table, and account for its offsets
    #[command(after_help = lake_config::with_settings_help(QUARANTINE_EXAMPLES))]
    Quarantine(QuarantineArgs),
}

const NIGHTLY_EXAMPLES: &str = "\
Examples:
  batch-layer nightly --config prod.toml
  batch-layer nightly --date yesterday         exits 1 while that day is open, and says when it closes
  batch-layer nightly --dry-run                say what would be done
  batch-layer nightly --date 2025-04-05 --force
                                               recompute a day even if it is clean
  batch-layer nightly --from 2025-04-01 --to 2025-04-05
  batch-layer nightly --wait 2h                wait longer for records to land
  batch-layer nightly --json | jq .left        the days that were left, with the file at fault and the remedy";

const AUDIT_EXAMPLES: &str = "\
Examples:
  batch-layer audit
  batch-layer audit --kafka require            exits 3 where Kafka can't be asked
  batch-layer audit --kafka skip               from the tables alone
  batch-layer audit --json | jq .problems";

const VERIFY_EXAMPLES: &str = "\
Examples:
  batch-layer verify --date 2025-04-05";

const MAINTAIN_EXAMPLES: &str = "\
Examples:
  batch-layer maintain
  batch-layer maintain --dry-run               say what would be done
  batch-layer maintain --time-limit 1h         begin nothing after an hour; exits 1 if that leaves something";

const QUARANTINE_EXAMPLES: &str = "\
Examples:
  batch-layer audit                            names the files that can't be used
  batch-layer quarantine --dry-run --file events/event_date=2025-04-05/landed-0c9e.parquet
                                               say which offsets only that file holds
  batch-layer quarantine --file events/event_date=2025-04-05/landed-0c9e.parquet
  batch-layer nightly                          computes the day without its rows";

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
