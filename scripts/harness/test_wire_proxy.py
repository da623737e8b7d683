"""The proxy that flips bits, before a broker that answers every request with the same bytes."""

import asyncio
import random
import socket
import struct
import threading

import pytest

from harness import wire_proxy
from harness.cluster import WireProxy

RECORDS = bytes(range(200))
FETCH, METADATA = 1, 3


def batch(records=RECORDS):
    """A record batch whose CRC is right."""
    covered = bytes(40) + records
    return wire_proxy.BATCH_HEAD.pack(7, len(covered) + 9, 2, 2, wire_proxy.crc32c(covered)) + covered


ANSWER = b"\x02 what stands before a batch \x02" + batch() + batch() + b"\x02 and behind it"


def test_the_checksum_is_that_of_the_castagnoli_polynomial():
    assert wire_proxy.crc32c(b"123456789") == 0xE3069283


def test_a_batch_is_found_by_its_checksum():
    start = ANSWER.index(batch())
    assert wire_proxy.first_batch(ANSWER) == range(start + wire_proxy.BATCH_HEAD.size, start + len(batch()))
    assert wire_proxy.first_batch(ANSWER[: start + len(batch()) - 1]) is None
    assert wire_proxy.first_batch(b"") is None


@pytest.mark.parametrize("seed", range(20))
def test_one_bit_of_a_batch_is_flipped_and_its_checksum_shows_it(seed):
    altered = wire_proxy.Door(0, random.Random(seed)).alter(bytearray(ANSWER))
    differing = [(a ^ b).bit_count() for a, b in zip(altered, ANSWER, strict=True) if a != b]
    assert differing == [1]
    # The checksum of the first batch is wrong now, so the second one is found.
    assert wire_proxy.first_batch(altered).stop == wire_proxy.first_batch(ANSWER).stop + len(batch())


class Broker:
    """Answers each request with its number and ANSWER."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True).start()

    async def serve(self):
        async with await asyncio.start_server(self.answer, sock=self.listener) as server:
            await server.serve_forever()

    async def answer(self, reader, writer):
        try:
            while True:
                size, _, _, number = struct.unpack(">ihhi", await reader.readexactly(12))
                await reader.readexactly(size - 8)
                writer.write(struct.pack(">ii", len(ANSWER) + 4, number) + ANSWER)
        except asyncio.IncompleteReadError:
            writer.close()


class Client:
    """A connection that asks and reads whole answers."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.stream = self.socket.makefile("rb")
        self.number = 0

    def ask(self, api):
        self.number += 1
        self.socket.sendall(struct.pack(">ihhi", 8 + 100, api, 4, self.number) + bytes(100))
        size, number = struct.unpack(">ii", self.stream.read(8))
        assert number == self.number
        return self.stream.read(size - 4)


@pytest.fixture
def proxy():
    started = WireProxy([(0, Broker().port)], seed=1)
    yield started
    if started.process.poll() is None:
        started.close()


def test_only_responses_to_fetches_are_altered_and_only_as_many_as_were_wished(proxy):
    client = Client(proxy.ports[0])
    assert client.ask(FETCH) == ANSWER
    proxy.flip(0, times=2)
    assert [client.ask(api) == ANSWER for api in (METADATA, FETCH, METADATA, FETCH, FETCH)] == [1, 0, 1, 0, 1]
    counts = {"altered": [2], "fetched_bytes": [4 * len(ANSWER)]}
    assert proxy.counts() == counts
    client.ask(METADATA)
    proxy.close()
    assert proxy.counts() == counts, "a report is written when the proxy has ended"


def test_only_a_share_of_the_connections_is_altered_always_the_same_ones(proxy):
    clients = [Client(proxy.ports[0]) for _ in range(40)]
    assert all(client.ask(FETCH) == ANSWER for client in clients)
    proxy.flip(0, share=0.5)
    struck = [[client.ask(FETCH) != ANSWER for client in clients] for _ in range(2)]
    assert struck[0] == struck[1] and 5 < sum(struck[0]) < 35
    proxy.stop_flipping(0)
    assert all(client.ask(FETCH) == ANSWER for client in clients)
