//! `kafka-feed`: lets the readers of a topic have camera events at a steady rate for some seconds.
//!
//! Everything is produced beforehand, in steps that become readable one after the other; events of a step are stamped with
//! the time that it is planned for. Where producing takes longer than planned, all steps come so much later. Prints "ready"
//! before the first step, and a line of JSON at the end, with what was readable when.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use bench_kafka::event::Event;
use bench_kafka::partitions;
use bench_kafka::steps::{Step, Steps};
use clap::Parser;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::BaseConsumer;

/// From one step to the next. Commits come at round intervals, with which steps must not keep pace.
const STEP: Duration = Duration::from_millis(530);
/// How long Kafka lets a transaction be open, by default: so long may producing take, and so long releasing.
const LONGEST: Duration = Duration::from_secs(900);
/// What producing is planned to take: a time for each event, and one for each step.
const FOR_EACH_EVENT: Duration = Duration::from_nanos(1500);
const FOR_EACH_STEP: Duration = Duration::from_millis(100);

/// Lets readers have events at a steady rate.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// Kafka's bootstrap servers
    #[arg(long)]
    brokers: String,
    /// The topic, which must be empty
    #[arg(long)]
    topic: String,
    /// Events per second
    #[arg(long)]
    rate: u64,
    /// For how many seconds; it ends with the last whole step
    #[arg(long)]
    seconds: u64,
    /// Cameras, which take turns
    #[arg(long, default_value_t = 1000)]
    cameras: u64,
}

#[expect(clippy::print_stdout, reason = "the lines are the program's output")]
fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    ensure!(
        cli.rate > 0 && cli.cameras > 0 && cli.seconds > 0,
        "--rate, --seconds and --cameras: expected numbers above 0"
    );
    let steps = prepare(&cli)?;
    println!("ready");
    let released = release(&steps)?;
    let produced: i64 = steps.last().map_or(0, |step| step.next_offsets.iter().sum());
    println!("{}", serde_json::json!({ "produced": produced, "steps": released }));
    Ok(())
}

/// Produces all steps.
fn prepare(cli: &Cli) -> anyhow::Result<Vec<Step>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &cli.brokers);
    let asking: BaseConsumer = config.create().context("create a client")?;
    let partitions = partitions(&asking, &cli.topic)?;
    let mut steps = Steps::new(&cli.brokers, &cli.topic, &partitions)?;
    let millis_of_step = u64::try_from(STEP.as_millis())?;
    let number_of_steps = cli.seconds * 1000 / millis_of_step;
    let events = cli.rate * number_of_steps * millis_of_step / 1000;
    ensure!(number_of_steps > 0, "--seconds {}: expected at least a step of {STEP:?}", cli.seconds);
    let preparing =
        FOR_EACH_EVENT * u32::try_from(events)? + FOR_EACH_STEP * u32::try_from(number_of_steps)?;
    ensure!(
        preparing.max(Duration::from_secs(cli.seconds)) <= LONGEST,
        "--rate {} and --seconds {}: producing would take {preparing:?}, expected both at most {LONGEST:?}",
        cli.rate,
        cli.seconds
    );
    let begin = unix_millis()? + i64::try_from(preparing.as_millis())?;
    let first_of = |step| events * step / number_of_steps;
    for step in 0..number_of_steps {
        steps.prepare((first_of(step)..first_of(step + 1)).map(|number| {
            let millis = begin + (number * 1000 / cli.rate).cast_signed();
            (Event::new(number, cli.cameras, millis), millis)
        }))?;
    }
    let ahead = begin.saturating_sub(unix_millis()?);
    pause(Duration::from_millis(u64::try_from(ahead).unwrap_or(0)));
    Ok(steps.ready())
}

/// Releases the steps, each when its time has passed. Returns when that was to be, in seconds since 1970, and the next
/// offsets by partition: should a release come late, readers have waited for it.
fn release(steps: &[Step]) -> anyhow::Result<Vec<(f64, &[i64])>> {
    let (begin, begin_unix) = (now(), Duration::from_millis(unix_millis()?.unsigned_abs()));
    let mut released = Vec::new();
    for (step, number) in steps.iter().zip(1..) {
        pause((STEP * number).saturating_sub(begin.elapsed()));
        step.release()?;
        released.push(((begin_unix + STEP * number).as_secs_f64(), &*step.next_offsets));
    }
    Ok(released)
}

#[expect(clippy::disallowed_methods, reason = "the rate is kept in real time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the rate is kept in real time")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[expect(
    clippy::disallowed_methods,
    reason = "records are stamped with the time that they come at"
)]
fn unix_millis() -> anyhow::Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}
