"""A web server asked from here: over TCP or through the ssh connection, TLS always verified, each arrival timed.

A server is asked in HTTP/2 where it is offered that and takes it, as browsers and curl do, else in HTTP/1.1.
"""

from __future__ import annotations

import http.client
import io
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import h2.exceptions
import paramiko

from novaops.verify.http2 import BrokenOff, Http2
from novaops.verify.http_answer import AT_ONCE, LARGEST, LONGEST, HttpAnswer, Request

Made = TypeVar("Made")

FAILURES = (OSError, EOFError, paramiko.SSHException, http.client.HTTPException, h2.exceptions.H2Error)
"""What may become of a request."""


class TooLong(TimeoutError):
    """The answer still goes on after LONGEST."""


class Plain(Protocol):
    """What a socket and a channel of an ssh connection both do."""

    def recv(self, size: int, /) -> bytes: ...
    def sendall(self, data: bytes, /) -> None: ...
    def close(self) -> None: ...


class HttpConnection:
    """A connection to a web server, and TLS on it where a context is given. Raises one of FAILURES, in everything it does."""

    def __init__(self, plain: Plain, context: ssl.SSLContext | None = None, name: str = "", *, http2: bool = False) -> None:
        """`http2`: the server is offered that."""
        self._plain = plain
        self._until = time.monotonic() + LONGEST
        self._read, self._written = ssl.MemoryBIO(), ssl.MemoryBIO()
        if context:
            context.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
        self._tls = context.wrap_bio(self._read, self._written, server_hostname=name or None) if context else None
        try:
            if self._tls:
                self._carry(self._tls.do_handshake)
            self._http2 = Http2(self.recv, self._send) if self._tls and self._tls.selected_alpn_protocol() == "h2" else None
        except BaseException:
            plain.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._plain.close()

    def ask(self, request: Request) -> HttpAnswer:
        """One after the other. What a body has until LONGEST is the answer; one that has not begun by then is none."""
        began = time.monotonic()
        self._until = began + LONGEST
        if self._http2:
            return self._http2.ask(request)
        self._send(request.bytes)
        response = http.client.HTTPResponse(_File(self), method=request.method)  # type: ignore[arg-type]
        response.begin()
        arrivals: list[tuple[float, bytes]] = []
        size = 0
        with suppress(TooLong):
            while size < LARGEST and (part := response.read1(AT_ONCE)):
                arrivals.append((time.monotonic() - began, part))
                size += len(part)
        body = b"".join(part for _, part in arrivals)
        return HttpAnswer(response.status, tuple(response.getheaders()), body, "", tuple(arrivals), time.monotonic() - began, "1.1")

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
            return self._hear(size)
        try:
            return self._carry(lambda: tls.read(size))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def _hear(self, size: int) -> bytes:
        """A server may say a little each time before its silence would count."""
        if time.monotonic() > self._until:
            raise TooLong(f"its answer takes longer than {LONGEST:g} s")
        return self._plain.recv(size)

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
                if data := self._hear(AT_ONCE):
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
        return str(error) if isinstance(error, TooLong) else "nothing is heard"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection is closed without an answer"
    if isinstance(error, h2.exceptions.H2Error) and not isinstance(error, BrokenOff):
        return f"that is no answer in HTTP/2: {str(error).rstrip('.')}"
    if isinstance(error, paramiko.ChannelException):
        return error.text
    if isinstance(error, OSError):
        return (error.strerror or str(error) or type(error).__name__).lower()
    return str(error) or type(error).__name__
