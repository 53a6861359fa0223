"""A name server whose answers can change while it runs, over UDP and TCP; names it does not know it passes on."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from tests.support.world.service import Service

_TYPES = {1: "A", 28: "AAAA"}
_CODES = {"NOERROR": 0, "SERVFAIL": 2, "NXDOMAIN": 3}
_PATIENCE_S = 4

_Address = tuple[str, int]


class NameServer(Service):
    """`names` maps a name to its addresses, of both families.

    A name that is not there goes to `resolvers` (this machine's own), unless `forward` is off: then `unknown` is the
    answer. `failing` are names that get SERVFAIL. `queries` are those that came, as (name, type).
    """

    def __init__(self, address: str, port: int = 53) -> None:
        super().__init__(address, port)
        self.resolvers = _machine_resolvers()
        self._open: list[asyncio.Server | socket.socket] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._busy: set[asyncio.Task[None]] = set()
        self.reset()

    def reset(self) -> None:
        self.names: dict[str, list[str]] = {}
        self.failing: set[str] = set()
        self.forward = True
        self.unknown: Literal["NXDOMAIN", "SERVFAIL"] = "NXDOMAIN"
        self.ttl = 1
        self.queries: list[tuple[str, str]] = []

    async def _listen(self) -> None:
        any_port = self.port == 0
        while True:
            server = await asyncio.start_server(self._take, self.address, self.port)
            port = server.sockets[0].getsockname()[1]
            datagrams = socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET, socket.SOCK_DGRAM)
            datagrams.settimeout(0)
            try:
                datagrams.bind((self.address, port))
                break
            except OSError:
                datagrams.close()
                server.close()
                if not any_port:  # else the number that is free for TCP is somebody's for UDP
                    raise
        self.port = port
        self._open += [datagrams, server]
        self._spawn(self._receive(datagrams))

    async def _close(self) -> None:
        busy = list(self._busy)
        for each in busy:
            each.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        while self._open:
            self._open.pop().close()
        for writer in self._writers:
            writer.transport.abort()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        running = asyncio.create_task(work)
        self._busy.add(running)
        running.add_done_callback(self._busy.discard)

    async def _receive(self, datagrams: socket.socket) -> None:
        while True:
            query, client = await asyncio.get_running_loop().sock_recvfrom(datagrams, 4096)
            self._spawn(self._send(datagrams, query, client))

    async def _send(self, datagrams: socket.socket, query: bytes, client: tuple[str, int]) -> None:
        with suppress(OSError):
            if answer := await self._answer(query, over_tcp=False):
                await asyncio.get_running_loop().sock_sendto(datagrams, answer, client)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                answer = await self._answer(await _read_message(reader), over_tcp=True)
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        except (OSError, EOFError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._writers.discard(writer)

    async def _answer(self, query: bytes, *, over_tcp: bool) -> bytes:
        """The whole answer; b"" to what is no query."""
        try:
            name, kind, end = _question(query)
        except (IndexError, struct.error, UnicodeDecodeError):
            return b""
        self.queries.append((name, _TYPES.get(kind, str(kind))))
        known = {each.lower().rstrip("."): addresses for each, addresses in self.names.items()}
        if name in self.failing:
            return _reply(query, end, "SERVFAIL", [], self.ttl)
        if name in known:
            return _reply(query, end, "NOERROR", [each for each in map(_packed, known[name]) if each[0] == kind], self.ttl)
        if not self.forward:
            return _reply(query, end, self.unknown, [], self.ttl)
        for resolver in self.resolvers:
            with suppress(OSError, EOFError, TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    return await (_ask_by_tcp if over_tcp else _ask_by_udp)(resolver, query)
        return _reply(query, end, "SERVFAIL", [], self.ttl)


def _machine_resolvers() -> list[_Address]:
    words = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines()]
    return [(line[1], 53) for line in words if line[:1] == ["nameserver"]]


def _question(query: bytes) -> tuple[str, int, int]:
    """The name in small letters, the type, and where the question ends."""
    labels: list[str] = []
    at = 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode("ascii"))
        at += 1 + length
    (kind,) = struct.unpack_from("!H", query, at + 1)
    return ".".join(labels).lower(), kind, at + 5


def _packed(address: str) -> tuple[int, bytes]:
    """The type of record and its data."""
    parsed = ipaddress.ip_address(address)
    return (1 if parsed.version == 4 else 28), parsed.packed


def _reply(query: bytes, end: int, code: str, records: list[tuple[int, bytes]], ttl: int) -> bytes:
    flags = 0x8480 | (query[2] & 0x01) << 8 | _CODES[code]  # an authoritative answer; recursion is there
    header = query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
    body = b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, ttl, len(data)) + data for kind, data in records)
    return header + query[12:end] + body


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack("!H", await reader.readexactly(2))
    return await reader.readexactly(length)


async def _ask_by_udp(resolver: _Address, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in resolver[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as line:
        line.settimeout(0)
        await loop.sock_connect(line, resolver)
        await loop.sock_sendall(line, query)
        return await loop.sock_recv(line, 4096)


async def _ask_by_tcp(resolver: _Address, query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*resolver)
    try:
        writer.write(struct.pack("!H", len(query)) + query)
        return await _read_message(reader)
    finally:
        writer.close()
