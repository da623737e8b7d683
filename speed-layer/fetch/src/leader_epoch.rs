//! Leader epochs of positions, which the rdkafka crate has no interface for.
//!
//! A position with the epoch of the record before it can be validated: librdkafka asks the leader where that epoch ends, before
//! it fetches after a seek, and whenever the leader has changed. A log that was cut below the position since, and has grown
//! again, is not the one that was read, and is reported instead of fetched (KIP-320). An assignment is not validated, whatever
//! epochs it has.

use std::ffi::CString;

use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::record::known;

/// Gives the partition's position in `list` the epoch of the record before it. A partition that is not in the list is passed
/// over.
///
/// # Panics
/// If the topic's name has a NUL in it, which Kafka allows in none.
#[expect(unsafe_code, reason = "only librdkafka's own interface has epochs")]
pub fn set_leader_epoch(
    list: &mut TopicPartitionList,
    topic: &str,
    partition: i32,
    leader_epoch: i32,
) {
    let Some(element) = find(list, topic, partition) else { return };
    // SAFETY: the element is one of the list, which is borrowed mutably.
    unsafe { sys::rd_kafka_topic_partition_set_leader_epoch(element, leader_epoch) };
}

/// The position of a partition that is fetched, with the epoch of what is before it, be it a record or the end of a
/// transaction; none before anything of it was handed over since it was assigned or sought.
///
/// # Panics
/// As [`set_leader_epoch`].
#[expect(unsafe_code, reason = "only librdkafka's own interface has epochs")]
pub fn position<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    partition: i32,
) -> Option<(i64, i32)> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    // SAFETY: the client is valid for as long as the consumer is; the list is ours.
    unsafe { sys::rd_kafka_position(consumer.client().native_ptr(), list.ptr()) };
    let offset = list.find_partition(topic, partition)?.offset();
    let element = find(&mut list, topic, partition)?;
    // SAFETY: the element is one of the list.
    let leader_epoch = unsafe { sys::rd_kafka_topic_partition_get_leader_epoch(element) };
    match offset {
        Offset::Offset(offset) => Some((offset, known(leader_epoch)?)),
        _ => None,
    }
}

#[expect(unsafe_code, reason = "only librdkafka's own interface has epochs")]
fn find(
    list: &mut TopicPartitionList,
    topic: &str,
    partition: i32,
) -> Option<*mut sys::rd_kafka_topic_partition_t> {
    let topic = CString::new(topic).expect("names of topics are letters, digits, dots and dashes");
    // SAFETY: the list and the name are valid.
    let element =
        unsafe { sys::rd_kafka_topic_partition_list_find(list.ptr(), topic.as_ptr(), partition) };
    (!element.is_null()).then_some(element)
}
