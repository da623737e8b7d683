//! Settings that must agree with each other.
//!
//! A check is left out where one of its settings is bad already, so that the fault is reported once.

use crate::error::Problems;
use crate::given::Given;
use crate::key::AnyKey;
use crate::sections::{Settings, batch, event, lake, maintain, speed};
use crate::units::{format_bytes, format_duration};

/// A rule between settings, and whether it holds.
struct Check {
    /// The key to correct.
    key: &'static dyn AnyKey,
    /// The other keys that the rule is about.
    with: Vec<&'static dyn AnyKey>,
    holds: bool,
    /// Reads after "expected".
    expected: String,
    /// A value of `key` that would do.
    remedy: String,
}

/// Adds a problem for every check that fails.
pub fn run(settings: &Settings, given: &Given, problems: &mut Problems) {
    let checks = [
        close_after(settings),
        log_retention(settings),
        log_retention_in_retries(settings),
        orphan_retention(settings),
        event_retention(settings),
        queue_bytes(settings),
    ];
    for check in checks.into_iter().flatten().chain(event_fields(settings)) {
        let mut keys = check.with.iter().chain([&check.key]);
        if !check.holds && !keys.any(|key| problems.concern(key.name())) {
            report(&check, given, problems);
        }
    }
}

fn report(check: &Check, given: &Given, problems: &mut Problems) {
    let Check { key, expected, remedy, .. } = check;
    let default = key.default_entry();
    let entry = given.get(key.name()).unwrap_or(&default);
    problems.with_key(key.name(), entry, format!("expected {expected}"), key.remedy(remedy));
}

fn close_after(settings: &Settings) -> Option<Check> {
    let least = settings.speed.allowed_lateness.checked_add(settings.speed.out_of_orderness)?;
    let [lateness, disorder] = [&speed::KEYS.allowed_lateness, &speed::KEYS.out_of_orderness];
    Some(Check {
        key: &batch::KEYS.close_after,
        with: vec![lateness, disorder],
        holds: settings.batch.close_after >= least,
        expected: format!(
            "at least {} + {}, which is {}, so that no day is closed while its windows are open",
            lateness.name,
            disorder.name,
            format_duration(least)
        ),
        remedy: format_duration(least),
    })
}

fn log_retention(settings: &Settings) -> Option<Check> {
    let least = settings.lake.deleted_file_retention;
    let other = &lake::KEYS.deleted_file_retention;
    Some(Check {
        key: &lake::KEYS.log_retention,
        with: vec![other],
        holds: settings.lake.log_retention >= least,
        expected: format!("at least {}, which is {}", other.name, format_duration(least)),
        remedy: format_duration(least),
    })
}

/// Half of the retention is for the work under way on a state of the table, which may be tried again for all
/// that time; see `TableLog`.
fn log_retention_in_retries(settings: &Settings) -> Option<Check> {
    let retried = settings.lake.retry_timeout;
    let least = retried.saturating_mul(4);
    let other = &lake::KEYS.retry_timeout;
    Some(Check {
        key: &lake::KEYS.log_retention,
        with: vec![other],
        holds: settings.lake.log_retention >= least,
        expected: format!(
            "at least four times {}, which is {}, so that no entry is deleted that a commit under \
             way needs",
            other.name,
            format_duration(retried)
        ),
        remedy: format_duration(least),
    })
}

fn orphan_retention(settings: &Settings) -> Option<Check> {
    let retried = settings.lake.retry_timeout;
    let other = &lake::KEYS.retry_timeout;
    Some(Check {
        key: &maintain::KEYS.orphan_retention,
        with: vec![other],
        holds: settings.maintain.orphan_retention > retried,
        expected: format!(
            "more than {}, which is {}, so that no file of a commit under way is deleted",
            other.name,
            format_duration(retried)
        ),
        remedy: format_duration(retried.saturating_mul(2)),
    })
}

fn event_retention(settings: &Settings) -> Option<Check> {
    let closed = settings.batch.close_after;
    let other = &batch::KEYS.close_after;
    Some(Check {
        key: &maintain::KEYS.event_retention,
        with: vec![other],
        holds: settings.maintain.event_retention? > closed,
        expected: format!(
            "more than {}, which is {}, so that days are final before they are dropped",
            other.name,
            format_duration(closed)
        ),
        remedy: format_duration(closed.saturating_mul(2)),
    })
}

fn queue_bytes(settings: &Settings) -> Option<Check> {
    let largest = settings.event.max_record_bytes;
    let other = &event::KEYS.max_record_bytes;
    Some(Check {
        key: &speed::KEYS.queue_bytes,
        with: vec![other],
        holds: settings.speed.queue_bytes >= largest,
        expected: format!(
            "at least {}, which is {}, so that every record fits",
            other.name,
            format_bytes(largest)
        ),
        remedy: format_bytes(largest),
    })
}

/// Every field against those before it, so that of two equal ones the later is reported.
fn event_fields(settings: &Settings) -> Vec<Check> {
    let event = &settings.event;
    let event::Keys { camera_field, timestamp_field, speed_field, plate_field, .. } = &event::KEYS;
    let keys = [camera_field, timestamp_field, speed_field, plate_field];
    let names =
        [&event.camera_field, &event.timestamp_field, &event.speed_field, &event.plate_field];
    let check = |index: usize| Check {
        key: keys[index],
        with: keys.map(|key| key as &dyn AnyKey).to_vec(),
        holds: !names[..index].contains(&names[index]),
        expected: "a field that no other event.*_field names".to_owned(),
        remedy: keys[index].default_text().unwrap_or_default().to_owned(),
    };
    (1..keys.len()).map(check).collect()
}
