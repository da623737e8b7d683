//! The provisional rows that a speed layer would make of events, worked out all at once.

use std::collections::BTreeMap;

use lake_model::{Calendar, KafkaPartition, Pane, Speed, Timestamp, Window, WindowSize};
use lake_tables::avg_speed::AvgSpeedRow;
use lake_tables::file_kind::{GroupWindows, ProvisionalGroup};

/// An event, as far as averages need it.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The camera.
    pub camera: &'a str,
    /// The Kafka partition of its record.
    pub kafka_partition: KafkaPartition,
    /// When the camera saw the vehicle.
    pub time: Timestamp,
    /// How fast it was.
    pub speed: Speed,
}

/// The provisional rows of `events`, computed at `now`, by the file that each is in. `limit` is the speed limit of a
/// camera.
pub fn provisional_rows<'a>(
    calendar: &Calendar,
    events: impl IntoIterator<Item = Observation<'a>>,
    limit: impl Fn(&str) -> Option<Speed>,
    now: Timestamp,
) -> BTreeMap<ProvisionalGroup, Vec<AvgSpeedRow>> {
    let mut panes: BTreeMap<(ProvisionalGroup, &str, Window), Pane> = BTreeMap::new();
    for event in events {
        let span = calendar.span_at(event.time);
        for size in WindowSize::ALL {
            let windows = match size {
                WindowSize::Day => GroupWindows::Day,
                _ => GroupWindows::Hour(span.window_index(WindowSize::OneHour, event.time)),
            };
            let kafka_partition = event.kafka_partition;
            let group = ProvisionalGroup { day: span.day, kafka_partition, windows };
            let window = span.window_at(size, event.time);
            panes
                .entry((group, event.camera, window))
                .or_default()
                .add(event.speed, limit(event.camera));
        }
    }
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for ((group, camera, window), pane) in panes {
        let row = AvgSpeedRow::provisional(camera.into(), window, group.kafka_partition, pane, now);
        groups.entry(group).or_default().push(row);
    }
    groups
}
