//! The checker against a history as it was, and against the same with one thing in it changed by hand.

#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::Value;

use super::{Violation, check};
use crate::run::{Outcome, run};
use crate::truth::{Ended, History, ObjectVersion};

/// A run with most of what there is to check.
static OUTCOME: LazyLock<Outcome> = LazyLock::new(|| run(6, false).unwrap());

/// Changes the actions of log entries of `table`, the newest entry first, until one was changed.
fn tampered(table: &str, change: impl Fn(&mut Value) -> bool) -> History {
    let mut history = OUTCOME.history.clone();
    let folder = format!("{table}/_delta_log/");
    let entries = history.objects.iter_mut().rev();
    for (_, versions) in
        entries.filter(|(path, _)| path.starts_with(&folder) && path.ends_with(".json"))
    {
        let text = String::from_utf8(versions[0].bytes.to_vec()).unwrap();
        let mut actions: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if actions.iter_mut().any(&change) {
            let lines: String = actions.iter().map(|action| format!("{action}\n")).collect();
            versions[0].bytes = Bytes::from(lines);
            return history;
        }
    }
    panic!("there is nothing to change in the log of {table}");
}

fn first_violation(history: &History) -> Violation {
    check(&OUTCOME.truth, history).into_iter().next().expect("a violation")
}

/// Makes an action of that name into one that nobody reads.
fn drop_action(action: &mut Value, name: &str) -> bool {
    let Some(dropped) = action.get_mut(name).map(Value::take) else { return false };
    *action = serde_json::json!({ "dropped": dropped });
    true
}

#[test]
fn a_history_as_it_was_is_clean() {
    let found = check(&OUTCOME.truth, &OUTCOME.history);
    assert!(found.is_empty(), "{}", found[0]);
}

#[test]
fn rows_that_are_not_named_are_missed() {
    let is_landed = |action: &Value| action["add"]["dataChange"] == Value::Bool(true);
    let history = tampered("events", |action| is_landed(action) && drop_action(action, "add"));
    assert!(["1", "commits"].contains(&first_violation(&history).rule));
}

#[test]
fn an_offset_that_is_one_too_small_is_noticed() {
    let app_id = format!("{}:{}:0", OUTCOME.truth.settings.pipeline, OUTCOME.truth.settings.topic);
    let history = tampered("events", |action| {
        let is_it = action["txn"]["appId"] == Value::String(app_id.clone());
        let next = action["txn"]["version"].as_i64();
        next.filter(|_| is_it).is_some_and(|next| {
            action["txn"]["version"] = (next - 1).into();
            true
        })
    });
    assert!(["1", "2"].contains(&first_violation(&history).rule));
}

#[test]
fn a_greatest_event_time_that_is_none_of_the_log_is_noticed() {
    let history = tampered("avg_speed", |action| {
        let is_time = |id: &str| id.ends_with(":max_event_time");
        let is_it = action["txn"]["appId"].as_str().is_some_and(is_time);
        if is_it {
            action["txn"]["version"] = 1.into();
        }
        is_it
    });
    assert_eq!(first_violation(&history).rule, "2");
}

#[test]
fn a_day_that_is_replaced_in_part_is_noticed() {
    let history = tampered("avg_speed", |action| drop_action(action, "remove"));
    assert_eq!(first_violation(&history).rule, "4");
}

#[test]
fn final_rows_that_are_missing_are_noticed() {
    let is_final =
        |action: &Value| action["add"]["path"].as_str().is_some_and(|p| p.contains("final"));
    let history = tampered("avg_speed", |action| is_final(action) && drop_action(action, "add"));
    assert_eq!(first_violation(&history).rule, "4");
}

#[test]
fn a_run_that_is_not_recorded_is_noticed() {
    let history = tampered("batch_runs", |action| drop_action(action, "add"));
    assert!(["batch_runs", "commits"].contains(&first_violation(&history).rule));
}

#[test]
fn a_file_that_goes_while_it_is_needed_is_noticed() {
    let mut history = OUTCOME.history.clone();
    let log = super::Log::read("batch_runs", &history).unwrap();
    let path = log.state_at(i64::MAX).files.into_keys().next().expect("a file");
    let object = history.objects.get_mut(&path).and_then(|versions| versions.last_mut()).unwrap();
    object.ended = Some(Ended { sequence: u64::MAX, at_us: i64::MAX, by: "a test".to_owned() });
    assert_eq!(first_violation(&history).rule, "files in the store");
}

#[test]
fn an_entry_that_is_put_twice_is_noticed() {
    let mut history = OUTCOME.history.clone();
    let versions = history.objects.get_mut("events/_delta_log/00000000000000000001.json").unwrap();
    let again = versions[0].clone();
    let ended = Ended { sequence: u64::MAX, at_us: i64::MAX, by: "a test".to_owned() };
    versions[0].ended = Some(ended);
    versions.push(ObjectVersion { sequence: u64::MAX, ..again });
    assert_eq!(first_violation(&history).rule, "commits");
}
