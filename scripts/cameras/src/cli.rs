//! The command line, and the plan of a run that it makes together with the settings.
//!
//! Options are checked one by one as they are parsed; [`Plan::new`] puts them together and needs the
//! present only to choose the day.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use lake_config::Settings;
use lake_model::{Calendar, Day, Timestamp};

use crate::error::SimulatorError;
use crate::generator::{MAX_RESEND_MS, MAX_TRANSIT_MS, Shares};
use crate::schedule::Schedule;

const EXAMPLES: &str = "\
Examples:
  A million events of yesterday, as fast as Kafka takes them:
    camera-simulator --brokers localhost:9092

  A given day of 1,000 cameras at 20,000 records a second, with more trouble than usual:
    camera-simulator --date 2025-04-05 --cameras 1000 --events 5000000 --rate 20000 \\
      --late 0.1 --late-max 20h --duplicates 0.02 --bad 0.01

  Cameras that report now, 500 a second, until Ctrl-C:
    camera-simulator --live --rate 500

  The same as if it were that instant, for a day that the batch may make final at once:
    camera-simulator --live --rate 500 --from 2025-04-05T12:00:00Z

  No Kafka at hand: a broker inside this process, for a speed layer started beside it:
    export LAKEHOUSE__KAFKA__GROUP=demo
    camera-simulator --embedded-broker --broker-file /tmp/brokers --keep-broker
    LAKEHOUSE__KAFKA__BROKERS=$(cat /tmp/brokers) speed-layer run

The embedded broker keeps some 20,000 records per partition until the consumer group has
committed their offsets, so a run makes at most (partitions x 20,000) records per commit interval
of the consumer (speed.commit_interval): 16 partitions and 1s allow some 300,000 records a second.

The summary is one line of JSON on standard output.
Exit codes: 0 done, 2 usage or configuration, 3 an external failure (Kafka, or records it did not accept).";

/// Produces realistic events of speed cameras to a Kafka topic.
///
/// The same seed and options give the same records: rush hours and quiet nights, cameras with limits and
/// habits, events that come hours late or twice, and records that are no events at all.
#[derive(Clone, Debug, Parser)]
#[command(name = "camera-simulator", version, after_help = lake_config::with_settings_help(EXAMPLES))]
pub struct Cli {
    /// The settings file [default: ./lakehouse.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Kafka's bootstrap servers, instead of the setting kafka.brokers
    #[arg(long, value_name = "HOST:PORT,…")]
    pub brokers: Option<String>,

    /// The topic, instead of the setting kafka.topic
    #[arg(long)]
    pub topic: Option<String>,

    /// Number of cameras
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub cameras: u32,

    /// Number of events in all; duplicates and bad records come on top
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub events: u64,

    /// First simulated day, in the pipeline's time zone [default: the latest for which all late events would
    /// have arrived by now: yesterday, or the day before]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_date)]
    pub date: Option<Day>,

    /// Number of days that the events are spread over
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3660))]
    pub days: u32,

    /// Records per second [default: as many as Kafka takes]
    #[arg(long, value_name = "PER_SECOND", allow_negative_numbers = true, value_parser = parse_rate)]
    pub rate: Option<f64>,

    /// Event times follow the clock, until stopped
    #[arg(long, requires = "rate", conflicts_with_all = ["date", "days", "events"])]
    pub live: bool,

    /// Live as if it were this instant when the run starts and the cameras had been reporting for long: the late events
    /// that are under way then arrive from the beginning [default: the present, with nothing under way]
    #[arg(long, value_name = "INSTANT", requires = "live", value_parser = parse_instant)]
    pub from: Option<Timestamp>,

    /// Share of events that are held up on their way
    #[arg(long, value_name = "SHARE", default_value_t = 0.02, allow_negative_numbers = true, value_parser = parse_share)]
    pub late: f64,

    /// The longest that late events are held up
    #[arg(long, value_name = "DURATION", default_value = "10h", value_parser = parse_late_max)]
    pub late_max: Duration,

    /// Share of events that are sent again, within half an hour of the first
    #[arg(long, value_name = "SHARE", default_value_t = 0.005, allow_negative_numbers = true, value_parser = parse_share)]
    pub duplicates: f64,

    /// Bad records per event, of every kind in turn
    #[arg(long, value_name = "SHARE", default_value_t = 0.001, allow_negative_numbers = true, value_parser = parse_share)]
    pub bad: f64,

    /// The seed of all random choices
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Partitions of the topic, if it has to be made [default: 4, with the embedded broker 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub partitions: Option<u16>,

    /// Whose clock the timestamps of records come from, if the topic has to be made: the simulated arrival
    /// (create), or Kafka's clock (log-append)
    #[arg(long, value_enum, value_name = "TYPE", default_value_t = TimestampType::Create)]
    pub timestamp_type: TimestampType,

    /// Host librdkafka's mock broker in this process, and never run ahead of the consumer group kafka.group
    /// by more than it can hold
    #[arg(long, conflicts_with = "brokers")]
    pub embedded_broker: bool,

    /// Write the embedded broker's address to this file as soon as it accepts connections [default: a line
    /// `brokers=…` on standard output]
    #[arg(long, value_name = "FILE", requires = "embedded_broker")]
    pub broker_file: Option<PathBuf>,

    /// How long to wait for the consumer group to commit something before giving up
    #[arg(long, value_name = "DURATION", default_value = "120s", value_parser = humantime::parse_duration, requires = "embedded_broker")]
    pub consumer_wait: Duration,

    /// Keep the embedded broker up after all is consumed, until SIGTERM or Ctrl-C
    #[arg(long, requires = "embedded_broker")]
    pub keep_broker: bool,

    /// Do not show progress
    #[arg(long, short)]
    pub quiet: bool,
}

/// Whose clock the timestamps of a topic's records come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TimestampType {
    /// The producer's.
    Create,
    /// The broker's.
    LogAppend,
}

impl Cli {
    /// The settings that options stand for, as keys and values.
    pub fn overrides(&self) -> Vec<(String, String)> {
        let given = [("kafka.brokers", &self.brokers), ("kafka.topic", &self.topic)];
        let pair = |(key, value): (&str, &Option<String>)| Some((key.to_owned(), value.clone()?));
        given.into_iter().filter_map(pair).collect()
    }

    /// What becomes of the events.
    pub fn shares(&self) -> Shares {
        Shares {
            late: self.late,
            late_max_ms: millis(self.late_max),
            duplicates: self.duplicates,
            bad: self.bad,
        }
    }

    /// Number of partitions of a new topic.
    pub fn partitions(&self) -> u16 {
        self.partitions.unwrap_or(if self.embedded_broker { 16 } else { 4 })
    }
}

/// What a run simulates.
#[derive(Clone, Debug)]
pub struct Plan {
    /// When events happen.
    pub schedule: Schedule,
    /// When those events happened that are late and under way at the start, and the start; none unless it is asked for.
    pub under_way: Option<(Schedule, Timestamp)>,
    /// How far the cameras' clock is behind the clock, in a live run.
    pub behind_us: i64,
    /// Number of events, if it is known.
    pub events: Option<u64>,
    /// Number of different plates.
    pub plates: u32,
    /// What the user should know before the run.
    pub warning: Option<String>,
}

impl Plan {
    /// The plan of `cli` for the settings, made at the instant `now`.
    ///
    /// # Errors
    /// Options and settings that do not go together.
    pub fn new(cli: &Cli, settings: &Settings, now: Timestamp) -> Result<Plan, SimulatorError> {
        let calendar = Calendar::new(&settings.pipeline.timezone)
            .map_err(|error| SimulatorError::Usage(format!("pipeline.timezone: {error}")))?;
        if cli.embedded_broker && cli.timestamp_type == TimestampType::LogAppend {
            let fault = "--timestamp-type log-append: the embedded broker keeps the producer's \
                         timestamps only; leave the option out or use a real Kafka";
            return Err(SimulatorError::Usage(fault.to_owned()));
        }
        if let (true, Some(rate)) = (cli.live, cli.rate) {
            return Plan::live(cli, calendar, rate, now);
        }
        let under_way_ms = MAX_TRANSIT_MS + MAX_RESEND_MS + millis(cli.late_max);
        let arrived =
            |last: Day| calendar.span(last).end.saturating_add(under_way_ms * 1000) <= now;
        let more_days = i32::try_from(cli.days).unwrap_or(i32::MAX) - 1;
        let first = cli.date.unwrap_or_else(|| {
            let today = calendar.span_at(now).day;
            let back = (1..).find(|back| arrived(today.plus(-back))).unwrap_or(1);
            today.plus(-back - more_days)
        });
        let warning =
            (!arrived(first.plus(more_days))).then(|| future_warning(first.plus(more_days)));
        let schedule = Schedule::over_days(calendar, first, cli.days, cli.events);
        let plates = u32::try_from(cli.events / 4).unwrap_or(u32::MAX).clamp(1000, 5_000_000);
        Ok(Plan {
            schedule,
            under_way: None,
            behind_us: 0,
            events: Some(cli.events),
            plates,
            warning,
        })
    }

    fn live(
        cli: &Cli,
        calendar: Calendar,
        rate: f64,
        now: Timestamp,
    ) -> Result<Plan, SimulatorError> {
        let start = cli.from.unwrap_or(now);
        if start > now {
            let fault = format!(
                "--from {start}: expected an instant in the past; leave the option out for the present"
            );
            return Err(SimulatorError::Usage(fault));
        }
        let before = |start: Timestamp| {
            let first = start.saturating_add(-(MAX_TRANSIT_MS + millis(cli.late_max)) * 1000);
            (Schedule::live(calendar.clone(), first, rate * cli.late), start)
        };
        Ok(Plan {
            under_way: cli.from.map(before),
            behind_us: now.saturating_since(start),
            schedule: Schedule::live(calendar, start, rate),
            events: None,
            plates: 100_000,
            warning: None,
        })
    }
}

fn future_warning(last: Day) -> String {
    format!(
        "the late events of {last} arrive after the present, so that records have timestamps in the \
         future; Kafka refuses those that are ahead by more than message.timestamp.after.max.ms (an hour). \
         An earlier --date or a shorter --late-max avoids that"
    )
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn parse_date(text: &str) -> Result<Day, String> {
    Day::parse(text).ok_or_else(|| "expected a date such as 2025-04-05".to_owned())
}

fn parse_instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text)
        .ok_or_else(|| "expected an instant such as 2025-04-05T12:00:00Z".to_owned())
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a share from 0 to 1 such as 0.02".to_owned())
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.01..=1e8).contains(rate));
    rate.ok_or_else(|| "expected records per second, from 0.01 to 100000000".to_owned())
}

fn parse_late_max(text: &str) -> Result<Duration, String> {
    let most = Duration::from_secs(366 * 86_400);
    let duration = humantime::parse_duration(text).ok().filter(|duration| *duration <= most);
    duration.ok_or_else(|| "expected a duration such as 10h or 90m, at most 366 days".to_owned())
}

#[cfg(test)]
mod tests;
