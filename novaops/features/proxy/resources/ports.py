"""Whether nginx can listen where a site wants to: beside the sites of others, and by a reload. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from novaops.facts.listening import Listener
from novaops.features.proxy.facts.nginx import NginxFacts
from novaops.features.proxy.resources.nginx_files import is_ours
from novaops.formats.nginx_conf import Listen, NginxServer

Pair = tuple[str, int]
"""An address as nginx writes it ("*" for all of IPv4), and a port."""
Trouble = tuple[str, str, str]
"""What is wrong, why, and how to fix it."""

_ALL = frozenset({"*", "[::]"})
_OF_A_SOCKET = ("ssl", "http2", "proxy_protocol")
"""Options that count for all servers at one address and port."""


_KEPT = "Its old socket keeps the port until it is closed."
_ANEW = "remove the sites at that port, and deploy them again"


def troubles(
    pairs: Sequence[Pair], tls_ports: Iterable[int], nginx: NginxFacts, listening: Iterable[Listener], own: Collection[str] = ()
) -> Iterator[Trouble]:
    """What keeps a site from listening at these addresses and ports, most certain first. `own`: its files, which it replaces."""
    others = [server for server in nginx.conf.servers() if not is_ours(server.file)]
    yield from _taken_by_others(pairs, nginx)
    yield from _both_kinds(pairs, nginx)
    yield from _other_options(pairs, frozenset(tls_ports), others)
    yield from _no_reload(pairs, [server for server in nginx.conf.servers() if server.file not in own], list(listening))


def dual_stack(nginx: NginxFacts, port: int) -> NginxServer | None:
    """The foreign server whose listen makes one socket of IPv4 and IPv6 at this port: then nginx can have none for IPv4 alone."""
    servers = (server for server in nginx.conf.servers() if not is_ours(server.file))
    return next((one for one in servers for each in one.listens if each.port == port and "ipv6only=off" in each.options), None)


def _taken_by_others(pairs: Sequence[Pair], nginx: NginxFacts) -> Iterator[Trouble]:
    for server, listen in _tcp(nginx.conf.other_servers):
        if any(port == listen.port and _overlap(address, listen.address) for address, port in pairs):
            yield (
                f"port {listen.port} is taken by {server.place}",
                "It is nginx's own, but not of http: a server of stream or mail, which takes all that comes there.",
                "choose another port, and let that server pass the site's name on to it",
            )


def _both_kinds(pairs: Sequence[Pair], nginx: NginxFacts) -> Iterator[Trouble]:
    for address, port in pairs:
        server = dual_stack(nginx, port)
        if server and not address.startswith("[") and address != "*":
            yield (
                f"{server.place} listens for IPv4 and IPv6 at once at port {port}, so nginx cannot listen on {address} alone",
                "With ipv6only=off one socket has the port of all IPv4 addresses.",
                "leave listen: out, choose another port, or write two listens there: one for each kind",
            )


def _other_options(pairs: Sequence[Pair], tls_ports: frozenset[int], others: Sequence[NginxServer]) -> Iterator[Trouble]:
    for server, listen in _tcp(others):
        if (listen.address, listen.port) not in pairs:
            continue
        has, wants_tls = set(listen.options) & set(_OF_A_SOCKET), listen.port in tls_ports
        odd = ["proxy_protocol"] * ("proxy_protocol" in has) + ["ssl"] * (not wants_tls and "ssl" in has) + ["http2"] * (has == {"http2"})
        without = ["without ssl"] * (wants_tls and "ssl" not in has)
        if odd or without:
            yield (
                f"port {listen.port} belongs to {server.place}, {without[0] if without else f'with {odd[0]}'}",
                "nginx understands all that comes to an address and a port in one way, whichever server it is for.",
                "choose another port for one of the two",
            )


def _no_reload(pairs: Sequence[Pair], staying: Sequence[NginxServer], listening: Sequence[Listener]) -> Iterator[Trouble]:
    """Between one address and all of them nginx cannot go by a reload: its old socket keeps the port from the new one."""
    held = {(address, each.port) for each in listening if "nginx" in each.programs for address in _as_nginx(each.address)}
    places = {(listen.address, listen.port): "" if is_ours(server.file) else server.place for server, listen in _tcp(staying)}
    for address, port in pairs:
        family = {at for at, number in held if number == port and at.startswith("[") == address.startswith("[")}
        everywhere = "[::]" if address.startswith("[") else "*"
        if address in family:
            continue
        if single := sorted(family - _ALL) if address == everywhere else []:
            place = places.get((single[0], port))
            who, otherwise = (
                (place, f"write `listen {port};` there and restart nginx") if place else ("nginx, for sites of novaops,", _ANEW)
            )
            yield (
                f"{who} has port {port} of {single[0]} alone, and a running nginx cannot go from there to all addresses",
                _KEPT,
                f"say listen: {single[0].strip('[]')}, or {otherwise}",
            )
        elif everywhere in family and (everywhere, port) not in {*places, *pairs}:
            yield (
                f"nginx has port {port} of all addresses, and no running nginx can go from there to {address} alone",
                _KEPT,
                f"leave listen: out, choose another port, or {_ANEW}",
            )


def _tcp(servers: Iterable[NginxServer]) -> Iterator[tuple[NginxServer, Listen]]:
    return ((server, each) for server in servers for each in server.listens if not {"udp", "quic"} & set(each.options))


def _overlap(one: str, other: str) -> bool:
    same_kind = one.startswith("[") == other.startswith("[")
    return one == other or (same_kind and bool({one, other} & _ALL))


def _as_nginx(address: str) -> tuple[str, ...]:
    """The address as nginx writes it; both for a socket of both kinds."""
    if address == "*":
        return "*", "[::]"
    if address == "0.0.0.0":  # noqa: S104 - compared
        return ("*",)
    return (f"[{address}]" if ":" in address else address,)
