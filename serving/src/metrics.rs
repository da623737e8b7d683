//! The program's metrics. All names begin with `lambdalake_serving_`; times are in seconds.

use std::time::Duration;

use ::metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use lake_model::Timestamp;
use lake_tables::last_runs::{Command, LastRun};

const REQUESTS: &str = "lambdalake_serving_requests_total";
const REQUEST_DURATION: &str = "lambdalake_serving_request_duration_seconds";
const FILE_LOADS: &str = "lambdalake_serving_file_loads_total";
const TABLE_VERSION: &str = "lambdalake_serving_table_version";
const FILES: &str = "lambdalake_serving_table_files";
const CAMERAS: &str = "lambdalake_serving_cameras";
const MULTI_PARTITION_CAMERAS: &str = "lambdalake_serving_multi_partition_cameras";
const REFRESH_AGE: &str = "lambdalake_serving_refresh_age_seconds";
const NEWEST_ROW_AGE: &str = "lambdalake_serving_newest_row_age_seconds";
const LAST_FINAL: &str = "lambdalake_serving_last_final_timestamp_seconds";
const DAY_OVERDUE: &str = "lambdalake_serving_day_overdue_seconds";
const LAST_RUN: &str = "lambdalake_serving_last_run_timestamp_seconds";
const LAST_SUCCESS: &str = "lambdalake_serving_last_success_timestamp_seconds";
const CACHE_BYTES: &str = "lambdalake_serving_cache_bytes";
const CACHE_ROWS: &str = "lambdalake_serving_cache_rows";

/// Describes each metric.
pub(crate) fn describe() {
    describe_counter!(REQUESTS, "Requests by route and status");
    describe_histogram!(
        REQUEST_DURATION,
        Unit::Seconds,
        "Time from a request to its answer, by route"
    );
    describe_counter!(FILE_LOADS, "Data files read into memory, by outcome");
    describe_gauge!(TABLE_VERSION, "Version of avg_speed that is served");
    describe_gauge!(FILES, "Data files of avg_speed at that version");
    describe_gauge!(CAMERAS, "Cameras known");
    describe_gauge!(
        MULTI_PARTITION_CAMERAS,
        "Cameras whose provisional rows come from several Kafka partitions: records are not keyed by camera, or the \
         topic has grown"
    );
    describe_gauge!(
        REFRESH_AGE,
        Unit::Seconds,
        "Time since the table's log was last followed to its end"
    );
    describe_gauge!(NEWEST_ROW_AGE, Unit::Seconds, "Time since the newest row was computed");
    describe_gauge!(LAST_FINAL, Unit::Seconds, "When the newest final row was computed");
    describe_gauge!(
        DAY_OVERDUE,
        Unit::Seconds,
        "For how long the oldest day that is not final has been closed; 0 if there is none"
    );
    describe_gauge!(
        LAST_RUN,
        Unit::Seconds,
        "When a command of the batch layer last ended, by the record that it keeps in the lake"
    );
    describe_gauge!(
        LAST_SUCCESS,
        Unit::Seconds,
        "When a command of the batch layer last ended with everything in order, by the record that it keeps in the lake"
    );
    describe_gauge!(CACHE_BYTES, Unit::Bytes, "Rows held in memory");
    describe_gauge!(CACHE_ROWS, "Rows held in memory");
}

/// Counts an answered request. Routes are few: the patterns of the router and one word for all else.
pub(crate) fn request_answered(route: &str, status: u16, duration: Duration) {
    let route = route.to_owned();
    counter!(REQUESTS, "route" => route.clone(), "status" => status.to_string()).increment(1);
    histogram!(REQUEST_DURATION, "route" => route).record(duration);
}

/// Counts a data file read from the lake.
pub(crate) fn file_loaded(succeeded: bool) {
    let outcome = if succeeded { "loaded" } else { "failed" };
    counter!(FILE_LOADS, "outcome" => outcome).increment(1);
}

/// The version of the table that is served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    pub(crate) version: lake_model::TableVersion,
    pub(crate) files: usize,
    pub(crate) cameras: usize,
    pub(crate) multi_partition_cameras: usize,
}

/// Sets what depends on the version served.
#[expect(clippy::cast_precision_loss, reason = "versions and counts stay below 2^53")]
pub(crate) fn published(published: Published) {
    gauge!(TABLE_VERSION).set(published.version.0 as f64);
    gauge!(FILES).set(published.files as f64);
    gauge!(CAMERAS).set(published.cameras as f64);
    gauge!(MULTI_PARTITION_CAMERAS).set(published.multi_partition_cameras as f64);
}

/// Sets when a command last ran.
pub(crate) fn command_ran(command: Command, run: LastRun) {
    gauge!(LAST_RUN, "command" => command.as_str()).set(seconds(run.ended_at));
    if let Some(time) = run.succeeded_at {
        gauge!(LAST_SUCCESS, "command" => command.as_str()).set(seconds(time));
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 stay below 2^53")]
fn seconds(time: Timestamp) -> f64 {
    time.micros() as f64 / 1e6
}

/// What changes without an event. Ages are in microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) refresh_age: Option<i64>,
    pub(crate) newest_row_age: Option<i64>,
    pub(crate) last_final: Option<Timestamp>,
    pub(crate) day_overdue: Option<i64>,
    pub(crate) cache_bytes: u64,
    pub(crate) cache_rows: usize,
}

/// Sets what changes without an event.
#[expect(clippy::cast_precision_loss, reason = "microseconds and bytes stay below 2^53")]
pub(crate) fn sampled(sample: Sample) {
    if let Some(age) = sample.refresh_age {
        gauge!(REFRESH_AGE).set(age as f64 / 1e6);
    }
    if let Some(age) = sample.newest_row_age {
        gauge!(NEWEST_ROW_AGE).set(age as f64 / 1e6);
    }
    if let Some(time) = sample.last_final {
        gauge!(LAST_FINAL).set(seconds(time));
    }
    if let Some(overdue) = sample.day_overdue {
        gauge!(DAY_OVERDUE).set(overdue as f64 / 1e6);
    }
    gauge!(CACHE_BYTES).set(sample.cache_bytes as f64);
    gauge!(CACHE_ROWS).set(sample.cache_rows as f64);
}
