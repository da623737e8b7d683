"""The connections of programs to the servers, and the faults that these can have.

    program of slot n ──▶ Toxiproxy kafka-n ──▶ the broker's listener n
                      ──▶ Toxiproxy store-n ──▶ door n of store_proxy.py ──▶ MinIO

Every slot has its own connections, so one instance can be cut off while another takes over its partitions. The harness
itself connects to the servers directly. In a cluster, a slot has a Toxiproxy for each broker b, kafka-n-b, with a door of
harness/wire_proxy.py behind it; faults of kafka-n strike all of them.
"""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from harness.cluster import WireProxy
from harness.lakehouse import free_port, until

HERE = Path(__file__).resolve().parent
PATIENCE_S = 20
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Way:
    """A slot's ports for the servers. `rack` is where it fetches, if a replica there is in sync; None for the leader."""

    slot: int
    kafka_ports: tuple
    store_port: int
    rack: str | None = None

    @property
    def variables(self):
        """The settings that make a program of the product use these ports."""
        return {
            "LAKEHOUSE__KAFKA__BROKERS": ",".join(f"127.0.0.1:{port}" for port in self.kafka_ports),
            "LAKEHOUSE__LAKE__STORAGE__ENDPOINT": f"http://127.0.0.1:{self.store_port}",
            **({"LAKEHOUSE__KAFKA__PROPERTIES__CLIENT.RACK": self.rack} if self.rack else {}),
        }


class Proxies:
    """Toxiproxy and the store's proxy, started for a stack that was made with STACK_PROXIES."""

    def __init__(self, toxiproxy, stack_folder, slots, seed, log_folder, brokers=1):
        stack = Path(stack_folder)
        self.brokers = brokers
        self.processes = []
        self.members = {}  # by the name that faults use, the proxies that it stands for
        self.wire = self._start_wire_proxy(stack, slots, seed, log_folder) if brokers > 1 else None
        self.doors = self._start_store_proxy(port_in(stack / "minio" / "port"), slots, seed, log_folder)
        self.api = self._start_toxiproxy(toxiproxy, log_folder)
        self.ways = [self._make_way(stack, slot) for slot in range(slots)]
        self.counts = {}
        self.toxics = 0

    def _start_store_proxy(self, store_port, slots, seed, log_folder):
        command = [sys.executable, HERE / "store_proxy.py", str(store_port), str(slots), str(seed)]
        self.store_proxy = self._start(command, log_folder / "store-proxy.log", stdin=subprocess.PIPE)
        return json.loads(self.store_proxy.stdout.readline())

    def _start_wire_proxy(self, stack, slots, seed, log_folder):
        """A door for each slot and broker, in the order of `_wire_doors`."""
        folders = [stack / f"kafka-{broker}" for broker in range(1, self.brokers + 1)]
        to = [port_in(folder / f"proxied-{slot + 1}-port") for slot in range(slots) for folder in folders]
        return WireProxy([(0, port) for port in to], seed, (log_folder / "wire-proxy.log").open("wb"))

    def _wire_doors(self, slot):
        """The doors of the wire proxy for a slot, by broker."""
        return range(slot * self.brokers, (slot + 1) * self.brokers)

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
        """The proxies of a slot, on the ports that the stack has kept free for them."""
        number, store = slot + 1, f"store-{slot}"
        store_port = port_in(stack / "minio" / f"proxy-{number}-port")
        self._make_proxy(store, store, store_port, self.doors[slot])
        kafka_ports = []
        for broker in range(1, self.brokers + 1):
            folder = stack / (f"kafka-{broker}" if self.wire else "kafka")
            port, behind = port_in(folder / f"proxy-{number}-port"), port_in(folder / f"proxied-{number}-port")
            if self.wire:
                behind = self.wire.ports[self._wire_doors(slot)[broker - 1]]
            self._make_proxy(f"kafka-{slot}", f"kafka-{slot}-{broker}", port, behind)
            kafka_ports.append(port)
        # The first slot fetches from leaders; each other one from the replicas of a rack.
        return Way(slot, tuple(kafka_ports), store_port, f"rack-{slot % self.brokers + 1}" if self.wire and slot else None)

    def _make_proxy(self, stands_for, name, listen, to):
        body = {"name": name, "listen": f"127.0.0.1:{listen}", "upstream": f"127.0.0.1:{to}", "enabled": True}
        self.ask("POST", "/proxies", body)
        self.members.setdefault(stands_for, []).append(name)

    # -- faults

    def cut(self, proxy):
        """Closes all connections, and accepts no new ones."""
        for member in self.members[proxy]:
            self.ask("POST", f"/proxies/{member}", {"enabled": False})

    def poison(self, proxy, toxic, streams, attributes):
        """Adds a toxic of Toxiproxy in these directions (upstream, downstream), beside others of its kind."""
        for stream in streams:
            self.toxics += 1
            body = {"name": f"{toxic}-{self.toxics}", "type": toxic, "stream": stream, "attributes": attributes}
            for member in self.members[proxy]:
                self.ask("POST", f"/proxies/{member}/toxics", body)

    def cure(self, proxy):
        """Removes all faults. Connections are opened again: some toxics end only with their connection."""
        for member in self.members[proxy]:
            for toxic in self.ask("GET", f"/proxies/{member}")["toxics"]:
                self.ask("DELETE", f"/proxies/{member}/toxics/{toxic['name']}")
            self.ask("POST", f"/proxies/{member}", {"enabled": False})
            self.ask("POST", f"/proxies/{member}", {"enabled": True})

    def flip_bits(self, slot, times):
        """Alters so many responses of each broker to a slot."""
        for door in self._wire_doors(slot):
            self.wire.flip(door, times=times)

    def flipped(self, slot):
        """How many responses to a slot have been altered so far."""
        altered = self.wire.counts()["altered"]
        return sum(altered[door] for door in self._wire_doors(slot))

    def stop_flipping(self, slot):
        """Passes everything on as it is."""
        for door in self._wire_doors(slot):
            self.wire.stop_flipping(door)

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
        """Ends all processes."""
        for process in self.processes:
            process.kill()
            process.wait()
        if self.wire:
            self.wire.close()


def port_in(file):
    """The port that a file of the stack names."""
    return int(file.read_text())
