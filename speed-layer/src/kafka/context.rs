//! What librdkafka calls back with: rebalances, kept for the poller, and statistics, turned into metrics.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lake_model::KafkaPartition;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;

use super::transactions::OpenTransactions;

/// A rebalance that waits to be handled.
#[derive(Debug)]
pub(super) enum Rebalance {
    Assign(Vec<KafkaPartition>),
    Revoke(Vec<KafkaPartition>),
}

/// The consumer's context.
#[derive(Default)]
pub(super) struct GroupContext {
    rebalances: Mutex<VecDeque<Rebalance>>,
    open_transactions: Mutex<OpenTransactions>,
    is_closing: AtomicBool,
}

impl GroupContext {
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

    fn open_transactions(&self) -> MutexGuard<'_, OpenTransactions> {
        self.open_transactions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for GroupContext {
    fn stats(&self, statistics: Statistics) {
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
        // Ends of partitions are no faults; the poller receives them too.
        let is_end = error.rdkafka_error_code() == Some(RDKafkaErrorCode::PartitionEOF);
        if !is_end {
            tracing::warn!(%error, reason, "Kafka");
        }
    }
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
