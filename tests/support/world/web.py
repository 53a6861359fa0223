"""A web server for the tests: it notes what arrives, header by header, and misbehaves when it is told to."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import ssl
import time
import weakref
from abc import abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from tests.support.world.authority import Leaf
from tests.support.world.service import Service
from tests.support.world.websocket import CLOSE, PING, PONG, Frame, accept_key, read_frame

Header = tuple[str, str]

_KEPT = 1 << 20
"""Bytes of a body that are kept; all of it is counted and hashed."""
_CHUNK = 1 << 20
_REASONS = {200: "OK", 301: "Moved Permanently", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}


@dataclass
class Request:
    """One request as it arrived: `target` with its query, `headers` in their order, and each of several.

    It is noted when its headers are there; `complete` when its body is, with `size` and `sha256`. `connection` tells those
    of one connection; `sni` and `tls` ("TLSv1.3") are None without TLS; `sent` are the times of a stream's events.
    """

    method: str
    target: str
    version: str
    headers: list[Header]
    connection: int
    client: str
    sni: str | None
    tls: str | None
    at: float = field(default_factory=time.monotonic)
    body: bytes = field(default=b"", repr=False)
    size: int = 0
    sha256: str = ""
    complete: bool = False
    sent: list[float] = field(default_factory=list)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def all(self, name: str) -> list[str]:
        """The values of every header of that name."""
        return [value for each, value in self.headers if each.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The value of the header; fails when it is there more than once."""
        values = self.all(name)
        assert len(values) < 2, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None


@dataclass
class Behaviour:
    """What to do with the next requests. All may be set while the server runs.

    `status`, `body` and `content_type` replace the answer; `headers` are added to every answer; `raw` is sent as it is in
    its place. `delay_s` passes before an answer begins. `cut` ends the connection early: before an answer, in the middle
    of a body whose length was announced, or of a chunked one (a stream: after half its events, with either). A stream has
    `events` of them, `interval_s` between each two; with none they are one packet, which no load of the machine divides.
    """

    status: int | None = None
    body: bytes = b""
    content_type: str = "text/plain"
    headers: list[Header] = field(default_factory=list)
    raw: bytes | None = None
    delay_s: float = 0
    cut: Literal["", "answer", "length", "chunked"] = ""
    events: int = 5
    interval_s: float = 0.3
    region_refused: bool = False


class _Gone(Exception):
    """The connection ends here."""


class Exchange:
    """One request and the way back to its client."""

    def __init__(self, request: Request, behaviour: Behaviour, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.request = request
        self.behaviour = behaviour
        self.reader = reader
        self._writer = writer
        self._chunked = request.version == "HTTP/1.1"
        self.keep = self._chunked and (request.header("Connection") or "").lower() != "close"

    async def answer(self, status: int, body: bytes = b"", content_type: str = "text/plain", headers: tuple[Header, ...] = ()) -> None:
        """The whole of it, with its length; the first half when it is to be cut."""
        half = body[: len(body) // 2]
        if self.behaviour.cut == "chunked":
            await self.begin(content_type, headers)
            await self.part(half)
            raise _Gone
        length = ("Content-Length", str(len(body)))
        shown = half if self.behaviour.cut else b"" if self.request.method == "HEAD" else body
        await self.send(self._head(status, [("Content-Type", content_type), length, *headers]) + shown)
        if self.behaviour.cut:
            raise _Gone

    async def begin(self, content_type: str, headers: tuple[Header, ...] = ()) -> None:
        """An answer whose length nobody knows: chunked, or ended by the end of the connection in HTTP/1.0."""
        coding = (("Transfer-Encoding", "chunked"),) if self._chunked else ()
        await self.send(self._head(200, [("Content-Type", content_type), *coding, *headers]))

    async def part(self, data: bytes) -> None:
        await self.send(self._coded(data))

    async def end(self) -> None:
        if self._chunked:
            await self.send(b"0\r\n\r\n")

    async def events(self, texts: list[str], headers: tuple[Header, ...] = ()) -> None:
        """Server-sent events, each by itself; then the `[DONE]` that ends a stream of OpenAI's."""
        await self.begin("text/event-stream; charset=utf-8", headers)
        waiting = b""
        for number, text in enumerate(texts):
            if self.behaviour.cut and number >= len(texts) // 2:
                await self.send(waiting)
                raise _Gone
            if number and self.behaviour.interval_s:
                await self.send(waiting)
                waiting = b""
                await asyncio.sleep(self.behaviour.interval_s)
            waiting += self._coded(f"data: {text}\n\n".encode())
            self.request.sent.append(time.monotonic())
        await self.send(waiting + self._coded(b"data: [DONE]\n\n"))
        await self.end()

    async def echo_websocket(self, headers: tuple[Header, ...] = ()) -> None:
        """Switch protocols, and send each message back until the client closes."""
        key = accept_key(self.request.header("Sec-WebSocket-Key") or "")
        protocols = (self.request.header("Sec-WebSocket-Protocol") or "").split(",")
        chosen = (("Sec-WebSocket-Protocol", protocols[0].strip()),) if protocols[0] else ()
        switch = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", key), *chosen, *headers]
        await self.send(self._head(101, switch))
        while True:
            frame = await read_frame(self.reader)
            kind = PONG if frame.kind == PING else frame.kind
            await self.send(Frame(frame.first & 0xF0 | kind, frame.payload).packed())
            if frame.kind == CLOSE:
                raise _Gone

    def _coded(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def continue_(self) -> None:
        """A client that sends a large body waits for this."""
        if (self.request.header("Expect") or "").lower() == "100-continue":
            await self.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _head(self, status: int, headers: list[Header]) -> bytes:
        closing = [] if self.keep or status == 101 else [("Connection", "close")]
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}"]
        lines += [f"{name}: {value}" for name, value in (*headers, *self.behaviour.headers, *closing)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class WebServer(Service):
    """HTTP/1.1, over TLS when it has a leaf. `strict`: a client that names no host in its handshake is refused, as large APIs do it.

    `requests` are those that came, `connections` counts what opened, `behaviour` is how it answers.
    """

    def __init__(self, address: str, port: int = 0, leaf: Leaf | None = None, *, strict: bool = False) -> None:
        super().__init__(address, port)
        self.leaf = leaf
        self.strict = strict
        self.tls_version: ssl.TLSVersion | None = None
        self._numbers = itertools.count(1)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._names: weakref.WeakKeyDictionary[ssl.SSLObject, str] = weakref.WeakKeyDictionary()
        self.reset()

    def reset(self) -> None:
        """Forget what came, and behave."""
        self.behaviour = Behaviour()
        self.requests: list[Request] = []
        self.connections = 0

    def show(self, leaf: Leaf | None) -> None:
        """Another certificate from now on; open connections end."""
        self.stop()
        self.leaf = leaf
        self.start()

    @abstractmethod
    async def respond(self, exchange: Exchange) -> None:
        """Answer one request whose body has been read."""

    async def _listen(self) -> None:
        context = self.leaf.context() if self.leaf else None
        if context is not None:
            context.sni_callback = self._note_name
            context.set_alpn_protocols(["http/1.1"])
            if self.tls_version is not None:
                context.maximum_version = self.tls_version
        self._server = await asyncio.start_server(self._take, self.address, self.port, ssl=context, limit=_CHUNK, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    def _note_name(self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> int | None:
        del context
        assert isinstance(connection, ssl.SSLObject)
        if name is None:
            return ssl.ALERT_DESCRIPTION_HANDSHAKE_FAILURE if self.strict else None
        self._names[connection] = name
        return None

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = next(self._numbers)
        self._writers.add(writer)
        try:
            while await self._exchange(number, reader, writer):
                pass
            writer.close()
            await writer.wait_closed()
        except (_Gone, OSError, EOFError, ValueError, asyncio.LimitOverrunError, asyncio.CancelledError):
            with suppress(OSError, asyncio.CancelledError):
                await _hang_up(writer)
        finally:
            self._writers.discard(writer)

    async def _exchange(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether another one may follow."""
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, version = first.split(" ")
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        tls: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        request = Request(
            method,
            target,
            version,
            headers,
            connection=number,
            client=writer.get_extra_info("peername")[0],
            sni=self._names.get(tls) if tls else None,
            tls=tls.version() if tls else None,
        )
        self.requests.append(request)
        behaviour = self.behaviour
        exchange = Exchange(request, behaviour, reader, writer)
        await exchange.continue_()
        await _read_body(request, reader)
        await asyncio.sleep(behaviour.delay_s)
        if behaviour.cut == "answer":
            raise _Gone
        if behaviour.raw is not None:
            await exchange.send(behaviour.raw)
            return False
        if behaviour.status is not None:
            await exchange.answer(behaviour.status, behaviour.body, behaviour.content_type)
        else:
            await self.respond(exchange)
        return exchange.keep


async def _read_body(request: Request, reader: asyncio.StreamReader) -> None:
    digest = hashlib.sha256()
    kept: list[bytes] = []
    chunked = any("chunked" in value.lower() for value in request.all("Transfer-Encoding"))
    left = 0 if chunked else int((request.all("Content-Length") or ["0"])[0])
    while True:
        if chunked and left == 0:
            left = int((await reader.readline()).split(b";")[0], 16)
            if left == 0:
                while (await reader.readline()).strip():  # trailers
                    pass
        if left == 0:
            break
        data = await reader.read(min(left, _CHUNK))
        if not data:
            raise _Gone
        left -= len(data)
        digest.update(data)
        if request.size < _KEPT:
            kept.append(data)
        request.size += len(data)
        if chunked and left == 0:
            await reader.readexactly(2)
    request.body = b"".join(kept)[:_KEPT]
    request.sha256 = digest.hexdigest()
    request.complete = True


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    """Close it, with what was written on its way; no reset, which could overtake that."""
    writer.close()
    await writer.wait_closed()
