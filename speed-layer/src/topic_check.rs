//! Whether the topic is still the one whose offsets the tables hold.
//!
//! # Consistency
//! Kafka gives an id to one topic only, ever. So if the topic has the expected id at some moment, all records that were
//! received before that moment are of the expected topic. The engine asks after the last record of a commit was received,
//! and before the commit is made: no record of another topic of the same name is ever committed.
//!
//! Where Kafka does not answer, nothing is known against the topic, and what is held is committed: while no broker answers
//! there are no new records either, and the next commit asks again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lake_delta::{LakeError, TableLog};
use lake_kafka::{ClientError, LogEnds};
use lake_model::{KafkaPartition, Offset, Outage, TopicIdentity};
use lake_tables::identity::LakeIdentity;
use tokio::time::{Instant, sleep, timeout};

/// How long a commit waits for the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The wait before Kafka is asked again at the start.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks `kafka` which topic it is until it says so.
///
/// # Errors
/// Asking again would not help.
pub async fn wait_for_topic(kafka: &dyn LogEnds) -> Result<TopicIdentity, ClientError> {
    let mut outage = Outage::default();
    loop {
        let error = match kafka.identity().await {
            Err(error) if !error.is_permanent() => error,
            answer => {
                if let Some(report) = outage.succeeded(Instant::now().into_std()) {
                    tracing::info!(waited = ?report.lasting, "Kafka has the topic now");
                }
                return answer;
            }
        };
        if let Some(report) = outage.failed(Instant::now().into_std()) {
            let waiting_for = report.lasting;
            tracing::warn!(%error, ?waiting_for, "waiting for the topic; nothing is read or created before it is there");
        }
        sleep(PAUSE).await;
    }
}

/// Asks Kafka which topic it is, and the tables which it should be.
pub enum TopicCheck {
    /// Nobody is asked: there is no Kafka.
    Unchecked,
    /// Asks this Kafka on behalf of the pipeline.
    Asking(Arc<dyn LogEnds>, LakeIdentity),
}

impl TopicCheck {
    /// Checks that the topic is the one whose offsets `log` holds.
    ///
    /// # Errors
    /// It is another one of the same name.
    pub async fn check(&self, log: &TableLog) -> Result<(), LakeError> {
        let TopicCheck::Asking(kafka, identity) = self else { return Ok(()) };
        match timeout(PATIENCE, kafka.identity()).await {
            Ok(Ok(found)) => return identity.check_topic(log, &found),
            Ok(Err(error)) => tracing::debug!(%error, "which topic it is can't be asked"),
            Err(_) => tracing::debug!("which topic it is was not answered in time"),
        }
        Ok(())
    }

    /// The ends of the topic's partitions; none while Kafka does not answer.
    pub async fn ends(&self) -> BTreeMap<KafkaPartition, Offset> {
        let TopicCheck::Asking(kafka, _) = self else { return BTreeMap::new() };
        match timeout(PATIENCE, kafka.ends()).await {
            Ok(Ok(extent)) => return extent.ends(),
            Ok(Err(error)) => tracing::debug!(%error, "where the topic ends can't be asked"),
            Err(_) => tracing::debug!("where the topic ends was not answered in time"),
        }
        BTreeMap::new()
    }

    /// As [`TopicCheck::check`], and waits until Kafka says which topic it is: for decisions that can't be taken back.
    ///
    /// # Errors
    /// As there.
    pub async fn insist(&self, log: &TableLog) -> Result<(), LakeError> {
        let TopicCheck::Asking(kafka, identity) = self else { return Ok(()) };
        let mut outage = Outage::default();
        loop {
            match kafka.identity().await {
                Ok(found) => return identity.check_topic(log, &found),
                // It will never say.
                Err(error) if error.is_permanent() => return Ok(()),
                Err(error) => {
                    if let Some(report) = outage.failed(Instant::now().into_std()) {
                        let waiting_for = report.lasting;
                        tracing::warn!(%error, ?waiting_for, "waiting for Kafka to report the topic id");
                    }
                }
            }
            sleep(PAUSE).await;
        }
    }
}
