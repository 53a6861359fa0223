"""What a failed connection is said to have failed by."""

from __future__ import annotations

import errno
from dataclasses import replace

import paramiko
import pytest

from novaops.lab.process import wait_until
from novaops.ssh.client_config import Destination, Local, parse
from novaops.ssh.explain import Place, explain
from novaops.ssh.proxy_command import ProxySocket
from novaops.ssh.target import Target

LOCAL = Local("/home/me", "me", 1000, "box.example")


def place(text: str = "", *, jumps: bool = False, timeout: float = 30.0) -> Place:
    hop = parse(Destination("w1"), LOCAL, f"hostname 192.0.2.1\nport 22\nuser u\n{text}")
    before = parse(Destination("gate"), LOCAL, "hostname 192.0.2.9\nport 22\nuser u\n") if jumps else None
    return Place(Target("w1", "w1", timeout=timeout), hop, before)


@pytest.mark.parametrize(
    ("text", "timeout", "seconds", "fix"),
    [
        ("", 30.0, 30, "check address and firewall; --timeout waits longer"),
        ("connecttimeout none", 30.0, 30, "check address and firewall; --timeout waits longer"),
        ("connecttimeout 60", 30.0, 30, "check address and firewall; --timeout waits longer"),
        ("connecttimeout 3", 30.0, 3, "check address and firewall; ConnectTimeout 3 of ssh's configuration allows no more"),
    ],
)
def test_no_answer_in_time(text: str, timeout: float, seconds: int, fix: str) -> None:
    error = explain(TimeoutError("timed out"), place(text, timeout=timeout))
    assert (error.what, error.fix) == (f"w1: no answer from 192.0.2.1:22 within {seconds} s", fix)


@pytest.mark.parametrize(
    ("target", "source"),
    [
        (Target("w1", "192.0.2.1"), "address in the inventory"),
        (Target("w1", "w1.example"), "ssh's configuration"),
        (Target("u@192.0.2.1:22", "192.0.2.1"), "the address"),
        (Target("192.0.2.1", "192.0.2.1"), "the address"),
    ],
)
def test_where_the_address_is_from(target: Target, source: str) -> None:
    """Who names a host on the command line has no inventory to look into."""
    error = explain(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), replace(place(), target=target))
    assert error.fix == f"check {source}, and the firewall on the way"


@pytest.mark.parametrize(
    ("text", "seconds", "longer"),
    [("", 30, "--timeout waits longer"), ("connecttimeout 3", 3, "ConnectTimeout 3 of ssh's configuration allows no more")],
)
def test_a_jump_host_that_gives_no_answer(text: str, seconds: int, longer: str) -> None:
    """As paramiko says it of a channel that is not opened in time."""
    error = explain(paramiko.SSHException("Timeout opening channel."), place(text, jumps=True))
    assert error.what == f"w1: no answer from 192.0.2.1:22 within {seconds} s, asked from its jump host gate (192.0.2.9)"
    assert error.fix == f"see whether name and port are right as gate knows them, and the firewall behind it; {longer}"


@pytest.mark.parametrize(
    "said",
    ["Error reading SSH protocol banner", "Error reading SSH protocol banner: it greets without end", "No existing session", "timed out"],
)
def test_a_proxy_command_that_waits(said: str) -> None:
    """It was asked to log in elsewhere first, and still runs: the host itself said nothing."""
    sock = ProxySocket("sh -c 'echo one >&2; echo open https://login.example >&2; echo >&2; exec sleep 20'")
    wait_until(lambda: "login" in sock.said, 10)
    error = explain(TimeoutError(said) if said == "timed out" else paramiko.SSHException(said), place(), sock)
    assert error.what == "w1: its ProxyCommand runs, and no ssh server answered through it within 30 s"
    assert error.why == "It said: open https://login.example"
    assert error.fix.startswith("ssh's configuration has ProxyCommand sh -c 'echo one")


def test_a_proxy_command_that_waits_without_a_word() -> None:
    error = explain(paramiko.SSHException("Error reading SSH protocol banner"), place(), ProxySocket("sleep 20"))
    assert error.why == "It said nothing."


def test_a_proxy_command_is_not_blamed_for_a_login() -> None:
    error = explain(paramiko.AuthenticationException("no key was accepted"), place(), ProxySocket("sleep 20"))
    assert error.what == "w1: the login was refused"
