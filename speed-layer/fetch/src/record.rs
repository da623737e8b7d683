//! librdkafka's message as a record or an error in Rust's terms.

use std::ffi::{CStr, c_char};
use std::slice;

use rdkafka::bindings as sys;
use rdkafka::error::KafkaError;
use rdkafka::message::Timestamp;
use sys::rd_kafka_resp_err_t as Code;
use sys::rd_kafka_timestamp_type_t as TimestampType;

/// A record, borrowed from librdkafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// When it was made or appended.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub payload: Option<&'a [u8]>,
    /// The epoch of the leader that appended it, if the broker says so.
    pub leader_epoch: Option<i32>,
}

/// What librdkafka reports of a partition that it can't fetch, for now or as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The partition; none if it is a fault of the consumer.
    pub partition: Option<i32>,
    /// What it is.
    pub error: KafkaError,
    /// What librdkafka says of it, with the offset of the batch where it has one.
    pub reason: String,
}

/// What librdkafka hands over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A record.
    Record(Record<'a>),
    /// The partition's end has come.
    End {
        /// The partition.
        partition: i32,
        /// Where it ends: everything before this offset was handed over, or never will be.
        next_offset: i64,
    },
    /// A partition cannot be fetched, for now or as it is.
    Fault(Fault),
}

/// librdkafka's message in Rust's terms.
///
/// # Safety
/// The message is valid for `'a`, and nobody changes it meanwhile.
#[expect(unsafe_code, reason = "the message is librdkafka's")]
pub(crate) unsafe fn read<'a>(message: *const sys::rd_kafka_message_t) -> Message<'a> {
    // SAFETY: as the caller promises. A broker may send codes that the bindings do not know: they are numbers until then.
    let code = unsafe { (&raw const (*message).err).cast::<i32>().read() };
    // SAFETY: as the caller promises.
    let (partition, offset) = unsafe { ((*message).partition, (*message).offset) };
    if code == Code::RD_KAFKA_RESP_ERR__PARTITION_EOF as i32 {
        return Message::End { partition, next_offset: offset };
    }
    if code != Code::RD_KAFKA_RESP_ERR_NO_ERROR as i32 {
        let code = Code::try_from(code).unwrap_or(Code::RD_KAFKA_RESP_ERR_UNKNOWN);
        let error = KafkaError::MessageConsumption(code.into());
        let partition = (partition >= 0).then_some(partition);
        // SAFETY: the message is valid, and one of an error.
        return Message::Fault(Fault { partition, error, reason: unsafe { reason(message) } });
    }
    // SAFETY: as the caller promises; all fields hold what their types may.
    let fields = unsafe { &*message };
    // SAFETY: key and payload are null or of these lengths, and live as long as the message.
    let (key, payload) = unsafe {
        (bytes(fields.key.cast(), fields.key_len), bytes(fields.payload.cast(), fields.len))
    };
    Message::Record(Record {
        partition,
        offset,
        // SAFETY: the message is valid.
        timestamp: unsafe { timestamp(message) },
        key,
        payload,
        // SAFETY: the message is valid.
        leader_epoch: known(unsafe { sys::rd_kafka_message_leader_epoch(message) }),
    })
}

/// A leader epoch; librdkafka says -1 where it knows none.
pub(crate) fn known(leader_epoch: i32) -> Option<i32> {
    (leader_epoch >= 0).then_some(leader_epoch)
}

/// What librdkafka says of an error.
///
/// # Safety
/// The message is valid, and one of an error.
#[expect(unsafe_code, reason = "the text is librdkafka's")]
unsafe fn reason(message: *const sys::rd_kafka_message_t) -> String {
    // SAFETY: as the caller promises. An error's payload is a text that ends with NUL, and lives as long as the message.
    let text = unsafe { (*message).payload.cast::<c_char>() };
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as above.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// # Safety
/// The message is valid.
#[expect(unsafe_code, reason = "the message is librdkafka's")]
unsafe fn timestamp(message: *const sys::rd_kafka_message_t) -> Timestamp {
    let mut kind = TimestampType::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    // SAFETY: the message is valid.
    let millis = unsafe { sys::rd_kafka_message_timestamp(message, &raw mut kind) };
    match kind {
        _ if millis == -1 => Timestamp::NotAvailable,
        TimestampType::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => Timestamp::NotAvailable,
        TimestampType::RD_KAFKA_TIMESTAMP_CREATE_TIME => Timestamp::CreateTime(millis),
        TimestampType::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => Timestamp::LogAppendTime(millis),
    }
}

/// # Safety
/// `start` is null or begins so many bytes, which are valid for `'a` and not changed meanwhile.
#[expect(unsafe_code, reason = "the bytes are librdkafka's")]
unsafe fn bytes<'a>(start: *const u8, length: usize) -> Option<&'a [u8]> {
    // SAFETY: as the caller promises.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start, length) })
}
