//! The index: the files of one version of the table by day, what each may hold, and which cameras there are.
//!
//! An index is never changed. The next one shares what stays: files, days whose files are the same, and the
//! cameras while no day gains or loses one.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lake_delta::log::FileEntry;
use lake_model::{Calendar, Day, KafkaPartition, TableVersion, Timestamp, WindowSize};

use super::indexed_file::IndexedFile;
use super::rows::MergedWindow;

/// The latest windows of cameras, `None` of those without any.
pub(super) type LatestWindows = HashMap<Arc<str>, Option<MergedWindow>>;

/// The files of one version of the table.
#[derive(Debug)]
pub(crate) struct Index {
    version: TableVersion,
    /// The pipeline's days.
    calendar: Calendar,
    days: BTreeMap<Option<Day>, Arc<DayFiles>>,
    /// Every camera with the latest day that it has rows in.
    cameras: Arc<BTreeMap<Arc<str>, Option<Day>>>,
}

impl Index {
    /// The index of `files`, the active ones at `version`, which shares with `previous` what is the same.
    pub(super) fn new(
        version: TableVersion,
        calendar: Calendar,
        files: Vec<Arc<IndexedFile>>,
        previous: Option<&Index>,
    ) -> Index {
        let mut by_day: BTreeMap<Option<Day>, Vec<Arc<IndexedFile>>> = BTreeMap::new();
        for file in files {
            by_day.entry(file.entry.partition).or_default().push(file);
        }
        let day_before = |day: &Option<Day>| previous.and_then(|index| index.days.get(day));
        let days: BTreeMap<_, _> = by_day
            .into_iter()
            .map(|(day, files)| (day, DayFiles::shared(files, day_before(&day))))
            .collect();
        let same = previous.filter(|index| same_cameras(&index.days, &days));
        let cameras =
            same.map_or_else(|| Arc::new(latest_days(&days)), |index| Arc::clone(&index.cameras));
        Index { version, calendar, days, cameras }
    }

    /// The table's version.
    pub(crate) fn version(&self) -> TableVersion {
        self.version
    }

    /// The pipeline's days, by the rules that the table has.
    pub(crate) fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// Whether any row is of that camera.
    pub(super) fn knows(&self, camera: &str) -> bool {
        self.cameras.contains_key(camera)
    }

    /// At most `limit` cameras after `after`, in the order of their ids, with the latest day of each.
    pub(super) fn cameras_after(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<(Arc<str>, Option<Day>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.cameras.range::<str, _>((from, Bound::Unbounded));
        range.take(limit).map(|(camera, day)| (Arc::clone(camera), *day)).collect()
    }

    /// The files that may hold windows of `size` of a camera that start in `[from, to)`.
    pub(super) fn files_for(
        &self,
        camera: &str,
        size: WindowSize,
        from: Timestamp,
        to: Timestamp,
    ) -> impl Iterator<Item = &Arc<IndexedFile>> {
        let days = self.days.values().filter(move |day| overlap(day.starts, from, to));
        days.flat_map(|day| day.files.iter()).filter(move |file| {
            file.holds(size) && overlap(file.starts, from, to) && file.may_hold(camera)
        })
    }

    /// The files of a day.
    pub(super) fn day(&self, day: Option<Day>) -> Option<&Arc<DayFiles>> {
        self.days.get(&day)
    }

    /// The file of that entry, if it is active.
    pub(super) fn file(&self, entry: &FileEntry) -> Option<&Arc<IndexedFile>> {
        let files = &self.days.get(&entry.partition)?.files;
        let at = files.binary_search_by(|file| file.entry.path.cmp(&entry.path)).ok()?;
        files.get(at)
    }

    /// Every file.
    pub(super) fn files(&self) -> impl Iterator<Item = &Arc<IndexedFile>> {
        self.days.values().flat_map(|day| day.files.iter())
    }

    /// Number of files.
    pub(crate) fn file_count(&self) -> usize {
        self.days.values().map(|day| day.files.len()).sum()
    }

    /// Number of cameras.
    pub(crate) fn camera_count(&self) -> usize {
        self.cameras.len()
    }

    /// Number of cameras with provisional rows from several Kafka partitions on one day.
    pub(crate) fn multi_partition_cameras(&self) -> usize {
        let spread = self.days.values().flat_map(|day| day.multi_partition.iter());
        spread.collect::<HashSet<_>>().len()
    }

    /// When the newest row was computed.
    pub(crate) fn newest_computed_at(&self) -> Option<Timestamp> {
        self.days.values().filter_map(|day| day.newest_computed_at).max()
    }

    /// When the newest final row was computed.
    pub(crate) fn newest_final_at(&self) -> Option<Timestamp> {
        let finals = self.files().filter(|file| file.is_final());
        finals.filter_map(|file| file.newest_computed_at).max()
    }

    /// When the oldest day ended that is not final.
    pub(crate) fn oldest_provisional_end(&self) -> Option<Timestamp> {
        let is_provisional = |day: &DayFiles| day.files.iter().any(|file| file.is_provisional());
        let mut days = self.days.iter().filter(|(_, files)| is_provisional(files));
        days.find_map(|(day, _)| *day).map(|day| self.calendar.span(day).end)
    }
}

/// The files of a day.
#[derive(Debug)]
pub(super) struct DayFiles {
    /// By path.
    files: Vec<Arc<IndexedFile>>,
    starts: Option<(Timestamp, Timestamp)>,
    newest_computed_at: Option<Timestamp>,
    cameras: Arc<[Arc<str>]>,
    multi_partition: Box<[Arc<str>]>,
    latest: Mutex<LatestWindows>,
}

impl DayFiles {
    /// The day of `files`; the one before if they are the same.
    fn shared(mut files: Vec<Arc<IndexedFile>>, before: Option<&Arc<DayFiles>>) -> Arc<DayFiles> {
        files.sort_by(|a, b| a.entry.path.cmp(&b.entry.path));
        let is_same = |before: &&Arc<DayFiles>| {
            before.files.len() == files.len()
                && before.files.iter().zip(&files).all(|(a, b)| Arc::ptr_eq(a, b))
        };
        match before.filter(is_same) {
            Some(same) => Arc::clone(same),
            None => Arc::new(DayFiles::new(files, before)),
        }
    }

    fn new(files: Vec<Arc<IndexedFile>>, before: Option<&Arc<DayFiles>>) -> DayFiles {
        let cameras = union(&files);
        let before = before.map(|before| Arc::clone(&before.cameras));
        let wider =
            |a: (Timestamp, Timestamp), b: (Timestamp, Timestamp)| (a.0.min(b.0), a.1.max(b.1));
        let starts: Option<Vec<_>> = files.iter().map(|file| file.starts).collect();
        DayFiles {
            starts: starts.and_then(|starts| starts.into_iter().reduce(wider)),
            newest_computed_at: files.iter().filter_map(|file| file.newest_computed_at).max(),
            cameras: before.filter(|before| *before == cameras).unwrap_or(cameras),
            multi_partition: in_several_partitions(&files),
            latest: Mutex::default(),
            files,
        }
    }

    /// The files that hold 5-minute windows in groups, later windows first; the windows of a group are all later than
    /// those of the next.
    pub(super) fn latest_first(&self) -> Vec<Vec<&Arc<IndexedFile>>> {
        let mut groups: BTreeMap<u32, Vec<&Arc<IndexedFile>>> = BTreeMap::new();
        let knows_hours = self.files.iter().all(|file| file.is_recognised());
        for file in self.files.iter().filter(|file| file.holds(WindowSize::FiveMinutes)) {
            let hour = file.hour().filter(|_| knows_hours).unwrap_or(0);
            groups.entry(hour).or_default().push(file);
        }
        groups.into_values().rev().collect()
    }

    /// The latest windows found so far of the day's cameras.
    pub(super) fn latest(&self) -> MutexGuard<'_, LatestWindows> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether windows that start within `starts` may start in `[from, to)`.
fn overlap(starts: Option<(Timestamp, Timestamp)>, from: Timestamp, to: Timestamp) -> bool {
    starts.is_none_or(|(least, greatest)| least < to && from <= greatest)
}

/// The cameras of all files, in the order of their ids.
fn union(files: &[Arc<IndexedFile>]) -> Arc<[Arc<str>]> {
    let mut cameras: Vec<Arc<str>> = files
        .iter()
        .filter_map(|file| file.cameras.as_ref())
        .flat_map(|list| list.iter().cloned())
        .collect();
    cameras.sort_unstable();
    cameras.dedup();
    cameras.into()
}

fn in_several_partitions(files: &[Arc<IndexedFile>]) -> Box<[Arc<str>]> {
    let mut seen: HashMap<&Arc<str>, KafkaPartition> = HashMap::new();
    let mut several = HashSet::new();
    for file in files {
        let Some((partition, cameras)) = file.kafka_partition().zip(file.cameras.as_ref()) else {
            continue;
        };
        for camera in cameras.iter() {
            if *seen.entry(camera).or_insert(partition) != partition {
                several.insert(Arc::clone(camera));
            }
        }
    }
    several.into_iter().collect()
}

fn same_cameras(
    before: &BTreeMap<Option<Day>, Arc<DayFiles>>,
    after: &BTreeMap<Option<Day>, Arc<DayFiles>>,
) -> bool {
    let same = |((a, old), (b, new)): ((_, &Arc<DayFiles>), (_, &Arc<DayFiles>))| {
        a == b && Arc::ptr_eq(&old.cameras, &new.cameras)
    };
    before.len() == after.len() && before.iter().zip(after).all(same)
}

fn latest_days(days: &BTreeMap<Option<Day>, Arc<DayFiles>>) -> BTreeMap<Arc<str>, Option<Day>> {
    let mut latest: HashMap<&Arc<str>, Option<Day>> = HashMap::new();
    for (day, files) in days.iter().rev() {
        for camera in files.cameras.iter() {
            latest.entry(camera).or_insert(*day);
        }
    }
    latest.into_iter().map(|(camera, day)| (Arc::clone(camera), day)).collect()
}
