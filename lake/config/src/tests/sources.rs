//! Where values come from: defaults, the file, variables, flags.

use std::time::Duration;

use crate::entry::{Entry, Source};
use crate::kind::{Bytes, Kind};
use crate::units::{format_bytes, format_duration};
use crate::{DEFAULT_FILE, OnDataLoss, Settings};

use super::{load, owned};

#[test]
fn nothing_given_is_the_documented_defaults() {
    let settings = Settings::load(None, [], &[]).unwrap();
    assert!(!std::path::Path::new(DEFAULT_FILE).exists(), "tests run where there is no such file");
    assert_eq!(settings, Settings::default());
    assert_eq!(settings.pipeline.name, "camera-speeds");
    assert_eq!(settings.kafka.group, None);
    assert_eq!(settings.kafka.on_data_loss, OnDataLoss::Fail);
    assert_eq!(settings.event.max_record_bytes, 1024 * 1024);
    assert_eq!(settings.speed.allowed_lateness, Duration::from_secs(3 * 3600));
    assert_eq!(settings.speed.landing_bytes, 64_000_000);
    assert_eq!(settings.maintain.event_retention, None);
    assert_eq!(settings.batch.metrics_file, None);
    assert_eq!(settings.serving.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.speed_limits.default_kmh, None);
}

#[test]
fn a_flag_wins_over_a_variable_over_the_file_over_the_default() {
    let file = "kafka.topic = \"file\"\n[speed]\ncommit_interval = \"1s\"\n[lake]\nuri = \"file\"";
    let env = [("LAKEHOUSE__KAFKA__TOPIC", "env"), ("LAKEHOUSE__LAKE__URI", "env")];
    let settings = load(file, &env, &[("lake.uri", "flag")]).unwrap();
    assert_eq!(settings.lake.uri, "flag");
    assert_eq!(settings.kafka.topic, "env");
    assert_eq!(settings.speed.commit_interval, Duration::from_secs(1));
    assert_eq!(settings.kafka.brokers, "127.0.0.1:9092");
}

#[test]
fn a_bad_value_that_is_overridden_does_no_harm() {
    let file = "speed.commit_interval = \"never\"";
    let settings = load(file, &[("LAKEHOUSE__SPEED__COMMIT_INTERVAL", "2s")], &[]).unwrap();
    assert_eq!(settings.speed.commit_interval, Duration::from_secs(2));
}

#[test]
fn variables_are_read_as_every_kind_of_value() {
    let env = [
        ("LAKEHOUSE__PIPELINE__NAME", "123"),
        ("LAKEHOUSE__KAFKA__GROUP", "123"),
        ("LAKEHOUSE__SPEED__COMMIT_INTERVAL", "1m30s"),
        ("LAKEHOUSE__SPEED__LANDING_BYTES", "1000000"),
        ("LAKEHOUSE__SPEED__QUEUE_BYTES", "2 MiB"),
        ("LAKEHOUSE__SPEED__METRICS_LISTEN", ""),
        ("LAKEHOUSE__SERVING__MAX_WINDOWS", "12"),
        ("LAKEHOUSE__EVENT__MAX_SPEED_KMH", "250.5"),
        ("LAKEHOUSE__KAFKA__ON_DATA_LOSS", "accept"),
        ("LAKEHOUSE__KAFKA__PROPERTIES__SECURITY__PROTOCOL", "SSL"),
        ("LAKEHOUSE__LAKE__STORAGE__ALLOW_HTTP", "true"),
        ("LAKEHOUSE__SPEED_LIMITS__DEFAULT_KMH", "90"),
        ("LAKEHOUSE__SPEED_LIMITS__CAMERAS__KV.North", "60"),
        ("LAKEHOUSE_OTHER", "not ours"),
        ("HOME", "not ours"),
    ];
    let settings = load("", &env, &[]).unwrap();
    assert_eq!(settings.pipeline.name, "123");
    assert_eq!(settings.kafka.group.as_deref(), Some("123"));
    assert_eq!(settings.speed.commit_interval, Duration::from_secs(90));
    assert_eq!(settings.speed.landing_bytes, 1_000_000);
    assert_eq!(settings.speed.queue_bytes, 2 * 1024 * 1024);
    assert_eq!(settings.speed.metrics_listen, None);
    assert_eq!(settings.serving.max_windows, 12);
    assert_eq!(settings.event.max_speed_kmh, 250.5);
    assert_eq!(settings.kafka.on_data_loss, OnDataLoss::Accept);
    assert_eq!(settings.kafka.properties["security.protocol"], "SSL");
    assert_eq!(settings.lake.storage["allow_http"], "true");
    assert_eq!(settings.speed_limits.kmh("KV.North"), Some(60.0));
    assert_eq!(settings.speed_limits.kmh("kv.north"), Some(90.0));
}

#[test]
fn properties_may_be_quoted_nested_or_tables_and_of_any_simple_type() {
    let expected = ["SSL", "5", "1.5", "false"];
    for file in [
        "[kafka.properties]\n\"a.protocol\" = \"SSL\"\n\"a.b.count\" = 5\n\"a.x\" = 1.5\n\"a.y\" = false",
        "[kafka.properties]\na.protocol = \"SSL\"\na.b.count = 5\na.x = 1.5\na.y = false",
        "[kafka.properties.a]\nprotocol = \"SSL\"\nx = 1.5\ny = false\n[kafka.properties.a.b]\ncount = 5",
        "\"kafka.properties.a.protocol\" = \"SSL\"\nkafka.properties.a = {b.count = 5, x = 1.5, y = false}",
    ] {
        let settings = load(file, &[], &[]).unwrap();
        let names = ["a.protocol", "a.b.count", "a.x", "a.y"];
        assert_eq!(names.map(|name| settings.kafka.properties[name].as_str()), expected, "{file}");
    }
}

#[test]
fn camera_ids_keep_their_case_and_may_contain_dots() {
    let file =
        "[speed_limits]\ndefault_kmh = 90\n[speed_limits.cameras]\nKV1 = 60\n\"KV.1.b\" = 50.5";
    let limits = load(file, &[], &[]).unwrap().speed_limits;
    assert_eq!([limits.kmh("KV1"), limits.kmh("KV.1.b")], [Some(60.0), Some(50.5)]);
    assert_eq!(limits.kmh("kv1"), Some(90.0));
}

#[test]
fn sections_without_keys_are_no_fault() {
    let file = "[pipeline]\n[kafka]\n[kafka.properties]\n[speed_limits.cameras]\n[lake.storage]";
    assert_eq!(load(file, &[], &[]).unwrap(), Settings::default());
}

#[test]
fn the_lake_may_be_a_path_a_file_address_or_s3() {
    for uri in ["lake", "./a b/ü", "/var/lake", "file:///var/lake", "a/b:c"] {
        assert_eq!(load("", &[], &[("lake.uri", uri)]).unwrap().lake.uri, uri);
    }
}

#[test]
fn a_relative_lake_counts_from_the_settings_file() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("lakehouse.toml");
    let root = folder.path().to_str().unwrap();
    for (given, expected) in [
        ("./lake", format!("{root}/lake")),
        ("a/b", format!("{root}/a/b")),
        ("../lake", format!("{root}/../lake")),
        ("/var/lake", "/var/lake".to_owned()),
        ("file:///var/lake", "file:///var/lake".to_owned()),
    ] {
        std::fs::write(&config, format!("lake.uri = {given:?}")).unwrap();
        assert_eq!(Settings::load(Some(&config), [], &[]).unwrap().lake.uri, expected);
        std::fs::write(&config, "").unwrap();
        let variable = owned(&[("LAKEHOUSE__LAKE__URI", given)]);
        assert_eq!(Settings::load(Some(&config), variable, &[]).unwrap().lake.uri, expected);
    }
    let default = Settings::load(Some(&config), [], &[]).unwrap();
    assert_eq!(default.lake.uri, format!("{root}/lake"), "the default too");
    assert_eq!(Settings::load(None, [], &[]).unwrap().lake.uri, "./lake", "there is no file");
}

const KEY_PAIR: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "from-env"), ("AWS_SECRET_ACCESS_KEY", "secret-from-env")];

#[test]
fn s3_takes_what_the_settings_leave_out_from_aws_variables() {
    let env = [
        &KEY_PAIR[..],
        &[
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ENDPOINT_URL_S3", "http://other:9000"),
            ("AWS_SESSION_TOKEN", "token-from-env"),
            ("AWS_DEFAULT_REGION", ""),
            ("AWS_BUCKET", "other"),
            ("AWS_PROFILE", "no option of the store"),
        ],
    ]
    .concat();
    let file = "[lake]\nuri = \"s3://bucket/prefix\"\n[lake.storage]\naws_secret_access_key = \"own\"\n\
                aws_endpoint = \"http://127.0.0.1:9000\"\nallow_http = true";
    let storage = load(file, &env, &[]).unwrap().lake.storage;
    let expected = [
        ("access_key_id", "from-env"),
        ("allow_http", "true"),
        ("endpoint", "http://127.0.0.1:9000"),
        ("region", "eu-central-1"),
        ("secret_access_key", "own"),
    ];
    assert_eq!(storage, owned(&expected).into_iter().collect());
}

#[test]
fn s3_takes_every_provider_of_credentials_that_is_named() {
    for env in [
        &KEY_PAIR[..],
        &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"), ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r")],
        &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1")],
        &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials"),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/token"),
        ],
        &[("LAKEHOUSE__LAKE__STORAGE__IMDSV1_FALLBACK", "true")],
        &[("LAKEHOUSE__LAKE__STORAGE__METADATA_ENDPOINT", "http://169.254.169.254")],
        &[("AWS_SKIP_SIGNATURE", "true")],
    ] {
        load("lake.uri = \"s3://bucket\"", env, &[])
            .unwrap_or_else(|error| panic!("{env:?}: {error}"));
    }
}

#[test]
fn aws_variables_do_not_touch_a_lake_on_disk() {
    assert_eq!(load("", &KEY_PAIR, &[]).unwrap(), Settings::default());
}

#[test]
fn debug_output_holds_no_secret() {
    let env = [
        ("LAKEHOUSE__LAKE__URI", "s3://bucket"),
        ("LAKEHOUSE__LAKE__STORAGE__ACCESS_KEY_ID", "shown"),
        ("LAKEHOUSE__LAKE__STORAGE__SECRET_ACCESS_KEY", "hidden"),
        ("AWS_SSE_CUSTOMER_KEY_BASE64", "hidden"),
        ("LAKEHOUSE__LAKE__STORAGE__SESSION_TOKEN", "hidden"),
        ("LAKEHOUSE__KAFKA__PROPERTIES__SASL__PASSWORD", "hidden"),
        ("LAKEHOUSE__KAFKA__PROPERTIES__SSL__KEY__PASSWORD", "hidden"),
        ("LAKEHOUSE__KAFKA__PROPERTIES__SSL__KEY__PEM", "hidden"),
        ("LAKEHOUSE__KAFKA__PROPERTIES__SASL__OAUTHBEARER__CLIENT__SECRET", "hidden"),
    ];
    let settings = load("", &env, &[]).unwrap();
    let shown = format!("{settings:?} {settings:#?}");
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(shown.contains("\"access_key_id\": \"shown\""), "{shown}");
    assert!(shown.contains("\"sasl.password\": \"[redacted]\""), "{shown}");
    assert_eq!(settings.kafka.properties["sasl.password"], "hidden");
}

#[test]
fn sizes_and_durations_are_read_and_written_alike() {
    let kind = Bytes { min: 0, max: u64::MAX };
    let whole = |text: &str| kind.read(&Entry::text(text, Source::Flag));
    for (text, bytes) in
        [("0", 0), ("7", 7), ("64MB", 64_000_000), ("1mib", 1 << 20), ("3 KiB", 3072), ("2B", 2)]
    {
        assert_eq!(whole(text), Some(bytes), "{text}");
        assert_eq!(whole(&format_bytes(bytes)), whole(text));
    }
    for text in ["", " ", "7 ", "-1", "1.5MB", "MB", "5X", "99999999999TB", "1_000"] {
        assert_eq!(whole(text), None, "{text:?}");
    }
    for text in ["0s", "500ms", "5s", "1h30m", "3h30s", "400d", "1d2h3m4s5ms"] {
        assert_eq!(format_duration(humantime::parse_duration(text).unwrap()), text);
    }
}
