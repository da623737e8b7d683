"""A TCP proxy in front of brokers that flips bits in the records that they deliver. It is a separate process.

    python wire_proxy.py SEED LISTEN:TO...

It listens on each port LISTEN (0: a free one), passes connections on to the port TO, and prints the ports as a line of
JSON. Each line of JSON on its standard input then configures one of these doors, or none if it is {}; the answer is a
line of counts, a value for each door. It ends when its input ends, so it never outlives the process that started it:

    {"door": 0, "share": 0.5, "times": 3}

`share` is the share of connections whose Fetch responses are altered, which also holds for those that are open already;
`times` is how many responses are altered at most, null for no limit. Of such a response, one bit of the first record
batch is flipped, among those that the batch's CRC covers. All lengths stay the same, so nothing but that CRC can show it.

Kafka's messages begin with their length. Of requests, the proxy reads the head, which says whether it is a Fetch; the
rest is passed on as it arrives, as are responses. Only responses to be altered are read whole, up to a limit.
"""

import asyncio
import json
import os
import random
import struct
import sys

CHUNK_BYTES = 64 << 10
LARGEST_ALTERED = 8 << 20  # larger responses are passed on as they are
FETCH = 1
# A record batch (version 2): base offset, length of what follows, leader epoch, magic, CRC of all that follows.
BATCH_HEAD = struct.Struct(">qiibI")
LEAST_LENGTH = 49  # of a batch without records
MAGIC_AT, LENGTH_COUNTS_FROM = 16, 12
MAGIC = b"\x02"


def crc_table():
    """CRC-32C (Castagnoli), reflected, a byte at a time."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC_TABLE = crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def first_batch(body):
    """The bytes of a response that the CRC of its first record batch covers, as a range; None if it holds no batch."""
    found = body.find(MAGIC, MAGIC_AT)
    while found >= 0:
        start = found - MAGIC_AT
        covered = start + BATCH_HEAD.size
        if covered <= len(body):
            _, length, _, _, crc = BATCH_HEAD.unpack_from(body, start)
            end = start + LENGTH_COUNTS_FROM + length
            if length >= LEAST_LENGTH and end <= len(body) and crc32c(memoryview(body)[covered:end]) == crc:
                return range(covered, end)
        found = body.find(MAGIC, found + 1)
    return None


class Door:
    """A port of the proxy."""

    def __init__(self, to_port, chance):
        self.to_port, self.chance = to_port, chance
        self.share, self.times = 0.0, None
        self.altered = self.fetched_bytes = 0

    async def serve(self, reader, writer):
        """A client's connection, which has one of ours to the broker; if one of the two ends, so does the other."""
        try:
            broker, to_broker = await asyncio.open_connection("127.0.0.1", self.to_port)
        except OSError:
            writer.close()
            return
        fetches, drawn = set(), self.chance.random()
        tasks = [
            asyncio.create_task(pass_requests(reader, to_broker, fetches)),
            asyncio.create_task(self.pass_responses(broker, writer, fetches, drawn)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for end in (writer, to_broker):
                end.close()

    async def pass_responses(self, reader, writer, fetches, drawn):
        while True:
            head = await reader.readexactly(8)
            size, number = struct.unpack(">ii", head)
            rest, is_fetch = size - 4, number in fetches
            fetches.discard(number)
            writer.write(head)
            if is_fetch:
                self.fetched_bytes += rest
            if is_fetch and drawn < self.share and self.times != 0 and rest <= LARGEST_ALTERED:
                writer.write(self.alter(bytearray(await reader.readexactly(rest))))
                await writer.drain()
            else:
                await pass_bytes(reader, writer, rest)

    def alter(self, body):
        """Flips a bit, if there is a batch."""
        if covered := first_batch(body):
            body[self.chance.choice(covered)] ^= 1 << self.chance.randrange(8)
            self.altered += 1
            self.times = self.times and self.times - 1
        return body


async def pass_requests(reader, writer, fetches):
    """Passes requests on, and remembers which of them are Fetch requests until their responses come."""
    while True:
        head = await reader.readexactly(12)
        size, api, _, number = struct.unpack(">ihhi", head)
        if api == FETCH:
            fetches.add(number)
        writer.write(head)
        await pass_bytes(reader, writer, size - 8)


async def pass_bytes(reader, writer, length):
    while length > 0:
        data = await reader.read(min(length, CHUNK_BYTES))
        if not data:
            raise ConnectionError("the connection ended in the middle of a message")
        writer.write(data)
        await writer.drain()
        length -= len(data)
    await writer.drain()


async def obey(doors):
    """Follows the lines on standard input to their end."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        if wish := json.loads(line):
            door = doors[wish["door"]]
            door.share, door.times = wish["share"], wish["times"]
        counts = {name: [getattr(door, name) for door in doors] for name in ("altered", "fetched_bytes")}
        print(json.dumps(counts), flush=True)


async def main(seed, *pairs):
    doors, ports = [], []
    for number, pair in enumerate(pairs):
        listen, to = map(int, pair.split(":"))
        door = Door(to, random.Random(f"{seed} {number}"))
        server = await asyncio.start_server(door.serve, "127.0.0.1", listen)
        doors.append((door, server))
        ports.append(server.sockets[0].getsockname()[1])
    print(json.dumps(ports), flush=True)
    await obey([door for door, _ in doors])
    os._exit(0)  # with all connections, whatever they are doing


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
