//! `kafka-feed`: writes camera events to a topic at a steady rate for some seconds, each stamped with the present.
//!
//! Events are made with as little work as possible, since what is measured runs on the same machine: every millisecond
//! those that are due are sent, each in the partition of its camera. One in fifty of each camera's is up to two and a half
//! hours old in event time. A record's Kafka timestamp is when it was handed to librdkafka. Prints a line of JSON.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail, ensure};
use bench_kafka::partitions;
use clap::Parser;
use lake_model::EventTime;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

/// The time from one look at the clock to the next.
const TICK: Duration = Duration::from_millis(1);
/// One event in so many is late.
const LATE_EVERY: u64 = 50;
/// The oldest event, in minutes.
const LATE_MINUTES: u64 = 150;
/// Longest wait for the last deliveries.
const FLUSH: Duration = Duration::from_secs(60);

/// Writes events at a steady rate.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// Kafka's bootstrap servers
    #[arg(long)]
    brokers: String,
    /// The topic
    #[arg(long)]
    topic: String,
    /// Events per second
    #[arg(long)]
    rate: u64,
    /// For how many seconds
    #[arg(long)]
    seconds: u64,
    /// Cameras, which take turns
    #[arg(long, default_value_t = 1000)]
    cameras: u64,
}

#[expect(clippy::print_stdout, reason = "the line is the program's output")]
fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    ensure!(cli.rate > 0 && cli.cameras > 0, "--rate and --cameras: expected numbers above 0");
    let mut feed = Feed::new(&cli)?;
    let (started, began) = (now(), unix_millis()?);
    let end = Duration::from_secs(cli.seconds);
    loop {
        let elapsed = started.elapsed().min(end);
        let due = elapsed.as_micros() * u128::from(cli.rate) / 1_000_000;
        feed.send_up_to(u64::try_from(due)?)?;
        if elapsed == end {
            break;
        }
        feed.producer.poll(TICK);
    }
    let (seconds, ended) = (started.elapsed().as_secs_f64(), unix_millis()?);
    feed.producer.flush(FLUSH).context("deliver the last records")?;
    let failed = feed.producer.context().failed.load(Ordering::Relaxed);
    println!(
        "{}",
        serde_json::json!({
            "produced": feed.sent, "seconds": seconds, "began": unix_seconds(began),
            "ended": unix_seconds(ended), "not_delivered": failed,
        })
    );
    Ok(())
}

/// What events are made from, and where they go.
struct Feed<'a> {
    cli: &'a Cli,
    producer: BaseProducer<Failures>,
    partitions: Vec<i32>,
    sent: u64,
    payload: Vec<u8>,
}

impl Feed<'_> {
    fn new(cli: &Cli) -> anyhow::Result<Feed<'_>> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &cli.brokers);
        let asking: BaseConsumer = config.create().context("create a client")?;
        let partitions = partitions(&asking, &cli.topic)?;
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .set("compression.type", "lz4")
            .set("queue.buffering.max.messages", "1000000")
            .set("delivery.report.only.error", "true");
        let producer = BaseProducer::from_config_and_context(&config, Failures::default())
            .context("create the producer")?;
        Ok(Feed { cli, producer, partitions, sent: 0, payload: Vec::new() })
    }

    /// Sends what is missing to so many events.
    fn send_up_to(&mut self, due: u64) -> anyhow::Result<()> {
        if self.sent >= due {
            return Ok(());
        }
        let millis = unix_millis()?;
        let present = EventTime::from_millis(millis).to_string();
        while self.sent < due {
            self.send(millis, &present)?;
            self.sent += 1;
        }
        Ok(())
    }

    fn send(&mut self, millis: i64, present: &str) -> anyhow::Result<()> {
        let number = self.sent;
        let camera = number % self.cli.cameras;
        let key = format!("KV{:05}", 10_000 + camera);
        // Figures that vary from event to event, for each camera: the number by the golden ratio, its best bits.
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let tenths = 300 + mixed % 1200;
        let turn = number / self.cli.cameras;
        let late = (camera + turn).is_multiple_of(LATE_EVERY).then(|| {
            let minutes = 1 + mixed % LATE_MINUTES;
            EventTime::from_millis(millis - 60_000 * i64::try_from(minutes).unwrap_or(0))
                .to_string()
        });
        let time = late.as_deref().unwrap_or(present);
        self.payload.clear();
        write!(
            self.payload,
            r#"{{"kvfv_id":"{key}","timestamp":"{time}","vehicle_speed":{}.{},"plate_number":"А{:03}ВС77"}}"#,
            tenths / 10,
            tenths % 10,
            mixed % 1000
        )?;
        let partitions = self.partitions.len() as u64;
        let partition = self.partitions[usize::try_from(camera % partitions)?];
        self.hand_over(&key, partition, millis)
    }

    /// Queues the payload, waiting for room.
    fn hand_over(&self, key: &str, partition: i32, millis: i64) -> anyhow::Result<()> {
        let mut record = BaseRecord::to(&self.cli.topic)
            .key(key)
            .payload(&self.payload)
            .partition(partition)
            .timestamp(millis);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    self.producer.poll(TICK);
                    record = back;
                }
                Err((error, _)) => bail!("produce to topic {}: {error}", self.cli.topic),
            }
        }
    }
}

/// Counts records that Kafka did not take.
#[derive(Default)]
struct Failures {
    failed: AtomicU64,
}

impl ClientContext for Failures {}

impl ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the rate is kept in real time")]
fn now() -> Instant {
    Instant::now()
}

fn unix_seconds(millis: i64) -> f64 {
    Duration::from_millis(millis.unsigned_abs()).as_secs_f64()
}

#[expect(clippy::disallowed_methods, reason = "records are stamped with the present")]
fn unix_millis() -> anyhow::Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}
