//! Recognising a file of `avg_speed` without tags by the statistics of its rows. Those that its log entry leaves out
//! are read from its footer, with the log.

use lake_delta::log::FileEntry;
use lake_model::{Calendar, DaySpan, KafkaPartition, Timestamp, WindowSize};

use super::{AvgSpeedFile, GroupWindows, ProvisionalGroup};
use crate::avg_speed::Status;

/// What `file` holds by its statistics; [`AvgSpeedFile::Mixed`] where they leave it open.
pub(super) fn by_statistics(file: &FileEntry, calendar: &Calendar) -> AvgSpeedFile {
    let size = only_text(file, "window_size").and_then(|text| WindowSize::parse(&text));
    match only_status(file) {
        Some(Status::Final) => AvgSpeedFile::Final { run_id: None, size },
        Some(Status::Provisional) => {
            group(file, size, calendar).map_or(AvgSpeedFile::Mixed, AvgSpeedFile::Provisional)
        }
        None => AvgSpeedFile::Mixed,
    }
}

/// The status of all rows of the file, if it is one.
pub(super) fn only_status(file: &FileEntry) -> Option<Status> {
    Status::parse(&only_text(file, "status")?)
}

fn group(
    file: &FileEntry,
    size: Option<WindowSize>,
    calendar: &Calendar,
) -> Option<ProvisionalGroup> {
    let day = file.partition?;
    let (least, greatest) = file.bounds("kafka_partition")?;
    let kafka_partition = KafkaPartition(i32::try_from(least.as_i64()?).ok()?);
    if least != greatest {
        return None;
    }
    let windows = match size {
        Some(WindowSize::Day) => GroupWindows::Day,
        _ => hour(file, &calendar.span(day))?,
    };
    Some(ProvisionalGroup { day, kafka_partition, windows })
}

/// The hour that holds all windows of the file, if there is one.
fn hour(file: &FileEntry, span: &DaySpan) -> Option<GroupWindows> {
    let first_start = instant(&file.bounds("window_start")?.0)?;
    let last_end = instant(&file.bounds("window_end")?.1)?;
    let index = span.window_index(WindowSize::OneHour, first_start);
    let hour = span.window(WindowSize::OneHour, index);
    let fits = hour.start <= first_start && last_end <= hour.end;
    fits.then_some(GroupWindows::Hour(index))
}

fn instant(bound: &serde_json::Value) -> Option<Timestamp> {
    Timestamp::parse(bound.as_str()?)
}

/// The value of a text column that has one value only.
fn only_text(file: &FileEntry, column: &str) -> Option<String> {
    let (least, greatest) = file.bounds(column)?;
    (least == greatest).then(|| least.as_str().map(str::to_owned)).flatten()
}
