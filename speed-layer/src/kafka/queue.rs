//! The queue from the polling thread to the engine, bounded by the bytes of the records in it.
//!
//! Counting records or batches would not do: one record may be as large as `event.max_record_bytes` or more.
//! Every event takes room for its bytes with it, and gives that back when the engine takes it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::source::SourceEvent;

/// A queue with room for so many bytes.
pub(super) fn bounded(bytes: u64) -> (Sender, Receiver) {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
    let room = Room { left: Arc::new(Semaphore::new(bytes)), all: bytes };
    let (sender, events) = mpsc::unbounded_channel();
    (Sender { room: room.clone(), events: sender }, Receiver { room, events })
}

/// Nobody takes events any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed;

/// Room in the queue that is kept for one event, until it is dropped.
pub(super) type Place = OwnedSemaphorePermit;

/// The end that events are put in.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    room: Room,
    events: mpsc::UnboundedSender<(SourceEvent, Place)>,
}

/// The end that events are taken out of.
#[derive(Debug)]
pub(super) struct Receiver {
    room: Room,
    events: mpsc::UnboundedReceiver<(SourceEvent, Place)>,
}

#[derive(Clone, Debug)]
struct Room {
    left: Arc<Semaphore>,
    all: usize,
}

impl Sender {
    /// Waits until there is room for `event`. Cancelling the wait takes none. One that is larger than the
    /// queue waits until that is empty.
    pub(super) async fn place_for(&self, event: &SourceEvent) -> Result<Place, Closed> {
        let weight = weight(event).clamp(1, self.room.all.max(1));
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.room.left).acquire_many_owned(weight).await;
        permit.map_err(|_| Closed)
    }

    /// Puts the event in.
    pub(super) fn send(&self, event: SourceEvent, place: Place) -> Result<(), Closed> {
        self.events.send((event, place)).map_err(|_| Closed)?;
        self.room.notify();
        Ok(())
    }
}

impl Receiver {
    /// Takes the oldest event out; `None` once the other end is gone and the queue is empty.
    pub(super) async fn recv(&mut self) -> Option<SourceEvent> {
        let (event, place) = self.events.recv().await?;
        drop(place);
        self.room.notify();
        Some(event)
    }

    /// Takes nothing more: whoever waits for room, or for an answer to what is in the queue, sees that.
    pub(super) fn close(&mut self) {
        self.room.left.close();
        self.events.close();
        while self.events.try_recv().is_ok() {}
    }
}

impl Room {
    fn notify(&self) {
        let taken = self.all.saturating_sub(self.left.available_permits());
        metrics::gauge!("lambdalake_speed_queue_bytes").set(taken as f64);
    }
}

fn weight(event: &SourceEvent) -> usize {
    match event {
        SourceEvent::Records(batch) => batch.bytes(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::FutureExt;

    use super::*;
    use crate::decode::DecodedBatch;
    use lake_config::Settings;
    use lake_model::{KafkaPartition, Offset, Timestamp};

    /// A batch of one dead letter of about so many bytes.
    fn records(bytes: usize) -> SourceEvent {
        let mut batch = DecodedBatch::new(KafkaPartition(0), 1);
        let time = Timestamp::from_millis(0);
        batch.push(Offset::ZERO, time, None, Some(&vec![b'x'; bytes]), &Settings::default().event);
        SourceEvent::Records(Box::new(batch))
    }

    #[test]
    fn what_does_not_fit_waits_until_the_engine_has_taken_enough() {
        let (sender, mut receiver) = bounded(100_000);
        for _ in 0..2 {
            let event = records(40_000);
            let place = sender.place_for(&event).now_or_never().unwrap().unwrap();
            sender.send(event, place).unwrap();
        }
        let third = records(40_000);
        assert!(sender.place_for(&third).now_or_never().is_none());
        assert!(receiver.recv().now_or_never().unwrap().is_some());
        assert!(sender.place_for(&third).now_or_never().is_some());
    }

    #[test]
    fn what_is_larger_than_the_queue_goes_through_it_alone() {
        let (sender, mut receiver) = bounded(1000);
        let large = records(5000);
        let place = sender.place_for(&large).now_or_never().unwrap().unwrap();
        sender.send(large, place).unwrap();
        let small = records(1);
        assert!(sender.place_for(&small).now_or_never().is_none());
        assert!(receiver.recv().now_or_never().unwrap().is_some());
        assert!(sender.place_for(&small).now_or_never().is_some());
    }

    #[test]
    fn closing_ends_every_wait_for_room() {
        let (sender, mut receiver) = bounded(1000);
        let event = records(900);
        let place = sender.place_for(&event).now_or_never().unwrap().unwrap();
        sender.send(event, place).unwrap();
        let next = records(900);
        let mut waiting = Box::pin(sender.place_for(&next));
        assert!(waiting.as_mut().now_or_never().is_none());
        receiver.close();
        assert!(waiting.now_or_never().unwrap().is_err());
    }
}
