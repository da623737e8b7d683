//! Records from librdkafka by its callback, which the rdkafka crate has no interface for: it takes them one by one, and
//! each time librdkafka reads the clock several times and takes several locks.
//!
//! A [`RecordQueue`] is a queue beside the consumer's own. Partitions are routed to it before they are assigned; then
//! their records and errors come here, and everything else (rebalances, statistics, errors of the client) goes on coming
//! to [`BaseConsumer::poll`], which has to be called as before.
//!
//! # Consistency
//! A partition's records come in the order of their offsets. librdkafka keeps in mind that a partition was routed, so
//! that assigning it again does not route it elsewhere; taking it away ends the routing at some later moment, after
//! which its records wait until it is routed again. So routing a partition again, at any time, loses nothing and keeps
//! their order, and whoever may have been too early does it again later.
//!
//! Each record is looked at when its turn comes: after a seek or a pause, no record and no end of a partition from before it
//! is handed over. That does not hold for the ends of transactions, which are handed to nobody: one from before moves the
//! consumer's position past records that are dropped. So the position cannot be trusted, and since librdkafka goes on there
//! after a pause, every pause has to be followed by a seek. (librdkafka can hand over records in arrays as well, but counts
//! the ends of partitions among them as records, so that its position is one too far then.)

pub mod leader_epoch;
mod record;

use std::any::Any;
use std::ffi::{CString, c_void};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};

pub use self::record::{Fault, Message, Record};

/// A queue of the records of partitions that are routed to it.
pub struct RecordQueue<C: ConsumerContext + 'static> {
    queue: NonNull<sys::rd_kafka_queue_t>,
    consumer: Arc<BaseConsumer<C>>,
}

#[expect(unsafe_code, reason = "librdkafka's queues are safe to use from any thread")]
// SAFETY: librdkafka locks its queues itself, and the consumer is shared between threads as it is.
unsafe impl<C: ConsumerContext + 'static> Send for RecordQueue<C> {}

#[expect(unsafe_code, reason = "librdkafka's queues are safe to use from any thread")]
// SAFETY: as above.
unsafe impl<C: ConsumerContext + 'static> Sync for RecordQueue<C> {}

/// What is done with each message.
type Handler<'a> = &'a mut dyn FnMut(Message<'_>) -> ControlFlow<()>;

/// What librdkafka's callback is given.
struct Serving<'a> {
    handler: Handler<'a>,
    client: *mut sys::rd_kafka_t,
    panic: Option<Box<dyn Any + Send>>,
}

impl<C: ConsumerContext + 'static> RecordQueue<C> {
    /// An empty queue beside that of `consumer`.
    #[expect(unsafe_code, reason = "only librdkafka's own interface has queues")]
    pub fn new(consumer: Arc<BaseConsumer<C>>) -> RecordQueue<C> {
        // SAFETY: the client is valid for as long as `consumer` is held.
        let queue = unsafe { sys::rd_kafka_queue_new(consumer.client().native_ptr()) };
        let queue = NonNull::new(queue).expect("librdkafka always makes the queue");
        RecordQueue { queue, consumer }
    }

    /// From now on records of the partition come here, those that wait for a route first. To be called before the
    /// partition is assigned, and again from time to time.
    ///
    /// # Panics
    /// If the topic's name has a NUL in it, which Kafka allows in none.
    #[expect(unsafe_code, reason = "only librdkafka's own interface routes partitions")]
    pub fn route(&self, topic: &str, partition: i32) {
        let topic =
            CString::new(topic).expect("names of topics are letters, digits, dots and dashes");
        let client = self.consumer.client().native_ptr();
        // SAFETY: the client is valid for as long as the consumer is held; the name is copied.
        let from = unsafe { sys::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition) };
        if from.is_null() {
            return;
        }
        // SAFETY: both queues are valid. The handle of the partition's queue is given back, not the queue.
        unsafe {
            sys::rd_kafka_queue_forward(from, self.queue.as_ptr());
            sys::rd_kafka_queue_destroy(from);
        }
    }

    /// How many messages are in the queue. During [`RecordQueue::serve`], those that came since it began.
    #[expect(unsafe_code, reason = "only librdkafka's own interface counts them")]
    pub fn len(&self) -> usize {
        // SAFETY: the queue is valid.
        unsafe { sys::rd_kafka_queue_length(self.queue.as_ptr()) }
    }

    /// Whether there are no messages in the queue.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits for messages, and hands those that are there to `handler` until it breaks off; the others stay. Says
    /// whether any came; librdkafka may end the wait early. A panic of `handler` goes on here.
    ///
    /// librdkafka takes all messages out of the queue first, and puts back what `handler` leaves. Meanwhile it sees an
    /// empty queue and goes on fetching up to its bounds. So a handler that breaks off each time lets the queue grow by as
    /// much, without end if it is slower than Kafka; one that handles all of them holds twice the bounds at most.
    #[expect(unsafe_code, reason = "only librdkafka's own interface has the callback")]
    pub fn serve(
        &self,
        wait: Duration,
        mut handler: impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> bool {
        let client = self.consumer.client().native_ptr();
        let mut serving = Serving { handler: &mut handler, client, panic: None };
        let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is valid; `serving` is what the callback expects, and outlives the call.
        let served = unsafe {
            let serving = (&raw mut serving).cast();
            let queue = self.queue.as_ptr();
            sys::rd_kafka_consume_callback_queue(queue, wait_ms, Some(hand_over), serving)
        };
        if let Some(panic) = serving.panic {
            resume_unwind(panic);
        }
        served > 0
    }
}

impl<C: ConsumerContext + 'static> Drop for RecordQueue<C> {
    #[expect(unsafe_code, reason = "only librdkafka's own interface has queues")]
    fn drop(&mut self) {
        // SAFETY: the queue is ours, and the client outlives it.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) };
    }
}

/// librdkafka's callback for one message.
///
/// # Safety
/// The message is valid during the call; `serving` is a `Serving` that nothing else uses meanwhile.
#[expect(unsafe_code, reason = "librdkafka calls it")]
unsafe extern "C" fn hand_over(message: *mut sys::rd_kafka_message_t, serving: *mut c_void) {
    // SAFETY: as the caller promises.
    let serving = unsafe { &mut *serving.cast::<Serving<'_>>() };
    // SAFETY: the record is gone when this returns.
    let record = unsafe { record::read(message) };
    // A panic must not pass through librdkafka.
    let result = catch_unwind(AssertUnwindSafe(|| (serving.handler)(record)));
    let is_over = result.as_ref().map_or(true, ControlFlow::is_break);
    serving.panic = result.err();
    if is_over {
        // SAFETY: the client is valid while its callback runs.
        unsafe { sys::rd_kafka_yield(serving.client) };
    }
}
