"""Unusable configurations and command lines, given to the real programs: exit code 2, and a message that names the
key, the value and a remedy."""

from dataclasses import dataclass, field

import pytest

from harness.data import event
from harness.lakehouse import toml

PROGRAMS = {"speed-layer": ["run"], "batch-layer": ["audit"], "serving": ["run"], "camera-simulator": []}
S3 = 'lake.uri = "s3://bucket"\nlake.storage.access_key_id = "a"\nlake.storage.secret_access_key = "b"\n'


@dataclass
class Case:
    """A settings file or environment, and what the message must name: key, value, remedy."""

    toml: str
    named: tuple
    variables: dict = field(default_factory=dict)


CASES = {
    "unknown_key": Case('kafka.brokes = "a:1"', ("kafka.brokes", "a:1", "did you mean kafka.brokers")),
    "key_without_its_section": Case('brokers = "a:1"', ("brokers", "a:1", "kafka.brokers")),
    "unknown_section": Case("[kafkas]\nx = 1", ("kafkas.x", "1", "remove")),
    "duration_without_unit": Case("speed.allowed_lateness = 3", ("speed.allowed_lateness", "3", "3h")),
    "negative_duration": Case('batch.close_after = "-1h"', ("batch.close_after", "-1h", "expected", "such as")),
    "duration_of_nothing": Case('speed.commit_interval = "0s"', ("speed.commit_interval", "0s", "100ms")),
    "days_closed_while_windows_are_open": Case(
        'batch.close_after = "1h"', ("batch.close_after", "1h", "3h30s", "speed.allowed_lateness")
    ),
    "no_such_zone": Case('pipeline.timezone = "Mars/Base"', ("pipeline.timezone", "Mars/Base", "Europe/Moscow")),
    "pipeline_with_a_colon": Case('pipeline.name = "a:b"', ("pipeline.name", "a:b", "without")),
    "brokers_as_a_url": Case('kafka.brokers = "http://k:9092"', ("kafka.brokers", "http://k:9092", "host:port")),
    "broker_without_a_port": Case('kafka.brokers = "k"', ("kafka.brokers", '"k"', "host:port")),
    "topic_of_odd_letters": Case('kafka.topic = "a b"', ("kafka.topic", "a b", "expected", "try")),
    "topic_of_nothing": Case('kafka.topic = ""', ("kafka.topic", '""', "camera-events")),
    "group_with_blanks": Case('kafka.group = "a b"', ("kafka.group", "a b", "without blanks")),
    "loss_ignored": Case('kafka.on_data_loss = "ignore"', ("kafka.on_data_loss", "ignore", "fail", "accept")),
    "automatic_commits": Case('kafka.properties."enable.auto.commit" = true', ("enable.auto.commit", "true", "remove")),
    "uncommitted_reads": Case(
        'kafka.properties."isolation.level" = "read_uncommitted"', ("isolation.level", "read_uncommitted", "remove")
    ),
    "group_as_a_property": Case('kafka.properties."group.id" = "g"', ("group.id", '"g"', "kafka.group")),
    "unknown_store": Case('lake.uri = "gs://bucket"', ("lake.uri", "gs://bucket", "s3://")),
    "no_credentials": Case('lake.uri = "s3://bucket"', ("lake.uri", "s3://bucket", "lake.storage.access_key_id")),
    "unknown_storage_option": Case(
        S3 + 'lake.storage.acess_key = "x"', ("lake.storage.acess_key", '"x"', "access_key_id")
    ),
    "plain_http_unasked": Case(
        S3 + 'lake.storage.endpoint = "http://h:1"', ("lake.storage.endpoint", "http://h:1", "allow_http")
    ),
    "checkpoint_every_0": Case("lake.checkpoint_interval = 0", ("lake.checkpoint_interval", "0", "from 1 to 10000")),
    "a_word_for_a_number": Case(
        'lake.checkpoint_interval = "many"', ("lake.checkpoint_interval", "many", "whole number")
    ),
    "a_size_of_parsecs": Case('speed.landing_bytes = "64 parsecs"', ("speed.landing_bytes", "64 parsecs", "64MB")),
    "records_of_no_bytes": Case("event.max_record_bytes = 0", ("event.max_record_bytes", "0", "1MiB")),
    "negative_speed": Case("event.max_speed_kmh = -5", ("event.max_speed_kmh", "-5", "greater than 0")),
    "one_field_twice": Case('event.plate_field = "kvfv_id"', ("event.plate_field", "kvfv_id", "no other")),
    "a_name_to_listen_on": Case(
        'serving.listen = "localhost:80"', ("serving.listen", "localhost:80", "127.0.0.1:8080")
    ),
    "a_port_too_great": Case(
        'speed.metrics_listen = "127.0.0.1:99999"', ("speed.metrics_listen", "99999", "127.0.0.1:9101")
    ),
    "a_word_for_a_limit": Case('speed_limits.cameras.KV1 = "fast"', ("speed_limits.cameras.KV1", "fast", "km/h")),
    "logs_shorter_than_files": Case(
        'lake.log_retention = "1m"', ("lake.log_retention", "1m", "lake.deleted_file_retention")
    ),
    "logs_shorter_than_retries": Case(
        'lake.log_retention = "1h"\nlake.retry_timeout = "1h"', ("lake.log_retention", "1h", "four times", "4h")
    ),
    "no_toml": Case("[lake", ("settings.toml", "expected TOML")),
    "a_key_twice": Case("lake.uri = 'a'\nlake.uri = 'b'", ("settings.toml", "line 2", "duplicate key")),
    "bad_variable": Case(
        "",
        ("speed.commit_interval", "soon", "LAKEHOUSE__SPEED__COMMIT_INTERVAL", "5s"),
        {"LAKEHOUSE__SPEED__COMMIT_INTERVAL": "soon"},
    ),
    "unknown_variable": Case(
        "", ("LAKEHOUSE__KAFKA__BROKER", "a:1", "kafka.brokers"), {"LAKEHOUSE__KAFKA__BROKER": "a:1"}
    ),
    "variable_wins_and_is_named": Case(
        'kafka.topic = "good"',
        ("kafka.topic", "bad topic", "LAKEHOUSE__KAFKA__TOPIC"),
        {"LAKEHOUSE__KAFKA__TOPIC": "bad topic"},
    ),
}


@pytest.fixture(scope="module")
def workspace(workspaces):
    with workspaces.make("configuration", partitions=1) as workspace:
        yield workspace


def refused(program, named):
    """Asserts that the program refuses, and that its message contains the words."""
    program.expect(2, limit_s=20)
    message = program.err.replace('\\"', '"')  # logs are JSON
    for word in named:
        assert word in message, f"{word!r} is not in: {message}"


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_unusable_settings_are_refused(workspace, program, name):
    case = CASES[name]
    config = workspace.folder / "settings.toml"
    config.write_text(case.toml)
    refused(workspace.start(program, *PROGRAMS[program], config=config, **case.variables), case.named)


@pytest.mark.parametrize("program", PROGRAMS)
def test_all_problems_are_told_at_once(workspace, program):
    config = workspace.folder / "several.toml"
    config.write_text('colour = "red"\nkafka.topic = ""\nspeed.commit_interval = "x"\n')
    refused(
        workspace.start(program, *PROGRAMS[program], config=config), ("colour", "kafka.topic", "speed.commit_interval")
    )


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("config", ["missing.toml", "."])
def test_a_settings_file_that_cannot_be_read_is_named(workspace, program, config):
    refused(
        workspace.start(program, *PROGRAMS[program], config=workspace.folder / config),
        (str(workspace.folder / config), "--config"),
    )


@pytest.mark.parametrize(
    "setting, value", [("no.such.property", "1"), ("session.timeout.ms", "soon"), ("security.protocol", "PIGEON")]
)
def test_librdkafka_settings_that_it_refuses_are_named(workspace, setting, value):
    config = workspace.folder / "librdkafka.toml"
    config.write_text(toml({**workspace.settings, f"kafka.properties.{setting}": value}))
    for program, arguments in (
        ("camera-simulator", ["--quiet"]),
        ("speed-layer", ["run"]),
        ("speed-layer", ["run", "--until-end"]),
    ):
        refused(workspace.start(program, *arguments, config=config), ("kafka.properties", setting, value))


@pytest.mark.parametrize("program", ["speed-layer", "batch-layer", "serving"])
def test_a_lake_that_cannot_be_a_folder_is_named(workspace, program):
    config = workspace.folder / "folder.toml"
    config.write_text(toml({**workspace.settings, "lake.uri": str(workspace.config / "lake")}))
    refused(workspace.start(program, *PROGRAMS[program], config=config), ("lake.uri", str(workspace.config), "folder"))


@pytest.mark.parametrize(
    "change",
    [{"pipeline__timezone": "Europe/Moscow"}, {"kafka__topic": "another-topic"}, {"pipeline__name": "another"}],
    ids=["time_zone", "topic", "name"],
)
def test_a_lake_made_with_other_settings_is_refused(workspaces, change):
    [(key, value)] = change.items()
    with workspaces.make("other", partitions=1) as workspace:
        workspace.topic.send([event("KV1", 1)])
        workspace.land()
        before = (workspace.settings[key.replace("__", ".")], workspace.lake.versions())
        workspace.configure(**change)
        for program, arguments in (("speed-layer", ["run"]), ("batch-layer", ["nightly"]), ("serving", ["run"])):
            refused(
                workspace.start(program, *arguments, LAKEHOUSE__SERVING__LISTEN="127.0.0.1:0"),
                (key.replace("__", "."), value, before[0]),
            )
        assert workspace.lake.versions() == before[1]


USAGE = {
    "speed-layer": [[], ["walk"], ["run", "--until"], ["run", "now"]],
    "batch-layer": [
        [],
        ["weekly"],
        ["nightly", "--date", "2025-02-30"],
        ["nightly", "--date", "tomorrow"],
        ["nightly", "--from", "2025-04-06", "--to", "2025-04-05"],
        ["nightly", "--date", "2025-04-05", "--from", "2025-04-05", "--to", "2025-04-05"],
        ["nightly", "--wait", "3"],
        ["verify"],
        ["verify", "--date", "1"],
        ["audit", "--xml"],
    ],
    "serving": [[], ["run", "--port", "1"]],
    "camera-simulator": [["--cameras", "0"], ["--late", "2"], ["--date", "today"], ["--live"]],
}


@pytest.mark.parametrize(
    "program, arguments", [(program, arguments) for program, lists in USAGE.items() for arguments in lists], ids=str
)
def test_a_wrong_command_line_is_refused(workspace, program, arguments):
    refused(workspace.start(program, *arguments), ())


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_is_given(workspace, program):
    whole = workspace.start(program, "--help").expect(0).out
    assert "Exit codes" in whole and "Examples" in whole and "lakehouse.toml that comes with the source" in whole
    command = workspace.start(program, *PROGRAMS[program], "--help").expect(0).out
    assert "--config" in command and "Examples" in command
