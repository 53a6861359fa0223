"""Hosts that print without end, or drip: each is given up in time, whatever it is asked, and costs little processor."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from novaops.engine import parallel as fleet
from novaops.errors import HostFailed, NovaopsError, Unreachable
from novaops.ssh import session as ssh
from novaops.ssh.connection import fetch_host_key
from novaops.ssh.launch import Launch
from novaops.ssh.session import ConnectionLost, Session
from novaops.ssh.target import Target

if TYPE_CHECKING:
    from tests.loopback.conftest import Host

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="the server runs what it is told as its own user, who must be root here")


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "PATIENCE", (1.5, 1))


@contextmanager
def greets(say: Callable[[socket.socket], None]) -> Iterator[Target]:
    """A server that never comes to the name of its protocol."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        say(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield Target("loop", "127.0.0.1", listener.getsockname()[1], "root", known_hosts=os.devnull, timeout=3)
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def one_line(connection: socket.socket) -> None:
    for _ in range(300 * 16):
        connection.sendall(b"x" * 65_536)


def many_lines(connection: socket.socket) -> None:
    for _ in range(300 * 16):
        connection.sendall(b"x\n" * 32_768)


def drips(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)  # that is the attack


@pytest.mark.parametrize("say", [one_line, many_lines, drips])
@pytest.mark.parametrize("opens", [lambda target: Session(target).open(), fetch_host_key], ids=["session", "host key"])
def test_a_greeting_without_end(
    say: Callable[[socket.socket], None], opens: Callable[[Target], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the host key is known."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with greets(say) as target:
        began, used = time.monotonic(), time.process_time()
        with pytest.raises(Unreachable, match=r"does not greet as ssh does|no ssh session") as error:
            opens(target)
        assert time.monotonic() - began < 5
        assert time.process_time() - used < 3
        assert len(str(error.value)) < 1000


def test_a_greeting_of_some_lines_is_taken(host: Host) -> None:
    """RFC 4253, 4.2: other lines may come before the name of the protocol."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def pass_on() -> None:
            connection, _ = listener.accept()
            with connection, socket.create_connection(("127.0.0.1", host.port)) as inner:
                connection.sendall(b"hello\r\n" + b"y" * 500 + b"\nbye\n")
                back = threading.Thread(target=host._pass_on, args=(inner.recv, connection.sendall, lambda: None), daemon=True)
                back.start()
                host._pass_on(connection.recv, inner.sendall, lambda: inner.shutdown(socket.SHUT_WR))
                back.join(5)

        threading.Thread(target=pass_on, daemon=True).start()
        port = listener.getsockname()[1]
        host.knows(host.line().replace(str(host.port), str(port)))
        with Session(replace(host.target(), port=port)) as session:
            assert session.run("echo out").stdout == "out\n"


def test_the_noise_of_a_login_is_read_in_linear_time() -> None:
    """A hundred thousand different lines, in small pieces."""
    launch = Launch("true\n", root=True)
    used = time.process_time()
    for number in range(0, 100_000, 10):
        launch.heard(0, b"".join(b"%d\n" % line for line in range(number, number + 10)))
    assert launch.printed() == ["99996", "99997", "99998", "99999"]
    assert time.process_time() - used < 2


@pytest.mark.parametrize("command", ["yes", "yes >&2", "tr '\\0' x </dev/zero"])
def test_a_login_that_prints_without_end(host: Host, command: str) -> None:
    host.manners.instead = command
    used = time.process_time()
    with Session(host.target()) as session, pytest.raises(HostFailed, match="prints without end"):
        session.run("echo out")
    assert time.process_time() - used < 5


@pytest.mark.parametrize("root", [True, False])
def test_a_login_that_drips(host: Host, *, root: bool) -> None:
    host.manners.instead = "while echo .; do sleep 0.1; done"
    with Session(host.target(1)) as session, pytest.raises(ConnectionLost, match=r"was not done after 1\.5 s"):
        session.run("echo out", root=root)


def test_a_login_that_drips_before_a_run(host: Host) -> None:
    host.manners.instead = "while echo .; do sleep 0.1; done"
    with Session(host.target(1)) as session, pytest.raises(ConnectionLost, match=r"was not done after 1\.5 s"):
        list(session.follow("echo out", silence=1))


def test_a_probe_that_drips(host: Host) -> None:
    with Session(host.target(1)) as session, pytest.raises(ConnectionLost, match=r"was not done after 1\.5 s") as error:
        session.run("while echo .; do sleep 0.1; done")
    assert "--timeout" in error.value.fix


def test_a_run_may_take_its_time(host: Host) -> None:
    """What changes something is followed for as long as it goes on: it says that it is alive."""
    with Session(host.target(1)) as session:
        lines = list(session.follow("for i in 1 2 3 4 5 6 7 8 9; do echo alive; sleep 0.25; done", silence=1))
    assert lines == ["alive"] * 9


@pytest.mark.parametrize("command", ["yes", "yes >&2", "tr '\\0' x </dev/zero"])
def test_a_probe_that_prints_without_end(host: Host, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr(ssh, "MOST_OUTPUT", 1 << 20)
    monkeypatch.setattr(ssh, "PATIENCE", (30, 1))
    with Session(host.target()) as session, pytest.raises(HostFailed, match="prints without end"):
        session.run(command)


def test_a_line_of_a_run_without_end(host: Host) -> None:
    used = time.process_time()
    with Session(host.target()) as session, pytest.raises(HostFailed, match="a line without end"):
        list(session.follow("tr '\\0' x </dev/zero", silence=5))
    assert time.process_time() - used < 5


def test_the_others_are_reported_in_time(host: Host) -> None:
    """A host that drips, one that prints without end and a good one, together."""

    def look(words: str) -> str:
        try:
            with Session(host.target(1)) as session:
                return session.run(words).stdout
        except NovaopsError as error:
            return error.code

    began = time.monotonic()
    assert fleet.each(["while echo .; do sleep 0.1; done", "echo fine"], look, 2) == ["connection-lost", "fine\n"]
    assert time.monotonic() - began < 15
