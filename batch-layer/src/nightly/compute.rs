//! Computing the final rows of one day from every distinct event in `events` at the pinned version.

use std::sync::Arc;

use futures::TryStreamExt;
use lake_delta::data_file::RollingWriter;
use lake_delta::log::FileEntry;
use lake_delta::{DataFile, Lake, LakeError, TableState};
use lake_model::speed::nearest_rank;
use lake_model::{Day, DaySpan, Speed, SpeedLimits, Summary, TableVersion, Timestamp, WindowSize};
use lake_tables::Table;
use lake_tables::avg_speed::{self, AvgSpeedRow, Quantiles, Status};
use lake_tables::file_kind::AvgSpeedFile;

use crate::context::Context;
use crate::day_events::{DayEvents, DistinctEvents, Limits};
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
    let files: Vec<FileEntry> = events.files_of(day).cloned().collect();
    let span = context.calendar_at(events)?.span(day);
    let bar = progress::rows(files.iter().map(|file| file.rows).sum(), day.to_string());
    let limits = Limits::of(&context.settings);
    let read = DayEvents::read(&context.lake, span, &files, limits, |rows| bar.inc(rows));
    let day = Arc::new(read.await?);
    bar.finish_and_clear();
    let figures = Figures {
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

/// The final rows of a range of cameras.
struct RangeRows {
    /// By size of window.
    rows: [Vec<AvgSpeedRow>; 3],
    windows: Vec<NewWindow>,
    duplicates: u64,
}

/// What figures are made with.
struct Figures {
    limits: SpeedLimits,
    events_version: TableVersion,
    computed_at: Timestamp,
}

impl Figures {
    /// The final rows of distinct events.
    fn of(&self, day: &DayEvents, events: &DistinctEvents) -> RangeRows {
        let (mut rows, mut windows) = ([const { Vec::new() }; 3], Vec::new());
        let mut speeds = Vec::new();
        for window in events.windows(day.span()) {
            window.speeds_into(&mut speeds);
            let camera = &day.cameras()[window.camera];
            let (summary, quantiles) = figures(&mut speeds, self.limits.of(camera));
            windows.push(NewWindow {
                camera: u32::try_from(window.camera).expect("places of cameras are of 32 bits"),
                index: window.index,
                size: window.window.size,
                totals: Totals { count: window.count(), sum: summary.sum_thousandths() },
            });
            rows[window.window.size as usize].push(AvgSpeedRow {
                camera_id: Arc::clone(camera),
                window: window.window,
                kafka_partition: None,
                summary,
                quantiles,
                status: Status::Final,
                events_version: Some(self.events_version),
                computed_at: self.computed_at,
                histogram: None,
            });
        }
        RangeRows { rows, windows, duplicates: events.duplicates() }
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

/// The figures of a window's speeds, which are put in another order: no more of it than the percentiles need.
fn figures(speeds: &mut [u32], limit: Option<Speed>) -> (Summary, Quantiles) {
    let mut summary = Summary::default();
    for speed in speeds.iter() {
        summary.add(Speed::from_thousandths(*speed), limit);
    }
    let (count, mut from) = (speeds.len() as u64, 0);
    // Percentiles ascend, so each is among the speeds that are not before the last one.
    let quantiles = Quantiles::by(|percent| {
        let at = usize::try_from(nearest_rank(count, percent) - 1);
        let at = at.expect("a rank is at most the number of speeds");
        let (_, speed, _) = speeds[from..].select_nth_unstable(at - from);
        from = at;
        Speed::from_thousandths(*speed)
    });
    (summary, quantiles)
}
