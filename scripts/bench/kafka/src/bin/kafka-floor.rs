//! `kafka-floor`: reads a topic from its first offset to its end and does nothing with the records but count them.
//!
//! One thread takes them from librdkafka by its callback, and librdkafka allocates with jemalloc, as in the speed layer: the
//! cheapest way that it has. Queues and answers are large enough that it never waits for Kafka. Nothing is decoded, kept or
//! committed. Prints a line of JSON.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bench_kafka::partitions;
use clap::Parser;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use speed_layer_fetch::{Record, RecordQueue};

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
    let queue = RecordQueue::new(Arc::clone(&consumer));
    let mut list = TopicPartitionList::new();
    for partition in &partitions {
        queue.route(&cli.topic, *partition);
        list.add_partition_offset(&cli.topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&list).context("assign the partitions")?;
    let (mut read, mut in_vain) = (Read::default(), 0);
    while read.partitions_ended < partitions.len() {
        let any = queue.serve(WAIT, |record| read.count(record));
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

impl Read {
    fn count(&mut self, record: Result<Record<'_>, KafkaError>) -> ControlFlow<()> {
        match record {
            Ok(record) => {
                self.records += 1;
                self.bytes += record.payload.map_or(0, |payload| payload.len() as u64);
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
