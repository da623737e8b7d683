//! Computing the final rows of one day from every distinct event in `events` at the pinned version.

use std::sync::Arc;

use futures::TryStreamExt;
use lake_delta::data_file::RollingWriter;
use lake_delta::log::FileEntry;
use lake_delta::{DataFile, Lake, LakeError, TableState};
use lake_model::{Day, DaySpan, TableVersion, Timestamp, WindowSize};
use lake_tables::Table;
use lake_tables::avg_speed::{self, AvgSpeedRow};
use lake_tables::file_kind::AvgSpeedFile;

use crate::context::Context;
use crate::day_events::{Covered, DayEvents, Limits};
use crate::final_figures::{FinalFigures, NewWindow, RangeRows};
use crate::progress;

/// A new file begins once the last one has about this many bytes.
const FILE_BYTES: u64 = 256 << 20;
/// Rows that are encoded at a time.
const ROWS_AT_A_TIME: usize = 16_384;

/// A day's final rows, written and ready to be published.
#[derive(Debug)]
pub(super) struct ComputedDay {
    pub(super) span: DaySpan,
    pub(super) run_id: String,
    pub(super) events_version: TableVersion,
    pub(super) kafka_offsets: String,
    pub(super) rows_read: u64,
    pub(super) duplicates: u64,
    pub(super) late_rows: u64,
    /// The day's cameras, in byte order.
    pub(super) cameras: Vec<Arc<str>>,
    /// Count and sum of each window, by camera.
    pub(super) windows: Vec<NewWindow>,
    pub(super) files: Vec<DataFile>,
    pub(super) started_at: Timestamp,
}

/// Computes `day` from `events` as pinned, and writes its files. No log names them yet.
pub(super) async fn compute(
    context: &Context,
    run_id: &str,
    events: &TableState,
    day: Day,
) -> Result<ComputedDay, LakeError> {
    let started_at = context.now();
    let files: Vec<FileEntry> = events.files_of(day).cloned().collect();
    let span = context.calendar_at(events)?.span(day);
    let bar = progress::rows(files.iter().map(|file| file.rows).sum(), day.to_string());
    let limits = Limits::of(&context.settings);
    let read =
        DayEvents::read(&context.lake, span, &files, Covered::All, limits, |rows| bar.inc(rows));
    let day = Arc::new(read.await?);
    bar.finish_and_clear();
    let figures = FinalFigures {
        limits: context.limits.clone(),
        events_version: events.version(),
        computed_at: started_at,
    };
    let mut writer = DayWriter::new(context, run_id, span.day);
    let mut ranges = day.each_range(move |day, _, distinct| figures.of(day, distinct));
    while let Some(rows) = ranges.try_next().await? {
        writer.write(rows).await?;
    }
    let mut files = Vec::new();
    for size in writer.sizes {
        files.extend(size.finish().await?);
    }
    Ok(ComputedDay {
        span,
        run_id: run_id.to_owned(),
        events_version: events.version(),
        kafka_offsets: context.kafka_offsets(events),
        rows_read: day.rows(),
        duplicates: writer.duplicates,
        late_rows: day.late_rows(),
        cameras: day.cameras().to_vec(),
        windows: writer.windows,
        files,
        started_at,
    })
}

impl Context {
    /// The next offsets that a version of `events` covers, as a JSON object by partition.
    fn kafka_offsets(&self, events: &TableState) -> String {
        let offsets = self.app_ids.partitions(events);
        let object: serde_json::Map<String, serde_json::Value> = offsets
            .into_iter()
            .map(|(partition, next)| (partition.to_string(), next.0.into()))
            .collect();
        serde_json::Value::Object(object).to_string()
    }
}

/// Turns final rows into files: one or more for each size of window.
struct DayWriter<'a> {
    sizes: [SizeWriter<'a>; 3],
    windows: Vec<NewWindow>,
    duplicates: u64,
}

/// The final rows of one size of window: those that are not encoded yet, and the files of the others.
struct SizeWriter<'a> {
    rows: Vec<AvgSpeedRow>,
    files: RollingWriter<'a>,
}

impl<'a> SizeWriter<'a> {
    fn new(lake: &'a Lake, day: Day, run_id: &str, size: WindowSize) -> SizeWriter<'a> {
        let run_id = run_id.to_owned();
        let new_file = move |id| AvgSpeedFile::new_final(day, &run_id, size, id);
        let files = RollingWriter::new(lake, Table::AvgSpeed, FILE_BYTES, new_file);
        SizeWriter { rows: Vec::new(), files }
    }

    async fn push(&mut self, row: AvgSpeedRow) -> Result<(), LakeError> {
        self.rows.push(row);
        if self.rows.len() >= ROWS_AT_A_TIME {
            self.encode().await?;
        }
        Ok(())
    }

    async fn encode(&mut self) -> Result<(), LakeError> {
        let batch = avg_speed::batch(&self.rows);
        self.rows.clear();
        self.files.push(&batch).await
    }

    async fn finish(mut self) -> Result<Vec<DataFile>, LakeError> {
        self.encode().await?;
        self.files.finish().await
    }
}

impl<'a> DayWriter<'a> {
    fn new(context: &'a Context, run_id: &str, day: Day) -> DayWriter<'a> {
        let size = |size| SizeWriter::new(&context.lake, day, run_id, size);
        DayWriter { sizes: WindowSize::ALL.map(size), windows: Vec::new(), duplicates: 0 }
    }

    /// Writes the rows of one range of cameras.
    async fn write(&mut self, range: RangeRows) -> Result<(), LakeError> {
        self.duplicates += range.duplicates;
        self.windows.extend(range.windows);
        for (size, rows) in self.sizes.iter_mut().zip(range.rows) {
            for row in rows {
                size.push(row).await?;
            }
        }
        Ok(())
    }
}
