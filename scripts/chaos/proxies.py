"""The connections of programs to the servers, and the faults that these can have.

    program of slot n ──▶ Toxiproxy kafka-n ──▶ the broker's listener n
                      ──▶ Toxiproxy store-n ──▶ door n of store_proxy.py ──▶ MinIO

Every slot has its own connections, so one instance can be cut off while another takes over its partitions. The harness
itself connects to the servers directly.
"""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from harness.lakehouse import free_port, until

HERE = Path(__file__).resolve().parent
PATIENCE_S = 20
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Way:
    """A slot's ports for the two servers."""

    slot: int
    kafka_port: int
    store_port: int

    @property
    def variables(self):
        """The settings that make a program of the product use these ports."""
        return {
            "LAKEHOUSE__KAFKA__BROKERS": f"127.0.0.1:{self.kafka_port}",
            "LAKEHOUSE__LAKE__STORAGE__ENDPOINT": f"http://127.0.0.1:{self.store_port}",
        }


class Proxies:
    """Toxiproxy and the store's proxy, started for a stack that was made with STACK_PROXIES."""

    def __init__(self, toxiproxy, stack_folder, slots, seed, log_folder):
        stack = Path(stack_folder)
        self.processes = []
        self.doors = self._start_store_proxy(port_in(stack / "minio" / "port"), slots, seed, log_folder)
        self.api = self._start_toxiproxy(toxiproxy, log_folder)
        self.ways = [self._make_way(stack, slot) for slot in range(slots)]
        self.counts = {}
        self.toxics = 0

    def _start_store_proxy(self, store_port, slots, seed, log_folder):
        command = [sys.executable, HERE / "store_proxy.py", str(store_port), str(slots), str(seed)]
        self.store_proxy = self._start(command, log_folder / "store-proxy.log", stdin=subprocess.PIPE)
        return json.loads(self.store_proxy.stdout.readline())

    def _start_toxiproxy(self, toxiproxy, log_folder):
        port = free_port()
        self._start([toxiproxy, "-host", "127.0.0.1", "-port", str(port)], log_folder / "toxiproxy.log")
        self.api = f"http://127.0.0.1:{port}"
        until(lambda: self._answers(), "Toxiproxy answers")
        return self.api

    def _start(self, command, log, stdin=subprocess.DEVNULL):
        stdout = subprocess.PIPE if stdin == subprocess.PIPE else log.open("wb")
        process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=log.open("ab"))
        self.processes.append(process)
        return process

    def _answers(self):
        try:
            return self.ask("GET", "/version") is not None
        except urllib.error.URLError:
            return False

    def _make_way(self, stack, slot):
        """The two proxies of a slot, on the ports that the stack has kept free for them."""
        number = slot + 1
        way = Way(
            slot, port_in(stack / "kafka" / f"proxy-{number}-port"), port_in(stack / "minio" / f"proxy-{number}-port")
        )
        broker = port_in(stack / "kafka" / f"proxied-{number}-port")
        for name, listen, to in (("kafka", way.kafka_port, broker), ("store", way.store_port, self.doors[slot])):
            body = {
                "name": f"{name}-{slot}",
                "listen": f"127.0.0.1:{listen}",
                "upstream": f"127.0.0.1:{to}",
                "enabled": True,
            }
            self.ask("POST", "/proxies", body)
        return way

    # -- faults

    def cut(self, proxy):
        """Closes all connections, and accepts no new ones."""
        self.ask("POST", f"/proxies/{proxy}", {"enabled": False})

    def poison(self, proxy, toxic, streams, attributes):
        """Adds a toxic of Toxiproxy in these directions (upstream, downstream), beside others of its kind."""
        for stream in streams:
            self.toxics += 1
            body = {"name": f"{toxic}-{self.toxics}", "type": toxic, "stream": stream, "attributes": attributes}
            self.ask("POST", f"/proxies/{proxy}/toxics", body)

    def cure(self, proxy):
        """Removes all faults. Connections are opened again: some toxics end only with their connection."""
        for toxic in self.ask("GET", f"/proxies/{proxy}")["toxics"]:
            self.ask("DELETE", f"/proxies/{proxy}/toxics/{toxic['name']}")
        self.ask("POST", f"/proxies/{proxy}", {"enabled": False})
        self.ask("POST", f"/proxies/{proxy}", {"enabled": True})

    def answer_falsely(self, door, **shares):
        """Sets the shares of a door of the store's proxy: refuse, lose, late; nothing means none."""
        wish = {"door": door, "refuse": 0, "lose": 0, "late": 0} | shares
        self.store_proxy.stdin.write(json.dumps(wish).encode() + b"\n")
        self.store_proxy.stdin.flush()
        self.counts = json.loads(self.store_proxy.stdout.readline())

    def ask(self, method, path, body=None):
        """A request to Toxiproxy; its response."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.api + path, data, {"Content-Type": "application/json"}, method=method)
        with DIRECT.open(request, timeout=PATIENCE_S) as answer:
            return json.loads(answer.read() or b"{}")

    def close(self):
        """Ends both processes."""
        for process in self.processes:
            process.kill()
            process.wait()


def port_in(file):
    """The port that a file of the stack names."""
    return int(file.read_text())
