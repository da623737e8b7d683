//! Rule 3: in every version of `avg_speed`, provisional rows hold exactly the not-late events of their windows up to
//! the offsets in that version.
//!
//! After each version only the windows are compared that its files or its newer offsets touch.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use jiff::civil::Date;

use super::averages::{self, Key, Speeds};
use super::log::Version;
use super::rows::AverageRow;
use super::violation::Violation;
use super::{AVG_SPEED, Case, cuts};

/// How far a provisional percentile may be off, in thousandths of km/h.
const TOLERANCE: i64 = 500;

type Group = (i32, Date);

pub(super) fn check(case: &Case<'_>) -> Result<Vec<Violation>, Box<Violation>> {
    let mut check = Check { doubtful: doubtful(case), ..Check::default() };
    let mut found = Vec::new();
    for version in &case.avg_speed.versions {
        let touched = check.apply(case, version)?;
        found.extend(check.compare(case, version, touched));
    }
    Ok(found)
}

#[derive(Default)]
struct Check {
    /// The files of the version, by path, with their days.
    files: BTreeMap<String, (Date, Rc<[AverageRow]>)>,
    /// What the rows of each partition and day say, by window.
    rows: BTreeMap<Group, BTreeMap<Key, Vec<AverageRow>>>,
    /// What they must say.
    speeds: BTreeMap<Group, Speeds>,
    next: BTreeMap<i32, i64>,
    finals: BTreeSet<Date>,
    /// Windows that hold an event which may have been counted or not: it was lost since, or is of a log that was cut, or not
    /// every process takes it for one.
    doubtful: BTreeSet<(Group, Key)>,
}

fn doubtful(case: &Case<'_>) -> BTreeSet<(Group, Key)> {
    let unsure = case.expected.partitions.iter().flat_map(|(id, log)| {
        let of_cut = cuts::doubtful(case, *id).unwrap_or_default();
        let own = case.expected.events(*id, 0, log.end());
        let own = own.filter(move |(at, event)| of_cut.contains(at) || !event.is_sure());
        own.map(|(_, event)| event).chain(&log.alternatives).map(|event| (*id, event))
    });
    let windows = case.expected.lost().chain(unsure).flat_map(|(partition, event)| {
        let camera = &event.fields.camera;
        let key = |window| Key { camera: camera.clone(), window };
        event.windows.map(|window| ((partition, event.day), key(window)))
    });
    windows.collect()
}

impl Check {
    /// Takes a version in; returns the windows that it touched.
    fn apply(
        &mut self,
        case: &Case<'_>,
        version: &Version,
    ) -> Result<BTreeSet<(Group, Key)>, Box<Violation>> {
        let mut touched = BTreeSet::new();
        for file in &version.removes {
            let Some((day, rows)) = self.files.remove(&file.path) else { continue };
            for row in rows.iter() {
                let (Some(partition), Some(key)) = (row.partition, Key::of(row)) else { continue };
                let group = self.rows.entry((partition, day)).or_default();
                if let Some(held) = group.get_mut(&key) {
                    held.iter().position(|held| held == row).map(|at| held.remove(at));
                }
                touched.insert(((partition, day), key));
            }
        }
        for file in &version.adds {
            let Some(day) = file.day else { continue };
            let rows = case.files.averages(&file.path)?;
            for row in rows.iter() {
                let Some(key) = Key::of(row) else {
                    return Err(Violation::unreadable(AVG_SPEED, &file.path, format!("{row:?}")));
                };
                if row.status == "final" {
                    self.finals.insert(day);
                }
                let Some(partition) = row.partition else { continue };
                let group = self.rows.entry((partition, day)).or_default();
                group.entry(key.clone()).or_default().push(row.clone());
                touched.insert(((partition, day), key));
            }
            self.files.insert(file.path.clone(), (day, rows));
        }
        self.count_events(case, version, &mut touched);
        Ok(touched)
    }

    /// Counts the events before the version's offsets.
    fn count_events(
        &mut self,
        case: &Case<'_>,
        version: &Version,
        touched: &mut BTreeSet<(Group, Key)>,
    ) {
        for (app_id, next) in &version.txns {
            let Some(partition) = case.partition_of(app_id) else { continue };
            let from = self.next.insert(partition, *next).unwrap_or(0);
            let events = case.expected.events(partition, from, *next);
            for (_, event) in events.filter(|(_, event)| event.late == Some(false)) {
                let (camera, group) = (&event.fields.camera, (partition, event.day));
                let speeds = self.speeds.entry(group).or_default();
                averages::count(speeds, camera, &event.windows, event.thousandths());
                for window in event.windows {
                    touched.insert((group, Key { camera: camera.clone(), window }));
                }
            }
        }
    }

    fn compare(
        &self,
        case: &Case<'_>,
        version: &Version,
        touched: BTreeSet<(Group, Key)>,
    ) -> Vec<Violation> {
        let is_final = |((_, day), _): &(Group, Key)| self.finals.contains(day);
        let is_sure = |at: &(Group, Key)| !is_final(at) && !self.doubtful.contains(at);
        let touched = touched.into_iter().filter(is_sure);
        touched.filter_map(|(group, key)| self.compare_one(case, version, group, &key)).collect()
    }

    fn compare_one(
        &self,
        case: &Case<'_>,
        version: &Version,
        group: Group,
        key: &Key,
    ) -> Option<Violation> {
        let rows = self.rows.get(&group).and_then(|rows| rows.get(key));
        let rows = rows.map(Vec::as_slice).unwrap_or_default();
        let speeds = self.speeds.get(&group).and_then(|speeds| speeds.get(key));
        let (expected, found) = match (speeds, rows) {
            (None, []) => return None,
            (Some(speeds), [row])
                if row.status == "provisional" && row.events_version.is_none() =>
            {
                averages::difference(row, speeds, &case.truth.settings, TOLERANCE)?
            }
            (speeds, rows) => {
                let events = speeds.map_or(0, Vec::len);
                let expected = if events > 0 { "one provisional row" } else { "no row" };
                (format!("{expected} of {events} events"), format!("{} rows: {rows:?}", rows.len()))
            }
        };
        let place = format!("partition {} day {}, {key}", group.0, group.1);
        Some(Violation::at("3", AVG_SPEED, version.number, place, expected, found))
    }
}
