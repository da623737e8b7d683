"""A client of the running server, which compares its responses with the oracle, window by window."""

import contextlib
import urllib.parse

import requests

from harness import oracle
from harness.lakehouse import free_port, until

FROM, TO = "2025-04-05T00:00:00Z", "2025-04-07T00:00:00Z"


class Client:
    """A running server."""

    def __init__(self, address, program):
        self.address, self.program = f"http://{address}", program

    def get(self, path, **parameters):
        return requests.get(self.address + path, params=parameters, timeout=10)

    def answers(self):
        """Whether the program, which must be running, accepts connections."""
        assert self.program.is_running(), self.program.tail()
        with contextlib.suppress(requests.ConnectionError):
            return self.get("/health/live").status_code == 200
        return False

    def is_ready(self):
        """Whether it is ready to serve."""
        return self.answers() and self.get("/health/ready").status_code == 200

    def windows(self, camera, interval, start=FROM, end=TO):
        """The windows of a camera by their start, with their figures as received."""
        path = f"/kvfv/{urllib.parse.quote(camera, safe='')}/avg-speed"
        answer = self.get(path, **{"from": start, "to": end, "interval": interval})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert set(body) == {"kvfv_id", "interval", "from", "to", "windows"}
        assert (body["kvfv_id"], body["interval"]) == (camera, interval)
        assert [oracle.event_time(body[name]) for name in ("from", "to")] == [
            oracle.event_time(start),
            oracle.event_time(end),
        ]
        starts = [oracle.event_time(window["window_start"]) for window in body["windows"]]
        assert starts == sorted(set(starts)), "windows ascend"
        return dict(zip(starts, body["windows"]))


@contextlib.contextmanager
def serving(workspace, **variables):
    """A server on the workspace's lake, ready, and terminated cleanly at the end."""
    address = f"127.0.0.1:{free_port()}"
    settings = {"LAKEHOUSE__SERVING__LISTEN": address, "LAKEHOUSE__SERVING__REFRESH_INTERVAL": "50ms"}
    program = workspace.start("serving", "run", **settings, **variables)
    client = Client(address, program)

    until(client.is_ready, "the server is ready")
    yield client
    assert program.terminate() == 0, program.tail()


def compare(client, wanted, status, tolerance_kmh, *span):
    """Asserts that every camera has exactly these windows; `wanted` maps (camera, size, start) to exact figures."""
    for camera in {key[0] for key in wanted}:
        for size in oracle.SIZES:
            got = client.windows(camera, size, *span)
            figures = {key[2]: row for key, row in wanted.items() if key[:2] == (camera, size)}
            assert sorted(got) == sorted(figures)
            for start, row in figures.items():
                compare_window(got[start], row, status, tolerance_kmh)


def compare_window(got, row, status, tolerance_kmh):
    names = {
        "window_start",
        "window_end",
        "avg_speed",
        "count",
        "min",
        "max",
        "p50",
        "p85",
        "p95",
        "over_limit",
        "status",
    }
    assert set(got) == names
    exact = (
        got["avg_speed"],
        got["count"],
        got["min"],
        got["max"],
        got["over_limit"],
        got["status"],
        oracle.event_time(got["window_end"]),
    )
    assert exact == (
        row.average_kmh,
        row.count,
        row.minimum / 1000,
        row.maximum / 1000,
        row.over_limit,
        status,
        row.window_end_us,
    )
    for name in ("p50", "p85", "p95"):
        assert abs(got[name] - getattr(row, name) / 1000) <= tolerance_kmh, (name, got, row)


def merged_figures(events, rules):
    """The figures of all not-late events per window, whatever their partition, duplicates counted."""
    return oracle.per_window([e for e in events if not e.late], rules)


def shows(client, wanted):
    """Whether the windows of a day have the expected counts, for every camera."""
    days = [(key, row) for key, row in wanted.items() if key[1] == "24h"]
    return all(client.windows(key[0], "24h").get(key[2], {}).get("count") == row.count for key, row in days)


def all_final(client, wanted, *span):
    """Whether every camera's days are final."""
    cameras = {key[0] for key in wanted}
    return all(w["status"] == "final" for camera in cameras for w in client.windows(camera, "24h", *span).values())


def metrics(text):
    """The samples of a Prometheus page: name with labels to value."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}
