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
    /// The brokers failed or did not answer.
    #[error("{action} (kafka.brokers = {brokers}): {source}")]
    Brokers {
        /// What was being done.
        action: String,
        /// The brokers.
        brokers: String,
        /// What librdkafka says.
        source: Box<KafkaError>,
    },
}

impl ClientError {
    /// The failure to do `action` with the clients of `kafka`.
    pub fn new<A: Into<String>>(
        kafka: &Kafka,
        action: A,
    ) -> impl FnOnce(KafkaError) -> ClientError + use<A> {
        let (action, brokers) = (action.into(), kafka.brokers.clone());
        let properties = kafka.properties.clone();
        move |error| match error {
            KafkaError::ClientConfig(_, reason, key, value) => ClientError::Setting {
                value: describe_property(&key, &value).to_owned(),
                reason: properties.redact(&reason),
                key,
            },
            KafkaError::ClientCreation(reason) => {
                let source = Box::new(KafkaError::ClientCreation(properties.redact(&reason)));
                ClientError::Brokers { action, brokers, source }
            }
            error => ClientError::Brokers { action, brokers, source: Box::new(error) },
        }
    }

    /// Whether asking Kafka again would not help.
    pub fn is_permanent(&self) -> bool {
        match self {
            ClientError::Setting { .. } => true,
            ClientError::Brokers { source, .. } => is_permanent(source),
        }
    }

    /// The exit code of a program that ends with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            ClientError::Setting { .. } => USAGE_ERROR,
            ClientError::Brokers { .. } => EXTERNAL_FAILURE,
        }
    }
}

/// Whether asking Kafka again would not help.
pub fn is_permanent(error: &KafkaError) -> bool {
    let code = match error {
        KafkaError::AdminOp(code) => Some(*code),
        error => error.rdkafka_error_code(),
    };
    matches!(
        code,
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
