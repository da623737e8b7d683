//! The consumer's librdkafka settings: ours, then the user's `kafka.properties`, then those that exactly-once
//! landing depends on (which settings refuse to override).

use lake_config::Settings;
use lake_kafka::client;
use rdkafka::ClientConfig;

/// A consumer of the group called `group`.
pub(super) fn group_consumer(settings: &Settings, group: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    // librdkafka's own queue is bounded per consumer, and overshot by one answer of each broker; larger answers
    // save requests while catching up.
    config
        .set("queued.max.messages.kbytes", "8192")
        .set("fetch.message.max.bytes", "2097152")
        .set("fetch.max.bytes", "4194304")
        .set("fetch.queue.backoff.ms", "50")
        // An answer of a few records costs as much as a large one: brokers gather records for a moment.
        .set("fetch.min.bytes", "65536")
        .set("fetch.wait.max.ms", "100")
        // A batch that was damaged on a disk or on its way is a fault then, and not whatever it can be read as.
        .set("check.crcs", "true")
        .set("statistics.interval.ms", "5000");
    for (key, value) in client::group_consumer(&settings.kafka, group).config_map() {
        config.set(key.to_owned(), value.to_owned());
    }
    config
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        // An offset that is gone is decided on, never reset silently.
        .set("auto.offset.reset", "error");
    config
}
