//! Configurations through the settings: they are good and agree with themselves, or every fault is named on a line of its
//! own.
//!
//! An input is the text of a file, then environment variables, then flags, divided by a line of three dashes; the latter two
//! have a `NAME=value` on each line.

use std::path::Path;
use std::sync::Arc;

use lake_config::{Settings, SettingsError};
use lake_delta::{Lake, LakeError};
use lake_model::Calendar;
use lake_runtime::{RandomIds, SystemClock};
use tempfile::NamedTempFile;

/// Divides the parts of an input.
const DIVIDER: &[u8] = b"\n---\n";
/// A password that no message may show, and the variable that sets it.
const SECRET: (&str, &str) =
    ("LAKEHOUSE__KAFKA__PROPERTIES__SASL__PASSWORD", "correct-horse-battery");
/// A message takes no more besides the key, which may be written as escapes.
const MESSAGE_BYTES: usize = 4000;

/// Names and values of variables or flags.
type Pairs = Vec<(String, String)>;

/// Checks all that must hold of the settings from an input.
///
/// # Panics
/// If something does not hold.
pub fn check(data: &[u8]) {
    let (text, mut variables, flags) = parts(data);
    if !variables.iter().any(|(name, _)| name == SECRET.0) {
        variables.push((SECRET.0.to_owned(), SECRET.1.to_owned()));
    }
    let file = NamedTempFile::with_suffix(".toml").expect("a temporary file can be made");
    std::fs::write(file.path(), text).expect("a temporary file can be written");
    let may_show = data.windows(SECRET.1.len()).any(|part| part == SECRET.1.as_bytes());
    let shown = match Settings::load(Some(file.path()), variables.clone(), &flags) {
        Ok(settings) => {
            check_settings(&settings);
            check_flag_wins(&settings, file.path(), &variables, &flags);
            format!("{settings:?}")
        }
        Err(error) => {
            check_error(&error, data.len());
            let again = Settings::load(Some(file.path()), variables, &flags);
            assert_eq!(again.err().map(|error| error.to_string()), Some(error.to_string()));
            format!("{error}{error:?}")
        }
    };
    assert!(may_show || !shown.contains(SECRET.1), "a password is shown: {shown}");
}

/// The text of the file, the variables and the flags of an input.
fn parts(data: &[u8]) -> (&[u8], Pairs, Pairs) {
    let (text, rest) = divided(data);
    let (variables, flags) = divided(rest);
    (text, pairs(variables), pairs(flags))
}

fn divided(data: &[u8]) -> (&[u8], &[u8]) {
    match data.windows(DIVIDER.len()).position(|part| part == DIVIDER) {
        Some(at) => (&data[..at], &data[at + DIVIDER.len()..]),
        None => (data, &[]),
    }
}

fn pairs(lines: &[u8]) -> Pairs {
    let text = String::from_utf8_lossy(lines);
    let pair =
        |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.lines().filter_map(pair).collect()
}

/// What other parts of the product rely on.
fn check_settings(settings: &Settings) {
    let Settings { pipeline, event, kafka, lake, speed, batch, maintain, serving, .. } = settings;
    assert!(Calendar::new(&pipeline.timezone).is_ok(), "{pipeline:?}");
    assert!(!pipeline.name.is_empty() && !kafka.topic.is_empty());
    assert!(kafka.group.as_ref().is_none_or(|group| !group.is_empty()));
    let fields =
        [&event.camera_field, &event.timestamp_field, &event.speed_field, &event.plate_field];
    let repeated = |at: usize| fields[..at].contains(&fields[at]);
    assert!(!(1..fields.len()).any(repeated), "{event:?}");
    assert!(event.max_speed_kmh > 0.0 && event.max_record_bytes > 0, "{event:?}");
    assert!(speed.queue_bytes >= event.max_record_bytes);
    assert!(batch.close_after >= speed.allowed_lateness.saturating_add(speed.out_of_orderness));
    assert!(maintain.event_retention.is_none_or(|kept| kept > batch.close_after));
    assert!(maintain.orphan_retention > lake.retry_timeout);
    assert!(lake.log_retention >= lake.deleted_file_retention && lake.checkpoint_interval > 0);
    assert!(serving.max_windows > 0 && serving.max_concurrent_requests > 0);
    if lake.uri.starts_with("s3://") {
        check_options(settings);
        check_bucket(settings);
    }
}

/// Requests are made of the options: what can't be a part of one would bring the program down later.
fn check_options(settings: &Settings) {
    for (name, value) in
        settings.lake.storage.iter().filter(|(name, _)| *name != "proxy_ca_certificate")
    {
        assert!(!value.contains(char::is_control), "{name} = {value:?}");
        let is_address = name.contains("region") || name.contains("endpoint");
        assert!(
            !is_address || value.bytes().all(|byte| byte.is_ascii_graphic()),
            "{name} = {value:?}"
        );
    }
}

/// A bucket that the settings name opens, or the fault names a setting. Folders are left alone.
fn check_bucket(settings: &Settings) {
    match Lake::open(&settings.lake, Arc::new(SystemClock), Arc::new(RandomIds)) {
        Ok(_) => {}
        Err(LakeError::Configuration(message)) => assert!(message.contains("lake."), "{message}"),
        Err(other) => panic!("{other}"),
    }
}

/// A flag more changes its own key and nothing else.
fn check_flag_wins(settings: &Settings, file: &Path, variables: &Pairs, flags: &Pairs) {
    let mut flags = flags.clone();
    flags.push(("kafka.topic".to_owned(), "from-a-flag".to_owned()));
    let mut expected = settings.clone();
    expected.kafka.topic = "from-a-flag".to_owned();
    let loaded = Settings::load(Some(file), variables.clone(), &flags);
    assert!(loaded.is_ok_and(|loaded| loaded == expected), "{settings:?}");
}

fn check_error(error: &SettingsError, given_bytes: usize) {
    assert!(!error.problems().is_empty());
    for problem in error.problems() {
        let line = problem.to_string();
        assert!(line.contains("expected") && line.contains("; "), "no remedy: {line}");
        assert!(!line.contains(char::is_control), "more than a line: {line:?}");
        let has_source = line.contains(" (from ") || line.contains(" (the default)");
        let names_key = line.contains(" = ") && has_source;
        let names_file = line.contains(".toml, line ") || line.starts_with("--config ");
        assert!(names_key || names_file, "neither key nor line: {line}");
        assert!(line.len() <= MESSAGE_BYTES + 10 * given_bytes, "{} bytes", line.len());
    }
}
