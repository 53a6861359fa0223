"""A web server asked from here: HTTP/1.1 over TCP or through the ssh connection, TLS always verified, each arrival timed."""

from __future__ import annotations

import http.client
import io
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import paramiko

Made = TypeVar("Made")

LARGEST = 1 << 18
"""Bytes of an answer that are read."""
LONGEST = 60.0
"""Seconds after which an answer that still goes on is left."""

_AT_ONCE = 1 << 14

FAILURES = (OSError, EOFError, paramiko.SSHException, http.client.HTTPException)
"""What may become of a request."""


class Plain(Protocol):
    """What a socket and a channel of an ssh connection both do."""

    def recv(self, size: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class HttpAnswer:
    """What came back; `status` 0 when nothing did, and `trouble` says why."""

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)
    trouble: str = ""
    arrivals: tuple[tuple[float, bytes], ...] = field(default=(), repr=False)
    """The parts of the body, each with the seconds since the request was sent."""
    seconds: float = 0.0
    """Until the end of it."""

    def all(self, name: str) -> tuple[str, ...]:
        """The values of each header of that name."""
        return tuple(value for each, value in self.headers if each.lower() == name.lower())

    def header(self, name: str) -> str:
        return ", ".join(self.all(name))

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def whole(self) -> bytes:
        """Headers and body."""
        return "\n".join(f"{name}: {value}" for name, value in self.headers).encode("utf-8", "replace") + b"\n" + self.body

    def __str__(self) -> str:
        return f"it answers {self.status}" if self.status else self.trouble


@dataclass(frozen=True)
class Request:
    path: str
    host: str
    """As the header Host says it."""
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def bytes(self) -> bytes:
        own = {"Host": self.host, "User-Agent": "novaops-verify", "Accept": "*/*"}
        length = {"Content-Length": str(len(self.body))} if self.body or self.method == "POST" else {}
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in {**own, **length, **self.headers}.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


class HttpConnection:
    """A connection to a web server, and TLS on it where a context is given. Raises one of FAILURES, in everything it does."""

    def __init__(self, plain: Plain, context: ssl.SSLContext | None = None, name: str = "") -> None:
        self._plain = plain
        self._read, self._written = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._read, self._written, server_hostname=name or None) if context else None
        try:
            if self._tls:
                self._carry(self._tls.do_handshake)
        except BaseException:
            plain.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._plain.close()

    def ask(self, request: Request) -> HttpAnswer:
        """One after the other."""
        began = time.monotonic()
        self._send(request.bytes)
        response = http.client.HTTPResponse(_File(self), method=request.method)  # type: ignore[arg-type]
        response.begin()
        arrivals: list[tuple[float, bytes]] = []
        size = 0
        while size < LARGEST and time.monotonic() - began < LONGEST and (part := response.read1(_AT_ONCE)):
            arrivals.append((time.monotonic() - began, part))
            size += len(part)
        body = b"".join(part for _, part in arrivals)
        return HttpAnswer(response.status, tuple(response.getheaders()), body, "", tuple(arrivals), time.monotonic() - began)

    def peer(self) -> dict[str, Any]:
        """What the certificate says that was verified."""
        return dict(self._tls.getpeercert() or {}) if self._tls else {}

    def chain(self) -> tuple[str, ...]:
        """The certificates that were shown, as PEM."""
        if self._tls is None:
            return ()
        shown = self._tls._sslobj.get_unverified_chain()  # type: ignore[attr-defined]  # noqa: SLF001 - public from Python 3.13 on
        return tuple(certificate.public_bytes() for certificate in shown or ())

    def recv(self, size: int) -> bytes:
        tls = self._tls
        if tls is None:
            return self._plain.recv(size)
        try:
            return self._carry(lambda: tls.read(size))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def _send(self, data: bytes) -> None:
        tls = self._tls
        if tls is None:
            self._plain.sendall(data)
        else:
            self._carry(lambda: tls.write(data))

    def _carry(self, work: Callable[[], Made]) -> Made:
        """A step of TLS, with the bytes that it wants and gives."""
        while True:
            try:
                made = work()
            except ssl.SSLWantReadError:
                self._flush()
                if data := self._plain.recv(_AT_ONCE):
                    self._read.write(data)
                else:
                    self._read.write_eof()
            except ssl.SSLError:
                self._flush()  # an alert
                raise
            else:
                self._flush()
                return made

    def _flush(self) -> None:
        if data := self._written.read():
            self._plain.sendall(data)


class _File(io.RawIOBase):
    """A line as http.client wants it."""

    def __init__(self, line: HttpConnection) -> None:
        super().__init__()
        self._line = line

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._line.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def trouble(error: BaseException) -> str:
    """Why no answer came, in a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message).rstrip(".")
    if isinstance(error, ssl.SSLError) and "UNRECOGNIZED_NAME" in (error.reason or ""):
        return "nobody there has this name"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
    if isinstance(error, TimeoutError):
        return "nothing is heard"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection is closed without an answer"
    if isinstance(error, paramiko.ChannelException):
        return error.text
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower()
    return str(error) or type(error).__name__
