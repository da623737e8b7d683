//! Provisional averages: the panes of a partition's open windows, grouped as their files are.
//!
//! Every event that is not late folds into its 5-minute pane and into its day's pane; the one-hour row is the
//! merge of its twelve. A group is written whole, and leaves memory once it is written and every window in
//! it is closed. After a restart open groups are read back from their files: there is no other state.

use std::collections::HashMap;
use std::sync::Arc;

use lake_model::{
    Day, DaySpan, KafkaPartition, Lateness, Pane, PartitionClock, Speed, Timestamp, WindowSize,
};
use lake_tables::avg_speed::AvgSpeedRow;
use lake_tables::file_kind::{GroupWindows, ProvisionalGroup};

/// An event as the windows see it.
#[derive(Clone, Copy, Debug)]
pub struct WindowEvent<'a> {
    /// The camera.
    pub camera_id: &'a str,
    /// When it saw the vehicle.
    pub event_time: Timestamp,
    /// The speed.
    pub speed: Speed,
    /// The camera's limit, if one is configured.
    pub limit: Option<Speed>,
}

/// Memory of a camera in a group beside its panes: its id and its places.
const CAMERA_BYTES: usize = 256;

/// The open windows of one partition.
#[derive(Debug, Default)]
pub struct Provisional {
    /// In the order of their keys.
    groups: Vec<(Key, Group)>,
    /// The panes of all groups. A camera without any is not here.
    cameras: HashMap<Arc<str>, CameraPanes, foldhash::fast::RandomState>,
    /// The places of the groups of an hour and of a day that were asked for last: neighbours in the log mostly
    /// belong to the same.
    recent: [usize; 2],
}

/// The file that a group is written to.
type Key = (Day, GroupWindows);

#[derive(Debug)]
struct Group {
    span: DaySpan,
    dirty: bool,
}

/// A camera's panes by group, in the order of keys.
#[derive(Debug, Default)]
struct CameraPanes(Vec<(Key, Panes)>);

/// A camera's panes in a group, in the order of their windows: by the place of the 5-minute window in the day, or 0 in a
/// group of a day.
type Panes = Vec<(u32, Pane)>;

impl Provisional {
    /// Folds an event, which is in the day of `span` and not late.
    pub fn add(&mut self, span: &DaySpan, event: &WindowEvent<'_>) {
        let hour = span.window_index(WindowSize::OneHour, event.event_time);
        let five = span.window_index(WindowSize::FiveMinutes, event.event_time);
        let places = [(GroupWindows::Hour(hour), five), (GroupWindows::Day, 0)];
        for (windows, _) in places {
            self.group(span, windows).dirty = true;
        }
        let panes = match self.cameras.get_mut(event.camera_id) {
            Some(panes) => panes,
            None => self.cameras.entry(event.camera_id.into()).or_default(),
        };
        for (windows, index) in places {
            pane(panes.of((span.day, windows)), index).add(event.speed, event.limit);
        }
    }

    /// Takes back a row that a file holds. One-hour rows are passed over: they follow from the others.
    pub fn restore(&mut self, span: &DaySpan, group: &ProvisionalGroup, row: &AvgSpeedRow) {
        let index = match row.window.size {
            WindowSize::OneHour => return,
            size => span.window_index(size, row.window.start),
        };
        self.group(span, group.windows).dirty = false;
        let panes = self.cameras.entry(Arc::clone(&row.camera_id)).or_default();
        *pane(panes.of((span.day, group.windows)), index) = row.pane();
    }

    /// Whether any group has changed since it was last written.
    pub fn is_dirty(&self) -> bool {
        self.groups.iter().any(|(_, group)| group.dirty)
    }

    /// The groups that have changed since they were last written.
    pub fn dirty(&self) -> Vec<Key> {
        let dirty = self.groups.iter().filter(|(_, group)| group.dirty);
        dirty.map(|(key, _)| *key).collect()
    }

    /// The rows of a group, by camera and window.
    pub fn rows(
        &self,
        key: Key,
        kafka_partition: KafkaPartition,
        computed_at: Timestamp,
    ) -> Vec<AvgSpeedRow> {
        let Ok(at) = place_of(&self.groups, key) else { return Vec::new() };
        let span = self.groups[at].1.span;
        let of_group = self.cameras.iter().map(|(camera, panes)| (camera, panes.get(key)));
        let mut cameras: Vec<_> =
            of_group.filter_map(|(camera, panes)| Some((camera, panes?))).collect();
        cameras.sort_unstable_by(|a, b| a.0.cmp(b.0));
        let row = |camera: &Arc<str>, window, pane| {
            AvgSpeedRow::provisional(Arc::clone(camera), window, kafka_partition, pane, computed_at)
        };
        let mut rows = Vec::new();
        for (camera, panes) in cameras {
            let (size, merged) = match key.1 {
                GroupWindows::Day => (WindowSize::Day, None),
                GroupWindows::Hour(hour) => (WindowSize::FiveMinutes, Some(hour)),
            };
            for (index, pane) in panes {
                rows.push(row(camera, span.window(size, *index), pane.clone()));
            }
            if let Some(hour) = merged {
                let window = span.window(WindowSize::OneHour, hour);
                rows.push(row(camera, window, merge(panes)));
            }
        }
        rows
    }

    /// Notes that every group is written, and forgets those whose windows are closed.
    pub fn written(&mut self, clock: PartitionClock, lateness: Lateness) {
        self.groups.iter_mut().for_each(|(_, group)| group.dirty = false);
        self.retain(|(_, windows), span| !clock.has_closed(windows.end(span), lateness));
    }

    /// Forgets a day, which the batch has made final.
    pub fn forget(&mut self, day: Day) {
        self.retain(|(held, _), _| *held != day);
    }

    /// Panes held.
    pub fn panes(&self) -> usize {
        self.held().map(Vec::len).sum()
    }

    /// About how much memory the panes take, in bytes.
    pub fn bytes(&self) -> usize {
        self.held()
            .map(|held| CAMERA_BYTES + held.iter().map(|(_, pane)| pane.bytes()).sum::<usize>())
            .sum()
    }

    /// Forgets all groups but these.
    fn retain(&mut self, is_kept: impl Fn(&Key, &DaySpan) -> bool) {
        let before = self.groups.len();
        self.groups.retain(|(key, group)| is_kept(key, &group.span));
        if self.groups.len() == before {
            return;
        }
        let groups = &self.groups;
        self.cameras.retain(|_, panes| {
            panes.0.retain(|(key, _)| place_of(groups, *key).is_ok());
            !panes.0.is_empty()
        });
        self.cameras.shrink_to_fit();
    }

    /// The panes of each camera in each group.
    fn held(&self) -> impl Iterator<Item = &Panes> {
        self.cameras.values().flat_map(|panes| &panes.0).map(|(_, panes)| panes)
    }

    fn group(&mut self, span: &DaySpan, windows: GroupWindows) -> &mut Group {
        let key = (span.day, windows);
        let recent = &mut self.recent[usize::from(windows == GroupWindows::Day)];
        if self.groups.get(*recent).is_none_or(|(held, _)| *held != key) {
            *recent = place_of(&self.groups, key).unwrap_or_else(|at| {
                self.groups.insert(at, (key, Group { span: *span, dirty: false }));
                at
            });
        }
        &mut self.groups[*recent].1
    }
}

/// Where the group is, or where it belongs.
fn place_of(groups: &[(Key, Group)], key: Key) -> Result<usize, usize> {
    groups.binary_search_by_key(&key, |(held, _)| *held)
}

impl CameraPanes {
    /// The panes in a group.
    fn get(&self, key: Key) -> Option<&Panes> {
        self.0.iter().find(|(held, _)| *held == key).map(|(_, panes)| panes)
    }

    /// The panes in a group, where there may be none yet. Most events belong to the last ones.
    fn of(&mut self, key: Key) -> &mut Panes {
        let at = match self.0.iter().rposition(|(held, _)| *held <= key) {
            Some(at) if self.0[at].0 == key => at,
            before => {
                let at = before.map_or(0, |before| before + 1);
                self.0.insert(at, (key, Panes::new()));
                at
            }
        };
        &mut self.0[at].1
    }
}

/// The pane of that window, where there may be none yet. Most events belong to the last one.
#[inline]
fn pane(panes: &mut Panes, index: u32) -> &mut Pane {
    let at = match panes.iter().rposition(|(held, _)| *held <= index) {
        Some(at) if panes[at].0 == index => at,
        before => {
            let at = before.map_or(0, |before| before + 1);
            // There are twelve at most, and one in a group of a day: doubling would waste half of their memory.
            panes.reserve_exact(1);
            panes.insert(at, (index, Pane::default()));
            at
        }
    };
    &mut panes[at].1
}

fn merge(panes: &[(u32, Pane)]) -> Pane {
    let mut merged = Pane::default();
    panes.iter().for_each(|(_, pane)| merged.merge(pane));
    merged
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use lake_model::Calendar;

    use super::*;

    const LATENESS: Lateness = Lateness { allowed_us: 0, out_of_orderness_us: 0 };

    fn add(provisional: &mut Provisional, camera_id: &str, time: &str) {
        let event_time = Timestamp::parse(time).unwrap();
        let span = Calendar::utc().span_at(event_time);
        let speed = Speed::rounded(50.0);
        provisional.add(&span, &WindowEvent { camera_id, event_time, speed, limit: None });
    }

    #[test]
    fn closed_groups_leave_with_their_panes_and_open_ones_stay() {
        let mut provisional = Provisional::default();
        add(&mut provisional, "gone", "2025-04-05T10:00:00Z");
        add(&mut provisional, "back", "2025-04-05T10:59:00Z");
        add(&mut provisional, "back", "2025-04-06T00:30:00Z");
        assert_eq!(provisional.panes(), 6);
        let now = Timestamp::parse("2025-04-06T00:30:00Z");
        provisional.written(PartitionClock::resumed(now), LATENESS);
        assert_eq!(provisional.panes(), 2);
        assert_eq!(
            provisional.cameras.keys().map(|camera| &**camera).collect::<Vec<_>>(),
            ["back"]
        );
        let day = Calendar::utc().span_at(now.unwrap()).day;
        let rows = provisional.rows((day, GroupWindows::Hour(0)), KafkaPartition(3), now.unwrap());
        assert_eq!(
            rows.iter().map(|row| row.window.size).collect::<Vec<_>>(),
            [WindowSize::FiveMinutes, WindowSize::OneHour]
        );
    }
}
