"""The login that confirms, against a server that counts how often it is tried: sshd holds each try against who makes it."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from novaops.engine.fresh_login import log_in
from novaops.errors import LoginFailed, PasswordsAccepted, Unreachable
from novaops.model.plan import FreshLogin
from novaops.secret import Secret
from novaops.ssh.session import Session

if TYPE_CHECKING:
    from tests.loopback.conftest import Host

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="the server runs what it is told as its own user, who must be root here")

RIGHT, WRONG = Secret("right"), Secret("wrong")


@pytest.fixture
def own(host: Host) -> Iterator[Session]:
    """The session that novaops came by; what it did to log in is forgotten. Its key is one of the user's own, too."""
    (host.folder / ".ssh").mkdir()
    shutil.copy(host.identity, host.folder / ".ssh/id_ed25519")
    with Session(host.target()) as session:
        host.attempts.clear()
        yield session


def test_a_login_is_one_attempt_by_the_key_that_worked_before(host: Host) -> None:
    """Of several keys of the user's: the fresh login offers no other."""
    folder = host.folder / ".ssh"
    folder.mkdir()
    for kind in ("rsa", "ecdsa", "ed25519"):
        host.makes_client_key(kind)
        shutil.copy(host.identity, folder / f"id_{kind}")
    with Session(replace(host.target(), identity=None)) as own:
        assert host.attempts == [["publickey"] * 3], "the key that works is the last one that is tried"
        host.attempts.clear()
        log_in(own, FreshLogin(), ":\n", time.monotonic() + 5)
    assert host.attempts == [["publickey"]]


def test_the_script_is_run_over_a_connection_of_its_own(host: Host, own: Session) -> None:
    log_in(own, FreshLogin(), f"echo word >{host.folder}/said\n", time.monotonic() + 5)
    assert ((host.folder / "said").read_text(), own.execs, len(host.execs)) == ("word\n", 0, 1)


def test_a_script_that_fails_is_no_login(host: Host, own: Session) -> None:
    with pytest.raises(LoginFailed, match="the login works, but nothing can be run by it") as failed:
        log_in(own, FreshLogin(), "echo no >&2; exit 3\n", time.monotonic() + 5)
    assert (failed.value.why, len(host.execs)) == ("no", 1)


def test_a_password_is_one_attempt(host: Host, own: Session) -> None:
    host.manners.methods = ("publickey", "password")
    log_in(own, FreshLogin("ana", RIGHT), ":\n", time.monotonic() + 5)
    assert host.attempts == [["password"]]


@pytest.mark.parametrize("methods", [("publickey",), ("publickey", "password")])
def test_a_password_that_is_refused_is_not_tried_again(host: Host, own: Session, methods: tuple[str, ...]) -> None:
    host.manners.methods = methods
    with pytest.raises(LoginFailed, match="the login of ana by password was refused"):
        log_in(own, FreshLogin("ana", WRONG), ":\n", time.monotonic() + 5)
    assert (host.attempts, host.execs) == ([["password"]], [])


def test_a_key_that_is_refused_is_not_tried_again(host: Host, own: Session) -> None:
    host.manners.lets_in = False
    with pytest.raises(LoginFailed):
        log_in(own, FreshLogin(), ":\n", time.monotonic() + 5)
    assert (host.attempts, host.execs) == ([["publickey"]], [])


def test_a_server_that_turns_passwords_down_and_takes_the_key(host: Host, own: Session) -> None:
    log_in(own, FreshLogin(no_passwords=True), ":\n", time.monotonic() + 5)
    assert (host.attempts, len(host.execs)) == ([["none", "password", "publickey"]], 1)


@pytest.mark.parametrize("method", ["password", "keyboard-interactive", "none"])
def test_a_server_that_would_take_a_password_is_found_out(host: Host, own: Session, method: str) -> None:
    host.manners.methods = ("publickey", method)
    with pytest.raises(PasswordsAccepted) as taken:
        log_in(own, FreshLogin(no_passwords=True), ":\n", time.monotonic() + 5)
    assert taken.value.code == "passwords-taken"
    assert ("asks for nothing at all" if method == "none" else f"still offers {method}") in taken.value.what
    assert (len(host.attempts), host.attempts[0].count("password") <= 1, "publickey" in host.attempts[0]) == (1, True, False)
    assert host.execs == []


def test_a_server_that_starts_anew_is_waited_for(host: Host, own: Session) -> None:
    host.manners.hangs_up = 3
    log_in(own, FreshLogin(), ":\n", time.monotonic() + 10)
    assert (host.attempts, host.manners.hangs_up, len(host.execs)) == ([["publickey"]], 0, 1)


def test_a_port_that_refuses_is_tried_until_it_is_too_late(host: Host, own: Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    own.target = replace(host.target(), port=port)
    began = time.monotonic()
    with pytest.raises(Unreachable, match="nothing answers"):
        log_in(own, FreshLogin(), ":\n", time.monotonic() + 1.5)
    assert 1 < time.monotonic() - began < 5


def test_a_server_that_never_greets_is_not_waited_for_longer_than_there_is_time(own: Session) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=5) as listener:
        own.target = replace(own.target, port=listener.getsockname()[1])
        began = time.monotonic()
        with pytest.raises(Unreachable):
            log_in(own, FreshLogin(), ":\n", 1)
        assert time.monotonic() - began < 5
