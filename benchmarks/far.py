"""A server that is far away: its packets pass a tun device of this machine, which holds each of them for a while. IPv4 and TCP; root only.

A relay of connections would answer the handshake itself, and so hide what a new connection costs over a long link.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import multiprocessing
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

HERE, FAR, BACK = "198.18.9.1", "198.18.9.2", "198.18.9.3"
"""This machine on the device; where the server seems to be; whom it answers."""

DEVICE = "novaops-far"
_SET_IFF, _TUN, _NO_INFORMATION = 0x400454CA, 0x0001, 0x1000


@contextmanager
def far(server: str, each_way_s: float) -> Iterator[str]:
    """An address at which `server` answers, each packet so much later, in both directions."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(server, each_way_s, ready), daemon=True)
    process.start()
    try:
        if not ready.wait(20):
            sys.exit("the long link did not come up")
        yield FAR
    finally:
        process.kill()
        process.join()


def _let_in(server: str) -> None:
    """A lab lets nobody but this machine begin connections to its hosts; what comes from the device goes past that."""
    [route] = json.loads(subprocess.run(["ip", "-json", "route", "get", server], check=True, capture_output=True).stdout)
    rule = f"insert rule ip {route['dev']} others iifname {DEVICE} accept"
    subprocess.run(["nft", rule], check=True)


def _hold(server: str, each_way_s: float, ready: threading.Event) -> None:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _SET_IFF, struct.pack("16sH", DEVICE.encode(), _TUN | _NO_INFORMATION))
    for words in (f"address add {HERE}/24 dev {DEVICE}", f"link set {DEVICE} up"):
        subprocess.run(["ip", *words.split()], check=True)
    _let_in(server)
    there, back = ((socket.inet_aton(one), socket.inet_aton(other)) for one, other in ((BACK, server), (FAR, HERE)))

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def take() -> None:
            packet = os.read(device, 65535)
            if packet[0] >> 4 == 4 and packet[9] == socket.IPPROTO_TCP:  # noqa: PLR2004 - IPv4
                addresses = there if packet[16:20] == socket.inet_aton(FAR) else back
                loop.call_later(each_way_s, os.write, device, readdressed(packet, *addresses))

        loop.add_reader(device, take)
        ready.set()
        await asyncio.Event().wait()

    asyncio.run(run())


def readdressed(packet: bytes, source: bytes, destination: bytes) -> bytes:
    """An IPv4 packet of TCP with other addresses, and the checksums that belong to them."""
    length = (packet[0] & 15) * 4
    head = packet[:10] + b"\0\0" + source + destination + packet[20:length]
    body = packet[length : 16 + length] + b"\0\0" + packet[18 + length :]
    pseudo = source + destination + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(body))
    head = head[:10] + _sum(head) + head[12:]
    return head + body[:16] + _sum(pseudo + body) + body[18:]


def _sum(data: bytes) -> bytes:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
