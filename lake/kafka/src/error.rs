//! Failures of Kafka's clients, and whether trying again may help.

use lake_config::Kafka;
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
        /// Its value.
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
        move |error| match error {
            KafkaError::ClientConfig(_, reason, key, value) => {
                ClientError::Setting { key, value, reason }
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
