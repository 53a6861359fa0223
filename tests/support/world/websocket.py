"""Just enough of RFC 6455 to echo frames, and to see one come back."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import ssl
import struct
from asyncio import StreamReader
from dataclasses import dataclass

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


@dataclass(frozen=True)
class Frame:
    """`first` is its first byte: whether it is a message's last one, and what kind of."""

    first: int
    payload: bytes

    @property
    def kind(self) -> int:
        return self.first & 0x0F

    def packed(self, mask: bytes = b"") -> bytes:
        """As it travels; a client must mask it."""
        size, flag = len(self.payload), 0x80 if mask else 0
        if size < 126:
            length = bytes([flag | size])
        elif size < 1 << 16:
            length = bytes([flag | 126]) + struct.pack("!H", size)
        else:
            length = bytes([flag | 127]) + struct.pack("!Q", size)
        return bytes([self.first]) + length + mask + _masked(self.payload, mask)


def accept_key(key: str) -> str:
    """What the server answers to a client's Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key.encode() + _MAGIC, usedforsecurity=False).digest()).decode()


async def read_frame(reader: StreamReader) -> Frame:
    first, length = await reader.readexactly(2)
    size = length & 0x7F
    if size >= 126:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    mask = await reader.readexactly(4) if length & 0x80 else b""
    return Frame(first, _masked(await reader.readexactly(size), mask))


def echo(  # one call is one conversation
    address: tuple[str, int],
    host: str,
    path: str,
    message: str,
    *,
    context: ssl.SSLContext | None = None,
    headers: dict[str, str] | None = None,
    timeout_s: float = 10,
) -> str:
    """Open a websocket at `address` under the name `host`, send a text, and return the one that comes back.

    Returns the status line when the server does not switch protocols.
    """
    key = base64.b64encode(os.urandom(16)).decode()
    lines = {"Host": host, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}
    asked = f"GET {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in {**lines, **(headers or {})}.items()) + "\r\n"
    with socket.create_connection(address, timeout=timeout_s) as plain, _wrapped(plain, context, host.partition(":")[0]) as line:
        line.sendall(asked.encode())
        file = line.makefile("rb")
        with file:
            status = file.readline().decode("latin-1").strip()
            answered = dict(_header(text) for text in iter(file.readline, b"\r\n") if text)
            if status.split(" ")[1:2] != ["101"]:
                return status
            assert answered["sec-websocket-accept"] == accept_key(key)
            line.sendall(Frame(0x80 | TEXT, message.encode()).packed(os.urandom(4)))
            _, length = file.read(2)
            size = length if length < 126 else int.from_bytes(file.read(2 if length == 126 else 8), "big")
            return file.read(size).decode()


def _wrapped(plain: socket.socket, context: ssl.SSLContext | None, name: str) -> socket.socket:
    return context.wrap_socket(plain, server_hostname=name) if context else plain


def _header(line: bytes) -> tuple[str, str]:
    name, _, value = line.decode("latin-1").partition(":")
    return name.lower(), value.strip()


def _masked(payload: bytes, mask: bytes) -> bytes:
    if not mask:
        return payload
    long = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(long, "big")).to_bytes(len(payload), "big")
