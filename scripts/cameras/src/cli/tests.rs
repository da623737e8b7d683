//! Options that are refused, and the day that is simulated by default.

use clap::CommandFactory;

use super::*;

fn cli(options: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("camera-simulator").chain(options.split_whitespace()))
}

/// The start of the first slot of the plan made at `now` in UTC, and whether it warns.
fn planned(options: &str, now: &str) -> (String, bool) {
    let now = Timestamp::parse(now).expect("a time");
    let plan = Plan::new(&cli(options).expect("good options"), &Settings::default(), now);
    let mut plan = plan.expect("a plan");
    let first = plan.schedule.next().expect("a slot");
    (Timestamp::from_millis(first.start_ms).to_string(), plan.warning.is_some())
}

#[test]
fn the_command_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn unusable_options_name_themselves() {
    for (options, named) in [
        ("--late 1.5", "--late"),
        ("--bad -0.1", "--bad"),
        ("--duplicates x", "--duplicates"),
        ("--rate 0", "--rate"),
        ("--date 2025-02-30", "--date"),
        ("--late-max soon", "--late-max"),
        ("--late-max 900d", "--late-max"),
        ("--cameras 0", "--cameras"),
        ("--partitions 0", "--partitions"),
        ("--timestamp-type never", "--timestamp-type"),
        ("--live", "--rate"),
        ("--live --rate 5 --date 2025-04-05", "--date"),
        ("--from 2025-04-05T12:00:00Z", "--live"),
        ("--live --rate 5 --from noon", "--from"),
        ("--embedded-broker --brokers localhost:1", "--brokers"),
        ("--keep-broker", "--embedded-broker"),
        ("--broker-file x", "--embedded-broker"),
    ] {
        let error = cli(options).expect_err(options);
        assert_eq!(error.exit_code(), 2, "{options}");
        assert!(error.to_string().contains(named), "{options}: {error}");
    }
}

#[test]
fn by_default_the_latest_day_is_simulated_for_which_all_has_arrived() {
    let yesterday = ("2025-04-04T00:00:00Z".to_owned(), false);
    assert_eq!(planned("", "2025-04-05T12:00:00Z"), yesterday);
    assert_eq!(planned("--late-max 1h", "2025-04-05T02:00:00Z"), yesterday);
    assert_eq!(planned("", "2025-04-06T02:00:00Z"), yesterday);
    assert_eq!(planned("--days 3", "2025-04-07T12:00:00Z"), yesterday);
}

#[test]
fn a_day_whose_late_events_are_still_to_come_is_warned_of() {
    assert!(planned("--date 2025-04-04", "2025-04-05T09:00:00Z").1);
    assert!(!planned("--date 2025-04-04", "2025-04-05T11:00:00Z").1);
}

#[test]
fn live_starts_with_the_present() {
    let (start, warned) = planned("--live --rate 5", "2025-04-05T09:00:00.5Z");
    assert_eq!((start.as_str(), warned), ("2025-04-05T09:00:00.500000Z", false));
}

#[test]
fn live_may_start_in_the_past_and_not_in_the_future() {
    let options = "--live --rate 5 --from 2025-04-05T12:00:00Z";
    assert_eq!(
        planned(options, "2025-04-07T00:00:00Z"),
        ("2025-04-05T12:00:00Z".to_owned(), false)
    );
    let now = Timestamp::parse("2025-04-05T11:59:59Z").expect("a time");
    let plan = Plan::new(&cli(options).expect("good options"), &Settings::default(), now);
    let fault = plan.expect_err("refused").to_string();
    assert!(fault.contains("--from 2025-04-05T12:00:00"), "{fault}");
}

#[test]
fn the_embedded_broker_refuses_the_brokers_clock() {
    let cli = cli("--embedded-broker --timestamp-type log-append").expect("good options");
    let now = Timestamp::from_millis(0);
    let error = Plan::new(&cli, &Settings::default(), now).expect_err("refused");
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn brokers_and_topic_override_the_settings() {
    let overrides = cli("--brokers a:1,b:2 --topic t").expect("good options").overrides();
    let pairs: Vec<_> =
        overrides.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(pairs, [("kafka.brokers", "a:1,b:2"), ("kafka.topic", "t")]);
    assert!(cli("").expect("good options").overrides().is_empty());
}
