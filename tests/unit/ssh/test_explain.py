"""What a failed connection is said to have failed by."""

from __future__ import annotations

import pytest

from novaops.ssh.client_config import Destination, Local, parse
from novaops.ssh.explain import Place, explain
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
