//! `kafka-floor`: reads a topic from its first offset to its end and does nothing with the records but count them.
//!
//! One thread takes them from librdkafka: by its callback, as the speed layer does, the cheapest way that it has; or by
//! polling, as most programs do. librdkafka allocates with jemalloc, as in the speed layer. Queues and answers are large
//! enough that it never waits for Kafka. Nothing is decoded, kept or committed. Prints a line of JSON.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bench_kafka::partitions;
use clap::{Parser, ValueEnum};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use speed_layer_fetch::RecordQueue;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long a wait for records is, which may end early, and how many in vain are too many.
const WAIT: Duration = Duration::from_secs(1);
const WAITS_IN_VAIN: u32 = 20;

/// Reads a topic to its end and does nothing with it.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// Kafka's bootstrap servers
    #[arg(long)]
    brokers: String,
    /// The topic
    #[arg(long)]
    topic: String,
    /// How records are taken from librdkafka
    #[arg(long, value_enum)]
    by: Way,
}

/// How records are taken from librdkafka.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    /// Each as librdkafka calls for it
    Callback,
    /// One poll for each
    Polling,
}

/// What was read.
#[derive(Default)]
struct Read {
    records: u64,
    bytes: u64,
    partitions_ended: usize,
    failure: Option<KafkaError>,
}

#[expect(clippy::print_stdout, reason = "the line is the program's output")]
fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let consumer = Arc::new(consumer(&cli)?);
    let partitions = partitions(&consumer, &cli.topic)?;
    let queue = (cli.by == Way::Callback).then(|| RecordQueue::new(Arc::clone(&consumer)));
    let mut list = TopicPartitionList::new();
    for partition in &partitions {
        queue.iter().for_each(|queue| queue.route(&cli.topic, *partition));
        list.add_partition_offset(&cli.topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&list).context("assign the partitions")?;
    let (mut read, mut in_vain) = (Read::default(), 0);
    while read.partitions_ended < partitions.len() {
        let any = match &queue {
            Some(queue) => queue.serve(WAIT, |message| read.count(payload(message))),
            None => consumer.poll(WAIT).is_some_and(|message| {
                let _ = read.count(message.as_ref().map(Message::payload).map_err(Clone::clone));
                true
            }),
        };
        if let Some(failure) = &read.failure {
            bail!("Kafka failed: {failure}");
        }
        in_vain = if any { 0 } else { in_vain + 1 };
        ensure!(in_vain < WAITS_IN_VAIN, "Kafka delivers nothing before the end of the topic");
    }
    println!("{}", serde_json::json!({ "records": read.records, "bytes": read.bytes }));
    Ok(())
}

fn consumer(cli: &Cli) -> anyhow::Result<BaseConsumer> {
    ClientConfig::new()
        .set("bootstrap.servers", &cli.brokers)
        .set("group.id", "kafka-floor")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .set("check.crcs", "false")
        .set("queued.min.messages", "1000000")
        .set("queued.max.messages.kbytes", "65536")
        .set("fetch.message.max.bytes", "8388608")
        .set("fetch.queue.backoff.ms", "10")
        .create()
        .context("create the consumer")
}

/// A message as polling gives it.
fn payload(message: speed_layer_fetch::Message<'_>) -> Result<Option<&[u8]>, KafkaError> {
    match message {
        speed_layer_fetch::Message::Record(record) => Ok(record.payload),
        speed_layer_fetch::Message::End { partition, .. } => {
            Err(KafkaError::PartitionEOF(partition))
        }
        speed_layer_fetch::Message::Fault(fault) => Err(fault.error),
    }
}

impl Read {
    fn count(&mut self, payload: Result<Option<&[u8]>, KafkaError>) -> ControlFlow<()> {
        match payload {
            Ok(payload) => {
                self.records += 1;
                self.bytes += payload.map_or(0, |payload| payload.len() as u64);
            }
            Err(KafkaError::PartitionEOF(_)) => self.partitions_ended += 1,
            Err(error) => {
                self.failure = Some(error);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}
