"""Wrong settings, and connections and stores that fail, each as a case for test_wrong_settings.py, which writes the table of
them in docs/operations.md."""

import contextlib
import errno
import os
from dataclasses import dataclass, field

from harness import fake_store
from harness.fake_store import always, ignores_condition, is_no_store, refuses_condition

NOBODY = "127.0.0.1:1"  # nothing listens there
REGION = "<Region>eu-west-1</Region>"


@dataclass
class Case:
    """What is wrong, and what the program must do about it."""

    what: str
    code: int | None  # None: it keeps trying
    words: tuple  # in the message: the setting at fault, and others
    settings: dict = field(default_factory=dict)
    arguments: tuple = ("--until-end",)
    without: tuple = ()  # settings that are left out
    store: object = None  # what the fake store does
    on_minio: bool = False
    refused: tuple = ()  # the call of the system that fails, and how
    prepare: object = None  # makes more settings, as a context manager of the workspace and its stack


def local(call, error):
    return {"refused": (call, getattr(errno, error))}


@contextlib.contextmanager
def tls_store(workspace, _):
    """A store whose certificate is not trusted."""
    with fake_store.fake_store(context=fake_store.tls_of_own_authority(workspace.folder)) as store:
        yield {"lake.storage.endpoint": store.endpoint}


@contextlib.contextmanager
def tls_store_by_http(workspace, _):
    """The same, addressed without TLS."""
    with fake_store.fake_store(context=fake_store.tls_of_own_authority(workspace.folder)) as store:
        yield {"lake.storage.endpoint": store.endpoint.replace("https", "http"), "lake.storage.allow_http": "true"}


@contextlib.contextmanager
def minio_by_https(_, stack):
    yield {"lake.storage.endpoint": stack.storage["endpoint"].replace("http", "https")}


@contextlib.contextmanager
def a_file_for_a_folder(workspace, _):
    (workspace.folder / "file").write_text("")
    yield {"lake.uri": str(workspace.folder / "file" / "lake")}


WAITS = {"arguments": (), "code": None}
ENDS_SOON = {"kafka.request_timeout": "3s"}

CASES = [
    # ---- settings
    Case("a key that does not exist", 2, ("kafka.brokers",), {"kafka.brokes": "a:1"}),
    Case("a duration without a unit", 2, ("speed.allowed_lateness", "3h"), {"speed.allowed_lateness": 3}),
    Case("an unknown time zone", 2, ("pipeline.timezone",), {"pipeline.timezone": "Mars/Base"}),
    Case("brokers as a URL", 2, ("kafka.brokers", "host:port"), {"kafka.brokers": "http://k:9092"}),
    Case("a broker without a port", 2, ("kafka.brokers", "host:port"), {"kafka.brokers": "k"}),
    Case("a store of another kind", 2, ("lake.uri", "s3://"), {"lake.uri": "gs://bucket"}),
    Case(
        "days that close while windows are open", 2, ("batch.close_after", "3h30s"), {"batch.close_after": "1h"}
    ),
    Case("an S3 lake without credentials", 2, ("access_key_id", "lake.uri"), {"lake.uri": "s3://bucket"}),
    Case(
        "`http://` without `allow_http`",
        2,
        ("lake.storage.endpoint", "allow_http"),
        {"lake.storage.endpoint": "http://h:1", "lake.storage.allow_http": "false"},
        on_minio=True,
    ),
    Case("an unknown storage option", 2, ("lake.storage.acess_key",), {"lake.storage.acess_key": "x"}, on_minio=True),
    # ---- Kafka
    Case("a broker that nobody runs", words=("kafka.brokers", "refused"), settings={"kafka.brokers": NOBODY}, **WAITS),
    Case(
        "the same with `--until-end`",
        3,
        ("kafka.brokers", "refused"),
        {"kafka.brokers": NOBODY, **ENDS_SOON},
    ),
    Case(
        "a broker's host that does not exist",
        words=("kafka.brokers", "broker.example", "not known"),
        settings={"kafka.brokers": "broker.example:9092"},
        refused=("getaddrinfo", 0),
        **WAITS,
    ),
    Case(
        "the same with `--until-end`",
        3,
        ("kafka.brokers", "broker.example", "not known"),
        {"kafka.brokers": "broker.example:9092", **ENDS_SOON},
        refused=("getaddrinfo", 0),
    ),
    Case("a topic that does not exist", words=("kafka.topic",), settings={"kafka.topic": "no-such-topic"}, **WAITS),
    Case("the same with `--until-end`", 3, ("kafka.topic",), {"kafka.topic": "no-such-topic"}),
    Case(
        "TLS to a broker without it",
        words=("kafka.brokers", "SSL"),
        settings={"kafka.properties.security.protocol": "SSL"},
        **WAITS,
    ),
    Case(
        "a password for a broker that wants none",
        words=("kafka.brokers", "SASL"),
        settings={
            "kafka.properties.security.protocol": "SASL_PLAINTEXT",
            "kafka.properties.sasl.mechanism": "PLAIN",
            "kafka.properties.sasl.username": "u",
            "kafka.properties.sasl.password": "hunter2",
        },
        **WAITS,
    ),
    Case("an unknown property of librdkafka", 2, ("no.such.property",), {"kafka.properties.no.such.property": "1"}),
    Case(
        "a value that librdkafka refuses", 2, ("session.timeout.ms", "soon"), {"kafka.properties.session.timeout.ms": "soon"}
    ),
    Case("two properties that exclude each other", 2, ("fetch.max.bytes", "100"), {"kafka.properties.fetch.max.bytes": 100}),
    Case(
        "an authority's file that is missing",
        2,
        ("ssl.ca.location", "/no/ca.pem"),
        {"kafka.properties.security.protocol": "SSL", "kafka.properties.ssl.ca.location": "/no/ca.pem"},
    ),
    Case(
        "SASL without a user",
        2,
        ("sasl.username",),
        {
            "kafka.properties.security.protocol": "SASL_PLAINTEXT",
            "kafka.properties.sasl.mechanism": "SCRAM-SHA-512",
        },
    ),
    # ---- MinIO
    Case(
        "the wrong secret", 2, ("lake.storage.secret_access_key",), {"lake.storage.secret_access_key": "x"}, on_minio=True
    ),
    Case("an unknown key", 2, ("lake.storage.access_key_id",), {"lake.storage.access_key_id": "x"}, on_minio=True),
    Case("a bucket that does not exist", 2, ("lake.uri",), {"lake.uri": "s3://no-such-bucket/lake"}, on_minio=True),
    Case("`https://` for a store without TLS", 2, ("http://", "endpoint"), on_minio=True, prepare=minio_by_https),
    Case(
        "a store that nobody runs",
        3,
        ("lake.storage.endpoint", "refused"),
        {"lake.storage.endpoint": f"http://{NOBODY}"},
        on_minio=True,
    ),
    Case(
        "a store's host that does not exist",
        2,
        ("lake.storage.endpoint", "not known"),
        {"lake.storage.endpoint": "http://store.example", "kafka.brokers": "127.0.0.1:1"},
        on_minio=True,
        refused=("getaddrinfo", 0),
    ),
    # ---- other stores
    Case("a store without conditional puts (501)", 2, ("If-None-Match",), store=refuses_condition(501, "NotImplemented")),
    Case("a store without conditional puts (400)", 2, ("If-None-Match",), store=refuses_condition(400, "InvalidArgument")),
    Case("a store that ignores conditional puts", 2, ("If-None-Match", "lake.uri"), store=ignores_condition),
    Case(
        "another region (301)",
        2,
        ("lake.storage.region", "eu-west-1"),
        store=always(301, "PermanentRedirect", "use the endpoint", {"x-amz-bucket-region": "eu-west-1"}),
    ),
    Case(
        "another region (400)",
        2,
        ("lake.storage.region", "eu-west-1"),
        store=always(400, "AuthorizationHeaderMalformed", "the region is wrong; expecting 'eu-west-1'", more=REGION),
    ),
    Case(
        "no region",
        2,
        ("lake.storage.region", "eu-west-1"),
        without=("lake.storage.region",),
        store=always(400, "AuthorizationHeaderMalformed", "the region is wrong; expecting 'eu-west-1'", more=REGION),
    ),
    Case("an expired token", 2, ("session_token",), store=always(400, "ExpiredToken", "The provided token has expired.")),
    Case("a clock that is wrong", 2, ("clock",), store=always(403, "RequestTimeTooSkewed", "the difference is too large")),
    Case("a server that is no S3 store", 2, ("lake.storage.endpoint",), store=is_no_store),
    Case(
        "rights that are missing",
        2,
        ("lake.storage", "read, write, list and delete"),
        store=always(403, "AccessDenied", "Access Denied"),
    ),
    Case("a certificate that is not trusted", 2, ("SSL_CERT_FILE",), on_minio=True, prepare=tls_store),
    Case(
        "`http://` for a store with TLS", 3, ("http:// and https://",), on_minio=True, prepare=tls_store_by_http
    ),
    # ---- folders
    Case("a folder below a file", 2, ("lake.uri", "folder"), prepare=a_file_for_a_folder),
    Case("a folder without hard links (ENOSYS)", 2, ("hard links", "lake.uri"), **local("link", "ENOSYS")),
    Case("a folder without hard links (EPERM)", 2, ("hard links", "lake.uri"), **local("link", "EPERM")),
    Case("a folder without hard links (EOPNOTSUPP)", 2, ("hard links", "lake.uri"), **local("link", "EOPNOTSUPP")),
    Case("a folder that may not be written (EACCES)", 2, ("lake.uri", "right to write"), **local("create", "EACCES")),
    Case("a folder that is mounted read-only (EROFS)", 2, ("lake.uri", "read-only"), **local("create", "EROFS")),
    Case("a folder that can't be made (EACCES)", 2, ("lake.uri", "may write"), **local("mkdir", "EACCES")),
]


@contextlib.contextmanager
def settings_of(case, workspace, stack):
    """The settings of a case, on a lake of its own."""
    settings = dict(workspace.settings)
    if case.on_minio or case.store:
        settings |= {"lake.uri": f"s3://lake/{workspace.folder.name}"}
        settings |= {f"lake.storage.{name}": value for name, value in stack.storage.items()}
    with contextlib.ExitStack() as open_until_end:
        if case.store:
            store = open_until_end.enter_context(fake_store.fake_store(case.store))
            settings["lake.storage.endpoint"] = store.endpoint
        if case.prepare:
            settings |= open_until_end.enter_context(case.prepare(workspace, stack))
        settings |= case.settings
        yield {key: value for key, value in settings.items() if key not in case.without}


def environment_of(case, library, folder):
    """The variables by which a call of the system fails."""
    if not case.refused:
        return {}
    call, error = case.refused
    return {
        "LD_PRELOAD": str(library),
        "REFUSE_CALL": call,
        "REFUSE_ERROR": str(error),
        "REFUSE_UNDER": os.path.realpath(folder),
    }
