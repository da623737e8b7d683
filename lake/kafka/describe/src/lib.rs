//! The id of a topic, which the rdkafka crate has no interface for.
//!
//! Kafka gives each topic an id when it is created (KIP-516, since 2.8), and never gives it again: a topic that was
//! deleted and created under the same name has another one. [`topic_id`] asks for it by librdkafka's `DescribeTopics`.
//! librdkafka asks the controller unless it is given a broker. Any broker knows; a leader of the topic is asked, which a
//! consumer has to reach anyhow.
//! All that librdkafka allocates for the question is released when it returns, whatever the answer.

mod code;
mod owned;

use std::ffi::{CStr, CString, c_int};
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataPartition};

use self::code::succeed;
use self::owned::{Event, Options, Queue, Topics};

/// How much longer the answer is waited for than librdkafka waits itself, so that it is librdkafka that says what failed.
const GRACE: Duration = Duration::from_secs(1);

/// The id of `topic` as Kafka's tools print it; `None` from brokers that give topics none. Blocks for `timeout` twice, and a
/// second more, at most.
///
/// # Errors
/// Kafka did not answer in time, has no such topic, or does not let this client describe it.
pub fn topic_id<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    timeout: Duration,
) -> KafkaResult<Option<String>> {
    let name =
        CString::new(topic).map_err(|_| KafkaError::AdminOp(RDKafkaErrorCode::InvalidTopic))?;
    let broker = a_leader(&client.fetch_metadata(Some(topic), timeout)?)?;
    let queue = Queue::new(client);
    let options = Options::new(client, broker, milliseconds(timeout))?;
    let topics = Topics::named(&name);
    ask(client, &topics, &options, &queue);
    let event = queue.poll(milliseconds(timeout + GRACE));
    read(&event.ok_or(KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut))?)
}

/// A broker that leads a partition of the topic that `metadata` is of.
fn a_leader(metadata: &Metadata) -> KafkaResult<i32> {
    let topic = metadata.topics().first();
    let topic = topic.ok_or(KafkaError::AdminOp(RDKafkaErrorCode::UnknownTopicOrPartition))?;
    if let Some(error) = topic.error() {
        return Err(KafkaError::AdminOp(error.into()));
    }
    let leader = topic.partitions().iter().map(MetadataPartition::leader).find(|id| *id >= 0);
    leader.ok_or(KafkaError::AdminOp(RDKafkaErrorCode::LeaderNotAvailable))
}

fn milliseconds(time: Duration) -> c_int {
    c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX)
}

#[expect(unsafe_code, reason = "only librdkafka's own interface describes topics")]
fn ask<C: ClientContext>(client: &Client<C>, topics: &Topics, options: &Options, queue: &Queue) {
    // SAFETY: all four are valid; librdkafka copies the names and options before it returns.
    unsafe {
        sys::rd_kafka_DescribeTopics(
            client.native_ptr(),
            topics.as_ptr(),
            options.as_ptr(),
            queue.as_ptr(),
        );
    }
}

/// What the event that answers the question says of its one topic.
#[expect(unsafe_code, reason = "only librdkafka's own interface describes topics")]
fn read(event: &Event) -> KafkaResult<Option<String>> {
    succeed(code::of_event(event.as_ptr()))?;
    // SAFETY: the event is valid; the result lives as long as it. It is null for an event of another kind.
    let result = unsafe { sys::rd_kafka_event_DescribeTopics_result(event.as_ptr()) };
    let missing = || KafkaError::AdminOp(RDKafkaErrorCode::UnknownTopicOrPartition);
    if result.is_null() {
        return Err(missing());
    }
    let mut count = 0;
    // SAFETY: the result is valid, and so are the descriptions for as long as the event lives.
    let described = unsafe { sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count) };
    if described.is_null() || count == 0 {
        return Err(missing());
    }
    // SAFETY: there is at least one description.
    let description = unsafe { *described };
    // SAFETY: the description is valid; it has an error, which may be that there was none.
    let error = unsafe { sys::rd_kafka_TopicDescription_error(description) };
    succeed(code::of_error(error))?;
    // SAFETY: the description is valid, and the id lives as long as it.
    let id = unsafe { sys::rd_kafka_TopicDescription_topic_id(description) };
    if id.is_null() {
        return Ok(None);
    }
    // SAFETY: the id is valid.
    let bits = unsafe {
        (
            sys::rd_kafka_Uuid_most_significant_bits(id),
            sys::rd_kafka_Uuid_least_significant_bits(id),
        )
    };
    if bits == (0, 0) {
        return Ok(None);
    }
    // SAFETY: the id is valid; librdkafka keeps the text, which ends with NUL, in a buffer of this thread's.
    let text = unsafe { CStr::from_ptr(sys::rd_kafka_Uuid_base64str(id)) };
    // Kafka's tools print the alphabet that is safe in URLs.
    Ok(Some(text.to_string_lossy().replace('+', "-").replace('/', "_")))
}
