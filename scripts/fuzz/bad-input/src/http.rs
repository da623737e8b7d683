//! Requests through the router: whatever is asked for, the answer is the documented one or a documented problem.
//!
//! An input is the target of a GET request. It is answered by a `server` over a small table in memory that is loaded, so
//! nothing but the request can be at fault: 200, or 400 and 404 with problem details.

mod server;

use axum::body::Bytes;
use axum::http::{StatusCode, Uri};
use lake_model::Timestamp;
use serde_json::Value;

use self::server::Answer;

/// What a problem takes besides the parts of the request that it repeats.
const PROBLEM_BYTES: usize = 2000;
/// The default of `serving.max_windows`, and the greatest `limit`.
const MOST_ENTRIES: usize = 10_000;

/// Checks all that must hold of the answer to a request for `data`.
///
/// # Panics
/// If something does not hold.
pub fn check(data: &[u8]) {
    let target = Bytes::copy_from_slice(data);
    // What is no target never gets to the router.
    let Ok(uri) = Uri::from_maybe_shared(target) else { return };
    let answer = server::get(uri.clone());
    match answer.status {
        StatusCode::OK => check_answer(&uri, &answer),
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => check_problem(&uri, &answer),
        other => panic!("{other} for {uri}: {answer:?}"),
    }
}

fn check_problem(uri: &Uri, answer: &Answer) {
    assert_eq!(answer.content_type(), "application/problem+json", "{uri}");
    // A character of a target may be shown as an escape, in the detail and in the part at fault.
    let most = PROBLEM_BYTES + 20 * uri.to_string().len();
    assert!(answer.body.len() <= most, "{} bytes for {uri}", answer.body.len());
    let problem = answer.json();
    let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(problem["status"], answer.status.as_u16());
    assert!(!text("title").is_empty());
    assert!(text("detail").contains("expected"), "{problem}");
    assert!(!text("detail").contains(char::is_control), "{problem}");
    let kind = text("type").replace("urn:lambdalake:problem:", "");
    let status = match kind.as_str() {
        "invalid-parameter" | "invalid-camera-id" => StatusCode::BAD_REQUEST,
        "unknown-camera" | "unknown-path" => StatusCode::NOT_FOUND,
        _ => panic!("no such type: {problem}"),
    };
    assert_eq!(answer.status, status, "{problem}");
    assert_eq!(problem["parameter"].is_string(), kind == "invalid-parameter", "{problem}");
    assert_eq!(problem["instance"].is_string(), kind != "invalid-parameter", "{problem}");
}

fn check_answer(uri: &Uri, answer: &Answer) {
    if uri.path() == "/kvfv" {
        check_cameras(uri, answer);
    } else if uri.path().ends_with("/avg-speed") {
        check_averages(uri, answer);
    }
}

/// The cameras ascend, and `next` asks for those that follow.
fn check_cameras(uri: &Uri, answer: &Answer) {
    assert_eq!(answer.content_type(), "application/json", "{uri}");
    let page = answer.json();
    let ids = ids(&page);
    assert!(ids.len() <= MOST_ENTRIES && ids.is_sorted_by(|a, b| a < b), "{uri}: {ids:?}");
    let Some(next) = page["next"].as_str() else { return };
    assert_eq!(ids.last().map(String::as_str), Some(next), "{uri}");
    let following = server::get(target(&format!("/kvfv?after={}", encoded(next))));
    assert_eq!(following.status, StatusCode::OK, "{uri}: {following:?}");
    let first = self::ids(&following.json()).into_iter().next();
    assert!(first.is_some_and(|first| *next < *first), "{uri}: others follow {next:?}");
}

fn ids(page: &Value) -> Vec<String> {
    let id = |camera: &Value| camera["kvfv_id"].as_str().map(str::to_owned);
    page["cameras"].as_array().into_iter().flatten().filter_map(id).collect()
}

/// The windows ascend within what was asked for, and the answer's own words ask for it again.
fn check_averages(uri: &Uri, answer: &Answer) {
    assert_eq!(answer.content_type(), "application/json", "{uri}");
    let averages = answer.json();
    let text = |name: &str| averages[name].as_str().unwrap_or_default().to_owned();
    let [from, to] = ["from", "to"].map(|name| time(&averages[name]));
    let windows: &[Value] = averages["windows"].as_array().map_or(&[], Vec::as_slice);
    assert!(from < to && windows.len() <= MOST_ENTRIES, "{uri}");
    assert!(windows.is_sorted_by_key(|window| time(&window["window_start"])), "{uri}");
    windows.iter().for_each(|window| check_window(window, from, to));
    let again = format!(
        "/kvfv/{}/avg-speed?to={}&interval={}&from={}",
        encoded(&text("kvfv_id")),
        encoded(&text("to")),
        encoded(&text("interval")),
        encoded(&text("from")),
    );
    assert_eq!(server::get(target(&again)), *answer, "{uri} and {again}");
}

fn check_window(window: &Value, from: Timestamp, to: Timestamp) {
    let [start, end] = ["window_start", "window_end"].map(|name| time(&window[name]));
    assert!(from <= start && start < to && start < end, "{window}");
    assert!(window["count"].as_u64().is_some_and(|count| count > 0), "{window}");
    let order = ["min", "p50", "p85", "p95", "max"].map(|name| window[name].as_f64());
    assert!(order.is_sorted() && order[0].is_some(), "{window}");
    assert!((order[0]..=order[4]).contains(&window["avg_speed"].as_f64()), "{window}");
}

fn time(value: &Value) -> Timestamp {
    let time = value.as_str().and_then(Timestamp::parse);
    time.unwrap_or_else(|| panic!("no time: {value}"))
}

/// Text as a part of a target, every byte encoded.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn target(text: &str) -> Uri {
    text.parse().expect("every byte outside of the syntax is encoded")
}
