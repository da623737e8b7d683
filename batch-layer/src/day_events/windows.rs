//! Walking over the windows of distinct events.

use lake_model::{DaySpan, Window, WindowSize};

use super::rows::{DistinctEvents, Row};

/// The events of one camera in one window.
#[derive(Debug)]
pub(crate) struct WindowEvents<'a> {
    /// The place of the camera in the day's list.
    pub(crate) camera: usize,
    /// The window.
    pub(crate) window: Window,
    /// The place of the window among those of its size in the day.
    pub(crate) index: u32,
    events: &'a [Row],
}

impl WindowEvents<'_> {
    /// How many there are, never none.
    pub(crate) fn count(&self) -> u64 {
        self.events.len() as u64
    }

    /// Puts their speeds, in thousandths of km/h and in no order, in place of what `speeds` holds.
    pub(crate) fn speeds_into(&self, speeds: &mut Vec<u32>) {
        speeds.clear();
        speeds.extend(self.events.iter().map(|row| row.speed.thousandths()));
    }
}

impl DistinctEvents {
    /// Every window of every size that holds events, by camera, size and start.
    pub(crate) fn windows<'a>(
        &'a self,
        span: &'a DaySpan,
    ) -> impl Iterator<Item = WindowEvents<'a>> {
        self.rows.chunk_by(|a, b| a.camera == b.camera).flat_map(move |camera| {
            WindowSize::ALL.into_iter().flat_map(move |size| windows_of_size(camera, span, size))
        })
    }
}

fn windows_of_size<'a>(
    camera: &'a [Row],
    span: &'a DaySpan,
    size: WindowSize,
) -> impl Iterator<Item = WindowEvents<'a>> {
    let index = move |row: &Row| span.window_index(size, row.event_time);
    camera.chunk_by(move |a, b| index(a) == index(b)).map(move |events| {
        let index = index(&events[0]);
        WindowEvents {
            camera: events[0].camera as usize,
            window: span.window(size, index),
            index,
            events,
        }
    })
}
