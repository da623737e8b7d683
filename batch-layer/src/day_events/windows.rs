//! Walking over the windows of distinct events.

use lake_model::{DaySpan, Window, WindowSize};

use super::distinct::DistinctEvents;
use super::record::Key;

/// The events of one camera in one window.
#[derive(Debug)]
pub(crate) struct WindowEvents<'a> {
    /// The place of the camera in the day's list.
    pub(crate) camera: usize,
    /// The window.
    pub(crate) window: Window,
    /// The place of the window among those of its size in the day.
    pub(crate) index: u32,
    keys: &'a [Key],
}

impl WindowEvents<'_> {
    /// How many there are, never none.
    pub(crate) fn count(&self) -> u64 {
        self.keys.len() as u64
    }

    /// Puts their speeds, in thousandths of km/h and in no order, in place of what `speeds` holds.
    pub(crate) fn speeds_into(&self, speeds: &mut Vec<u32>) {
        speeds.clear();
        speeds.extend(self.keys.iter().map(|key| key.speed().thousandths()));
    }
}

impl DistinctEvents {
    /// Every window of every size that holds events, by camera, size and start.
    pub(crate) fn windows<'a>(
        &'a self,
        span: &'a DaySpan,
    ) -> impl Iterator<Item = WindowEvents<'a>> {
        self.cameras.iter().flat_map(move |(camera, range)| {
            let keys = &self.keys[range.clone()];
            let sizes = WindowSize::ALL.into_iter();
            sizes.flat_map(move |size| windows_of_size(*camera, keys, span, size))
        })
    }
}

fn windows_of_size<'a>(
    camera: usize,
    mut keys: &'a [Key],
    span: &'a DaySpan,
    size: WindowSize,
) -> impl Iterator<Item = WindowEvents<'a>> {
    std::iter::from_fn(move || {
        let first = keys.first()?;
        let index = span.window_index(size, first.event_time(span.start));
        let window = span.window(size, index);
        let end = Key::least_at(span.start, window.end);
        let (inside, after) = keys.split_at(keys.partition_point(|key| *key < end));
        keys = after;
        Some(WindowEvents { camera, window, index, keys: inside })
    })
}
