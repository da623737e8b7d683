"""An HTTP proxy in front of the object store that gives false responses on request. It is a separate process.

    python store_proxy.py STORE_PORT DOORS SEED

It opens DOORS ports and prints them as a line of JSON. Each line of JSON on its standard input then configures one of
them, and a line of counts is the answer. It ends when its input ends, so it never outlives the process that started it:

    {"door": 0, "refuse": 0.3, "lose": 0.0, "late": 0.0}

The three are the shares of requests that are refused with 503 without an effect, that are passed on with the response
discarded (half of these close the connection, half respond with 503), and that are refused with 503 but passed on some
time later. The last applies to requests that create something only if it is absent, as commits do: only those may be
concurrent.

A request is read whole before it is passed on; a response is passed on as it arrives. The host that clients signed is
kept.
"""

import asyncio
import json
import random
import sys
from collections import Counter

HEAD_BYTES = 64 << 10
CHUNK_BYTES = 64 << 10
LATEST_S = 4.0
SLOW_DOWN = (
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


class Door:
    """A port of the proxy, with the shares of requests that it treats badly."""

    def __init__(self, store_port, chance, counts):
        self.store_port, self.chance, self.counts = store_port, chance, counts
        self.shares = {"refuse": 0.0, "lose": 0.0, "late": 0.0}
        self.under_way = set()

    def verdict(self, head):
        """What happens to a request: pass, or the name of a share."""
        drawn = self.chance.random()
        for name, share in self.shares.items():
            if drawn < share and (name != "late" or b"\r\nif-none-match:" in head.lower()):
                return name
            drawn -= share
        return "pass"

    async def serve(self, reader, writer):
        """A client's connection, which has one of ours to the store."""
        store = None
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(length_of(head) or 0)
                verdict = self.verdict(head)
                self.counts[verdict] += 1
                if verdict in ("refuse", "late"):
                    if verdict == "late":
                        self.pass_on_later(head, body)
                    await refuse(writer)
                    continue
                store = store or await asyncio.open_connection("127.0.0.1", self.store_port, limit=HEAD_BYTES)
                answer_to = writer if verdict == "pass" else None
                await exchange(store, head, body, answer_to)
                if verdict == "lose" and self.chance.random() < 0.5:
                    await refuse(writer)
                elif verdict == "lose":
                    return
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # one end closed the connection; so does this one
        finally:
            for end in (writer, store and store[1]):
                if end:
                    end.close()

    def pass_on_later(self, head, body):
        task = asyncio.create_task(self.pass_on(head, body, self.chance.uniform(0.05, LATEST_S)))
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)

    async def pass_on(self, head, body, after_s):
        await asyncio.sleep(after_s)
        try:
            store = await asyncio.open_connection("127.0.0.1", self.store_port, limit=HEAD_BYTES)
            await exchange(store, head, body, None)
            store[1].close()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # the store is unavailable: then it never arrives


async def refuse(writer):
    head = f"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: {len(SLOW_DOWN)}\r\n\r\n"
    writer.write(head.encode() + SLOW_DOWN)
    await writer.drain()


async def exchange(store, head, body, writer):
    """Passes a request on, and the response back if there is a `writer`; otherwise reads it to its end."""
    reader, to_store = store
    to_store.write(head + body)
    await to_store.drain()
    answer = await reader.readuntil(b"\r\n\r\n")
    await give(writer, answer)
    status = int(answer.split(b" ", 2)[1])
    if head.startswith(b"HEAD ") or status in (204, 304) or status < 200:
        return
    length = length_of(answer)
    if length is None:
        await pass_chunks(reader, writer)
    else:
        await pass_bytes(reader, writer, length)


async def pass_bytes(reader, writer, length):
    while length > 0:
        data = await reader.read(min(length, CHUNK_BYTES))
        if not data:
            raise ConnectionError("the store closed the connection in the middle of a response")
        await give(writer, data)
        length -= len(data)


async def pass_chunks(reader, writer):
    """A body in HTTP/1.1 chunks."""
    size = -1
    while size != 0:
        line = await reader.readuntil(b"\r\n")
        await give(writer, line)
        size = int(line.split(b";")[0], 16)
        await pass_bytes(reader, writer, size + 2)


async def give(writer, data):
    if writer:
        writer.write(data)
        await writer.drain()


def length_of(head):
    """The length that a head gives for its body; None where it gives none."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return None


async def obey(doors, counts):
    """Follows the lines on standard input to their end."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        wish = json.loads(line)
        doors[wish.pop("door")].shares |= wish
        print(json.dumps(counts), flush=True)


async def main(store_port, number, seed):
    counts = Counter()
    doors = [Door(store_port, random.Random(f"{seed} {door}"), counts) for door in range(number)]
    servers = [await asyncio.start_server(door.serve, "127.0.0.1", 0, limit=HEAD_BYTES) for door in doors]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    await obey(doors, counts)


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
