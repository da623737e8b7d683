"""The HTTP interface against the oracle: provisional rows merged over partitions, final rows, errors, metrics.

The cameras' rows are checked window by window; errors of clients are answered with problem details.
"""

import pytest
import requests

from harness import checks, oracle
from harness.data import at, event, rfc3339, traffic
from harness.lakehouse import free_port, until
from harness.rest import FROM, TO, Client, all_final, compare, merged_figures, metrics, serving, shows

DAY = checks.day("2025-04-05")
DECEMBER = {"from": "2025-12-01T00:00:00Z", "to": "2025-12-02T00:00:00Z", "interval": "5m"}


@pytest.fixture(scope="module")
def served(workspaces):
    """Landed traffic with limits, served; and the oracle's rows."""
    limits = {"speed_limits__default_kmh": 70, "speed_limits__cameras.KV00001": 62.5}
    with workspaces.make("serving", **limits) as workspace:
        workspace.topic.send(traffic(21, DAY, days=2, events=6000))
        workspace.land()
        with serving(workspace) as client:
            yield workspace, client, workspace.expected()


def test_provisional_windows_are_merged_over_partitions(served):
    workspace, client, expected = served
    compare(client, merged_figures(expected.events, workspace.rules), "provisional", 0.5)


def test_windows_that_start_in_the_span_are_given_and_no_others(served):
    _, client, _ = served
    all_of_them = client.windows("KV00001", "5m")
    starts = sorted(all_of_them)
    first, last = starts[3], starts[9]
    assert sorted(client.windows("KV00001", "5m", rfc3339(first), rfc3339(last))) == starts[3:9]
    assert sorted(client.windows("KV00001", "5m", rfc3339(first + 1), rfc3339(last + 1))) == starts[4:10]
    moscow = (rfc3339(first, 180), rfc3339(last, 180))
    assert client.windows("KV00001", "5m", *moscow) == {start: all_of_them[start] for start in starts[3:9]}


def test_dates_are_the_pipelines_days(served):
    workspace, client, _ = served
    first, end = map(rfc3339, oracle.day_span(DAY, workspace.rules.zone))
    spans = {"dates": ("2025-04-05", "2025-04-06"), "instants": (first, end)}
    given = {
        name: client.get("/kvfv/KV00001/avg-speed", **{"from": start, "to": end, "interval": "5m"}).json()
        for name, (start, end) in spans.items()
    }
    assert given["dates"]["windows"] and given["dates"] == given["instants"]


@pytest.mark.parametrize(
    "span",
    [
        (DECEMBER["from"], DECEMBER["to"]),
        ("0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z"),
        ("9999-12-30T00:00:00Z", "9999-12-31T23:59:59Z"),
    ],
)
def test_a_known_camera_without_windows_has_an_empty_list(served, span):
    _, client, _ = served
    answer = client.get("/kvfv/KV00001/avg-speed", **{"from": span[0], "to": span[1], "interval": "1h"})
    assert (answer.status_code, answer.json()["windows"]) == (200, [])


def problem(answer, status, *named):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].split(";")[0] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status and body["title"] and body["type"]
    for word in named:
        assert word in answer.text, f"{word!r} is not in {answer.text}"


BAD_PARAMETERS = {
    "from_missing": ({"from": None}, "from"),
    "to_missing": ({"to": None}, "to"),
    "interval_missing": ({"interval": None}, "interval"),
    "interval_unknown": ({"interval": "10m"}, "24h"),
    "interval_in_capitals": ({"interval": "1H"}, "1h"),
    "unknown_parameter": ({"limit": "5"}, "limit"),
    "from_malformed": ({"from": "yesterday"}, "yesterday"),
    "from_without_offset": ({"from": "2025-04-05T00:00:00"}, "RFC 3339"),
    "from_no_day_of_the_calendar": ({"from": "2025-04-31"}, "RFC 3339"),
    "from_repeated": ({"from": [FROM, FROM]}, "from"),
    "interval_repeated": ({"interval": ["5m", "5m"]}, "interval"),
    "to_equals_from": ({"to": DECEMBER["from"]}, "to"),
    "to_before_from": ({"to": "2025-11-30T00:00:00Z"}, "to"),
    "a_span_of_too_many_windows": ({"to": "2026-02-01T00:00:00Z"}, "10000"),
    "empty_from": ({"from": ""}, "from"),
}


@pytest.mark.parametrize("name", BAD_PARAMETERS)
def test_bad_parameters_are_problems_that_say_what_was_expected(served, name):
    _, client, _ = served
    change, word = BAD_PARAMETERS[name]
    problem(client.get("/kvfv/KV00001/avg-speed", **(DECEMBER | change)), 400, word)


def test_a_span_of_exactly_the_greatest_number_of_windows_is_answered(served):
    _, client, _ = served
    for extra, status in ((0, 200), (1, 400)):
        end = at("2025-12-01T00:00:00+00:00") + 10_000 * 5 * oracle.MINUTE_US + extra
        assert client.get("/kvfv/KV00001/avg-speed", **(DECEMBER | {"to": rfc3339(end)})).status_code == status


@pytest.mark.parametrize("camera", ["KV99999", "kv00001", "KV00001%20", "%F0%9F%9A%97"])
def test_an_unknown_camera_is_404(served, camera):
    _, client, _ = served
    problem(client.get(f"/kvfv/{camera}/avg-speed", **DECEMBER), 404)


@pytest.mark.parametrize("path", ["/nothing", "/kvfv/KV00001", "/kvfv/KV00001/avg-speed/x", "/kvfv/"])
def test_an_unknown_path_is_404(served, path):
    _, client, _ = served
    problem(client.get(path), 404)


def test_bad_parameters_come_before_an_unknown_camera(served):
    _, client, _ = served
    problem(client.get("/kvfv/KV99999/avg-speed", interval="5m"), 400)


def test_other_methods_are_refused(served):
    _, client, _ = served
    answer = requests.post(client.address + "/kvfv/KV00001/avg-speed", params=DECEMBER, timeout=10)
    problem(answer, 405)


def test_the_list_of_cameras_names_each_with_its_latest_window(served):
    _, client, expected = served
    text = client.get("/kvfv").text
    for camera in {e.camera for e in expected.events}:
        assert f'"{camera}"' in text
    latest = max(e.time_us for e in expected.events if not e.late and e.camera == "KV00001")
    start, _ = oracle.window("5m", latest, "UTC")
    assert rfc3339(start)[:16] in text


def test_health_description_and_dashboard(served):
    _, client, _ = served
    assert client.get("/health/live").status_code == client.get("/health/ready").status_code == 200
    description = client.get("/openapi.json").json()
    assert description["openapi"].startswith("3.") and "/kvfv/{id}/avg-speed" in description["paths"]
    page = client.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")


def test_the_server_counts_what_it_does(served):
    _, client, _ = served
    client.windows("KV00001", "5m")
    answer = client.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
    names = metrics(answer.text)
    assert any("requests" in name and value > 0 for name, value in names.items()), answer.text
    assert all(name.startswith("lambdalake_") for name in names), answer.text


def test_cameras_of_odd_names_are_served(workspaces):
    cameras = ["..a", "a/b", "a%2Fb", "КВ 1", "🚗", "a?b&c=d#e", '"', " ", "a+b", "...", "x" * 128]
    noon = at("2025-04-05T12:00:00+00:00")
    with workspaces.make("odd", partitions=1) as workspace:
        workspace.topic.send([event(camera, noon, 10 + n) for n, camera in enumerate(cameras)])
        workspace.land()
        with serving(workspace) as client:
            averages = {camera: [w["avg_speed"] for w in client.windows(camera, "24h").values()] for camera in cameras}
            assert averages == {camera: [10.0 + n] for n, camera in enumerate(cameras)}
            listed = client.get("/kvfv").text
            assert "КВ 1" in listed or "\\u041a" in listed


def test_a_lake_without_tables_is_served_and_filled_later(workspaces):
    """The server may be started first."""
    noon = at("2025-04-05T12:00:00+00:00")
    with workspaces.make("early", partitions=1) as workspace:
        address = f"127.0.0.1:{free_port()}"
        program = workspace.start(
            "serving", "run", LAKEHOUSE__SERVING__LISTEN=address, LAKEHOUSE__SERVING__REFRESH_INTERVAL="50ms"
        )
        client = Client(address, program)
        until(client.answers, "the server is up")
        workspace.topic.send([event("KV1", noon)])
        workspace.land()
        until(
            lambda: (
                client.get("/kvfv/KV1/avg-speed", **(DECEMBER | {"from": FROM, "to": TO, "interval": "1h"})).status_code
                == 200
            ),
            "the camera is known",
        )
        assert len(client.windows("KV1", "5m")) == 1
        assert program.terminate() == 0


def test_while_the_store_is_away_the_server_lives_and_is_not_ready(workspaces):
    away = {
        "lake__storage.endpoint": "http://127.0.0.1:1",
        "lake__retry_timeout": "200ms",
        "lake__request_timeout": "200ms",
    }
    with workspaces.make("away", store="minio", partitions=1, **away) as workspace:
        address = f"127.0.0.1:{free_port()}"
        program = workspace.start("serving", "run", LAKEHOUSE__SERVING__LISTEN=address)
        client = Client(address, program)
        until(client.answers, "the server is up")
        problem(client.get("/health/ready"), 503)
        problem(client.get("/kvfv/KV1/avg-speed", **DECEMBER), 503)
        assert client.get("/health/live").status_code == 200
        assert program.terminate() == 0


@pytest.mark.parametrize("store", ["disk", "minio"])
def test_what_changes_is_seen_without_a_restart(workspaces, store):
    """New events, then final rows with late events counted and duplicates not."""
    with workspaces.make("fresh", store=store) as workspace:
        messages = traffic(22, DAY, days=2, events=1500)
        workspace.topic.send(messages[:700])
        workspace.land()
        with serving(workspace) as client:
            compare(client, merged_figures(workspace.expected().events, workspace.rules), "provisional", 0.5)
            workspace.topic.send(messages[700:])
            workspace.land()
            expected = workspace.expected()
            wanted = merged_figures(expected.events, workspace.rules)
            until(lambda: shows(client, wanted), "the server shows what landed")
            compare(client, wanted, "provisional", 0.5)
            workspace.batch("nightly")
            wanted = oracle.final(expected.events, workspace.rules)
            until(lambda: all_final(client, wanted), "the server shows final rows")
            compare(client, wanted, "final", 0)
