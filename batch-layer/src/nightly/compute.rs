//! Computing the final rows of one day from every distinct event in `events` at the pinned version.

use std::sync::Arc;

use indicatif::ProgressBar;
use lake_delta::data_file::RollingWriter;
use lake_delta::{DataFile, Lake, LakeError, TableState};
use lake_model::speed::nearest_rank;
use lake_model::{Day, DaySpan, Speed, Summary, TableVersion, Timestamp, WindowSize};
use lake_tables::Table;
use lake_tables::avg_speed::{self, AvgSpeedRow, Quantiles, Status};
use lake_tables::file_kind::AvgSpeedFile;

use crate::context::Context;
use crate::day_events::{DayEvents, DistinctEvents};
use crate::progress;
use crate::window_totals::Totals;

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

/// A window of the new rows, as small as the drift needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewWindow {
    /// The place of the camera in the day's list.
    pub(super) camera: u32,
    /// The place of the window among those of its size in the day.
    pub(super) index: u32,
    pub(super) size: WindowSize,
    pub(super) totals: Totals,
}

/// Computes `day` from `events` as pinned, and writes its files. No log names them yet.
pub(super) async fn compute(
    context: &Context,
    run_id: &str,
    events: &TableState,
    day: Day,
) -> Result<ComputedDay, LakeError> {
    let started_at = context.now();
    let files = events.files_of(day).cloned().collect();
    let span = context.calendar_at(events)?.span(day);
    let day = DayEvents::open(&context.lake, span, files).await?;
    let mut writer = DayWriter::new(context, run_id, &day, events.version(), started_at);
    let max_rows = context.settings.batch.max_rows_in_memory as u64;
    let mut read = 0;
    for range in day.camera_counts().ranges(max_rows) {
        let distinct = day.read(&range).await?;
        read += distinct.rows_read();
        writer.write(&distinct).await?;
    }
    day.check_all_read(read).await?;
    writer.finish(&day, context.kafka_offsets(events)).await
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

/// Turns distinct events into final rows, and rows into files: one or more for each size of window.
struct DayWriter<'a> {
    context: &'a Context,
    span: DaySpan,
    run_id: String,
    events_version: TableVersion,
    computed_at: Timestamp,
    cameras: Vec<Arc<str>>,
    sizes: [SizeWriter<'a>; 3],
    windows: Vec<NewWindow>,
    duplicates: u64,
    progress: ProgressBar,
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
    fn new(
        context: &'a Context,
        run_id: &str,
        day: &DayEvents<'_>,
        events_version: TableVersion,
        computed_at: Timestamp,
    ) -> DayWriter<'a> {
        let date = day.span().day;
        let size = |size| SizeWriter::new(&context.lake, date, run_id, size);
        DayWriter {
            context,
            span: *day.span(),
            run_id: run_id.to_owned(),
            events_version,
            computed_at,
            cameras: day.camera_counts().cameras.clone(),
            sizes: WindowSize::ALL.map(size),
            windows: Vec::new(),
            duplicates: 0,
            progress: progress::rows(day.camera_counts().rows, day.span().day.to_string()),
        }
    }

    /// Writes the rows of one range of cameras.
    async fn write(&mut self, events: &DistinctEvents) -> Result<(), LakeError> {
        self.duplicates += events.duplicates();
        let span = self.span;
        let mut speeds = Vec::new();
        for window in events.windows(&span) {
            window.speeds_into(&mut speeds);
            let camera = &self.cameras[window.camera];
            let (summary, quantiles) = figures(&mut speeds, self.context.limits.of(camera));
            self.windows.push(NewWindow {
                camera: u32::try_from(window.camera).expect("places of cameras are of 32 bits"),
                index: window.index,
                size: window.window.size,
                totals: Totals { count: window.count(), sum: summary.sum_thousandths() },
            });
            let row = AvgSpeedRow {
                camera_id: Arc::clone(camera),
                window: window.window,
                kafka_partition: None,
                summary,
                quantiles,
                status: Status::Final,
                events_version: Some(self.events_version),
                computed_at: self.computed_at,
                histogram: None,
            };
            let at = WindowSize::ALL.iter().position(|size| *size == row.window.size);
            self.sizes[at.expect("ALL holds every size")].push(row).await?;
        }
        self.progress.inc(events.rows_read());
        Ok(())
    }

    async fn finish(
        self,
        day: &DayEvents<'_>,
        kafka_offsets: String,
    ) -> Result<ComputedDay, LakeError> {
        let mut files = Vec::new();
        for size in self.sizes {
            files.extend(size.finish().await?);
        }
        self.progress.finish_and_clear();
        Ok(ComputedDay {
            span: self.span,
            run_id: self.run_id,
            events_version: self.events_version,
            kafka_offsets,
            rows_read: day.camera_counts().rows,
            duplicates: self.duplicates,
            late_rows: day.camera_counts().late_rows,
            cameras: self.cameras,
            windows: self.windows,
            files,
            started_at: self.computed_at,
        })
    }
}

/// The figures of a window's speeds, which are put in order.
fn figures(speeds: &mut [u32], limit: Option<Speed>) -> (Summary, Quantiles) {
    speeds.sort_unstable();
    let mut summary = Summary::default();
    for speed in speeds.iter() {
        summary.add(Speed::from_thousandths(*speed), limit);
    }
    let ranked = |percent| {
        let rank = nearest_rank(speeds.len() as u64, percent);
        let at = usize::try_from(rank - 1).expect("a rank is at most the number of speeds");
        Speed::from_thousandths(speeds[at])
    };
    (summary, Quantiles::by(ranked))
}
