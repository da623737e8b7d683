//! An active file of the table as the index describes it: by its tags and its statistics, without reading it.

use std::sync::Arc;

use lake_delta::log::FileEntry;
use lake_model::{KafkaPartition, Timestamp, WindowSize};
use lake_tables::file_kind::{AvgSpeedFile, GroupWindows};

/// An active file, and what it may hold.
#[derive(Debug)]
pub(super) struct IndexedFile {
    /// The log's entry.
    pub(super) entry: FileEntry,
    /// What its tags name; `None` of files that have none of ours.
    kind: Option<AvgSpeedFile>,
    /// The least and greatest start of a window.
    pub(super) starts: Option<(Timestamp, Timestamp)>,
    camera_bounds: Option<(String, String)>,
    /// When its newest row was computed.
    pub(super) newest_computed_at: Option<Timestamp>,
    /// Its cameras, if it is of a kind that cameras are known by.
    pub(super) cameras: Option<Arc<[Arc<str>]>>,
}

impl IndexedFile {
    /// Whether cameras are known by files like this one. Final 24-hour rows name every camera of their day, so
    /// that the other final files need not be read for it.
    pub(super) fn lists_cameras(entry: &FileEntry) -> bool {
        match AvgSpeedFile::tagged(entry) {
            Some(AvgSpeedFile::Final { size: Some(size), .. }) => size == WindowSize::Day,
            _ => true,
        }
    }

    /// Describes a file by its tags and its statistics; without them it may hold anything.
    pub(super) fn new(entry: FileEntry, cameras: Option<Arc<[Arc<str>]>>) -> IndexedFile {
        let times = |column| {
            let (least, greatest) = entry.bounds(column)?;
            Some((Timestamp::parse(least.as_str()?)?, Timestamp::parse(greatest.as_str()?)?))
        };
        let text = |(least, greatest): (serde_json::Value, serde_json::Value)| {
            Some((least.as_str()?.to_owned(), greatest.as_str()?.to_owned()))
        };
        IndexedFile {
            kind: AvgSpeedFile::tagged(&entry),
            starts: times("window_start"),
            camera_bounds: entry.bounds("camera_id").and_then(text),
            newest_computed_at: times("computed_at").map(|(_, newest)| newest),
            cameras,
            entry,
        }
    }

    /// Whether it is known what the file holds.
    pub(super) fn is_recognised(&self) -> bool {
        self.kind.is_some()
    }

    /// The log's entry.
    pub(super) fn entry(&self) -> &FileEntry {
        &self.entry
    }

    /// Whether it may hold windows of `size`.
    pub(super) fn holds(&self, size: WindowSize) -> bool {
        match &self.kind {
            None | Some(AvgSpeedFile::Final { size: None, .. } | AvgSpeedFile::Mixed) => true,
            Some(AvgSpeedFile::Final { size: Some(held), .. }) => *held == size,
            Some(AvgSpeedFile::Provisional(group)) => match group.windows {
                GroupWindows::Hour(_) => size != WindowSize::Day,
                GroupWindows::Day => size == WindowSize::Day,
            },
        }
    }

    /// Whether it may hold rows of `camera`, by its statistics.
    pub(super) fn may_hold(&self, camera: &str) -> bool {
        self.camera_bounds
            .as_ref()
            .is_none_or(|(least, greatest)| (least.as_str()..=greatest.as_str()).contains(&camera))
    }

    /// The hour of a file that holds the windows of one.
    pub(super) fn hour(&self) -> Option<u32> {
        match self.kind.as_ref()? {
            AvgSpeedFile::Provisional(group) => match group.windows {
                GroupWindows::Hour(hour) => Some(hour),
                GroupWindows::Day => None,
            },
            AvgSpeedFile::Final { .. } | AvgSpeedFile::Mixed => None,
        }
    }

    /// Whether it holds rows of the speed layer alone.
    pub(super) fn is_provisional(&self) -> bool {
        matches!(self.kind, Some(AvgSpeedFile::Provisional(_)))
    }

    /// Whether it holds rows of the batch.
    pub(super) fn is_final(&self) -> bool {
        matches!(self.kind, Some(AvgSpeedFile::Final { .. }))
    }

    /// The Kafka partition of a file that holds the rows of one.
    pub(super) fn kafka_partition(&self) -> Option<KafkaPartition> {
        match self.kind.as_ref()? {
            AvgSpeedFile::Provisional(group) => Some(group.kafka_partition),
            AvgSpeedFile::Final { .. } | AvgSpeedFile::Mixed => None,
        }
    }
}
