//! What librdkafka allocates for a question, each released when it is dropped.

use std::ffi::{CStr, c_char, c_int};
use std::ptr::{NonNull, null_mut};

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use crate::code::succeed;

macro_rules! owned {
    ($(#[$doc:meta])* $name:ident, $native:ty, $destroy:path) => {
        $(#[$doc])*
        pub(crate) struct $name(NonNull<$native>);

        impl $name {
            pub(crate) fn as_ptr(&self) -> *mut $native {
                self.0.as_ptr()
            }
        }

        impl Drop for $name {
            #[expect(unsafe_code, reason = "only librdkafka's own interface releases it")]
            fn drop(&mut self) {
                // SAFETY: it is ours, and nothing uses it any more.
                unsafe { $destroy(self.0.as_ptr()) };
            }
        }
    };
}

owned!(
    /// A queue for the answer.
    Queue,
    sys::rd_kafka_queue_t,
    sys::rd_kafka_queue_destroy
);
owned!(
    /// The options of the question.
    Options,
    sys::rd_kafka_AdminOptions_t,
    sys::rd_kafka_AdminOptions_destroy
);
owned!(
    /// The topics that are asked about.
    Topics,
    sys::rd_kafka_TopicCollection_t,
    sys::rd_kafka_TopicCollection_destroy
);
owned!(
    /// The answer.
    Event,
    sys::rd_kafka_event_t,
    sys::rd_kafka_event_destroy
);

impl Queue {
    #[expect(unsafe_code, reason = "only librdkafka's own interface has queues")]
    pub(crate) fn new<C: ClientContext>(client: &Client<C>) -> Queue {
        // SAFETY: the client is valid for as long as it is borrowed.
        let queue = unsafe { sys::rd_kafka_queue_new(client.native_ptr()) };
        Queue(NonNull::new(queue).expect("librdkafka always makes the queue"))
    }

    /// Waits for the next event, if one comes in time.
    #[expect(unsafe_code, reason = "only librdkafka's own interface has queues")]
    pub(crate) fn poll(&self, timeout_ms: c_int) -> Option<Event> {
        // SAFETY: the queue is valid; the event is ours from here on.
        NonNull::new(unsafe { sys::rd_kafka_queue_poll(self.as_ptr(), timeout_ms) }).map(Event)
    }
}

impl Options {
    /// A question to `broker`.
    #[expect(unsafe_code, reason = "only librdkafka's own interface has options")]
    pub(crate) fn new<C: ClientContext>(
        client: &Client<C>,
        broker: i32,
        timeout_ms: c_int,
    ) -> KafkaResult<Options> {
        let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        // SAFETY: the client is valid for as long as it is borrowed.
        let options = unsafe { sys::rd_kafka_AdminOptions_new(client.native_ptr(), operation) };
        let options = NonNull::new(options).map(Options);
        let options = options.ok_or(KafkaError::AdminOp(RDKafkaErrorCode::UnsupportedFeature))?;
        // SAFETY: the options are valid; without a buffer nothing is written.
        let codes = unsafe {
            let (options, no_text) = (options.as_ptr(), null_mut());
            [
                sys::rd_kafka_AdminOptions_set_broker(options, broker, no_text, 0),
                sys::rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, no_text, 0),
            ]
        };
        codes.into_iter().try_for_each(|code| succeed(code as c_int)).map(|()| options)
    }
}

impl Topics {
    #[expect(unsafe_code, reason = "only librdkafka's own interface has collections")]
    pub(crate) fn named(name: &CStr) -> Topics {
        let mut names: [*const c_char; 1] = [name.as_ptr()];
        // SAFETY: there is one name, which librdkafka copies.
        let topics = unsafe { sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), 1) };
        Topics(NonNull::new(topics).expect("librdkafka always makes the collection"))
    }
}
