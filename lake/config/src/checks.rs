//! Settings that must agree with each other.
//!
//! A check is left out where one of its settings is bad already, so that the fault is reported once.

use super::Settings;
use super::error::Problems;
use super::keys;
use super::kind::{format_bytes, format_duration};
use super::source::{Entry, Given, Source};

/// A rule between settings, and whether it holds.
struct Check {
    /// The key to correct.
    key: &'static str,
    /// The other keys that have a say.
    with: &'static [&'static str],
    holds: bool,
    /// Reads after "expected".
    expected: String,
    /// A value of `key` that would do.
    remedy: String,
}

/// Adds a problem for every check that fails.
pub(super) fn run(settings: &Settings, given: &Given, problems: &mut Problems) {
    let durations = [
        close_after(settings),
        log_retention(settings),
        log_retention_in_retries(settings),
        orphan_retention(settings),
        event_retention(settings),
        queue_bytes(settings),
    ];
    for check in durations.into_iter().flatten().chain(event_fields(settings)) {
        let known_bad =
            problems.concern(check.key) || check.with.iter().any(|key| problems.concern(key));
        if !check.holds && !known_bad {
            report(&check, given, problems);
        }
    }
}

fn report(check: &Check, given: &Given, problems: &mut Problems) {
    let key = keys::find(check.key).expect("checks are of keys in the table");
    let default = Entry::text(key.default.unwrap_or_default(), Source::Default);
    let entry = given.get(check.key).unwrap_or(&default);
    let remedy = format!("try {} = {}", check.key, key.kind.quoted(&check.remedy));
    problems.with_key(check.key, entry, format!("expected {}", check.expected), remedy);
}

fn close_after(settings: &Settings) -> Option<Check> {
    let least = settings.speed.allowed_lateness.checked_add(settings.speed.out_of_orderness)?;
    Some(Check {
        key: "batch.close_after",
        with: &["speed.allowed_lateness", "speed.out_of_orderness"],
        holds: settings.batch.close_after >= least,
        expected: format!(
            "at least speed.allowed_lateness + speed.out_of_orderness, which is {}, so that no \
             day is closed while its windows are open",
            format_duration(least)
        ),
        remedy: format_duration(least),
    })
}

fn log_retention(settings: &Settings) -> Option<Check> {
    let least = settings.lake.deleted_file_retention;
    Some(Check {
        key: "lake.log_retention",
        with: &["lake.deleted_file_retention"],
        holds: settings.lake.log_retention >= least,
        expected: format!(
            "at least lake.deleted_file_retention, which is {}",
            format_duration(least)
        ),
        remedy: format_duration(least),
    })
}

/// Half of the retention is for the work under way on a state of the table, which may be tried again for all
/// that time; see `TableLog`.
fn log_retention_in_retries(settings: &Settings) -> Option<Check> {
    let retried = settings.lake.retry_timeout;
    let least = retried.saturating_mul(4);
    Some(Check {
        key: "lake.log_retention",
        with: &["lake.retry_timeout"],
        holds: settings.lake.log_retention >= least,
        expected: format!(
            "at least four times lake.retry_timeout, which is {}, so that no entry is deleted that a \
             commit under way needs",
            format_duration(retried)
        ),
        remedy: format_duration(least),
    })
}

fn orphan_retention(settings: &Settings) -> Option<Check> {
    let retried = settings.lake.retry_timeout;
    Some(Check {
        key: "maintain.orphan_retention",
        with: &["lake.retry_timeout"],
        holds: settings.maintain.orphan_retention > retried,
        expected: format!(
            "more than lake.retry_timeout, which is {}, so that no file of a commit under way \
             is deleted",
            format_duration(retried)
        ),
        remedy: format_duration(retried.saturating_mul(2)),
    })
}

fn event_retention(settings: &Settings) -> Option<Check> {
    let closed = settings.batch.close_after;
    Some(Check {
        key: "maintain.event_retention",
        with: &["batch.close_after"],
        holds: settings.maintain.event_retention? > closed,
        expected: format!(
            "more than batch.close_after, which is {}, so that days are final before they are \
             dropped",
            format_duration(closed)
        ),
        remedy: format_duration(closed.saturating_mul(2)),
    })
}

fn queue_bytes(settings: &Settings) -> Option<Check> {
    let largest = settings.event.max_record_bytes;
    Some(Check {
        key: "speed.queue_bytes",
        with: &["event.max_record_bytes"],
        holds: settings.speed.queue_bytes >= largest,
        expected: format!(
            "at least event.max_record_bytes, which is {}, so that every record fits",
            format_bytes(largest)
        ),
        remedy: format_bytes(largest),
    })
}

/// Every field against those before it, so that of two equal ones the later is reported.
fn event_fields(settings: &Settings) -> Vec<Check> {
    const KEYS: [&str; 4] =
        ["event.camera_field", "event.timestamp_field", "event.speed_field", "event.plate_field"];
    let event = &settings.event;
    let fields =
        [&event.camera_field, &event.timestamp_field, &event.speed_field, &event.plate_field];
    let check = |index: usize| Check {
        key: KEYS[index],
        with: &KEYS,
        holds: !fields[..index].contains(&fields[index]),
        expected: "a field that no other event.*_field names".to_owned(),
        remedy: keys::find(KEYS[index]).and_then(|key| key.default).unwrap_or_default().to_owned(),
    };
    (1..KEYS.len()).map(check).collect()
}
