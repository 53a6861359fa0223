"""Web servers that answer without end, or drip: each is left in time."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from novaops.verify import http
from novaops.verify.http import HttpConnection, trouble
from novaops.verify.http_answer import Request

STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
DRIPS = {
    "the status line": (b"", b"H"),
    "a header": (b"HTTP/1.1 200 OK\r\nX: ", b"a"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@contextmanager
def serves(first: bytes, then: bytes) -> Iterator[socket.socket]:
    """A connection to a server that says one thing, and the other one without end."""
    here, there = socket.socketpair()

    def say() -> None:
        with suppress(OSError):
            for part in itertools.chain([first], itertools.repeat(then)):
                there.sendall(part)
                time.sleep(0.02)  # that is the attack

    thread = threading.Thread(target=say)
    thread.start()
    with there, here:
        here.settimeout(2)
        yield here
    thread.join(5)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LONGEST", 0.3)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("drip", DRIPS)
def test_an_answer_that_never_begins_is_left(drip: str) -> None:
    began = time.monotonic()
    with serves(*DRIPS[drip]) as line, pytest.raises(TimeoutError) as error:
        HttpConnection(line).ask(Request("/", "x"))
    assert trouble(error.value) == "its answer takes longer than 0.3 s"
    assert time.monotonic() - began < 5


@pytest.mark.timeout(20)
@pytest.mark.parametrize("then", [b"0", b"1;", b"5\r\nhello\r\n"])
def test_a_body_without_end_is_what_came_of_it_until_then(then: bytes) -> None:
    began = time.monotonic()
    with serves(STREAM + b"3\r\nabc\r\n", then) as line:
        answer = HttpConnection(line).ask(Request("/", "x"))
    assert (answer.status, answer.body[:3]) == (200, b"abc")
    assert 0.3 <= time.monotonic() - began < 5


@pytest.mark.timeout(20)
def test_a_greeting_of_tls_without_end_is_left() -> None:
    import ssl

    hello = b"\x16\x03\x03\x40\x00"
    with serves(hello, b"\0") as line, pytest.raises(TimeoutError) as error:
        HttpConnection(line, ssl.create_default_context(), "x")
    assert trouble(error.value) == "its answer takes longer than 0.3 s"
