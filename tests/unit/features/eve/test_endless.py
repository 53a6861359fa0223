"""A console and an API that say something without end: each is left in time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from novaops.features.eve import api_client, console
from novaops.features.eve.api_answer import ApiFailed
from novaops.features.eve.api_client import EveApi
from novaops.features.eve.console import Console
from novaops.secret import Secret

pytestmark = pytest.mark.timeout(20)


class _Line:
    """A node that prints the same again and again."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def recv(self, _: int) -> bytes:
        time.sleep(0.01)
        return self.text

    def settimeout(self, _: float | None) -> None: ...

    def sendall(self, _: bytes) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(console, "_LONGEST", 0.3)

    def prints(text: bytes) -> Console:
        monkeypatch.setattr(console, "open_channel", lambda *_: _Line(text))
        return Console(None, 1)  # type: ignore[arg-type]

    began = time.monotonic()
    yield prints
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("text", [b" ", b"No bootable device.\r\n"])
def test_what_a_console_prints_without_end_is_no_answer(node: Any, text: bytes) -> None:
    assert not node(text).answers()


def test_a_console_that_is_never_quiet_is_asked_all_the_same(node: Any) -> None:
    assert node(b"login:\r\n").ask("show version", "login", 0.3)[0]
    assert not node(b"x\r\n").ask("show version", "Version", 0.3)[0]


@contextmanager
def api(head: bytes, then: bytes, wait: float, timeout: float) -> Iterator[EveApi]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def say() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(9999)
                connection.sendall(head)
                while True:
                    connection.sendall(then)
                    time.sleep(wait)

        thread = threading.Thread(target=say)
        thread.start()
        made = EveApi(f"http://127.0.0.1:{server.getsockname()[1]}", "admin", Secret("eve"), timeout=timeout)
        yield made
        made._http.close()
        thread.join(5)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


def test_an_answer_that_drips_is_left() -> None:
    with api(HEAD, b" ", 0.05, 0.5) as eve, pytest.raises(ApiFailed, match=r"did not answer GET /api/status within 0.5 s"):
        eve.status()


def test_an_answer_that_is_too_large_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_client, "_LARGEST", 1024**2)
    with api(HEAD, b" " * 65_536, 0, 10) as eve, pytest.raises(ApiFailed, match="is too large") as error:
        eve.status()
    assert error.value.why == "It is larger than 1 MiB."
