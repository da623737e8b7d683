//! What Kafka has of a partition, asked for until its leader answers.
//!
//! While a leader is elected, or a broker starts, the question fails at once, or with an answer that is out of date a
//! moment later.

use std::time::{Duration, Instant};

use lake_model::{KafkaPartition, Offset, OffsetRange, Outage};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;

use crate::error::is_permanent;

/// How long answers are waited for; the last question may take `kafka.request_timeout` more. It is below librdkafka's
/// `max.poll.interval.ms` of 5 minutes, in which the thread that asks has to poll.
const LEADER_TIMEOUT: Duration = Duration::from_secs(120);
/// The wait before the next question.
const PAUSE: Duration = Duration::from_millis(250);

/// What Kafka still has of a partition, up to its last stable offset. Blocks; asks no more once `is_over`.
pub fn partition_bounds<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: KafkaPartition,
    request_timeout: Duration,
    is_over: impl Fn() -> bool,
) -> KafkaResult<OffsetRange> {
    let until = now() + LEADER_TIMEOUT;
    let (low, high) = ask_until_answered(
        || consumer.fetch_watermarks(topic, partition.0, request_timeout),
        || is_over() || now() >= until,
    )?;
    Ok(OffsetRange::new(Offset(low), Offset(high)))
}

/// Asks again while the failure may pass, unless `is_over`.
fn ask_until_answered<T>(
    mut ask: impl FnMut() -> KafkaResult<T>,
    is_over: impl Fn() -> bool,
) -> KafkaResult<T> {
    let mut outage = Outage::default();
    loop {
        match ask() {
            Err(error) if !is_permanent(&error) && !is_over() => {
                if let Some(report) = outage.failed(now()) {
                    let failing_for = report.lasting;
                    tracing::warn!(%error, ?failing_for, "asking for the bounds of a partition again");
                }
                pause();
            }
            answer => return answer,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "waiting for Kafka is at the product's edge to it")]
fn now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a thread that waits for Kafka has nothing else to do"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::error::{KafkaError, RDKafkaErrorCode};

    fn failed(code: RDKafkaErrorCode) -> KafkaResult<i64> {
        Err(KafkaError::MetadataFetch(code))
    }

    /// What comes of these answers, of which the last is given again and again, and how many were asked for.
    fn asked(answers: &[KafkaResult<i64>], is_over: bool) -> (KafkaResult<i64>, usize) {
        let mut asked = 0;
        let ask = || {
            asked += 1;
            answers[asked.min(answers.len()) - 1].clone()
        };
        (ask_until_answered(ask, || is_over), asked)
    }

    #[test]
    fn a_partition_without_a_leader_is_asked_for_again() {
        let answers = [
            failed(RDKafkaErrorCode::NotLeaderForPartition),
            failed(RDKafkaErrorCode::UnknownPartition),
            Ok(7),
        ];
        assert_eq!(asked(&answers, false), (Ok(7), 3));
    }

    #[test]
    fn who_is_not_allowed_to_ask_is_told_at_once() {
        let denied = failed(RDKafkaErrorCode::TopicAuthorizationFailed);
        assert_eq!(asked(std::slice::from_ref(&denied), false), (denied, 1));
    }

    #[test]
    fn nothing_is_asked_again_once_it_is_over() {
        let leaderless = failed(RDKafkaErrorCode::LeaderNotAvailable);
        assert_eq!(asked(std::slice::from_ref(&leaderless), true), (leaderless, 1));
    }
}
