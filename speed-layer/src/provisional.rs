//! Provisional averages: the panes of a partition's open windows, grouped as their files are.
//!
//! Every event that is not late folds into its 5-minute pane and into its day's pane; the one-hour row is the
//! merge of its twelve. A group is written whole, and leaves memory once it is written and every window in
//! it is closed. After a restart open groups are read back from their files: there is no other state.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use lake::paths::{GroupWindows, ProvisionalGroup};
use lake::tables::avg_speed::AvgSpeedRow;
use lake_model::defects::{self, Defect};
use lake_model::{Day, DaySpan, EventTime, Lateness, Pane, PartitionClock, Speed, WindowSize};

/// An event as the windows see it.
#[derive(Clone, Copy, Debug)]
pub struct WindowEvent<'a> {
    /// The camera.
    pub camera_id: &'a str,
    /// When it saw the vehicle.
    pub event_time: EventTime,
    /// The speed.
    pub speed: Speed,
    /// The camera's limit, if one is configured.
    pub limit: Option<Speed>,
}

/// Memory of a camera in a group beside its panes: its id, its place in the map, the tree of its panes.
const CAMERA_BYTES: usize = 256;

/// The open windows of one partition.
#[derive(Debug, Default)]
pub struct Provisional {
    /// In the order of their keys.
    groups: Vec<(Key, Group)>,
    /// The places of the groups of an hour and of a day that were asked for last: neighbours in the log mostly
    /// belong to the same.
    recent: [usize; 2],
}

/// The file that a group is written to.
type Key = (Day, GroupWindows);

#[derive(Debug)]
struct Group {
    span: DaySpan,
    /// Panes by camera; of an hour group by the place of the 5-minute window in the day.
    panes: HashMap<Arc<str>, BTreeMap<u32, Pane>, foldhash::fast::RandomState>,
    dirty: bool,
}

impl Provisional {
    /// Folds an event, which is in the day of `span` and not late.
    pub fn add(&mut self, span: &DaySpan, event: &WindowEvent<'_>) {
        let hour = span.window_index(WindowSize::OneHour, event.event_time);
        let five = span.window_index(WindowSize::FiveMinutes, event.event_time);
        self.group(span, GroupWindows::Hour(hour)).add(event, five);
        self.group(span, GroupWindows::Day).add(event, 0);
    }

    /// Takes back a row that a file holds. One-hour rows are passed over: they follow from the others.
    pub fn restore(&mut self, span: &DaySpan, group: &ProvisionalGroup, row: &AvgSpeedRow) {
        let index = match row.window.size {
            WindowSize::OneHour => return,
            size => span.window_index(size, row.window.start),
        };
        let group = self.group(span, group.windows);
        group.dirty = false;
        group.panes.entry(Arc::clone(&row.camera_id)).or_default().insert(index, row.pane());
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
    pub fn rows(&self, key: Key, kafka_partition: i32, computed_at: EventTime) -> Vec<AvgSpeedRow> {
        let Ok(at) = place_of(&self.groups, key) else { return Vec::new() };
        let group = &self.groups[at].1;
        let mut cameras: Vec<_> = group.panes.iter().collect();
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
                rows.push(row(camera, group.span.window(size, *index), pane.clone()));
            }
            if let Some(hour) = merged {
                let window = group.span.window(WindowSize::OneHour, hour);
                let missed = usize::from(panes.len() > 1 && defects::is_on(Defect::HourShort));
                rows.push(row(camera, window, merge(panes.values().skip(missed))));
            }
        }
        rows
    }

    /// Notes that every group is written, and forgets those whose windows are closed.
    pub fn written(&mut self, clock: PartitionClock, lateness: Lateness) {
        self.groups.retain_mut(|((_, windows), group)| {
            group.dirty = false;
            if defects::is_on(Defect::PaneForgotten) && *windows != GroupWindows::Day {
                group.forget_closed(clock, lateness);
            }
            let end = match windows {
                GroupWindows::Day => group.span.end,
                GroupWindows::Hour(hour) => group.span.window(WindowSize::OneHour, *hour).end,
            };
            !clock.has_closed(end, lateness)
        });
    }

    /// Forgets a day, which the batch has made final.
    pub fn forget(&mut self, day: Day) {
        self.groups.retain(|((held, _), _)| *held != day);
    }

    /// Panes held.
    pub fn panes(&self) -> usize {
        self.groups.iter().flat_map(|(_, group)| group.panes.values()).map(BTreeMap::len).sum()
    }

    /// About how much memory the panes take, in bytes.
    pub fn bytes(&self) -> usize {
        let cameras = self.groups.iter().flat_map(|(_, group)| group.panes.values());
        cameras.map(|panes| CAMERA_BYTES + panes.values().map(Pane::bytes).sum::<usize>()).sum()
    }

    fn group(&mut self, span: &DaySpan, windows: GroupWindows) -> &mut Group {
        let key = (span.day, windows);
        let recent = &mut self.recent[usize::from(windows == GroupWindows::Day)];
        if self.groups.get(*recent).is_none_or(|(held, _)| *held != key) {
            *recent = place_of(&self.groups, key).unwrap_or_else(|at| {
                self.groups.insert(at, (key, Group::new(*span)));
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

impl Group {
    fn new(span: DaySpan) -> Group {
        Group { span, panes: HashMap::default(), dirty: false }
    }

    /// Forgets five-minute windows that are closed: a deliberate defect.
    fn forget_closed(&mut self, clock: PartitionClock, lateness: Lateness) {
        let span = self.span;
        let end = |index| span.window(WindowSize::FiveMinutes, index).end;
        let panes = self.panes.values_mut();
        panes.for_each(|panes| panes.retain(|index, _| !clock.has_closed(end(*index), lateness)));
        self.panes.retain(|_, panes| !panes.is_empty());
    }

    fn add(&mut self, event: &WindowEvent<'_>, index: u32) {
        self.dirty = true;
        let panes = match self.panes.get_mut(event.camera_id) {
            Some(panes) => panes,
            None => self.panes.entry(event.camera_id.into()).or_default(),
        };
        panes.entry(index).or_default().add(event.speed, event.limit);
    }
}

fn merge<'a>(panes: impl Iterator<Item = &'a Pane>) -> Pane {
    let mut merged = Pane::default();
    panes.for_each(|pane| merged.merge(pane));
    merged
}
