//! `[kafka]`: the brokers, the topic, and librdkafka's own settings.

use std::time::Duration;

use super::rules::{BROKERS, GROUP, TOPIC};
use crate::family::{NameError, Rules};
use crate::key::{default, section, unset};
use crate::kind::{OneOf, Optional, Property, duration};
use crate::properties::{Properties, is_secret};
use crate::units::{HOUR, MILLISECOND};

/// What to do where Kafka no longer holds records that have not landed, or has other records than those that have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDataLoss {
    /// Stop with an error.
    Fail,
    /// Record the loss and go on.
    Accept,
}

section! {
    /// Where events come from.
    pub struct Kafka in "kafka" {
        /// The brokers to connect to first.
        brokers: String = BROKERS, default("127.0.0.1:9092");

        /// The topic of events.
        topic: String = TOPIC, default("camera-events");

        /// The consumer group. Its offsets are for tools that show lag; the tables hold the true ones.
        /// Two lakes of one topic must not share a group: each would get a part of the partitions.
        /// Without it the group is lambdalake-NAME-ID, of pipeline.name and of the id that the lake was created with.
        /// A lake of a release without such ids keeps the group that it had: the value of pipeline.name.
        group: Option<String> = Optional(GROUP), unset(), such_as "camera-speeds";

        /// What to do where Kafka no longer holds records that have not landed, or where its log was cut
        /// below what has landed (an unclean leader election): stop with an error, or record the loss, in
        /// `offset_gaps` or in the log of `events`, and go on.
        on_data_loss: OnDataLoss = OneOf(&[("fail", OnDataLoss::Fail), ("accept", OnDataLoss::Accept)]),
            default("fail");

        /// Longest wait for an answer of the brokers.
        request_timeout: Duration = duration(100 * MILLISECOND, HOUR), default("30s");
    }
    families {
        /// librdkafka's own settings, passed on as they are: TLS, SASL, fetching. Refused are those that
        /// the pipeline's guarantees rest on, such as enable.auto.commit and isolation.level.
        properties: Properties, of String = Rules {
            kind: &Property,
            check_name: check_property,
            is_secret,
            keeps_case: false,
            examples: &[
                ("security.protocol", "SASL_SSL"),
                ("sasl.mechanism", "SCRAM-SHA-512"),
                ("sasl.username", "lambdalake"),
                ("sasl.password", "…"),
                ("ssl.ca.location", "/etc/ssl/certs/ca.pem"),
            ],
        };
    }
}

/// librdkafka's settings that the pipeline decides itself, and why.
const REFUSED_PROPERTIES: [(&str, &str); 9] = [
    ("enable.auto.commit", COMMITS),
    ("auto.commit.enable", COMMITS),
    ("enable.auto.offset.store", COMMITS),
    ("auto.offset.reset", "an offset that is gone must stop the pipeline or be recorded as lost"),
    ("isolation.level", "records of aborted transactions must not become events"),
    ("enable.partition.eof", "the speed layer needs it to see how far a partition reaches"),
    ("group.id", "kafka.group is the setting for it"),
    ("bootstrap.servers", OWN_BROKERS),
    ("metadata.broker.list", OWN_BROKERS),
];
/// All of librdkafka's settings that a text can set and that have an underscore.
const WITH_UNDERSCORE: [&str; 2] = ["log_level", "enabled_events"];
const COMMITS: &str = "offsets are committed only after the tables hold the records";
const OWN_BROKERS: &str = "kafka.brokers is the setting for it";

fn check_property(name: &str) -> Result<(), NameError> {
    match REFUSED_PROPERTIES.iter().find(|(refused, _)| *refused == name) {
        Some((_, reason)) => Err(NameError::Reserved(reason)),
        None if name.is_empty() => Err(NameError::Malformed("the name of a librdkafka property")),
        None if name.contains('_') && !WITH_UNDERSCORE.contains(&name) => {
            Err(NameError::Misspelt {
                expected: "dots in the name of a librdkafka property; in a variable two underscores stand for a dot",
                meant: name.replace('_', "."),
            })
        }
        None => Ok(()),
    }
}
