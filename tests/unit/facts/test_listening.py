"""Who listens, who a name leads to, and which addresses are the host's own: as the tools say it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novaops.facts.dns import AddressesOf, OwnAddresses
from novaops.facts.listening import Listener, Listening
from novaops.model.question import Question
from tests.unit.facts.test_facts import framed, outcome, read

EVERY = "0.0.0.0"  # noqa: S104 - as ss says it
SS = """\
LISTEN 0      511    0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=694,fd=5),("nginx",pid=693,fd=5),("nginx",pid=691,fd=5))
LISTEN 0      128    0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=34,fd=3))                                                \n\
LISTEN 0      4096   127.0.0.53%lo:53   0.0.0.0:*    users:(("systemd-resolve",pid=605,fd=14))
LISTEN 0      511       [::]:80    [::]:* users:(("nginx",pid=694,fd=6),("nginx",pid=693,fd=6))
LISTEN 0      511          *:443      *:* users:(("apache2",pid=5,fd=4),("it's (a) \\"name\\"",pid=7,fd=4))
LISTEN 0      64     0.0.0.0:2049 0.0.0.0:*
LISTEN 0 4096 [fe80::1%eth0]:546 [::]:* users:(("systemd",pid=1,fd=8))
"""

UNITS = "=\n1 init.scope\n34 ssh.service\n605 \n693 nginx.service\n694 nginx.service\nend\n"

IP = """\
1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
1: lo    inet6 ::1/128 scope host noprefixroute \\       valid_lft forever preferred_lft forever
2: eth0    inet 192.0.2.10/24 brd 192.0.2.255 scope global eth0\\       valid_lft forever preferred_lft forever
2: eth0    inet6 2001:DB8::a/64 scope global \\       valid_lft forever preferred_lft forever
3: wg0    inet 10.0.0.2 peer 10.0.0.1/32 scope global wg0\\       valid_lft forever preferred_lft forever
4: odd    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff
"""


def answers(questions: list[Any], stdout: str, status: int = 0) -> list[Any]:
    facts = read(questions, *framed(questions[0], stdout, status=status))
    return [outcome(facts, question) for question in questions]


def test_who_listens() -> None:
    (found,) = answers([Listening()], SS + UNITS)
    assert found == (
        Listener(EVERY, 80, ("nginx",), 694, "nginx.service"),
        Listener(EVERY, 22, ("sshd",), 34, "ssh.service"),
        Listener("127.0.0.53", 53, ("systemd-resolve",), 605),
        Listener("::", 80, ("nginx",), 694, "nginx.service"),
        Listener("*", 443, ("apache2", 'it\'s (a) \\"name\\"'), 5),
        Listener(EVERY, 2049, ()),
        Listener("fe80::1", 546, ("systemd",), 1, "init.scope"),
    )
    assert answers([Listening()], "\n=\nend\n") == [()]


def test_own_addresses() -> None:
    assert answers([OwnAddresses()], IP + "end\n") == [("10.0.0.2", "127.0.0.1", "192.0.2.10", "::1", "2001:db8::a")]


def test_addresses_of_names() -> None:
    names = [AddressesOf("a.example"), AddressesOf("b.example"), AddressesOf("c.example")]
    stdout = """\
2 2001:DB8::2     c.example
0 192.0.2.10 STREAM a.example
0 192.0.2.10 DGRAM
0 192.0.2.9  RAW
2 192.0.2.7 STREAM c.example
0 192.0.2.9     a.example
end
"""
    assert answers(names, stdout) == [("192.0.2.9", "192.0.2.10"), "absent", ("192.0.2.7", "2001:db8::2")]
    assert answers(names, "end\n") == ["absent"] * 3


@pytest.mark.parametrize(
    ("question", "stdout"),
    [
        (Listening(), SS),
        (Listening(), SS + "end\n"),
        (Listening(), SS + UNITS.removesuffix("end\n")),
        (Listening(), SS + "LISTEN 0\n" + UNITS),
        (Listening(), ""),
        (OwnAddresses(), IP),
        (OwnAddresses(), "1: lo    inet nothing\nend\n"),
        (AddressesOf("a"), "0 192.0.2.1\n"),
        (AddressesOf("a"), "1 192.0.2.1\nend\n"),
        (AddressesOf("a"), "0 a.example\nend\n"),
    ],
)
def test_what_was_cut_is_unknown(question: Question[Any], stdout: str) -> None:
    assert answers([question], stdout) == ["unknown"]


@pytest.mark.parametrize("question", [Listening(), OwnAddresses()])
def test_a_tool_that_fails_tells_nothing(question: Question[Any]) -> None:
    assert answers([question], "end\n", status=1) == ["unknown"]


@pytest.mark.parametrize("question", [Listening(), OwnAddresses(), AddressesOf("a")], ids=lambda question: type(question).family)
@given(st.text(st.characters(exclude_characters="\0"), max_size=60))
@settings(max_examples=20)
def test_garbage_is_never_absent(question: Question[Any], garbage: str) -> None:
    assert answers([question], garbage.replace("end", "") or "%") == ["unknown"]
