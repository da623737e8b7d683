//! The checker against a history as it was, and against the same with one thing in it changed by hand.

#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::Value;

use super::{Violation, check};
use crate::run::{Outcome, run};
use crate::truth::History;

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
