//! librdkafka's message as a record or an error in Rust's terms.

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
    Fault(KafkaError),
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
    match Code::try_from(code) {
        Ok(Code::RD_KAFKA_RESP_ERR_NO_ERROR) => {}
        Ok(Code::RD_KAFKA_RESP_ERR__PARTITION_EOF) => {
            return Message::End { partition, next_offset: offset };
        }
        code => {
            let code = code.unwrap_or(Code::RD_KAFKA_RESP_ERR_UNKNOWN);
            return Message::Fault(KafkaError::MessageConsumption(code.into()));
        }
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
    })
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
