//! Whose clock stamps the topic's records: the broker's (LogAppendTime) or, with a warning, the producers'
//! (CreateTime), which can vouch for their own future.
//!
//! The topic's settings say so at the start, to whoever may read them; otherwise the first record does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lake_config::Settings;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use lake_kafka::client::{self, Quiet};
use lake_kafka::is_permanent;

/// How often the topic's settings are asked for while Kafka does not give them, and the wait before the next time. A
/// topic that was just made is not known to every broker yet.
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_secs(2);

/// Asks Kafka how the topic's records are stamped, and warns if it is by their producers.
pub async fn check_timestamps(settings: Settings) {
    for _ in 0..TRIES {
        match timestamp_type(&settings).await {
            Ok(found) if found == "CreateTime" => {
                return warn_of_create_time(&settings.kafka.topic);
            }
            Ok(_) => return,
            Err(error) => {
                tracing::debug!(%error, "the topic's settings can't be read");
                if is_permanent(&error) {
                    return;
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Warns once that producers stamp the records of `topic`.
pub(super) fn warn_of_create_time(topic: &str) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.load(Ordering::Relaxed) && !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            topic,
            "the topic carries producers' timestamps (CreateTime), so that a producer's clock can vouch for \
             its own future; set message.timestamp.type=LogAppendTime"
        );
    }
}

async fn timestamp_type(settings: &Settings) -> KafkaResult<String> {
    let config = client::client(&settings.kafka);
    let admin: AdminClient<Quiet> = AdminClient::from_config_and_context(&config, Quiet)?;
    let topic = ResourceSpecifier::Topic(&settings.kafka.topic);
    let options = AdminOptions::new().request_timeout(Some(settings.kafka.request_timeout));
    let found = admin.describe_configs([&topic], &options).await?;
    let described = found.into_iter().next().ok_or(KafkaError::Canceled)?;
    let resource = described.map_err(KafkaError::AdminOp)?;
    let value = resource.get("message.timestamp.type").and_then(|entry| entry.value.clone());
    value.ok_or(KafkaError::AdminOp(RDKafkaErrorCode::InvalidConfig))
}
