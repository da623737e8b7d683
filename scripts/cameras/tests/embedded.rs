//! The embedded broker from end to end: a run, and a plain consumer beside it that commits offsets.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use camera_simulator::cli::Plan;
use camera_simulator::field_names::FieldNames;
use camera_simulator::wire::Wire;
use camera_simulator::{Cli, Generator, SimulatorError, Summary, World, run};
use clap::Parser;
use lake_config::Settings;
use lake_model::Clock;
use lake_runtime::{Shutdown, SystemClock};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{BorrowedMessage, Timestamp};
use rdkafka::{Message, TopicPartitionList};
use tokio::sync::oneshot;

const GROUP: &str = "camera-speeds";
const TOPIC: &str = "camera-events";
const TIMEOUT: Duration = Duration::from_secs(60);

/// Hands each line written on to a channel.
struct Lines(Sender<String>, Vec<u8>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.1.extend_from_slice(bytes);
        while let Some(end) = self.1.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.1.drain(..=end).collect();
            let _ = self.0.send(String::from_utf8(line).unwrap().trim_end().to_owned());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A simulator with an embedded broker, running in a thread of its own.
struct Simulator {
    cli: Cli,
    brokers: String,
    lines: Receiver<String>,
    /// Stops the run when it is dropped.
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<Summary, SimulatorError>>,
}

impl Simulator {
    fn start(options: &str) -> Simulator {
        let fixed = "camera-simulator --quiet --embedded-broker --date 2025-04-04 ";
        let cli = Cli::parse_from(format!("{fixed}{options}").split_whitespace());
        let (sender, lines) = channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = Shutdown::on(async move { drop(stopped.await) });
        let own_cli = cli.clone();
        let thread = std::thread::spawn(move || {
            let mut out = Lines(sender, Vec::new());
            let mut settings = Settings::default();
            settings.kafka.group = Some(GROUP.to_owned());
            run(&own_cli, &settings, &SystemClock, &shutdown, &mut out)
        });
        let line = lines.recv_timeout(TIMEOUT).unwrap();
        let brokers = line.strip_prefix("brokers=").unwrap().to_owned();
        Simulator { cli, brokers, lines, stop, thread }
    }

    /// A consumer in the group that the simulator follows, as the speed layer is configured.
    fn consumer(&self) -> BaseConsumer {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("group.id", GROUP)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("fetch.wait.max.ms", "10")
            .create()
            .unwrap();
        consumer.subscribe(&[TOPIC]).unwrap();
        consumer
    }
}

/// A record as it should be, or is, in a partition.
#[derive(Debug, PartialEq, Eq)]
struct Stored {
    key: Vec<u8>,
    payload: Option<Vec<u8>>,
    timestamp: Timestamp,
}

impl Stored {
    fn of(message: &BorrowedMessage<'_>) -> Stored {
        Stored {
            key: message.key().unwrap().to_vec(),
            payload: message.payload().map(<[u8]>::to_vec),
            timestamp: message.timestamp(),
        }
    }
}

/// What each partition should hold, drawn again from the options alone.
fn expected(cli: &Cli, partitions: u16) -> Vec<Vec<Stored>> {
    let plan = Plan::new(cli, &Settings::default(), SystemClock.now()).unwrap();
    let world = World::new(cli.seed, cli.cameras, plan.plates);
    let names = FieldNames::new("kvfv_id", "timestamp", "vehicle_speed", "plate_number");
    let wire = Wire::new(names);
    let mut stored: Vec<Vec<Stored>> = (0..partitions).map(|_| Vec::new()).collect();
    for delivery in Generator::new(&world, plan.schedule, cli.shares(), cli.seed) {
        let mut payload = Vec::new();
        let there = wire.write(&world, &delivery, &mut payload);
        let partition = delivery.sighting.camera as usize % usize::from(partitions);
        stored[partition].push(Stored {
            key: world.camera(&delivery.sighting).id.clone().into_bytes(),
            payload: there.then_some(payload),
            timestamp: Timestamp::CreateTime(delivery.arrival_ms),
        });
    }
    stored
}

/// The next record. A poll that serves a rebalance returns without one.
fn next_record(consumer: &BaseConsumer) -> BorrowedMessage<'_> {
    let polled = (0..10).find_map(|_| consumer.poll(TIMEOUT));
    polled.expect("a record within the time").unwrap()
}

/// Consumes `count` records and commits whenever a thousand more were seen, and at the end.
fn consume(consumer: &BaseConsumer, partitions: u16, count: usize) -> Vec<Vec<Stored>> {
    let mut stored: Vec<Vec<Stored>> = (0..partitions).map(|_| Vec::new()).collect();
    for seen in 1..=count {
        let message = next_record(consumer);
        let partition = &mut stored[usize::try_from(message.partition()).unwrap()];
        assert_eq!(message.offset(), i64::try_from(partition.len()).unwrap(), "a gap or a repeat");
        partition.push(Stored::of(&message));
        if seen % 1000 == 0 || seen == count {
            consumer.commit_consumer_state(CommitMode::Sync).unwrap();
        }
    }
    stored
}

#[test]
fn every_record_reaches_a_committing_consumer_exactly_once_and_as_generated() {
    // Two partitions hold far less than this, so the producer has to follow the consumer.
    let simulator = Simulator::start("--events 100000 --partitions 2 --bad 0.01 --keep-broker");
    let expected = expected(&simulator.cli, 2);
    let count = expected.iter().map(Vec::len).sum();
    let consumer = simulator.consumer();
    assert!(consume(&consumer, 2, count) == expected, "records differ from the generated ones");

    let summary = simulator.lines.recv_timeout(TIMEOUT).unwrap();
    assert!(summary.contains(&format!("\"produced\":{count},\"events\":100000")), "{summary}");
    for (partition, stored) in (0..).zip(&expected) {
        let (_, end) = consumer.fetch_watermarks(TOPIC, partition, TIMEOUT).unwrap();
        assert_eq!(usize::try_from(end).unwrap(), stored.len(), "the kept broker's end offset");
    }
    drop(simulator.stop);
    let summary = simulator.thread.join().unwrap().unwrap();
    assert_eq!((summary.events, summary.not_delivered), (100_000, 0));
    assert_eq!(summary.brokers, simulator.brokers);
}

#[test]
fn a_missing_consumer_group_is_named_after_the_wait() {
    let simulator = Simulator::start("--events 1000 --consumer-wait 100ms");
    let error = simulator.thread.join().unwrap().unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let text = error.to_string();
    assert!(text.contains(GROUP) && text.contains("--consumer-wait"), "{text}");
}

#[test]
fn a_run_that_is_stopped_while_it_waits_for_the_group_still_sums_up() {
    let simulator = Simulator::start("--events 10000000 --partitions 2");
    let consumer = simulator.consumer();
    // The first record shows that the run is under way; it can't end, as nothing is ever committed.
    next_record(&consumer);
    drop(simulator.stop);
    let summary = simulator.thread.join().unwrap().unwrap();
    assert!((1..10_000_000).contains(&summary.produced), "{summary:?}");
    assert_eq!(summary.not_delivered, 0);
    let line = simulator.lines.recv_timeout(TIMEOUT).unwrap();
    assert_eq!(line, serde_json::to_string(&summary).unwrap());
}

#[test]
fn offsets_of_another_group_do_not_count() {
    let simulator = Simulator::start("--events 1000 --partitions 1 --consumer-wait 2s");
    let other: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &simulator.brokers)
        .set("group.id", "someone-else")
        .create()
        .unwrap();
    let mut all = TopicPartitionList::new();
    all.add_partition_offset(TOPIC, 0, rdkafka::Offset::Offset(5000)).unwrap();
    other.commit(&all, CommitMode::Sync).unwrap();
    let error = simulator.thread.join().unwrap().unwrap_err();
    assert!(matches!(error, SimulatorError::NoConsumer { .. }), "{error}");
}

#[test]
fn without_the_name_of_the_group_to_wait_for_no_broker_is_started() {
    let cli = Cli::parse_from(["camera-simulator", "--quiet", "--embedded-broker"]);
    let shutdown = Shutdown::never();
    let error =
        run(&cli, &Settings::default(), &SystemClock, &shutdown, &mut Vec::new()).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("kafka.group is not set"), "{error}");
}
