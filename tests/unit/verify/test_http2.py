"""Web servers are asked in the version of HTTP that they agree on; an answer that does not come to its end is none."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from novaops.verify.http import FAILURES, HttpConnection, trouble
from novaops.verify.http_answer import HttpAnswer, Request
from tests.support.world.authority import Authority

NAME = "a.example.com"
HEADERS = [(":status", "200"), ("content-type", "text/plain"), ("x-a", "1"), ("x-a", "2")]
Line = h2.connection.H2Connection
Answers = Callable[[Line, int], object]


class Server:
    """A TLS server in memory, at the other end of what its client sends."""

    def __init__(self, context: ssl.SSLContext, answers: Answers) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        # What a bad server says is not checked by this end.
        config = h2.config.H2Configuration(client_side=False, validate_outbound_headers=False, normalize_outbound_headers=False)
        self._line = Line(config)
        self._answers = answers
        self._shaken = False
        self.asked: list[tuple[dict[str, str], bytes]] = []
        self.closed = False

    def sendall(self, data: bytes, /) -> None:
        self._in.write(data)

    def recv(self, size: int, /) -> bytes:
        self._works()
        return self._out.read(size)

    def close(self) -> None:
        self.closed = True

    def _works(self) -> None:
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
                if self._tls.selected_alpn_protocol() == "h2":
                    self._line.initiate_connection()
            while data := self._tls.read(65_536):
                self._says(data)
        except ssl.SSLWantReadError:
            pass
        if self._shaken and (data := self._line.data_to_send()):
            self._tls.write(data)

    def _says(self, data: bytes) -> None:
        if self._tls.selected_alpn_protocol() != "h2":
            self._tls.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            return
        for event in self._line.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                headers = {name.decode(): value.decode() for name, value in event.headers or ()}
                self.asked.append((headers, b""))
                if event.stream_ended:
                    self._answers(self._line, event.stream_id or 0)
            elif isinstance(event, h2.events.DataReceived):
                self.asked[-1] = (self.asked[-1][0], event.data or b"")
                self._answers(self._line, event.stream_id or 0)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def serves(authority: Authority) -> Callable[..., Server]:
    def made(answers: Answers, *protocols: str) -> Server:
        context = authority.leaf(NAME).context()
        context.set_alpn_protocols(list(protocols or ("h2", "http/1.1")))
        return Server(context, answers)

    return made


def asked(authority: Authority, server: Server, requests: Sequence[Request], *, http2: bool = True) -> list[HttpAnswer]:
    trust = ssl.create_default_context(cafile=Path(authority.root))
    with HttpConnection(server, trust, NAME, http2=http2) as connection:
        return [connection.ask(request) for request in requests]


def in_parts(line: Line, stream: int) -> None:
    line.send_headers(stream, HEADERS)
    line.send_data(stream, b"abc")
    line.send_data(stream, b"de", end_stream=True)


def test_several_answers_on_one_connection(authority: Authority, serves: Callable[..., Server]) -> None:
    server = serves(in_parts)
    post = Request("/x?y", f"{NAME}:8443", "POST", {"X-B": "1"}, b"{}")
    first, second = asked(authority, server, [post, Request("/", NAME)])
    assert (first.status, first.text, first.all("x-a"), first.version) == (200, "abcde", ("1", "2"), "2")
    assert [part for _, part in first.arrivals] == [b"abc", b"de"]
    assert (second.status, second.text) == (200, "abcde")
    headers, body = server.asked[0]
    assert {name: headers[name] for name in (":method", ":path", ":authority", "x-b", "content-length")} == {
        ":method": "POST",
        ":path": "/x?y",
        ":authority": f"{NAME}:8443",
        "x-b": "1",
        "content-length": "2",
    }
    assert body == b"{}"
    assert "host" not in headers
    assert server.closed


def test_a_server_without_it_is_asked_as_before(authority: Authority, serves: Callable[..., Server]) -> None:
    for server, http2 in ((serves(in_parts, "http/1.1"), True), (serves(in_parts), False)):
        (answer,) = asked(authority, server, [Request("/", NAME)], http2=http2)
        assert (answer.status, answer.text, answer.version) == (200, "ok", "1.1")


def is_reset(line: Line, stream: int) -> None:
    line.send_headers(stream, HEADERS)
    line.send_data(stream, b"abc")
    line.reset_stream(stream, 2)


def is_ended(line: Line, stream: int) -> None:
    line.send_headers(stream, HEADERS)
    line.close_connection(1)


def has_a_header_of_one_connection(line: Line, stream: int) -> None:
    line.send_headers(stream, [*HEADERS, ("upgrade", "h2c"), ("connection", "upgrade")])
    line.send_data(stream, b"abc", end_stream=True)


def is_shorter_than_said(line: Line, stream: int) -> None:
    line.send_headers(stream, [*HEADERS, ("content-length", "5")])
    line.send_data(stream, b"abc", end_stream=True)


def stops(line: Line, stream: int) -> None:
    line.send_headers(stream, HEADERS)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (is_reset, "the answer breaks off (INTERNAL_ERROR in HTTP/2)"),
        (is_ended, "the connection is ended (PROTOCOL_ERROR in HTTP/2)"),
        (has_a_header_of_one_connection, "that is no answer in HTTP/2: Connection-specific header field present: b'upgrade'"),
        (is_shorter_than_said, "that is no answer in HTTP/2: InvalidBodyLengthError: Expected 5 bytes, received 3"),
        (stops, "the connection is closed in the middle of an answer"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_no_answer(answers: Answers, said: str, authority: Authority, serves: Callable[..., Server]) -> None:
    with pytest.raises(FAILURES) as failed:
        asked(authority, serves(answers), [Request("/", NAME)])
    assert trouble(failed.value) == said
