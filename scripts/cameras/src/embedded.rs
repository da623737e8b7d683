//! The embedded broker: librdkafka's mock cluster in this process, for a demo without Kafka.
//!
//! The mock keeps little of each partition and drops the rest silently, so the producer follows the
//! offsets that the consumer group commits and stays within the [`Allowance`]. Reading them is an ordinary
//! request for committed offsets by a client that does not join the group. The speed layer commits offsets
//! after each table commit: what is committed is consumed for good.
//!
//! Records must have the offsets that the allowance counts, so the partition of each is chosen here, and
//! the topic is written by no one else.

use std::path::Path;
use std::time::Duration;

use lake_runtime::Shutdown;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{Offset, TopicPartitionList};

use crate::allowance::Allowance;
use crate::error::SimulatorError;
use crate::pace::Stopwatch;
use crate::sink::{Sink, embedded_config};

/// Time from one look at the committed offsets to the next.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Longest wait for the committed offsets.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// Which topic is hosted, and who consumes it.
#[derive(Clone, Debug)]
pub struct Hosting {
    /// The topic.
    pub topic: String,
    /// Its number of partitions.
    pub partitions: u16,
    /// The consumer group that is followed.
    pub group: String,
    /// How long the group may commit nothing while it is waited for.
    pub consumer_wait: Duration,
}

/// Whether a wait came to its end.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// What was waited for is there.
    Done,
    /// The run was asked to stop.
    Stopped,
}

/// A broker in this process, with one topic.
pub struct Embedded {
    hosting: Hosting,
    allowance: Allowance,
    follower: BaseConsumer,
    brokers: String,
    // Dropped last: clients should find their broker while they close.
    _cluster: MockCluster<'static, DefaultProducerContext>,
}

impl Embedded {
    /// Starts a broker on a free port of this machine.
    ///
    /// # Errors
    /// A broker or topic that can't be made.
    pub fn start(hosting: Hosting) -> Result<Embedded, SimulatorError> {
        let failed = |action: &str, source: KafkaError| {
            let action = format!("{action} for topic {:?}", hosting.topic);
            let remedy = "check the topic's name, and that 127.0.0.1 has free ports";
            SimulatorError::kafka(action, "embedded", source, remedy)
        };
        let cluster = MockCluster::new(1).map_err(|error| failed("start the broker", error))?;
        let partitions = i32::from(hosting.partitions);
        cluster
            .create_topic(&hosting.topic, partitions, 1)
            .map_err(|error| failed("make the partitions", error))?;
        let brokers = cluster.bootstrap_servers();
        let follower = embedded_config(&brokers).set("group.id", &hosting.group).create();
        let follower = follower.map_err(|error| failed("follow the consumer group", error))?;
        let allowance = Allowance::new(usize::from(hosting.partitions));
        Ok(Embedded { hosting, allowance, follower, brokers, _cluster: cluster })
    }

    /// Where clients connect to, `host:port`.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// The partition of a camera's records: cameras in turn, so that all fill up alike.
    pub fn partition(&self, camera: u32) -> u16 {
        u16::try_from(camera % u32::from(self.hosting.partitions)).unwrap_or(0)
    }

    /// Waits until `partition` can take a record with a key and payload of `bytes`, and counts it.
    ///
    /// # Errors
    /// A consumer group that commits nothing in time.
    pub fn reserve(
        &mut self,
        partition: u16,
        bytes: usize,
        sink: &Sink,
        shutdown: &Shutdown,
    ) -> Result<Waited, SimulatorError> {
        let partition = usize::from(partition);
        let waited = self.wait(sink, shutdown, |allowance| allowance.has_room(partition, bytes))?;
        if waited == Waited::Done {
            self.allowance.sent(partition, bytes);
        }
        Ok(waited)
    }

    /// Waits until the group has committed all that was sent.
    ///
    /// # Errors
    /// A consumer group that commits nothing in time.
    pub fn drain(&mut self, sink: &Sink, shutdown: &Shutdown) -> Result<Waited, SimulatorError> {
        self.wait(sink, shutdown, |allowance| allowance.outstanding() == 0)
    }

    fn wait(
        &mut self,
        sink: &Sink,
        shutdown: &Shutdown,
        there: impl Fn(&Allowance) -> bool,
    ) -> Result<Waited, SimulatorError> {
        if there(&self.allowance) {
            return Ok(Waited::Done);
        }
        let mut since_news = Stopwatch::start();
        loop {
            if self.look() {
                since_news = Stopwatch::start();
            }
            if there(&self.allowance) {
                return Ok(Waited::Done);
            }
            if shutdown.is_requested() {
                return Ok(Waited::Stopped);
            }
            if since_news.elapsed() >= self.hosting.consumer_wait {
                return Err(self.no_consumer());
            }
            sink.poll(LOOK_INTERVAL);
        }
    }

    /// Reads the group's offsets. True if it has consumed more than was known.
    fn look(&mut self) -> bool {
        let mut list = TopicPartitionList::new();
        let last = i32::from(self.hosting.partitions) - 1;
        list.add_partition_range(&self.hosting.topic, 0, last);
        let committed = match self.follower.committed_offsets(list, LOOK_TIMEOUT) {
            Ok(committed) => committed,
            Err(error) => {
                tracing::debug!(%error, group = self.hosting.group, "read the group's offsets");
                return false;
            }
        };
        let mut news = false;
        for element in committed.elements() {
            if let (Offset::Offset(next), Ok(partition)) =
                (element.offset(), usize::try_from(element.partition()))
            {
                news |= self.allowance.consumed(partition, u64::try_from(next).unwrap_or(0));
            }
        }
        news
    }

    fn no_consumer(&self) -> SimulatorError {
        SimulatorError::NoConsumer {
            group: self.hosting.group.clone(),
            topic: self.hosting.topic.clone(),
            brokers: self.brokers.clone(),
            outstanding: self.allowance.outstanding(),
            waited: self.hosting.consumer_wait,
        }
    }
}

/// Writes `brokers` to the file at `path`: whoever sees the file finds all of it there.
///
/// # Errors
/// A file that can't be written.
pub fn write_broker_file(path: &Path, brokers: &str) -> Result<(), SimulatorError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    std::fs::write(&new, format!("{brokers}\n"))
        .and_then(|()| std::fs::rename(&new, path))
        .map_err(|cause| SimulatorError::broker_file(path, cause))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_broker_file_replaces_an_older_one_and_leaves_nothing_else_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("brokers");
        write_broker_file(&path, "127.0.0.1:1").unwrap();
        write_broker_file(&path, "127.0.0.1:2").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "127.0.0.1:2\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_broker_file_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("brokers");
        let error = write_broker_file(&path, "127.0.0.1:1").unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
        assert_eq!(error.exit_code(), 3);
    }
}
