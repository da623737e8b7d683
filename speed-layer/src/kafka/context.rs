//! What librdkafka calls back with: rebalances, kept for the poller, and statistics, turned into metrics.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lake_model::{KafkaPartition, Outage};
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;

use super::transactions::OpenTransactions;

/// An outage is over when no connection has failed for so long: librdkafka tries one that failed again within 10 s.
const QUIET: Duration = Duration::from_secs(15);

/// A rebalance that waits to be handled.
#[derive(Debug)]
pub(super) enum Rebalance {
    Assign(Vec<KafkaPartition>),
    Revoke(Vec<KafkaPartition>),
}

/// The consumer's context.
#[derive(Default)]
pub(super) struct GroupContext {
    /// The brokers that it begins with, for messages.
    brokers: String,
    connections: Mutex<Outage>,
    rebalances: Mutex<VecDeque<Rebalance>>,
    open_transactions: Mutex<OpenTransactions>,
    is_closing: AtomicBool,
}

impl GroupContext {
    /// The context of a consumer of these brokers.
    pub(super) fn of(brokers: &str) -> GroupContext {
        GroupContext { brokers: brokers.to_owned(), ..GroupContext::default() }
    }

    /// The oldest rebalance that is not handled yet.
    pub(super) fn next_rebalance(&self) -> Option<Rebalance> {
        self.queue().pop_front()
    }

    /// Whether a rebalance waits to be handled.
    pub(super) fn has_rebalance(&self) -> bool {
        !self.queue().is_empty()
    }

    /// From now on partitions are returned at once: nothing is held of them any more.
    pub(super) fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Rebalance>> {
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connections(&self) -> MutexGuard<'_, Outage> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends an outage once a broker is connected and no connection has failed for a while.
    fn look_for_recovery(&self, statistics: &Statistics) {
        let (now, brokers) = (now(), statistics.brokers.values());
        let connected: Vec<Instant> = brokers
            .filter(|broker| broker.state == "UP")
            .filter_map(|broker| {
                let age = Duration::from_micros(u64::try_from(broker.stateage).ok()?);
                now.checked_sub(age)
            })
            .collect();
        if connected.is_empty() {
            return;
        }
        if let Some(report) = self.connections().succeeded_after(QUIET, connected.into_iter(), now)
        {
            tracing::info!(
                brokers = self.brokers,
                failed_for = ?report.lasting,
                failures = report.failures,
                "connected to Kafka again"
            );
        }
    }

    fn open_transactions(&self) -> MutexGuard<'_, OpenTransactions> {
        self.open_transactions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
        match level {
            // What a connection fails with comes as an error too, and is reported there.
            _ if matches!(facility, "FAIL" | "ERROR") => {
                tracing::debug!(facility, message, "librdkafka");
            }
            Emerg | Alert | Critical | Error => tracing::error!(facility, message, "librdkafka"),
            Warning => tracing::warn!(facility, message, "librdkafka"),
            Notice | Info => tracing::info!(facility, message, "librdkafka"),
            Debug => tracing::debug!(facility, message, "librdkafka"),
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.look_for_recovery(&statistics);
        for (name, topic) in &statistics.topics {
            for (partition, found) in topic.partitions.iter().filter(|(id, _)| **id >= 0) {
                let labels = [("topic", name.clone()), ("partition", partition.to_string())];
                // A partition that another instance has taken over lags behind nothing here.
                metrics::gauge!("lambdalake_kafka_consumer_lag_records", &labels)
                    .set(found.consumer_lag.max(0) as f64);
                let stable = if found.consumer_lag < 0 { -1 } else { found.ls_offset };
                let open = &mut self.open_transactions();
                let held_back = open.observe(
                    KafkaPartition(*partition),
                    stable,
                    found.hi_offset,
                    statistics.ts,
                );
                metrics::gauge!("lambdalake_kafka_open_transaction_records", &labels)
                    .set(held_back.records as f64);
                metrics::gauge!("lambdalake_kafka_open_transaction_seconds", &labels)
                    .set(held_back.seconds);
            }
        }
        // Every partition reports the size of the one queue that all of them share.
        let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
        let queued = partitions.map(|found| found.fetchq_size).max().unwrap_or(0);
        metrics::gauge!("lambdalake_kafka_queue_bytes").set(queued as f64);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            // Ends of partitions are no faults; the poller receives them too.
            Some(RDKafkaErrorCode::PartitionEOF) => {}
            // The failure of each broker's connection says more.
            Some(RDKafkaErrorCode::AllBrokersDown) => tracing::debug!(reason, "Kafka"),
            Some(code) if is_of_connection(code) => {
                let Some(report) = self.connections().failed(now()) else { return };
                let (brokers, failing_for) = (&self.brokers, report.lasting);
                tracing::warn!(
                    reason,
                    brokers,
                    ?failing_for,
                    failures = report.failures,
                    "no connection to Kafka; trying again (kafka.brokers, kafka.properties)"
                );
            }
            _ => tracing::warn!(%error, reason, "Kafka"),
        }
    }
}

/// Whether an error is one of a connection, which is made again without end.
fn is_of_connection(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{
        Authentication, BrokerTransportFailure, OperationTimedOut, RequestTimedOut, Resolve, SSL,
        SaslAuthenticationFailed,
    };
    matches!(
        code,
        Authentication
            | BrokerTransportFailure
            | OperationTimedOut
            | RequestTimedOut
            | Resolve
            | SSL
            | SaslAuthenticationFailed
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "librdkafka's callbacks are the product's edge to Kafka"
)]
fn now() -> Instant {
    Instant::now()
}

impl ConsumerContext for GroupContext {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        if self.is_closing.load(Ordering::Relaxed) {
            let result = match consumer.rebalance_protocol() {
                RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
                _ => consumer.unassign(),
            };
            if let Err(error) = result {
                tracing::debug!(%error, "partitions were not returned");
            }
            return;
        }
        let elements = list.elements();
        let partitions =
            elements.iter().map(|element| KafkaPartition(element.partition())).collect();
        let assigns = kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        self.queue().push_back(if assigns {
            Rebalance::Assign(partitions)
        } else {
            Rebalance::Revoke(partitions)
        });
    }
}
