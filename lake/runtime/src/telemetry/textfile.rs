//! The file that a program which ends leaves its metrics in, for the textfile collector of Prometheus's node_exporter.
//!
//! A file belongs to one pipeline. A run replaces it whole, but keeps the times of what it did not reach itself: when nights
//! fail, the time of the last success must stay and grow old, or no alert sees it.

use std::io;
use std::path::Path;

use metrics_exporter_prometheus::PrometheusHandle;

/// What the name of a gauge ends in that says when something happened last.
const TIME_SUFFIX: &str = "_timestamp_seconds";

/// Writes the metrics of the pipeline to the file `path`. A reader sees the old text or the new one, never a part.
///
/// # Errors
/// The file cannot be written, or holds the metrics of another pipeline; the message names it and the setting.
pub async fn write_textfile(
    handle: &PrometheusHandle,
    pipeline: &str,
    path: &Path,
) -> io::Result<()> {
    let failed = |error: io::Error, remedy: &str| {
        let message =
            format!("write the metrics to batch.metrics_file = {path:?}: {error}; {remedy}");
        io::Error::new(error.kind(), message)
    };
    let former = match tokio::fs::read_to_string(path).await {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error, "name a file that this user may read and write")),
    };
    if let Some(other) = pipelines(&former).find(|named| *named != pipeline) {
        let error = io::Error::other(format!("it has the metrics of pipeline {other:?}"));
        let remedy =
            "give each pipeline a file of its own; if the pipeline was renamed, delete the file";
        return Err(failed(error, remedy));
    }
    let text = with_former_times(handle.render(), &former);
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let written = async {
        tokio::fs::write(&temporary, text).await?;
        tokio::fs::rename(&temporary, path).await
    };
    let Err(error) = written.await else { return Ok(()) };
    // What is left of it is of no use, and of no harm: the collector ignores the name.
    let _ = tokio::fs::remove_file(&temporary).await;
    let remedy =
        "name a file in a folder that exists and that this user may write, or \"\" for none";
    Err(failed(error, remedy))
}

/// The text, with the times of `former` that it does not have.
fn with_former_times(mut text: String, former: &str) -> String {
    let kept: Vec<&str> =
        times(former).filter(|name| !times(&text).any(|new| new == *name)).collect();
    for name in kept {
        for line in former.lines().filter(|line| named(line) == Some(name)) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// The names of the series that say when something happened last.
fn times(text: &str) -> impl Iterator<Item = &str> {
    let series = text.lines().filter(|line| !line.starts_with('#'));
    series.filter_map(named).filter(|name| name.ends_with(TIME_SUFFIX))
}

/// The name of the metric that a line gives a value, a type or a description.
fn named(line: &str) -> Option<&str> {
    let comment = line.strip_prefix("# HELP ").or_else(|| line.strip_prefix("# TYPE "));
    comment.unwrap_or(line).split(['{', ' ']).next().filter(|name| !name.is_empty())
}

/// The values of the label `pipeline`, which are names without quotes.
fn pipelines(text: &str) -> impl Iterator<Item = &str> {
    text.split("pipeline=\"").skip(1).filter_map(|rest| rest.split('"').next())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::telemetry::recorder_builder;
    use crate::telemetry::test_support::{PIPELINE, recorded};

    const FORMER: &str = "# HELP lambdalake_batch_last_success_timestamp_seconds When\n\
        # TYPE lambdalake_batch_last_success_timestamp_seconds gauge\n\
        lambdalake_batch_last_success_timestamp_seconds{pipeline=\"cameras\"} 17\n\n\
        # TYPE lambdalake_batch_dates_left_total counter\n\
        lambdalake_batch_dates_left_total{pipeline=\"cameras\"} 4\n";

    #[tokio::test]
    async fn the_text_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lambdalake.prom");
        std::fs::write(&path, "old").unwrap();
        write_textfile(&recorded(), PIPELINE, &path).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("lakehouse_things_total{pipeline=\"cameras\"} 3"), "{text}");
        assert!(!text.contains("old"), "{text}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn the_time_of_the_last_success_survives_a_run_that_fails_and_counters_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lambdalake.prom");
        std::fs::write(&path, FORMER).unwrap();
        write_textfile(&recorded(), PIPELINE, &path).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let time = "# TYPE lambdalake_batch_last_success_timestamp_seconds gauge\n\
            lambdalake_batch_last_success_timestamp_seconds{pipeline=\"cameras\"} 17\n";
        assert!(text.contains(time), "{text}");
        assert!(!text.contains("days_left"), "{text}");
    }

    #[tokio::test]
    async fn a_run_that_succeeds_replaces_the_time_of_the_last_success() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lambdalake.prom");
        std::fs::write(&path, FORMER).unwrap();
        let recorder = recorder_builder(PIPELINE).build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metrics::gauge!("lambdalake_batch_last_success_timestamp_seconds").set(18.0);
        });
        write_textfile(&recorder.handle(), PIPELINE, &path).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches("last_success_timestamp_seconds{").count(), 1, "{text}");
        assert!(text.contains("\"} 18"), "{text}");
    }

    #[tokio::test]
    async fn the_text_file_of_another_pipeline_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lambdalake.prom");
        std::fs::write(&path, FORMER).unwrap();
        let refused = write_textfile(&recorded(), "toll-gates", &path).await.unwrap_err();
        let message = refused.to_string();
        assert!(message.contains("pipeline \"cameras\"; give each pipeline a file"), "{message}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), FORMER);
    }

    #[tokio::test]
    async fn a_text_file_that_cannot_be_written_names_the_setting_and_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("lambdalake.prom");
        let message = write_textfile(&recorded(), PIPELINE, &path).await.unwrap_err().to_string();
        assert!(message.contains("batch.metrics_file = "), "{message}");
        assert!(message.contains("lambdalake.prom"), "{message}");
        assert!(message.contains("folder that exists"), "{message}");
    }
}
