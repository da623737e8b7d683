"""A store as it is: a proxy before MinIO that adds the times of S3, and counts who asks it for what.

    with store_proxy(bed, ("speed-layer", "serving")) as proxy:
        command, environment = bed.speed_layer(topic, proxy.lake(lake, "speed-layer"))
        ...
        proxy.counts().requests("speed-layer")   # {"PUT": 40, "GET": 3}

Any measurement can let its programs, or those of others, go through it: each client has an address of its own. What reads
the lake without being measured goes to the store directly.
"""

import contextlib
import json
import subprocess
import urllib.request
from collections import Counter

from bench import process
from bench.bed import binary, fail
from harness.readers import Lake

COUNTING_LIMIT_S = 30


class Counts(Counter):
    """Numbers by client, kind of request and what is counted: requests, bytes_up, bytes_down, unanswered, or answers of a
    class of statuses, such as 2xx. Differences of two are counts again."""

    @classmethod
    def of(cls, report):
        """Those of the proxy's report."""
        counts = cls()
        for client, kinds in report["clients"].items():
            for kind, passed in kinds.items():
                numbers = passed | passed["answers"]
                del numbers["answers"]
                counts.update({(client, kind, what): number for what, number in numbers.items()})
        return counts

    def __sub__(self, other):
        return Counts(super().__sub__(other))

    def requests(self, client):
        """The number of requests of a client by kind."""
        return {kind: number for (who, kind, what), number in self.items() if (who, what) == (client, "requests")}

    def total(self, what, client=None, kinds=None):
        """The sum over kinds, or over some of them, for a client or for all."""
        return sum(
            number
            for (who, kind, counted), number in self.items()
            if counted == what and client in (None, who) and (kinds is None or kind in kinds)
        )


class StoreProxy:
    """A running proxy."""

    def __init__(self, running, addresses):
        self.running, self.addresses = running, addresses

    def lake(self, lake, client):
        """A lake on MinIO as a client finds it, through the proxy."""
        return Lake(lake.uri, lake.storage | {"endpoint": f"http://{self.addresses['clients'][client]}"})

    def counts(self):
        """What has passed since the start."""
        if not self.running.is_running():
            fail(f"the store-proxy ended:\n{self.running.tail()}")
        with urllib.request.urlopen(f"http://{self.addresses['admin']}/counts", timeout=COUNTING_LIMIT_S) as answer:
            return Counts.of(json.load(answer))


@contextlib.contextmanager
def store_proxy(bed, clients, delays=None, limit_s=process.LIMIT_S):
    """A proxy before the bed's MinIO for these clients, for so long at most. `delays` replaces the times of some kinds, such
    as {"list": "1s"}; the others are those of S3."""
    command = [binary("store-proxy"), "--to", bed.stack.storage["endpoint"]]
    command += [f"--client={client}=127.0.0.1:0" for client in clients]
    command += [f"--delay={kind}={delay}" for kind, delay in (delays or {}).items()]
    running = process.start(command, None, bed.folder / bed.new_name("store-proxy"), stdout=subprocess.PIPE, limit_s=limit_s)
    line = running.process.stdout.readline()
    if not line:
        running.wait()
        fail(f"the store-proxy printed no addresses:\n{running.tail()}")
    proxy = StoreProxy(running, json.loads(line))
    yield proxy
    running.stop()
    running.wait()
