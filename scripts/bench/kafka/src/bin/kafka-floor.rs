//! `kafka-floor`: reads a topic from its first offset to its end and does nothing with the records but count them.
//!
//! One thread takes messages from librdkafka in batches, which is the cheapest way that it has, with queues and answers
//! large enough that it never waits for Kafka. Nothing is decoded, kept or committed. Prints a line of JSON.

use std::ptr;

use anyhow::{Context, bail};
use bench_kafka::partitions;
use clap::Parser;
use rdkafka::bindings as sys;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use sys::rd_kafka_resp_err_t as Code;

/// Messages taken at a time.
const BATCH: usize = 10_000;
/// Longest wait for a message, in milliseconds.
const WAIT_MS: i32 = 10_000;

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
}

#[expect(clippy::print_stdout, reason = "the line is the program's output")]
fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let consumer = consumer(&cli)?;
    let partitions = partitions(&consumer, &cli.topic)?;
    let mut list = TopicPartitionList::new();
    for partition in &partitions {
        list.add_partition_offset(&cli.topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&list).context("assign the partitions")?;
    let read = read(&consumer, partitions.len())?;
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

/// Takes messages until each of so many partitions has come to its end.
#[expect(unsafe_code, reason = "only librdkafka's own interface hands messages over in batches")]
fn read(consumer: &BaseConsumer, partitions: usize) -> anyhow::Result<Read> {
    let mut read = Read::default();
    let mut batch = vec![ptr::null_mut(); BATCH];
    // SAFETY: the client lives as long as `consumer`, which is borrowed; the queue is given back below.
    let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
    while read.partitions_ended < partitions {
        // SAFETY: the queue is valid, and `batch` has room for BATCH pointers.
        let taken =
            unsafe { sys::rd_kafka_consume_batch_queue(queue, WAIT_MS, batch.as_mut_ptr(), BATCH) };
        let taken = usize::try_from(taken).context("take messages")?;
        if taken == 0 {
            bail!("Kafka delivered nothing for {WAIT_MS} ms before the end of the topic");
        }
        for message in &batch[..taken] {
            // SAFETY: librdkafka filled in so many valid messages, which are ours until they are destroyed.
            let (code, length) = unsafe { ((**message).err, (**message).len) };
            // SAFETY: as above; nothing refers to the message any more.
            unsafe { sys::rd_kafka_message_destroy(*message) };
            read.count(code, length)?;
        }
    }
    // SAFETY: the queue came from rd_kafka_queue_get_consumer and is not used after this.
    unsafe { sys::rd_kafka_queue_destroy(queue) };
    Ok(read)
}

impl Read {
    fn count(&mut self, code: Code, length: usize) -> anyhow::Result<()> {
        match code {
            Code::RD_KAFKA_RESP_ERR_NO_ERROR => {
                self.records += 1;
                self.bytes += length as u64;
            }
            Code::RD_KAFKA_RESP_ERR__PARTITION_EOF => self.partitions_ended += 1,
            code => bail!("Kafka failed: {code:?}"),
        }
        Ok(())
    }
}
