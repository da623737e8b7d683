//! Faults of partitions: what librdkafka cannot fetch, for now or as it is.
//!
//! A fault ends what can be said of a partition: whatever librdkafka hands over after it may leave out what the fault was about. So
//! nothing of it counts until the partition was sought where it is, and fetched anew from there, after a while. A fault that
//! stays ends the program, with all that is needed to find the batch and the setting.
//!
//! A position that Kafka does not have is no such fault: [`verdict`] and the partition's bounds say what it is. One that Kafka has
//! by its bounds, whatever librdkafka says of it, is.

use std::time::Duration;

use lake_model::{KafkaPartition, Offset};
use rdkafka::error::RDKafkaErrorCode;
use speed_layer_fetch::Fault;

use super::link::Link;
use super::membership::Membership;
use super::{Ended, now};
use crate::source::{SourceEvent, Start, Truncation};

/// How often a partition is fetched again from an offset, and the first wait before it; the waits double.
const TRIES: u32 = 10;
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The wait before a partition is fetched again after it was in vain so many times, up to `longest`; `None` if that was too
/// often.
pub(super) fn wait_after(times: u32, longest: Duration) -> Option<Duration> {
    let doubled = FIRST_WAIT.saturating_mul(1 << times.saturating_sub(1).min(16));
    (times <= TRIES).then(|| doubled.min(longest))
}

/// Does what a fault of the partition asks for.
pub(super) fn handle(
    fault: &Fault,
    partition: KafkaPartition,
    membership: &Membership,
    link: &mut Link,
) -> Result<(), Ended> {
    // It is from before a pause or a seek: if it stays, it comes again.
    if link.positions.valid(partition).is_none() {
        return Ok(());
    }
    link.flush_partition(partition)?;
    let Some(start) = link.positions.start_of(partition) else { return Ok(()) };
    if !is_of_position(fault) {
        return fetch_again(fault, start, link);
    }
    match verdict(&fault.reason, start) {
        Some(truncation) => membership.restart_truncated(partition, truncation, link),
        None if membership.restart_if_out_of_range(start, link)? => Ok(()),
        None => fetch_again(fault, start, link),
    }
}

fn fetch_again(fault: &Fault, start: Start, link: &mut Link) -> Result<(), Ended> {
    let Start { partition, offset, .. } = start;
    let topic = link.client.topic().to_owned();
    let Some(wait) = link.positions.note_failure(partition, now()) else {
        let problem = problem(fault, &topic, start);
        return link.send(SourceEvent::Failed { problem });
    };
    link.client.set_paused(&[partition], true);
    metrics::counter!("lambdalake_kafka_partition_faults_total").increment(1);
    let (error, reason) = (&fault.error, &fault.reason);
    let (partition, offset) = (partition.0, offset.0);
    tracing::warn!(topic, partition, offset, %error, reason, ?wait, "fetching again after a fault");
    Ok(())
}

/// Whether a fault is about the position, not about what Kafka has there.
fn is_of_position(fault: &Fault) -> bool {
    matches!(
        fault.error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)
    )
}

/// What librdkafka says after it has validated the position `start`: that the log before it is not the one that was read. It says
/// so in words only. If they are of another position, as when it had fetched further, they are no verdict: the partition is
/// sought where it is, and validated there.
pub(super) fn verdict(reason: &str, start: Start) -> Option<Truncation> {
    let Start { offset: position, leader_epoch, .. } = start;
    let validated = format!("offset {position} (leader epoch {})", leader_epoch?.number());
    let (_, end) = reason.split_once(&validated)?.1.split_once("broker end offset is ")?;
    let digits = end.split(|c: char| !c.is_ascii_digit()).next()?;
    Some(Truncation { position, end: digits.parse().ok().map(Offset), leader_epoch })
}

/// What to say of a fault that stays.
fn problem(fault: &Fault, topic: &str, start: Start) -> String {
    let Start { partition, offset, .. } = start;
    let Fault { error, reason, .. } = fault;
    format!(
        "topic {topic}, partition {partition}, offset {offset}: fetching it failed {TRIES} times and again: {error}: {reason}. {}",
        remedy(error.rdkafka_error_code())
    )
}

fn remedy(code: Option<RDKafkaErrorCode>) -> &'static str {
    match code {
        Some(RDKafkaErrorCode::BadMessage) => {
            "The batch is damaged on the broker or on its way: restore the partition from another replica. \
             kafka.properties.\"check.crcs\" = \"false\" would read it unchecked"
        }
        Some(RDKafkaErrorCode::BadCompression | RDKafkaErrorCode::MessageSizeTooLarge) => {
            "If the batch is whole, it is too large unpacked: raise \
             kafka.properties.\"receive.message.max.bytes\" (100000000 where it is not set) to more than three times what \
             the batch unpacks to, and keep kafka.properties.\"fetch.max.bytes\" below it. If it is damaged, restore the \
             partition from another replica"
        }
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::GroupAuthorizationFailed,
        ) => "Allow the user of kafka.properties.\"sasl.username\" to read the topic",
        _ => "See the brokers' logs",
    }
}

#[cfg(test)]
mod tests;
