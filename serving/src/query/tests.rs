//! What requests are accepted as, and what is refused.

use super::*;
use proptest::prelude::*;

const PATH: &str = "/kvfv/K/avg-speed";

fn moscow() -> Calendar {
    Calendar::new("Europe/Moscow").expect("it is in the database")
}

fn parsed(query: &str) -> Result<AvgSpeedQuery, Problem> {
    AvgSpeedQuery::parse(PATH, Some(query), 10_000, || Ok(moscow()))
}

#[test]
fn a_plus_sign_is_no_space_and_may_be_encoded_or_not() {
    for plus in ["+", "%2B", "%2b"] {
        let query = parsed(&format!(
            "interval=1h&from=2025-04-05T03:00:00{plus}03:00&to=2025-04-05T01:00:00Z"
        ));
        assert_eq!(query.map(|query| query.from.to_string()), Ok("2025-04-05T00:00:00Z".into()));
    }
}

#[test]
fn dates_are_the_days_of_the_pipeline() {
    let query = parsed("interval=24h&from=2025-04-05&to=2025-04-06").expect("it is good");
    let bounds = [query.from.to_string(), query.to.to_string()];
    assert_eq!(bounds, ["2025-04-04T21:00:00Z", "2025-04-05T21:00:00Z"]);
    assert!(parsed("interval=24h&from=2025-04-05&to=2025-04-05").is_err());
    for bad in ["2025-02-29", "2025-4-5", "20250405", "2025-04-05 "] {
        assert!(parsed(&format!("interval=24h&from={bad}&to=2025-04-06")).is_err(), "{bad}");
    }
}

#[test]
fn what_is_unknown_proposes_what_may_be_meant() {
    for (interval, meant) in [
        ("10m", "5m"),
        ("60m", "1h"),
        ("1d", "24h"),
        ("day", "24h"),
        ("1H", "1h"),
        ("5min", "5m"),
        ("365days", "24h"),
    ] {
        let problem = parsed(&format!("interval={interval}&from=2025-04-05&to=2025-04-06"));
        let text = format!("{:?}", problem.expect_err("it is no interval"));
        assert!(text.contains(&format!("did you mean {meant}?")), "{interval}: {text}");
    }
    let text = format!("{:?}", parsed("intervall=1h").expect_err("it is no parameter"));
    assert!(text.contains("did you mean interval?"), "{text}");
}

#[test]
fn instants_that_utc_cannot_write_in_four_digits_are_echoed_as_asked() {
    let first = "0000-01-01T00:00:00+01:00";
    let query = parsed(&format!("from={first}&to=0000-01-01T00:00:00Z&interval=24h"));
    assert_eq!(query.map(|query| query.from.to_string()), Ok(first.to_owned()));
}

#[test]
fn ids_are_decoded_once_and_may_hold_anything() {
    for (segment, id) in
        [("a%2Fb", "a/b"), ("a+b", "a+b"), ("%252F", "%2F"), ("%D0%9A%00", "К\0"), ("...", "...")]
    {
        let camera = camera_of_path(&format!("/kvfv/{segment}/avg-speed"));
        assert_eq!(camera.as_ref().map(CameraId::as_str), Ok(id));
    }
}

#[test]
fn what_is_no_id_is_refused() {
    let long = "x".repeat(129);
    for segment in ["", ".", "%2e%2E", "%", "%4", "%zz", "%FF", long.as_str()] {
        assert!(camera_of_path(&format!("/kvfv/{segment}/avg-speed")).is_err(), "{segment:?}");
    }
}

proptest! {
    #[test]
    fn arbitrary_requests_never_panic(path in "\\PC*", query in "\\PC*") {
        let _ = AvgSpeedQuery::parse(&path, Some(&query), 10_000, || Ok(moscow()));
        let _ = CamerasQuery::parse(Some(&query));
    }

    #[test]
    fn an_encoded_id_is_read_back(id in "\\PC{1,30}") {
        prop_assume!(CameraId::is_valid(&id));
        let encoded: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let camera = camera_of_path(&format!("/kvfv/{encoded}/avg-speed"));
        prop_assert_eq!(camera.as_ref().map(CameraId::as_str), Ok(id.as_str()));
    }
}
