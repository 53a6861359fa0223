"""A simulated fleet: many ssh endpoints on this machine that lead to one host, some of them sick.

    python tests/support/fleet.py ADDRESS PORT KIND=COUNT …    prints the ports of each kind as JSON, and serves until its stdin ends

It is a process of its own, so that it takes no memory or processor time of the novaops that is measured.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from novaops.lab.host import LabHost
from novaops.lab.keys import known_hosts_line

KINDS = ("fine", "dead", "slow", "refuses", "changed", "drips")
"""dead: no answer to a connection. slow: every byte is late. refuses: the port is closed. changed: another host key than the known
one. drips: it greets without end, a line now and then."""

REASONS = {
    "dead": r"no answer from 127\.0\.0\.1:\d+ within \d+ s",
    "refuses": r"nothing answers at 127\.0\.0\.1:\d+",
    "changed": "the host key of .* has changed",
    "drips": "",
}
"""What the error of each kind of sick host says."""

SLOW_S = 0.2
"""Seconds that a slow one holds each byte back, in either direction."""

_CHUNK = 65_536
_HELD: list[socket.socket] = []
"""Sockets that only have to be there."""


def _listening(kind: str) -> tuple[int, socket.socket | None]:
    """The port of an endpoint, and the socket that takes its connections; None where it takes none."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", 0))
    port: int = made.getsockname()[1]
    if kind == "refuses":
        _HELD.append(made)
        return port, None
    if kind == "dead":  # its queue is full, so the kernel answers no further one
        made.listen(0)
        _HELD.append(made)
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)  # noqa: FBT003 - the form of the standard library
            filler.connect_ex(("127.0.0.1", port))
            _HELD.append(filler)
        return port, None
    made.listen(128)
    return port, made


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, late: float) -> None:
    """Bytes one way. Late ones keep their pace, as on a long way."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(256)

    async def write() -> None:
        while True:
            at, data = await queue.get()
            if (left := at - loop.time()) > 0:
                await asyncio.sleep(left)
            if not data:
                break
            writer.write(data)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()

    writing = asyncio.create_task(write())
    try:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                await queue.put((loop.time() + late, data))
        await queue.put((loop.time() + late, b""))
        with suppress(OSError):
            await writing
    finally:
        writing.cancel()


async def _lead(target: tuple[str, int], late: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        their_reader, their_writer = await asyncio.open_connection(*target)
        try:
            await asyncio.gather(_pass_on(reader, their_writer, late), _pass_on(their_reader, writer, late))
        finally:
            their_writer.close()
    writer.close()


async def _drip(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while True:
            writer.write(b"please wait\r\n")
            await writer.drain()
            await asyncio.sleep(0.3)


async def _serve(target: tuple[str, int], counts: Mapping[str, int]) -> None:
    ports: dict[str, list[int]] = {}
    for kind, count in counts.items():
        for _ in range(count):
            port, listener = _listening(kind)
            ports.setdefault(kind, []).append(port)
            if listener is None:
                continue

            async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kind: str = kind) -> None:
                await (_drip(writer) if kind == "drips" else _lead(target, SLOW_S if kind == "slow" else 0, reader, writer))

            _HELD.append(listener)
            await asyncio.start_server(take, sock=listener)
    print(json.dumps(ports), flush=True)  # noqa: T201 - it is for who started this
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)  # whatever is still connected


@dataclass(frozen=True)
class Fleet:
    """The endpoints by name, in the order of the inventory that leads to them."""

    kinds: Mapping[str, str]
    places: Mapping[str, tuple[str, int]]
    """The address and the port of each."""
    folder: Path

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory.yaml"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def of(self, *kinds: str) -> list[str]:
        return [name for name, kind in self.kinds.items() if kind in kinds]


def prepare(host: Any, folder: Path, playbook: Path) -> None:
    """Let the host take a thousand logins at a time, and put the playbook beside the inventory."""
    host.run("echo 'MaxStartups 2000' >/etc/ssh/sshd_config.d/fleet.conf; systemctl restart ssh")
    (folder / "playbooks").mkdir()
    shutil.copyfile(playbook, folder / "playbooks" / playbook.name)


def counts_of(number: int, share: float = 0.05) -> dict[str, int]:
    """So many endpoints, with that share of each of dead, slow, refusing and changed ones."""
    sick = {kind: round(number * share) for kind in ("dead", "slow", "refuses", "changed")}
    return {"fine": number - sum(sick.values()), **sick}


@contextmanager
def fleet(folder: Path, host: Any, counts: Mapping[str, int], section: str) -> Iterator[Fleet]:
    """Endpoints that lead to `host` of the lab, in an inventory in which each has `section`. Sick ones stand between the others.

    Where the host was made with `--count`, fine ones are ports of its own.
    """
    own = [(host.address, port) for port in host.endpoints.values()][: counts.get("fine", 0)] if isinstance(host, LabHost) else []
    left = {**counts, "fine": counts.get("fine", 0) - len(own)}
    words = [sys.executable, __file__, host.address, str(host.port), *(f"{kind}={count}" for kind, count in left.items())]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            ports = json.loads(process.stdout.readline())
            endpoints = [("fine", place) for place in own]
            endpoints += [(kind, ("127.0.0.1", port)) for kind, of_kind in ports.items() for port in of_kind]
            random.Random(5).shuffle(endpoints)  # noqa: S311 - the same order each time
            names = [f"host{number:04}" for number in range(len(endpoints))]
            kinds = {name: kind for name, (kind, _) in zip(names, endpoints, strict=True)}
            made = Fleet(kinds, {name: place for name, (_, place) in zip(names, endpoints, strict=True)}, folder)
            _write(made, host, section)
            yield made
        finally:
            process.stdin.close()
            process.wait(20)


def _write(made: Fleet, host: Any, section: str) -> None:
    algorithm, key = host.host_key.split()[:2]
    raw = base64.b64decode(key)
    other = base64.b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode()
    lines = [
        known_hosts_line(address, port, f"{algorithm} {other if made.kinds[name] == 'changed' else key}") + "\n"
        for name, (address, port) in made.places.items()
    ]
    made.known_hosts.write_text("".join(lines), "utf-8")
    hosts = "".join(f"  {name}: {{address: {address}, port: {port}}}\n" for name, (address, port) in made.places.items())
    defaults = f"{{user: root, identity: '{host.identity}', known_hosts: known_hosts, {section}}}"
    made.inventory.write_text(f"defaults: {defaults}\nhosts:\n{hosts}", "utf-8")


if __name__ == "__main__":
    address, at, *wanted = sys.argv[1:]
    asyncio.run(_serve((address, int(at)), {kind: int(count) for kind, count in (word.split("=") for word in wanted)}))
