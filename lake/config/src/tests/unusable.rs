//! Unusable configurations: every message names the key, the value and a remedy.

use std::path::Path;

use crate::Settings;

use super::load;

/// Asserts that `message` holds all of `parts`.
fn assert_names(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

/// Loads `file` and asserts that its one problem names key and value, where from, and the rest.
fn refused(file: &str, key_and_value: &str, parts: &[&str]) {
    let error = load(file, &[], &[]).unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
    let message = error.to_string();
    assert_names(&message, &[key_and_value, "lakehouse.toml)", "expected ", "; "]);
    assert_names(&message, parts);
}

/// A test per kind of unusable configuration: its file, key and value, and what else is said.
macro_rules! unusable {
    ($($name:ident: $file:expr => $key_and_value:expr, [$($part:expr),+ $(,)?];)+) => {
        $(#[test]
        fn $name() {
            refused($file, $key_and_value, &[$($part),+]);
        })+
    };
}

unusable! {
    an_unknown_key_suggests_the_nearest: "kafka.brokes = \"a:1\""
        => "kafka.brokes = \"a:1\"", ["expected a known key", "did you mean kafka.brokers?"];
    a_key_without_its_section_suggests_the_whole: "brokers = \"a:1\""
        => "brokers = \"a:1\"", ["did you mean kafka.brokers?"];
    an_unknown_key_near_to_none_points_at_the_documentation: "colour = \"red\""
        => "colour = \"red\"", ["remove it", "documented lakehouse.toml"];
    an_unknown_section_without_keys_is_refused: "[colours]"
        => "colours = {}", ["expected a known key"];
    a_section_given_a_value_is_refused: "kafka = 5"
        => "kafka = 5", ["expected a known key", "remove it"];
    a_table_in_place_of_a_value_is_refused: "[kafka.brokers]\nhost = \"a\""
        => "kafka.brokers.host = \"a\"", ["did you mean kafka.brokers?"];
    a_key_both_quoted_and_nested_is_refused:
        "[kafka.properties]\n\"a.b\" = 1\n[kafka.properties.a]\nb = 2"
        => "kafka.properties.a.b = ", ["each key once", "remove one"];
    a_duration_with_an_unknown_unit_is_refused: "speed.commit_interval = \"5x\""
        => "speed.commit_interval = \"5x\"",
        ["expected a duration such as 5s, 30m or 3h", "try speed.commit_interval = \"5s\""];
    a_duration_without_a_unit_is_refused: "speed.allowed_lateness = 3"
        => "speed.allowed_lateness = 3", ["try speed.allowed_lateness = \"3h\""];
    a_commit_interval_of_nothing_is_refused: "speed.commit_interval = \"0s\""
        => "speed.commit_interval = \"0s\"", ["from 100ms to 5m"];
    a_commit_interval_above_its_range_is_refused: "speed.commit_interval = \"6m\""
        => "speed.commit_interval = \"6m\"", ["from 100ms to 5m"];
    a_size_with_an_unknown_unit_is_refused: "speed.landing_bytes = \"64 quarts\""
        => "speed.landing_bytes = \"64 quarts\"",
        ["a size such as 64MB", "try speed.landing_bytes = \"64MB\""];
    a_size_below_its_range_is_refused: "speed.landing_bytes = 1000"
        => "speed.landing_bytes = 1000", ["from 1MB"];
    a_record_size_above_its_range_is_refused: "event.max_record_bytes = \"65MiB\""
        => "event.max_record_bytes = \"65MiB\"", ["64MiB", "try event.max_record_bytes = \"1MiB\""];
    text_in_place_of_a_number_is_refused: "serving.max_windows = \"many\""
        => "serving.max_windows = \"many\"", ["a whole number", "try serving.max_windows = 10000"];
    a_quoted_number_in_the_file_is_refused: "serving.max_windows = \"10\""
        => "serving.max_windows = \"10\"", ["a whole number", "try serving.max_windows = 10000"];
    a_negative_number_is_refused: "lake.checkpoint_interval = -1"
        => "lake.checkpoint_interval = -1", ["from 1 to 10000"];
    a_fraction_in_place_of_a_whole_number_is_refused: "lake.checkpoint_interval = 1.5"
        => "lake.checkpoint_interval = 1.5", ["a whole number"];
    too_few_rows_in_memory_are_refused: "batch.max_rows_in_memory = 1000"
        => "batch.max_rows_in_memory = 1000", ["from 100000", "= 8000000"];
    a_number_in_place_of_text_is_refused: "pipeline.name = 5"
        => "pipeline.name = 5", ["try pipeline.name = \"camera-speeds\""];
    a_list_in_place_of_text_is_refused: "kafka.brokers = [\"a:1\", \"b:1\"]"
        => "kafka.brokers = [\"a:1\", \"b:1\"]", ["host:port", "try kafka.brokers = "];
    an_empty_pipeline_name_is_refused: "pipeline.name = \"\""
        => "pipeline.name = \"\"", ["1 to 128 bytes"];
    a_pipeline_name_with_a_colon_is_refused: "pipeline.name = \"a:b\""
        => "pipeline.name = \"a:b\"", ["without \":\""];
    a_pipeline_name_with_a_line_break_is_refused_on_one_line: "pipeline.name = \"a\\nb\""
        => "pipeline.name = \"a\\nb\"", ["control characters"];
    an_unknown_time_zone_is_refused: "pipeline.timezone = \"Mars/Olympus\""
        => "pipeline.timezone = \"Mars/Olympus\"", ["Europe/Moscow", "try pipeline.timezone = \"UTC\""];
    a_misspelt_time_zone_suggests_the_nearest: "pipeline.timezone = \"Europe/Moskow\""
        => "pipeline.timezone = \"Europe/Moskow\"", ["did you mean \"Europe/Moscow\"?"];
    a_time_zone_without_its_region_suggests_the_whole: "pipeline.timezone = \"Yekaterinburg\""
        => "pipeline.timezone = \"Yekaterinburg\"", ["did you mean \"Asia/Yekaterinburg\"?"];
    a_misspelt_choice_suggests_the_nearest: "kafka.on_data_loss = \"acept\""
        => "kafka.on_data_loss = \"acept\"", ["did you mean \"accept\"?"];
    a_lake_in_a_shells_home_is_refused: "lake.uri = \"~/lake\""
        => "lake.uri = \"~/lake\"", ["only a shell replaces ~ and $", "write the whole path"];
    a_lake_in_a_shells_variable_is_refused: "lake.uri = \"$HOME/lake\""
        => "lake.uri = \"$HOME/lake\"", ["only a shell replaces ~ and $", "write the whole path"];
    a_metrics_file_in_a_shells_home_is_refused: "batch.metrics_file = \"~/lake.prom\""
        => "batch.metrics_file = \"~/lake.prom\"", ["only a shell replaces ~ and $"];
    a_broker_without_a_port_is_refused: "kafka.brokers = \"kafka-1:9092,kafka-2\""
        => "kafka.brokers = \"kafka-1:9092,kafka-2\"", ["host:port"];
    an_illegal_topic_is_refused: "kafka.topic = \"camera events\""
        => "kafka.topic = \"camera events\"", ["1 to 249", "try kafka.topic = \"camera-events\""];
    an_unknown_choice_is_refused: "kafka.on_data_loss = \"ignore\""
        => "kafka.on_data_loss = \"ignore\"", ["\"fail\" or \"accept\""];
    automatic_commits_of_offsets_are_refused: "kafka.properties.enable.auto.commit = true"
        => "kafka.properties.enable.auto.commit = true",
        ["only after the tables hold the records", "remove it"];
    an_offset_reset_is_refused: "kafka.properties.\"auto.offset.reset\" = \"earliest\""
        => "kafka.properties.auto.offset.reset = \"earliest\"", ["recorded as lost", "remove it"];
    reading_uncommitted_records_is_refused:
        "kafka.properties.isolation.level = \"read_uncommitted\""
        => "kafka.properties.isolation.level = \"read_uncommitted\"", ["aborted transactions"];
    another_group_id_is_refused: "kafka.properties.group.id = \"g\""
        => "kafka.properties.group.id = \"g\"", ["kafka.group is the setting", "remove it"];
    a_list_in_place_of_a_property_is_refused: "kafka.properties.debug = [1]"
        => "kafka.properties.debug = [1]", ["a text, a number", "try kafka.properties.debug = "];
    two_fields_of_the_same_name_are_refused: "event.plate_field = \"kvfv_id\""
        => "event.plate_field = \"kvfv_id\"",
        ["no other event.*_field", "try event.plate_field = \"plate_number\""];
    a_top_speed_of_nothing_is_refused: "event.max_speed_kmh = 0"
        => "event.max_speed_kmh = 0", ["greater than 0, up to 10000", "= 400"];
    a_top_speed_that_is_no_number_is_refused: "event.max_speed_kmh = nan"
        => "event.max_speed_kmh = nan", ["a number of km/h"];
    an_unknown_scheme_of_the_lake_is_refused: "lake.uri = \"gs://bucket\""
        => "lake.uri = \"gs://bucket\"", ["s3://bucket/prefix", "try lake.uri = \"./lake\""];
    an_s3_address_short_of_a_slash_is_refused: "lake.uri = \"s3:/bucket\""
        => "lake.uri = \"s3:/bucket\"", ["s3://bucket/prefix"];
    an_s3_address_with_a_password_in_it_is_refused: "lake.uri = \"s3://id:key@bucket\""
        => "lake.uri = \"s3://[redacted]@bucket\"", ["s3://bucket/prefix"];
    a_file_address_on_another_host_is_refused: "lake.uri = \"file://host/dir\""
        => "lake.uri = \"file://host/dir\"", ["file:///path"];
    s3_without_credentials_is_refused: "lake.uri = \"s3://bucket\""
        => "lake.uri = \"s3://bucket\"",
        ["lake.storage.access_key_id (or AWS_ACCESS_KEY_ID) and lake.storage.secret_access_key",
         "are missing", "set lake.storage.access_key_id"];
    s3_without_the_secret_of_its_key_is_refused:
        "[lake]\nuri = \"s3://bucket\"\nstorage.access_key_id = \"id\""
        => "lake.uri = \"s3://bucket\"",
        ["but lake.storage.secret_access_key (or AWS_SECRET_ACCESS_KEY) is missing"];
    s3_without_the_role_of_its_web_identity_is_refused:
        "[lake]\nuri = \"s3://bucket\"\nstorage.web_identity_token_file = \"/token\""
        => "lake.uri = \"s3://bucket\"", ["lake.storage.role_arn (or AWS_ROLE_ARN) is missing"];
    an_unknown_s3_option_is_refused:
        "[lake]\nuri = \"s3://bucket\"\nstorage.skip_signature = true\nstorage.endpont = \"x\""
        => "lake.storage.endpont = \"x\"", ["the name of an S3 option", "endpoint, region"];
    an_s3_option_under_two_names_is_refused:
        "[lake]\nuri = \"s3://bucket\"\nstorage.skip_signature = true\nstorage.region = \"a\"\nstorage.aws_region = \"b\""
        => "lake.storage.region = \"a\"", ["lake.storage.aws_region is the same", "remove one"];
    an_s3_bucket_beside_the_address_is_refused:
        "[lake]\nuri = \"s3://bucket\"\nstorage.skip_signature = true\nstorage.bucket = \"b\""
        => "lake.storage.bucket = \"b\"", ["lake.uri names the bucket", "remove it"];
    s3_without_conditional_put_is_refused:
        "[lake]\nuri = \"s3://bucket\"\nstorage.skip_signature = true\nstorage.conditional_put = \"disabled\""
        => "lake.storage.conditional_put = \"disabled\"", ["rely on conditional put", "remove it"];
    an_s3_endpoint_that_is_no_url_is_refused:
        "[lake]\nuri = \"s3://bucket\"\nstorage.skip_signature = true\nstorage.endpoint = \"minio:9000\""
        => "lake.storage.endpoint = \"minio:9000\"",
        ["a URL such as", "try lake.storage.endpoint = \"http://127.0.0.1:9000\""];
    an_s3_endpoint_with_a_line_break_at_its_end_is_refused:
        "[lake]\nuri = \"s3://bucket\"\nstorage.skip_signature = true\nstorage.endpoint = \"https://minio\\n\""
        => "lake.storage.endpoint = \"https://minio\\n\"", ["only characters that a URL has"];
    an_s3_region_with_a_blank_is_refused:
        "[lake]\nuri = \"s3://bucket\"\nstorage.skip_signature = true\nstorage.region = \"us east\""
        => "lake.storage.region = \"us east\"", ["only letters, digits"];
    an_s3_key_with_a_line_break_at_its_end_is_refused:
        "[lake]\nuri = \"s3://bucket\"\nstorage.secret_access_key = \"key\"\nstorage.access_key_id = \"id\\n\""
        => "lake.storage.access_key_id = \"id\\n\"", ["a text without line breaks"];
    a_plain_http_endpoint_must_be_allowed:
        "[lake]\nuri = \"s3://bucket\"\nstorage.skip_signature = true\nstorage.endpoint = \"http://minio:9000\""
        => "lake.storage.endpoint = \"http://minio:9000\"", ["set lake.storage.allow_http = true"];
    a_switch_of_s3_that_is_neither_true_nor_false_is_refused:
        "[lake]\nuri = \"s3://bucket\"\nstorage.skip_signature = true\nstorage.allow_http = \"maybe\""
        => "lake.storage.allow_http = \"maybe\"", ["true or false", "try lake.storage.allow_http = true"];
    days_closed_while_their_windows_are_open_are_refused: "speed.allowed_lateness = \"5h\"\nbatch.close_after = \"4h\""
        => "batch.close_after = \"4h\"",
        ["speed.allowed_lateness + speed.out_of_orderness, which is 5h30s", "try batch.close_after = \"5h30s\""];
    a_log_shorter_than_its_files_is_refused: "lake.log_retention = \"30m\""
        => "lake.log_retention = \"30m\"", ["lake.deleted_file_retention, which is 1h", "= \"1h\""];
    a_log_deleted_while_a_commit_is_tried_again_is_refused:
        "lake.retry_timeout = \"1h\"\nlake.log_retention = \"2h\""
        => "lake.log_retention = \"2h\"", ["four times lake.retry_timeout, which is 1h", "= \"4h\""];
    orphans_deleted_within_a_day_are_refused: "maintain.orphan_retention = \"1h\""
        => "maintain.orphan_retention = \"1h\"", ["from 1d", "try maintain.orphan_retention = \"7d\""];
    orphans_deleted_while_a_commit_is_tried_again_are_refused:
        "lake.retry_timeout = \"1d\"\nlake.log_retention = \"4d\"\nmaintain.orphan_retention = \"1d\""
        => "maintain.orphan_retention = \"1d\"", ["more than lake.retry_timeout", "= \"2d\""];
    events_dropped_before_their_day_is_final_are_refused:
        "batch.close_after = \"3d\"\nmaintain.event_retention = \"2d\""
        => "maintain.event_retention = \"2d\"", ["more than batch.close_after", "= \"6d\""];
    a_queue_that_cannot_hold_a_record_is_refused:
        "event.max_record_bytes = \"16MiB\"\nspeed.queue_bytes = \"1MB\""
        => "speed.queue_bytes = \"1MB\"", ["event.max_record_bytes, which is 16MiB", "= \"16MiB\""];
    an_address_without_a_port_is_refused: "serving.listen = \"127.0.0.1\""
        => "serving.listen = \"127.0.0.1\"", ["an IP address and a port", "\"127.0.0.1:8080\""];
    a_port_out_of_range_is_refused: "speed.metrics_listen = \"127.0.0.1:70000\""
        => "speed.metrics_listen = \"127.0.0.1:70000\"", ["\"\" for none", "\"127.0.0.1:9101\""];
    a_metrics_file_that_no_collector_reads_is_refused: "batch.metrics_file = \"/tmp/metrics.txt\""
        => "batch.metrics_file = \"/tmp/metrics.txt\"", [".prom", "lambdalake.prom\""];
    a_negative_speed_limit_is_refused: "speed_limits.cameras.KV1 = -60"
        => "speed_limits.cameras.KV1 = -60", ["greater than 0", "try speed_limits.cameras.KV1 = 60"];
    a_speed_limit_of_an_impossible_camera_is_refused: "speed_limits.cameras.\"..\" = 60"
        => "speed_limits.cameras... = 60", ["a camera id", "remove it"];
}

#[test]
fn a_file_that_is_not_there_is_refused() {
    let error = Settings::load(Some(Path::new("/nowhere/lake.toml")), [], &[]).unwrap_err();
    assert_names(
        &error.to_string(),
        &["--config \"/nowhere/lake.toml\"", "expected a configuration file", "leave --config out"],
    );
}

#[test]
fn a_file_that_is_not_toml_names_file_and_line() {
    let error = load("[kafka]\ntopic = camera-events", &[], &[]).unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
    assert_names(
        &error.to_string(),
        &["lakehouse.toml, line 2", "expected TOML", "correct that line"],
    );
    assert_eq!(error.to_string().lines().count(), 1);
}

#[test]
fn a_message_is_one_line_whatever_keys_are_called() {
    let env = [("LAKEHOUSE__A\nB", "x"), ("LAKEHOUSE__KAFKAA__PROPERTIES__A\0B", "x")];
    let error = load("", &env, &[]).unwrap_err();
    assert!(!error.problems().iter().any(|problem| problem.to_string().contains(char::is_control)));
    assert_names(
        &error.to_string(),
        &["a\\nb = \"x\" (from environment variable LAKEHOUSE__A\\nB)"],
    );
}

#[test]
fn a_bad_variable_or_flag_is_named_as_the_source() {
    let env = [("LAKEHOUSE__SERVING__MAX_WINDOWS", "0"), ("LAKEHOUSE__KAFKA__TOPPIC", "t")];
    let error = load("", &env, &[("speed.queue_bytes", "all")]).unwrap_err();
    assert_names(
        &error.to_string(),
        &[
            "serving.max_windows = \"0\" (from environment variable LAKEHOUSE__SERVING__MAX_WINDOWS)",
            "kafka.toppic = \"t\" (from environment variable LAKEHOUSE__KAFKA__TOPPIC)",
            "did you mean kafka.topic?",
            "speed.queue_bytes = \"all\" (from the command line)",
        ],
    );
}

#[test]
fn a_default_that_no_longer_fits_is_named_as_such() {
    let error = load("speed.allowed_lateness = \"1d\"", &[], &[]).unwrap_err();
    assert_names(
        &error.to_string(),
        &["batch.close_after = \"4h\" (the default)", "try batch.close_after = \"1d30s\""],
    );
}

#[test]
fn all_problems_are_reported_at_once_and_a_bad_value_only_once() {
    let file = "colour = 1\n[speed]\nallowed_lateness = \"9 hours or so\"\n[batch]\nclose_after = \"1s\"\n\
                [lake]\nuri = \"s3://bucket\"\nlog_retention = \"2s\"";
    let error = load(file, &[("LAKEHOUSE__KAFKA__TOPIC", "")], &[]).unwrap_err();
    let message = error.to_string();
    let keys =
        ["colour", "kafka.topic", "speed.allowed_lateness", "lake.log_retention", "lake.uri"];
    let subjects: Vec<&str> = message.lines().filter_map(|line| line.split(" = ").next()).collect();
    assert_eq!(subjects, keys, "{message}");
}

#[test]
fn a_broken_file_does_not_hide_bad_variables_nor_invent_contradictions() {
    let env = [("LAKEHOUSE__LAKE__URI", "s3://bucket"), ("LAKEHOUSE__KAFKA__TOPIC", "")];
    let message = load("[lake", &env, &[]).unwrap_err().to_string();
    assert_eq!(message.lines().count(), 2, "{message}");
    assert_names(&message, &["expected TOML", "kafka.topic = \"\""]);
}

#[test]
fn messages_hold_no_secret_and_stay_short() {
    let long = "x".repeat(10_000);
    let file = format!(
        "[kafka]\nsasl.password = \"hunter2\"\nproperties.sasl.password = [\"hunter2\"]\ntopic = \"{long}\"\n\
         [[lake]]\nsecret_access_key = \"hunter2\""
    );
    let message = load(&file, &[], &[]).unwrap_err().to_string();
    assert!(!message.contains("hunter2"), "{message}");
    assert_names(&message, &["kafka.sasl.password = [redacted]", "kafka.topic = \"xxx"]);
    assert!(message.len() < 2_000, "{}", message.len());
}

/// Every way to give a secret wrongly that its writer may think of.
#[test]
fn a_secret_under_a_wrong_name_or_in_a_wrong_place_is_not_shown() {
    let in_files = [
        "kafka.properties.sasl_password = \"hunter2\"",
        "kafka.properties.\"sasl.pasword\" = [\"hunter2\"]",
        "kafka.properties.ssl_key_pem = \"hunter2\"",
        "kafka.sasl.passwrod = \"hunter2\"",
        "kafka.sasl_oauthbearer_config = \"hunter2\"",
        "kafka.pwd = \"hunter2\"",
        "lake.secert = \"hunter2\"",
        "lake.storage = \"secret_access_key=hunter2\"",
        "lake.uri = \"s3://id:hunter2@bucket\"",
        "kafka.brokers = \"user:hunter2@kafka:9092\"",
        "kafka.brokers = \"kafka:9092;sasl.password = hunter2\"",
        "kafka.properties = [{name = \"sasl.password\", value = \"hunter2\"}]",
        "kafka.topic = {password = \"hunter2\"}",
        "kafka.topic = \"{\\\"password\\\": \\\"hunter2\\\"}\"",
        "[kafka]\nproperties.sasl.password = hunter2",
        "[kafka]\nproperties.sasl.password = \"hunter2",
        "[kafka.properties]\nsasl.password = \"hunter2\" 1",
        "[kafka.properties]\nsasl.password = \"hunter2\"\nsasl.password = \"hunter2\"",
        "[lake]\nuri = \"s3://bucket\"\nstorage.skip_signature = true\nstorage.endpoint = \"https://id:hunter2@minio\"",
    ];
    for file in in_files {
        let message = load(file, &[], &[]).unwrap_err().to_string();
        assert!(!message.contains("hunter2"), "{file}: {message}");
    }
    for name in ["KAFKA__PROPERTIES__SASL_PASSWORD", "KAFKA__SASL_PASSWORD", "SECRET_ACCES_KEY"] {
        let variable = format!("LAKEHOUSE__{name}");
        let message = load("", &[(&variable, "hunter2")], &[]).unwrap_err().to_string();
        assert!(!message.contains("hunter2"), "{name}: {message}");
        assert_names(&message, &[&variable, "[redacted]"]);
    }
}

#[test]
fn a_property_one_underscore_short_is_refused_with_its_name() {
    let env = [("LAKEHOUSE__KAFKA__PROPERTIES__SASL_USERNAME", "me")];
    let message = load("", &env, &[]).unwrap_err().to_string();
    assert_names(
        &message,
        &["sasl_username = \"me\"", "two underscores", "call it kafka.properties.sasl.username"],
    );
}

#[test]
fn aws_variables_that_cannot_be_are_named_as_the_source() {
    let env = [("AWS_ALLOW_HTTP", "maybe"), ("AWS_SKIP_SIGNATURE", "true")];
    let error = load("lake.uri = \"s3://bucket\"", &env, &[]).unwrap_err();
    assert_names(
        &error.to_string(),
        &["AWS_ALLOW_HTTP = \"maybe\" (from environment variable AWS_ALLOW_HTTP)", "true or false"],
    );
}
