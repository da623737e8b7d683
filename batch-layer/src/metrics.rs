//! The metrics of a nightly run, and what each of them means.

use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};

const COUNTERS: [(&str, &str); 7] = [
    ("lambdalake_batch_dates_final_total", "Days made final by the run"),
    ("lambdalake_batch_dates_left_total", "Days that were due and could not be made final"),
    ("lambdalake_batch_rows_read_total", "Rows of the final days in events"),
    ("lambdalake_batch_duplicates_dropped_total", "Rows of the final days that repeat another"),
    ("lambdalake_batch_late_rows_total", "Rows of the final days that were late"),
    ("lambdalake_batch_rows_written_total", "Final rows written"),
    ("lambdalake_batch_drift_windows_total", "Windows whose count or sum changed"),
];

/// Describes each metric, and lets the counters begin at 0, so that a run that has nothing to count says so.
pub fn begin() {
    for (name, help) in COUNTERS {
        describe_counter!(name, help);
        counter!(name).increment(0);
    }
    describe_gauge!(
        "lambdalake_batch_last_run_timestamp_seconds",
        Unit::Seconds,
        "When a nightly run last ended, whatever it left"
    );
    describe_gauge!(
        "lambdalake_batch_last_success_timestamp_seconds",
        Unit::Seconds,
        "When a nightly run last left no day that is due"
    );
    describe_histogram!(
        "lambdalake_batch_day_duration_seconds",
        Unit::Seconds,
        "Duration of the computation of a day"
    );
    lake_delta::describe_metrics();
}
