"""A TCP relay in the way to a host: it delays, cuts or stalls, for long links and for faults. It can speak TLS to clients."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

Direction = Literal["up", "down", "both"]
"""up: towards the target; down: back from it."""

_CHUNK = 65536
_QUEUED = 256
"""Chunks on their way in one direction: a window, so that a fast sender does not fill the memory."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong once `after_bytes` have passed, counted in `direction` over each connection by itself.

    The byte after them does not pass. `cut`: both ends get a reset; `stall`: nothing passes any more, and nobody is told.
    """

    kind: Literal["cut", "stall"]
    after_bytes: int
    direction: Direction = "both"


class Relay:
    """Listens on `port`, or a free one, while it is entered, and passes each connection on to `target` (address, port).

    `delay_s` is for each direction: 0.1 makes a link of 200 ms round trip. It delays every byte by the same time and
    keeps the throughput, as distance does. `fault` may be set while it runs; so may `refusing`, which cuts new connections
    at once. `connections` counts those taken; `cut()` resets those open now. With `tls` clients speak TLS, the target does not.
    """

    def __init__(
        self,
        target: tuple[str, int],
        delay_s: float = 0,
        fault: Fault | None = None,
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.target = target
        self.delay_s = delay_s
        self.fault = fault
        self.refusing = False
        self.address = address
        self.port = port
        self._tls = tls
        self.connections = 0
        self.passed = {"up": 0, "down": 0}
        self.kept: bytearray | None = None
        """All bytes that passed, if it was set to a bytearray before."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Reset every open connection now."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._take, self.address, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refusing:
            _reset(writer)
            return
        try:
            target_reader, target_writer = await asyncio.open_connection(*self.target)
        except (OSError, asyncio.CancelledError):  # or the relay closes meanwhile
            _reset(writer)
            return
        link = _Link(self, writer, target_writer)
        self._links.add(link)
        try:
            await link.run(reader, target_reader)
        except asyncio.CancelledError:  # the relay closes
            pass
        finally:
            link.reset()  # of no effect where both ends are closed
            if self._tls:  # asyncio forgets that a TLS transport is closed, and would warn of an open writer
                vars(writer.transport)["is_closing"] = lambda: True
            self._links.discard(link)

    async def _cut(self) -> None:
        for link in list(self._links):
            link.reset()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._cut()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class _Link:
    """One connection through the relay: two pumps, and the bytes counted on it."""

    def __init__(self, relay: Relay, source: asyncio.StreamWriter, target: asyncio.StreamWriter) -> None:
        self._relay = relay
        self._writers = (source, target)
        self._passed = {"up": 0, "down": 0}

    async def run(self, source: asyncio.StreamReader, target: asyncio.StreamReader) -> None:
        """Pump both ways until both ends have said all, or one is cut."""
        near, far = self._writers
        async with asyncio.TaskGroup() as pumps:
            for direction, reader, writer in (("up", source, far), ("down", target, near)):
                queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUED)
                pumps.create_task(self._read(reader, queue))
                pumps.create_task(self._write(direction, queue, writer))
        for writer in self._writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def reset(self) -> None:
        for writer in self._writers:
            _reset(writer)

    async def _read(self, reader: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]) -> None:
        clock = asyncio.get_running_loop().time
        data = b"-"
        while data:
            with suppress(OSError):  # also TLS whose other end has closed it
                data = b""
                data = await reader.read(_CHUNK)
            await queue.put((clock() + self._relay.delay_s, data))

    async def _write(self, direction: str, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0, due - clock()))
            if not data:  # the sender has said all; the other direction may go on, unless TLS ends both
                with suppress(OSError):
                    if writer.can_write_eof():
                        writer.write_eof()
                    else:
                        writer.close()
                return
            room = self._room(direction)
            now = data if room is None else data[:room]
            if now:
                self._passed[direction] += len(now)
                self._relay.passed[direction] += len(now)
                if self._relay.kept is not None:
                    self._relay.kept += now
                writer.write(now)
                with suppress(OSError):
                    await writer.drain()
            if len(now) < len(data):
                await self._fail()

    def _room(self, direction: str) -> int | None:
        """How many bytes may still pass in this direction; None for any number."""
        fault = self._relay.fault
        if fault is None or fault.direction not in (direction, "both"):
            return None
        counted = sum(self._passed.values()) if fault.direction == "both" else self._passed[direction]
        return max(0, fault.after_bytes - counted)

    async def _fail(self) -> None:
        if self._relay.fault is not None and self._relay.fault.kind == "stall":
            await asyncio.Event().wait()  # until the relay closes
        self.reset()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset: without linger 0 the other end would see an orderly end."""
    with suppress(OSError, AttributeError):  # asyncio's, of TLS that has ended
        connection = writer.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
