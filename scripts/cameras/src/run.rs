//! One run: plan, topic or embedded broker, records in order of arrival, flush, summary.
//!
//! A request to stop ends the loop between two records or in any wait; what was handed to the producer by
//! then is still delivered and counted.

use std::io::Write;
use std::time::Duration;

use lake_config::Settings;
use lake_model::Clock;
use lake_model::Timestamp;
use lake_runtime::Shutdown;

use crate::cli::{Cli, Plan};
use crate::embedded::{Embedded, Hosting, Waited, write_broker_file};
use crate::error::SimulatorError;
use crate::field_names::FieldNames;
use crate::generator::{Delivery, Generator};
use crate::pace::{Pace, Stopwatch};
use crate::progress::Progress;
use crate::sink::{Batches, Record, Sent, Sink, client_config, embedded_config};
use crate::summary::{Summary, Tally};
use crate::topic::{self, NewTopicSpec};
use crate::wire::Wire;
use crate::world::World;

/// Records from one look at the request to stop, and one update of the progress, to the next.
const RECORDS_PER_LOOK: u64 = 512;

/// Runs the simulator, writing the embedded broker's address and the summary to `out`.
///
/// # Errors
/// See [`SimulatorError`]. Records that Kafka did not accept are no error here: the summary counts them.
pub fn run(
    cli: &Cli,
    settings: &Settings,
    clock: &dyn Clock,
    shutdown: &Shutdown,
    out: &mut dyn Write,
) -> Result<Summary, SimulatorError> {
    let plan = Plan::new(cli, settings, clock.now())?;
    if let Some(warning) = &plan.warning {
        tracing::warn!("{warning}");
    }
    let world = World::new(cli.seed, cli.cameras, plan.plates);
    let mut generator = Generator::new(&world, plan.schedule.clone(), cli.shares(), cli.seed);
    if let Some((before, start)) = plan.under_way.clone() {
        generator = generator.with_under_way(before, start);
    }
    let (target, brokers) = Target::open(cli, settings, out)?;
    let progress = Progress::new(plan.events, cli.quiet);
    let wire = Wire::new(field_names(settings));
    let mut run = Run { world: &world, wire, target, progress, tally: Tally::default(), shutdown };
    run.produce(generator, Hold::new(cli, &plan, clock))?;
    let not_delivered = run.finish()?;
    let summary = run.tally.summary(cli.cameras, &brokers, &settings.kafka.topic, not_delivered);
    let line = serde_json::to_string(&summary).expect("a summary is plain data");
    write_line(out, &line)?;
    if cli.keep_broker && not_delivered == 0 {
        while !shutdown.wait_at_most(Duration::from_secs(3600)) {}
    }
    Ok(summary)
}

fn field_names(settings: &Settings) -> FieldNames {
    let event = &settings.event;
    FieldNames::new(
        &event.camera_field,
        &event.timestamp_field,
        &event.speed_field,
        &event.plate_field,
    )
}

fn write_line(out: &mut dyn Write, line: &str) -> Result<(), SimulatorError> {
    let written = writeln!(out, "{line}").and_then(|()| out.flush());
    written.map_err(|cause| SimulatorError::Write { what: "standard output".to_owned(), cause })
}

/// Where records go. Fields are dropped in this order: the broker goes last.
struct Target {
    sink: Sink,
    embedded: Option<Embedded>,
}

impl Target {
    /// Opens the brokers of the settings, or hosts one. Returns their address too.
    fn open(
        cli: &Cli,
        settings: &Settings,
        out: &mut dyn Write,
    ) -> Result<(Target, String), SimulatorError> {
        if cli.embedded_broker {
            return Target::host(cli, settings, out);
        }
        let kafka = &settings.kafka;
        let config = client_config(kafka);
        let spec = NewTopicSpec {
            name: &kafka.topic,
            partitions: cli.partitions(),
            timestamps: cli.timestamp_type,
        };
        topic::ensure(&config, &spec, &kafka.brokers, kafka.request_timeout)?;
        let sink = Sink::new(&config, &kafka.topic, Batches::Compressed)?;
        Ok((Target { sink, embedded: None }, kafka.brokers.clone()))
    }

    fn host(
        cli: &Cli,
        settings: &Settings,
        out: &mut dyn Write,
    ) -> Result<(Target, String), SimulatorError> {
        let group = settings.kafka.group.clone().ok_or_else(|| {
            let fault = "kafka.group is not set: the embedded broker waits for what the consumer group has \
                         committed; set kafka.group = \"camera-speeds\" for the speed layer too";
            SimulatorError::Usage(fault.to_owned())
        })?;
        let embedded = Embedded::start(Hosting {
            topic: settings.kafka.topic.clone(),
            partitions: cli.partitions(),
            group,
            consumer_wait: cli.consumer_wait,
        })?;
        let brokers = embedded.brokers().to_owned();
        let sink = Sink::new(&embedded_config(&brokers), &settings.kafka.topic, Batches::Counted)?;
        match &cli.broker_file {
            Some(path) => write_broker_file(path, &brokers)?,
            None => write_line(out, &format!("brokers={brokers}"))?,
        }
        Ok((Target { sink, embedded: Some(embedded) }, brokers))
    }
}

/// What a record waits for before it is sent.
enum Hold<'a> {
    /// Nothing.
    Free,
    /// Its turn.
    Pace(Pace, Stopwatch),
    /// Its arrival, by a clock that is behind by so many microseconds.
    Clock(&'a dyn Clock, i64),
}

impl<'a> Hold<'a> {
    fn new(cli: &Cli, plan: &Plan, clock: &'a dyn Clock) -> Hold<'a> {
        match cli.rate {
            _ if cli.live => Hold::Clock(clock, plan.behind_us),
            Some(rate) => Hold::Pace(Pace::new(rate), Stopwatch::start()),
            None => Hold::Free,
        }
    }

    /// How long the next record, which is `delivery`, has to wait.
    fn wait_for(&mut self, delivery: &Delivery) -> Duration {
        match self {
            Hold::Free => Duration::ZERO,
            Hold::Pace(pace, stopwatch) => pace.next(stopwatch.elapsed()),
            Hold::Clock(clock, behind_us) => {
                let arrival =
                    Timestamp::from_millis(delivery.arrival_ms).saturating_add(*behind_us);
                let ahead_us = arrival.saturating_since(clock.now());
                Duration::from_micros(u64::try_from(ahead_us).unwrap_or(0))
            }
        }
    }
}

struct Run<'a> {
    world: &'a World,
    wire: Wire,
    target: Target,
    progress: Progress,
    tally: Tally,
    shutdown: &'a Shutdown,
}

impl Run<'_> {
    fn produce(
        &mut self,
        generator: Generator<'_>,
        mut hold: Hold<'_>,
    ) -> Result<(), SimulatorError> {
        let mut payload = Vec::new();
        for delivery in generator {
            if self.tally.produced().is_multiple_of(RECORDS_PER_LOOK) {
                self.progress.update(&self.tally);
                if self.shutdown.is_requested() {
                    break;
                }
            }
            let wait = hold.wait_for(&delivery);
            if !wait.is_zero() {
                self.progress.update(&self.tally);
                if self.shutdown.wait_at_most(wait) {
                    break;
                }
            }
            let there = self.wire.write(self.world, &delivery, &mut payload);
            if self.send(&delivery, there.then_some(&payload[..]))? == Sent::Stopped {
                break;
            }
            self.tally.count(&delivery);
        }
        Ok(())
    }

    fn send(
        &mut self,
        delivery: &Delivery,
        payload: Option<&[u8]>,
    ) -> Result<Sent, SimulatorError> {
        let key = self.world.camera(&delivery.sighting).id.as_str();
        let Target { sink, embedded } = &mut self.target;
        let mut partition = None;
        if let Some(embedded) = embedded {
            let chosen = embedded.partition(delivery.sighting.camera);
            let bytes = key.len() + payload.map_or(0, <[u8]>::len);
            if embedded.reserve(chosen, bytes, sink, self.shutdown)? == Waited::Stopped {
                return Ok(Sent::Stopped);
            }
            partition = Some(i32::from(chosen));
        }
        let record = Record { key, payload, timestamp_ms: delivery.arrival_ms, partition };
        sink.send(&record, self.shutdown)
    }

    /// Delivers what is queued and, hosting a broker, waits until the group has consumed it. Returns the
    /// number of records that were not delivered.
    fn finish(&mut self) -> Result<u64, SimulatorError> {
        self.progress.wait_for("the last deliveries");
        let Target { sink, embedded } = &mut self.target;
        let not_delivered = sink.finish(self.shutdown);
        if let (Some(embedded), 0) = (embedded, not_delivered) {
            self.progress.wait_for("the consumer group to commit all records");
            // Stopped or done, the summary is due.
            let _ = embedded.drain(sink, self.shutdown)?;
        }
        self.progress.finish();
        Ok(not_delivered)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug)]
    struct At(Timestamp);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    #[test]
    fn live_in_the_past_a_record_waits_for_its_arrival_by_the_cameras_clock() {
        let options = ["camera-simulator", "--live", "--rate=5", "--from=2025-04-05T12:00:00Z"];
        let (cli, now) = (Cli::parse_from(options), Timestamp::from_millis(1_800_000_000_000));
        let plan = Plan::new(&cli, &Settings::default(), now).expect("a plan");
        let world = World::new(1, 2, 10);
        let first = Generator::new(&world, plan.schedule.clone(), cli.shares(), 1).next();
        let first = first.expect("a live run has no end");
        let start = Timestamp::parse("2025-04-05T12:00:00Z").expect("a time");
        let after_start = Timestamp::from_millis(first.arrival_ms).saturating_since(start);
        let waits = |clock: At| Hold::new(&cli, &plan, &clock).wait_for(&first).as_micros();
        assert_eq!(waits(At(now)), u128::from(after_start.unsigned_abs()));
        assert_eq!(waits(At(now.saturating_add(after_start))), 0);
    }
}
