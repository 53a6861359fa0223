"""Many streams through a site at once, for benchmarks/proxy.py: an API that sends events, and clients that count them."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import resource
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from novaops.lab.host import LabHost

EVENTS_PORT = 8443
OPENING = 64
"""Streams that are being opened at once."""

PAUSE_S = 1.0
"""Between two events of a stream."""

TOGETHER = 10
"""Events that each stream sends once all are there."""

PATIENCE_S = 60
"""How long the first stream waits for the last one."""

DEADLINE_S = 150
BACKLOG = 4096


@dataclass
class Stream:
    """What one client saw: `numbers` of the events, how late each was, and whether the stream ended as it should."""

    numbers: list[int] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    complete: bool = False
    trouble: str = ""
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    """Its first event has come, or never will."""

    @property
    def whole(self) -> bool:
        return self.complete and self.numbers == list(range(len(self.numbers)))


class Crowd:
    """Many streams through one site, open at the same time."""

    def __init__(self, gateway: LabHost, context: ssl.SSLContext, name: str, count: int) -> None:
        self.gateway = gateway
        self.name = name
        self.streams = [Stream() for _ in range(count)]
        self.together = 0
        self.memory_kb = 0.0
        self._few = asyncio.Semaphore(OPENING)
        self._context = context
        self._path = f"/v1/events?{name}-{count}-{time.monotonic_ns()}"

    @property
    def slowest_ms(self) -> float:
        late = sorted(each for stream in self.streams for each in stream.late_ms)
        return late[len(late) * 99 // 100] if late else float("nan")

    async def run(self) -> Crowd:
        self.gateway.run("systemctl restart nginx")
        before = memory_kb(self.gateway)
        reading = [asyncio.create_task(self._read(stream)) for stream in self.streams]
        await asyncio.gather(*(stream.begun.wait() for stream in self.streams))
        self.together = sum(bool(stream.numbers) and not reader.done() for reader, stream in zip(reading, self.streams, strict=True))
        self.memory_kb = await asyncio.to_thread(memory_kb, self.gateway) - before
        await asyncio.gather(*reading)
        return self

    async def _read(self, stream: Stream) -> None:
        writer = None
        try:
            async with asyncio.timeout(DEADLINE_S):
                async with self._few:
                    connection = asyncio.open_connection(
                        self.gateway.address, 443, ssl=self._context, server_hostname=self.name, ssl_handshake_timeout=DEADLINE_S
                    )
                    reader, writer = await connection
                    writer.write(f"GET {self._path} HTTP/1.1\r\nHost: {self.name}\r\nConnection: close\r\n\r\n".encode())
                    head = await reader.readuntil(b"\r\n\r\n")
                    if b" 200 " not in head.splitlines()[0]:
                        stream.trouble = head.splitlines()[0].decode()
                        return
                    rest = note(stream, await chunk(reader))
                while data := await chunk(reader):
                    rest = note(stream, rest + data)
                stream.complete = rest == b"data: [DONE]\n\n"
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError) as error:
            stream.trouble = f"{type(error).__name__}: {error}"
        finally:
            stream.begun.set()
            if writer is not None:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()


async def chunk(reader: asyncio.StreamReader) -> bytes:
    """The next part of a chunked body; b"" at its end."""
    size = int((await reader.readline()).strip() or b"missing", 16)
    data = await reader.readexactly(size)
    await reader.readexactly(2)
    return data


def note(stream: Stream, data: bytes) -> bytes:
    """Note the events in `data`; what is left of it."""
    now = time.monotonic()
    while b"\n\n" in data and not data.startswith(b"data: [DONE]"):
        event, _, data = data.partition(b"\n\n")
        number, at = json.loads(event.removeprefix(b"data: "))
        stream.numbers.append(number)
        stream.late_ms.append((now - at) * 1000)
        stream.begun.set()
    return data


def memory_kb(host: LabHost) -> float:
    """The workers' share of memory (PSS): what they have in common counts once."""
    said = host.run("for pid in $(pgrep -P $(cat /run/nginx.pid)); do grep ^Pss: /proc/$pid/smaps_rollup; done")
    return float(sum(int(line.split()[1]) for line in said.splitlines()))


@contextmanager
def streaming(address: str, certificate: Path, key: Path) -> Iterator[None]:
    """An API that streams, in a process of its own."""
    ready = multiprocessing.get_context("spawn").Event()
    arguments = (address, str(certificate), str(key), ready)
    process = multiprocessing.get_context("spawn").Process(target=stream_until_killed, args=arguments, daemon=True)
    process.start()
    try:
        if not ready.wait(30):
            sys.exit("the API that streams did not start")
        yield
    finally:
        process.kill()
        process.join()


def stream_until_killed(address: str, certificate: str, key: str, ready: threading.Event) -> None:
    """A stream sends its first event, one each second until all of its group are there, some more, and its end."""
    asyncio.run(serve(address, certificate, key, ready))


async def serve(address: str, certificate: str, key: str, ready: threading.Event) -> None:
    more_files()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    groups: dict[str, Group] = {}

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError, asyncio.LimitOverrunError):
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            if "events?" in path:
                await stream_events(writer, groups.setdefault(path, Group(int(path.split("-")[-2]))))
            else:
                writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
                await writer.drain()
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(take, address, EVENTS_PORT, ssl=context, backlog=BACKLOG, ssl_handshake_timeout=DEADLINE_S)
    async with server:
        ready.set()
        await server.serve_forever()


class Group:
    """Streams that wait for each other."""

    def __init__(self, count: int) -> None:
        self.missing = count
        self.began = time.monotonic()

    @property
    def complete(self) -> bool:
        return self.missing <= 0 or time.monotonic() - self.began > PATIENCE_S


async def stream_events(writer: asyncio.StreamWriter, group: Group) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    group.missing -= 1
    number = after = 0
    while after < TOGETHER:
        await send(writer, json.dumps([number, time.monotonic()]))
        await asyncio.sleep(PAUSE_S)
        number, after = number + 1, after + group.complete
    await send(writer, "[DONE]")
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def send(writer: asyncio.StreamWriter, text: str) -> None:
    event = f"data: {text}\n\n".encode()
    writer.write(b"%x\r\n%b\r\n" % (len(event), event))
    await writer.drain()


def more_files() -> None:
    """As many open files as this machine gives a process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
