"""The relay, on loopback: it passes bytes, late, up to a point, or not at all."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.support.relay import Fault, Relay


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that sends back what it gets, and closes when the other end has said all."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                while data := connection.recv(65536):
                    connection.sendall(data)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def connect(relay: Relay) -> socket.socket:
    return socket.create_connection((relay.address, relay.port), timeout=5)


def received(connection: socket.socket) -> bytes:
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
    return data


def test_it_passes_every_byte_and_the_end(echo: tuple[str, int]) -> None:
    sent = bytes(range(256)) * 4000
    with Relay(echo) as relay, connect(relay) as connection:

        def send() -> None:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)

        threading.Thread(target=send, daemon=True).start()
        assert received(connection) == sent
        assert relay.passed == {"up": len(sent), "down": len(sent)}
        assert relay.connections == 1


def test_it_delays_each_direction(echo: tuple[str, int]) -> None:
    with Relay(echo, delay_s=0.1) as relay, connect(relay) as connection:
        began = time.monotonic()
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        assert 0.2 <= time.monotonic() - began < 10


def test_the_delay_keeps_the_throughput(echo: tuple[str, int]) -> None:
    with Relay(echo, delay_s=0.05) as relay, connect(relay) as connection:
        began = time.monotonic()
        for _ in range(40):
            connection.sendall(b"x" * 1000)
        connection.shutdown(socket.SHUT_WR)
        assert len(received(connection)) == 40_000
        assert time.monotonic() - began < 3.5  # 40 round trips one after another would take longer


@pytest.mark.parametrize("after", [0, 1, 777])
def test_it_cuts_at_a_byte(echo: tuple[str, int], after: int) -> None:
    with Relay(echo, fault=Fault("cut", after, "up")) as relay, connect(relay) as connection:
        with suppress(ConnectionError):
            connection.sendall(b"x" * 1000)
            received(connection)
        assert relay.passed["up"] == after


def test_it_stalls_and_says_nothing(echo: tuple[str, int]) -> None:
    with Relay(echo, fault=Fault("stall", 3, "down")) as relay, connect(relay) as connection:
        connection.sendall(b"12345")
        assert connection.recv(10) == b"123"
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(10)


def test_it_refuses_and_cuts_when_told(echo: tuple[str, int]) -> None:
    with Relay(echo) as relay, connect(relay) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        relay.cut()
        with pytest.raises(ConnectionError):
            connection.recv(1)
        relay.refusing = True
        with pytest.raises(ConnectionError), connect(relay) as refused:
            refused.recv(1)


def test_a_target_that_is_not_there_is_a_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = listener.getsockname()
    with Relay(nobody) as relay, pytest.raises(ConnectionError), connect(relay) as connection:
        connection.recv(1)
