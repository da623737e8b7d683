//! Failures of Kafka's clients, and whether trying again may help.

use lake_config::{Kafka, describe_property};
use lake_model::exit_code::{EXTERNAL_FAILURE, USAGE_ERROR};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// A failure to reach or to use Kafka.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// librdkafka refuses a setting.
    #[error(
        "kafka.properties.{key} = {value:?}: {reason}; librdkafka's CONFIGURATION.md lists its properties and \
         their values"
    )]
    Setting {
        /// The property.
        key: String,
        /// Its value for people, without a secret.
        value: String,
        /// What librdkafka says.
        reason: String,
    },
    /// librdkafka makes no client of the settings.
    #[error(
        "{settings}: librdkafka makes no client of it: {reason}; correct it, or set what is missing under \
         kafka.properties"
    )]
    Refused {
        /// The properties that librdkafka names, with their values; otherwise all of them.
        settings: String,
        /// What librdkafka says.
        reason: String,
    },
    /// The brokers failed or did not answer.
    #[error("{action} (kafka.brokers = {brokers}): {error}{}", because(cause.as_deref()))]
    Brokers {
        /// What was being done.
        action: String,
        /// The brokers.
        brokers: String,
        /// What librdkafka says.
        error: Box<KafkaError>,
        /// What its connections failed with, if that is known: the error above may be no more than that no answer came.
        cause: Option<String>,
    },
}

fn because(cause: Option<&str>) -> String {
    cause.map_or_else(String::new, |cause| format!("; the last connection failed: {cause}"))
}

impl ClientError {
    /// The failure to do `action` with the clients of `kafka`.
    pub fn new<A: Into<String>>(
        kafka: &Kafka,
        action: A,
    ) -> impl FnOnce(KafkaError) -> ClientError + use<A> {
        let (action, kafka) = (action.into(), kafka.clone());
        move |error| match error {
            KafkaError::ClientConfig(_, reason, key, value) => ClientError::Setting {
                value: describe_property(&key, &value).to_owned(),
                reason: kafka.properties.redact(&reason),
                key,
            },
            KafkaError::ClientCreation(reason) => ClientError::Refused {
                settings: settings_named(&kafka, &reason),
                reason: kafka.properties.redact(&reason),
            },
            error => ClientError::Brokers {
                action,
                brokers: kafka.brokers,
                error: Box::new(error),
                cause: None,
            },
        }
    }

    /// The failure with what the client's connections failed with.
    #[must_use]
    pub fn because(self, found: Option<String>) -> ClientError {
        match self {
            ClientError::Brokers { action, brokers, error, cause } => {
                ClientError::Brokers { action, brokers, error, cause: found.or(cause) }
            }
            other => other,
        }
    }

    /// Whether Kafka answered that it has no such topic.
    pub fn is_missing_topic(&self) -> bool {
        match self {
            ClientError::Setting { .. } | ClientError::Refused { .. } => false,
            ClientError::Brokers { error, .. } => is_missing_topic(error),
        }
    }

    /// Whether asking Kafka again would not help.
    pub fn is_permanent(&self) -> bool {
        match self {
            ClientError::Setting { .. } | ClientError::Refused { .. } => true,
            ClientError::Brokers { error, .. } => is_permanent(error),
        }
    }

    /// The exit code of a program that ends with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            ClientError::Setting { .. } | ClientError::Refused { .. } => USAGE_ERROR,
            ClientError::Brokers { .. } => EXTERNAL_FAILURE,
        }
    }
}

/// The properties that `reason` names, with their values, or else all that are set.
fn settings_named(kafka: &Kafka, reason: &str) -> String {
    let words = reason.split(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
    let mut named: Vec<&str> = words.map(|word| word.trim_matches('.')).collect();
    named.retain(|word| word.split('.').count() > 1 && word.starts_with(char::is_alphabetic));
    named.retain(|word| kafka.properties.contains_key(*word) || is_property(word));
    named.dedup();
    if named.is_empty() {
        named = kafka.properties.keys().map(String::as_str).collect();
    }
    let describe = |name: &&str| match kafka.properties.contains_key(*name) {
        true => format!("kafka.properties.{name:?} = {:?}", kafka.properties.describe(name)),
        false => format!("kafka.properties.{name:?} (not set)"),
    };
    named.iter().map(describe).collect::<Vec<_>>().join(", ")
}

/// Whether librdkafka has a property of that name.
fn is_property(name: &str) -> bool {
    const PREFIXES: [&str; 5] = ["sasl.", "ssl.", "fetch.", "security.", "message."];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether Kafka answered that it has no such topic.
pub(crate) fn is_missing_topic(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{UnknownTopic, UnknownTopicOrPartition};
    matches!(code_of(error), Some(UnknownTopic | UnknownTopicOrPartition))
}

/// The code of an error, also of one from a request that administrates.
fn code_of(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        error => error.rdkafka_error_code(),
    }
}

/// Whether asking Kafka again would not help.
pub fn is_permanent(error: &KafkaError) -> bool {
    matches!(
        code_of(error),
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::UnsupportedFeature
        )
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::client;
    use rdkafka::consumer::BaseConsumer;

    fn refused(properties: &[(&str, &str)]) -> ClientError {
        let mut kafka = lake_config::Settings::default().kafka;
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        kafka.properties = properties.iter().map(owned).collect();
        let created: Result<BaseConsumer, _> = client::consumer(&kafka).create();
        created.map(drop).map_err(ClientError::new(&kafka, "create a consumer")).unwrap_err()
    }

    #[test]
    fn properties_of_which_no_client_is_made_are_an_error_of_usage_that_names_them() {
        let error = refused(&[("fetch.max.bytes", "100"), ("sasl.password", "hunter2")]);
        let message = error.to_string();
        assert!(message.contains("\"fetch.max.bytes\" = \"100\""), "{message}");
        assert!(!message.contains("hunter2") && !message.contains("sasl"), "{message}");
        assert!(error.is_permanent());
        assert_eq!(error.exit_code(), USAGE_ERROR);
    }

    #[test]
    fn where_no_property_is_named_all_are_shown_and_no_secret() {
        let mut kafka = lake_config::Settings::default().kafka;
        let given = [("client.id", "x"), ("sasl.password", "hunter2")];
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        kafka.properties = given.into_iter().map(owned).collect();
        let named = settings_named(&kafka, "no reason");
        assert!(
            named.contains("\"client.id\" = \"x\"") && named.contains("sasl.password"),
            "{named}"
        );
        assert!(!named.contains("hunter2"), "{named}");
    }

    #[test]
    fn a_secret_that_librdkafka_refuses_is_not_shown() {
        for name in ["sasl.jaas.config", "sasl.pasword", "sasl.oauthbearer.client.secret.x"] {
            let error = refused(&[(name, "hunter2")]);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(shown.contains(name) && shown.contains("[redacted]"), "{shown}");
        }
        let message = refused(&[("fetch.wait.max.ms", "soon")]).to_string();
        assert!(message.contains("kafka.properties.fetch.wait.max.ms = \"soon\""), "{message}");
    }

    #[test]
    fn what_librdkafka_says_of_a_client_is_shown_without_secrets() {
        let mut kafka = lake_config::Settings::default().kafka;
        kafka.properties =
            [("sasl.oauthbearer.config".to_owned(), "hunter2".to_owned())].into_iter().collect();
        let creation = KafkaError::ClientCreation("unrecognised beginning at: hunter2".to_owned());
        let error = ClientError::new(&kafka, "create a consumer")(creation);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2") && shown.contains("beginning at"), "{shown}");
    }
}
