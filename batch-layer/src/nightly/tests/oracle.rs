//! The final rows of a day worked out in the plainest way, to compare with.

use std::collections::{BTreeMap, BTreeSet};

use lake_model::{Calendar, Day, Speed, Summary, TableVersion, Timestamp, Window, WindowSize};
use lake_tables::avg_speed::{AvgSpeedRow, Quantiles, Status};

use crate::test_support::Seen;

/// The rows that `events` make of `day`, by camera, size and start.
pub(super) fn final_rows(
    calendar: &Calendar,
    events: &[Seen],
    day: Day,
    limit: Option<Speed>,
    events_version: TableVersion,
    computed_at: Timestamp,
) -> Vec<AvgSpeedRow> {
    let identity =
        |event: &Seen| (event.camera.clone(), event.time, event.thousandths, event.plate.clone());
    let distinct: BTreeSet<_> = events.iter().map(identity).collect();
    let mut windows: BTreeMap<(String, Window), Vec<u32>> = BTreeMap::new();
    for (camera, time, thousandths, _) in distinct {
        let span = calendar.span_at(time);
        for size in WindowSize::ALL.into_iter().filter(|_| span.day == day) {
            let window = span.window_at(size, time);
            windows.entry((camera.clone(), window)).or_default().push(thousandths);
        }
    }
    let row = |((camera, window), speeds): ((String, Window), Vec<u32>)| AvgSpeedRow {
        camera_id: camera.as_str().into(),
        window,
        kafka_partition: None,
        summary: summary(&speeds, limit),
        quantiles: quantiles(speeds),
        status: Status::Final,
        events_version: Some(events_version),
        computed_at,
        histogram: None,
    };
    windows.into_iter().map(row).collect()
}

fn summary(speeds: &[u32], limit: Option<Speed>) -> Summary {
    let speed = Speed::from_thousandths;
    let over = |limit: Speed| speeds.iter().filter(|s| **s > limit.thousandths()).count() as u64;
    Summary::from_parts(
        speeds.len() as u64,
        speeds.iter().map(|speed| u64::from(*speed)).sum(),
        speed(*speeds.iter().min().unwrap()),
        speed(*speeds.iter().max().unwrap()),
        limit.map(over),
    )
}

fn quantiles(mut speeds: Vec<u32>) -> Quantiles {
    speeds.sort_unstable();
    // The least value that at least so many percent of the values are not above.
    let by_definition = |percent: u32| {
        let share = |value: u32| speeds.iter().filter(|s| **s <= value).count() * 100;
        let found = speeds.iter().find(|s| share(**s) >= speeds.len() * percent as usize);
        Speed::from_thousandths(*found.unwrap())
    };
    Quantiles::by(by_definition)
}
