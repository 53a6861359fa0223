"""Requests in HTTP/2, on a connection that has agreed on it."""

from __future__ import annotations

import time
from collections.abc import Callable

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from novaops.verify.http_answer import AT_ONCE, LARGEST, LONGEST, HttpAnswer, Request


class BrokenOff(h2.exceptions.ProtocolError):
    """The answer did not come to its end."""


class Http2:
    """Raises ProtocolError of h2 for an answer that is none, or that breaks off, and what `recv` and `send` raise."""

    def __init__(self, recv: Callable[[int], bytes], send: Callable[[bytes], object]) -> None:
        self._recv, self._send = recv, send
        self._line = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="latin-1"))
        self._line.initiate_connection()
        self._flush()

    def ask(self, request: Request) -> HttpAnswer:
        began = time.monotonic()
        stream = self._line.get_next_available_stream_id()
        pseudo = [(":method", request.method), (":scheme", "https"), (":authority", request.host), (":path", request.path)]
        fields = [(name.lower(), value) for name, value in request.fields.items() if name != "Host"]
        self._line.send_headers(stream, [*pseudo, *fields], end_stream=not request.body)
        if request.body:
            self._line.send_data(stream, request.body, end_stream=True)
        self._flush()
        headers: list[tuple[str, str]] = []
        arrivals: list[tuple[float, bytes]] = []
        ended, size = False, 0
        while not ended and size < LARGEST and time.monotonic() - began < LONGEST:
            data = self._recv(AT_ONCE)
            if not data:
                raise BrokenOff(f"the connection is closed {'in the middle of' if headers else 'without'} an answer")
            for event in self._line.receive_data(data):
                match event:
                    case h2.events.ResponseReceived():
                        headers = [(str(name), str(value)) for name, value in event.headers or ()]
                    case h2.events.DataReceived():
                        part = event.data or b""
                        arrivals.append((time.monotonic() - began, part))
                        size += len(part)
                        self._line.acknowledge_received_data(event.flow_controlled_length or 0, stream)
                    case h2.events.StreamReset() if not ended:
                        raise BrokenOff(f"the answer breaks off ({_named(event.error_code)} in HTTP/2)")
                    case h2.events.ConnectionTerminated() if event.error_code:
                        raise BrokenOff(f"the connection is ended ({_named(event.error_code)} in HTTP/2)")
                    case h2.events.StreamEnded():
                        ended = True
            self._flush()
        status = next((int(value) for name, value in headers if name == ":status"), 0)
        shown = tuple((name, value) for name, value in headers if not name.startswith(":"))
        body = b"".join(part for _, part in arrivals)
        return HttpAnswer(status, shown, body, "", tuple(arrivals), time.monotonic() - began, "2")

    def _flush(self) -> None:
        if data := self._line.data_to_send():
            self._send(data)


def _named(code: int | None) -> str:
    try:
        return h2.errors.ErrorCodes(code or 0).name
    except ValueError:
        return f"error {code}"
