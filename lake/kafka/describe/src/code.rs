//! librdkafka's codes of errors, as numbers.
//!
//! It passes on what brokers answer, and a newer one may answer codes that the bindings do not know. Their functions return an
//! enumeration, which must not hold any other number: so those that return a broker's code are declared here anew.

use std::ffi::c_int;

use rdkafka::bindings as sys;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;

/// The code of an event.
#[expect(unsafe_code, reason = "only librdkafka's own interface has events")]
pub(crate) fn of_event(event: *mut sys::rd_kafka_event_t) -> c_int {
    // SAFETY: as declared in librdkafka, where the enumeration is a C int; the caller's event is valid.
    unsafe { rd_kafka_event_error(event) }
}

/// The code of an error, which may be that there was none.
#[expect(unsafe_code, reason = "only librdkafka's own interface has errors")]
pub(crate) fn of_error(error: *const sys::rd_kafka_error_t) -> c_int {
    // SAFETY: as declared in librdkafka, where the enumeration is a C int; it allows null.
    unsafe { rd_kafka_error_code(error) }
}

/// What a code says: success, or the error that it is known as.
pub(crate) fn succeed(code: c_int) -> KafkaResult<()> {
    match RDKafkaRespErr::try_from(code).unwrap_or(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN) {
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        code => Err(KafkaError::AdminOp(code.into())),
    }
}

#[expect(unsafe_code, reason = "the functions are librdkafka's")]
unsafe extern "C" {
    fn rd_kafka_event_error(event: *mut sys::rd_kafka_event_t) -> c_int;
    fn rd_kafka_error_code(error: *const sys::rd_kafka_error_t) -> c_int;
}

#[cfg(test)]
mod tests {
    use rdkafka::error::RDKafkaErrorCode;

    use super::*;

    #[test]
    fn codes_of_newer_brokers_are_errors_too() {
        let failed = |code| Err(KafkaError::AdminOp(code));
        assert_eq!(succeed(0), Ok(()));
        assert_eq!(succeed(3), failed(RDKafkaErrorCode::UnknownTopicOrPartition));
        for unknown in [30_000, -30_000, c_int::MAX, c_int::MIN] {
            assert_eq!(succeed(unknown), failed(RDKafkaErrorCode::Unknown));
        }
    }
}
