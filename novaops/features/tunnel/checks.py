"""tunnel: requests through it get an answer, and its key can do nothing else. Both are tried from the client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from novaops.features.tunnel.observe import (
    GOT_IN,
    PATIENCE,
    ExpectedTunnel,
    ObservedTunnel,
    Rebooted,
    Results,
    after_reboot,
    before_reboot,
    entries_of,
    observe,
)
from novaops.features.tunnel.settings import Tunnel
from novaops.verify import applies
from novaops.verify.sections import CommandResult

__all__ = ["after_reboot", "before_reboot", "entries", "observe"]

_TIMED_OUT = 124
_REFUSED = "Host key verification failed"
_LOGGED_IN = "Authenticated to "
_SFTP_VERSION = "2"
"""The type of sftp's answer to a greeting."""


def entries(settings: Sequence[Tunnel]) -> Iterator[tuple[str, ExpectedTunnel]]:
    yield from entries_of(settings)


def _present(expected: ExpectedTunnel) -> bool:
    return expected.present


def _absent(expected: ExpectedTunnel) -> bool:
    return not expected.present


def _transparent(expected: ExpectedTunnel) -> bool:
    return any(forward.transparent for forward in expected.forwards)


def _reaches_own_ports(expected: ExpectedTunnel) -> bool:
    """Whether a SOCKS proxy may connect to each port of the gateway itself. Then none is another port."""
    return any(reach in {"*:*", "127.0.0.1:*", "*:22", "127.0.0.1:22"} for forward in expected.forwards for reach in forward.reaches)


# -- claims: traffic ---------------------------------------------------------------------------------------------------------


@applies(_present)
def test_listens(seen: ObservedTunnel) -> None:
    """Takes connections at its listener, and at no other address"""
    for port in sorted({port for _, port in seen.expected.places}):
        wanted = frozenset(address for address, number in seen.expected.places if number == port)
        found = _at(seen, port)
        expected = f"port {port} should be listened on at {_and(wanted)} and nowhere else"
        assert found, f"{expected}, but nothing listens there"
        assert found == wanted, f"{expected}, but it is at {_and(found)}"


@applies(_present)
def test_request(seen: ObservedTunnel) -> None:
    """Carries a request to its target, under the target's own name and with a certificate that is valid"""
    for forward in seen.expected.forwards:
        _answered(seen.requests, forward.target, f"{forward.check} through {forward.listens}")


@applies(_transparent)
def test_unchanged(seen: ObservedTunnel) -> None:
    """Is what an unchanged client uses, for whom the name leads nowhere else"""
    _leads_in(seen.expected, seen.names, seen.unchanged)


@applies(_present)
def test_enabled(seen: ObservedTunnel) -> None:
    """Starts when the host does"""
    state = seen.enabled.said
    assert state == "enabled", f"its unit should be enabled, but it is {state}"


# -- claims: the key ----------------------------------------------------------------------------------------------------------


@applies(_present)
def test_key_is_private(seen: ObservedTunnel) -> None:
    """Has a private key that only its own user can read"""
    owner, _, mode = seen.key.said.partition(" ")
    expected = "the private key should be novaops-tunnel's, with mode 0600 or less"
    assert not seen.key.status, f"{expected}, but {seen.key.said}"
    assert owner in {"novaops-tunnel", "root"}, f"{expected}, but it is {owner}'s"
    assert not int(mode, 8) & 0o177, f"{expected}, but it has mode 0{mode}"


@applies(_present)
def test_no_shell(seen: ObservedTunnel) -> None:
    """Has a key that opens no shell on the gateway"""
    _tried(seen)
    got_in = GOT_IN in seen.opens["shell"].lines
    assert not got_in, "the gateway should run no command for the tunnel's key, but it ran one"


@applies(_present)
def test_no_files(seen: ObservedTunnel) -> None:
    """Has a key that opens no sftp on the gateway"""
    _tried(seen)
    answer = " ".join(seen.opens["sftp"].text.split())
    served = answer.endswith(_SFTP_VERSION) and len(answer.split()) > 4  # noqa: PLR2004 - a length of four bytes, and a type
    assert not served, "the gateway should serve no files to the tunnel's key, but sftp answered"


@applies(lambda expected: _present(expected) and not _reaches_own_ports(expected))
def test_no_other_port(seen: ObservedTunnel) -> None:
    """Has a key that opens no other port through the gateway"""
    ended = _tried(seen, "port")
    prohibited = "administratively prohibited" in ended.text
    assert prohibited, f"the gateway should forbid another port than the tunnel's, but it did not: {_last(ended)}"


@applies(_present)
def test_not_back(seen: ObservedTunnel) -> None:
    """Has a key that lets nothing listen on the gateway"""
    ended = _tried(seen, "back")
    listens = ended.status == _TIMED_OUT or "Allocated port" in ended.text
    assert not listens, "the gateway should let the tunnel's key listen nowhere else, but it took a port for it"


@applies(_present)
def test_pinned(seen: ObservedTunnel) -> None:
    """Logs in to no gateway that shows another host key than the pinned one"""
    for kind, what in (("another", "another host key is pinned"), ("none", "no host key is pinned")):
        assert _LOGGED_IN not in seen.pinned[kind].text, f"ssh should not log in where {what}, but it did"
    for ended in seen.pinned.values():
        if _REFUSED not in ended.text:
            pytest.skip(f"the gateway could not be reached to try it: {_last(ended)}")


# -- claims: absent -----------------------------------------------------------------------------------------------------------


@applies(_absent)
def test_nothing_left(seen: ObservedTunnel) -> None:
    """Has left no key, no unit, no process and no name behind"""
    what = {"files": "files", "units": "units", "processes": "processes", "names": "lines of /etc/hosts, or of what cloud-init makes it of"}
    for kind, ended in seen.left.items():
        assert not ended.text, f"there should be no {what[kind]} of it any more, but there are: {_and(ended.lines)}"


@applies(lambda expected: not expected.present and bool(expected.ports))
def test_nothing_listens(seen: ObservedTunnel) -> None:
    """Listens nowhere any more"""
    for port in seen.listening:
        found = _at(seen, port)
        assert not found, f"nothing should listen on port {port} any more, but something does, at {_and(found)}"


# -- claims: afterwards -------------------------------------------------------------------------------------------------------


@applies(_present)
def test_after_reboot(seen: ObservedTunnel, rebooted: Rebooted) -> None:
    """Is back after a reboot of its own accord"""
    for forward in seen.expected.forwards:
        _answered(rebooted.requests, forward.target, f"{forward.check} within {PATIENCE} s of the reboot")


@applies(_transparent)
def test_unchanged_after_reboot(seen: ObservedTunnel, rebooted: Rebooted) -> None:
    """Is what an unchanged client uses after a reboot, too"""
    _leads_in(seen.expected, rebooted.names, rebooted.unchanged)


@applies(_present)
def test_heals(seen: ObservedTunnel, rebooted: Rebooted) -> None:
    """Is back within a minute after its ssh was killed"""
    if rebooted.killed.status:
        pytest.skip("there was no ssh of it to kill")
    for forward in seen.expected.forwards:
        _answered(rebooted.healed, forward.target, f"{forward.check} within {PATIENCE} s after its ssh was killed")


# -- helpers -----------------------------------------------------------------------------------------------------------------


def _at(seen: ObservedTunnel, port: int) -> frozenset[str]:
    """The addresses at which something listens on the port, without those of the host's other tunnels."""
    found = {"0.0.0.0" if one == "*" else one for one in seen.listening.get(port, frozenset())}  # noqa: S104 - as ss says it
    return frozenset(one for one in found if (one, port) not in seen.expected.others)


def _leads_in(expected: ExpectedTunnel, names: Results, unchanged: Results) -> None:
    for forward in expected.forwards:
        if not forward.transparent:
            continue
        found = {line.split()[0] for line in names[forward.target].lines}
        wanted = f"{forward.host} should lead to a loopback address of the tunnel's, and nowhere else"
        stray = sorted(address for address in found if not address.startswith("127.86."))
        assert found, f"{wanted}, but it leads nowhere"
        assert not stray, f"{wanted}, but it leads to {_and(stray)}"
        ended = _answered(unchanged, forward.target, f"{forward.check}, asked by an unchanged client,")
        if forward.kind != "tcp":
            address = ended.said.partition(" ")[2]
            assert address in found, f"an unchanged client should come to {_and(found)}, but it comes to {address}"


def _answered(results: Results, target: str, what: str) -> CommandResult:
    ended = results[target]
    assert not ended.status, f"{what} should be answered by {target}, but {_complaint(ended)}"
    return ended


def _complaint(ended: CommandResult) -> str:
    """The error of curl; its last line is only what -w makes it write."""
    lines = [line.removeprefix("curl: ") for line in ended.lines if line.startswith("curl: ")]
    return lines[0] if lines else ended.said or f"it ended with {ended.status}"


def _tried(seen: ObservedTunnel, what: str = "shell") -> CommandResult:
    """How a try ended. Skips the claim where the key was not accepted at all: then what is refused proves nothing."""
    ended = seen.opens[what]
    if _LOGGED_IN not in ended.text:
        pytest.skip(f"the key could not be tried: {_last(ended)}")
    return ended


def _last(ended: CommandResult) -> str:
    plain = [line for line in ended.lines if line.strip() and not line.startswith("debug")]
    return plain[-1].strip() if plain else f"ssh ended with {ended.status}"


def _and(words: Sequence[str] | frozenset[str] | set[str]) -> str:
    return " and ".join(sorted(words))
