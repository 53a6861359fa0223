"""vpn: named routes go through the link and are answered there, and nothing else goes through it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

import pytest

from novaops.features.vpn.observe import (
    PATIENCE,
    ObservedAbsent,
    ObservedLink,
    ObservedRoute,
    ObservedServer,
    Rebooted,
    after_reboot,
    before_reboot,
    observe,
)
from novaops.features.vpn.settings import Link, Vpn
from novaops.shell import lines_of
from novaops.verify import applies
from novaops.verify.sections import CommandResult

__all__ = ["after_reboot", "before_reboot", "entries", "observe"]

LEAST = 200
"""Bytes each way that any request and its answer have."""


def entries(settings: Sequence[Vpn]) -> Iterator[tuple[str, Vpn]]:
    yield from ((entry.name, entry) for entry in settings)


def _present(entry: Vpn) -> bool:
    return entry.state == "present"


def _link(entry: Vpn) -> bool:
    return _present(entry) and isinstance(entry, Link)


def _server(entry: Vpn) -> bool:
    return _present(entry) and not isinstance(entry, Link)


# -- claims: a link -----------------------------------------------------------------------------------------------------------


@applies(_link)
def test_up(seen: ObservedLink) -> None:
    """Is up, and has an address"""
    assert _has_address(seen.device), f"{seen.wanted.device} should be up and have an address, but {seen.device.said or 'it has none'}"


@applies(_link)
def test_named_goes_through(seen: ObservedLink) -> None:
    """Is the way to each address that a wanted name leads to, and to each wanted network"""
    device = seen.wanted.device
    own = []
    for wanted, routes in seen.routes.items():
        assert routes, f"{wanted} should go through {device}, but it leads to no address"
        for route in routes:
            shown = _shown(wanted, route)
            if route.own and route.device != device:
                own.append(shown)
                continue
            nowhere = not route.device and ":" in route.address  # most VPNs carry IPv4 only: what must not be is that it leaks
            assert nowhere or route.device == device, f"{shown} should go through {device}, but it goes {_by(route.device)}"
    if own:
        pytest.skip(f"the host reaches {', '.join(own)} without anything on the way")


@applies(_link)
def test_nothing_else(seen: ObservedLink) -> None:
    """Is the way to nothing else: not to other addresses, to DNS servers, nor to where this connection comes from"""
    device, networks = seen.wanted.device, [ipaddress.ip_network(one) for one in seen.wanted.networks]
    for what, route in seen.others.items():
        if any(ipaddress.ip_address(route.address) in network for network in networks):
            continue
        assert route.device != device, f"{what} should not go through {device}, but it does"


@applies(_link)
def test_answered(seen: ObservedLink) -> None:
    """Carries a request, which is answered"""
    ended, url = seen.request, seen.wanted.url
    assert not ended.status, f"{url} should be answered, but {_complaint(ended)}"


@applies(_link)
def test_bytes_move(seen: ObservedLink) -> None:
    """Moves the bytes of that request"""
    sent, got = seen.moved
    if seen.request.status:
        pytest.skip("the request was not answered")
    if not any(route.device == seen.wanted.device for routes in seen.routes.values() for route in routes):
        pytest.skip("nothing that is named goes through it")
    expected = f"the request and its answer should go through {seen.wanted.device}"
    assert sent >= LEAST and got >= LEAST, f"{expected}, but it sent {sent} bytes and got {got} meanwhile"  # noqa: PT018 - one sentence


@applies(lambda entry: _link(entry) and entry.when_down == "unreachable")
def test_nothing_leaks(seen: ObservedLink) -> None:
    """Leaves no other way open for when it is down"""
    for wanted, routes in seen.routes.items():
        for route in routes:
            if not route.own or route.device == seen.wanted.device:
                shown = _shown(wanted, route)
                assert route.shut, f"{shown} should be unreachable without the VPN, but there is no such route below it"


@applies(_link)
def test_secrets(seen: ObservedLink) -> None:
    """Has its profile and credentials in files that only root can read"""
    assert seen.files, "there should be a profile in /etc/openvpn/client, but there is none"
    _private(seen)


@applies(_present)
def test_enabled(seen: ObservedLink | ObservedServer) -> None:
    """Starts when the host does"""
    assert seen.enabled.said == "enabled", f"its unit should be enabled, but it is {seen.enabled.said}"


# -- claims: a server ---------------------------------------------------------------------------------------------------------


@applies(_server)
def test_listens(seen: ObservedServer) -> None:
    """Listens at its port"""
    server = seen.wanted
    assert seen.listening, f"{server.protocol} port {server.port} should be listened on, but it is not"


@applies(_server)
def test_has_address(seen: ObservedServer) -> None:
    """Has an address in its clients' network"""
    network = ipaddress.ip_network(seen.wanted.network)
    found = [word.partition("/")[0] for line in seen.device.lines for word in line.split() if word.partition("/")[0].count(".") == 3]  # noqa: PLR2004
    inside = any(ipaddress.ip_address(one) in network for one in found)
    assert inside, f"{seen.wanted.device} should have an address in {network}, but it has {' and '.join(found) or 'none'}"


@applies(_server)
def test_way_out(seen: ObservedServer) -> None:
    """Passes its clients on, behind the host's own address, by one rule"""
    network = seen.wanted.network
    assert seen.forwards, "the host should pass packets on (net.ipv4.ip_forward = 1), but it does not"
    assert seen.masquerades == 1, f"one rule should masquerade {network}, but there are {seen.masquerades or 'none'}"


@applies(_server)
def test_revocations(seen: ObservedServer) -> None:
    """Has a valid list of revoked certificates"""
    assert not seen.revoked, f"the list of revoked certificates should be valid, but {seen.revoked}"


@applies(_server)
def test_shut_out(seen: ObservedServer) -> None:
    """Lets nobody in whose certificate is revoked"""
    found = " and ".join(seen.accepted)
    assert not found, f"these certificates are revoked, and openssl accepts them by the list of revoked certificates: {found}"


@applies(_server)
def test_keys(seen: ObservedServer) -> None:
    """Has the authority's key, and its own, in files that only root can read"""
    found = any(path.endswith("/ca.key") for path in seen.files)
    assert found, "the authority's private key should be on this host, but there is none"
    _private(seen)


# -- claims: gone, and afterwards ---------------------------------------------------------------------------------------------


@applies(lambda entry: not _present(entry))
def test_nothing_left(seen: ObservedAbsent) -> None:
    """Has left no device, no routes, no files and no units behind"""
    for kind, ended in seen.left.items():
        found = ended.text.strip()
        assert not found, f"there should be no {kind} of it any more, but there is: {lines_of(found)[0].strip()}"


@applies(_link)
def test_link_after_reboot(seen: ObservedLink, rebooted: Rebooted) -> None:
    """Is back after a reboot of its own accord"""
    link = seen.wanted
    assert _has_address(rebooted.device), f"{link.device} should be up within {PATIENCE} s of the reboot, but it is not"
    assert not rebooted.request.status, f"{link.url} should be answered after the reboot, but {_complaint(rebooted.request)}"


@applies(_server)
def test_server_after_reboot(seen: ObservedServer, rebooted: Rebooted) -> None:
    """Listens and passes on again after a reboot"""
    server = seen.wanted
    assert rebooted.listening, f"{server.protocol} port {server.port} should be listened on after the reboot, but it is not"
    assert rebooted.masquerades == 1, f"one rule should masquerade {server.network} after the reboot, but there are {rebooted.masquerades}"


# -- in words -----------------------------------------------------------------------------------------------------------------


def _shown(wanted: str, route: ObservedRoute) -> str:
    return wanted if wanted == route.address else f"{wanted} ({route.address})"


def _private(seen: ObservedLink | ObservedServer) -> None:
    for path, said in seen.files.items():
        owner, _, mode = said.partition(" ")
        fits = owner == "root" and not int(mode, 8) & 0o077
        assert fits, f"{path} should be root's, and nobody else's to read, but it is {owner}'s with mode 0{mode}"


def _has_address(device: CommandResult) -> bool:
    return not device.status and bool(device.text.strip())


def _by(device: str) -> str:
    return f"by {device}" if device else "nowhere"


def _complaint(ended: CommandResult) -> str:
    lines = [line.removeprefix("curl: ") for line in ended.lines if line.startswith("curl: ")]
    return lines[0] if lines else ended.said or f"curl ended with {ended.status}"
