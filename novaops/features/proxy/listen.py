"""Where sites listen, as nginx has to be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from novaops.features.proxy.facts.nginx import NginxFacts
from novaops.features.proxy.resources.nginx_files import DEFAULT, SHARED, is_ours, site_files
from novaops.features.proxy.resources.ports import Pair, dual_stack
from novaops.features.proxy.settings import Site
from novaops.formats.names import bracketed
from novaops.formats.nginx_conf import NginxServer

_ANY = "0.0.0.0"  # noqa: S104 - what is written for nginx
_WILDCARDS = frozenset({"*", "[::]"})


def listens(entry: Site, port: int, nginx: NginxFacts, deployed: Sequence[Site]) -> Iterator[Pair]:
    """The addresses that the site listens on at this port. `deployed`: all entries of the section.

    nginx sends a request to the servers of the most specific `listen` only. So a site on all addresses also names each address that
    another server names. Loopback addresses of foreign servers are left out: they serve the host itself, such as nginx's status page.
    Where somebody has IPv4 and IPv6 in one socket, the site shares that socket.
    """
    if entry.listen:
        yield from (("*" if address == _ANY else bracketed(address), port) for address in entry.listen)
        return
    both_at_once = dual_stack(nginx, port)
    if not both_at_once:
        yield ("*", port)
    if nginx.ipv6 or both_at_once:
        yield ("[::]", port)
    others = [server for server in nginx.conf.servers() if not is_ours(server.file)] + list(other_sites(nginx, deployed))
    named = {
        listen.address
        for server in others
        for listen in server.listens
        if listen.port == port and (is_ours(server.file) or not listen.is_loopback)
    }
    for other in deployed:
        if other.state == "present" and port in other.ports:
            named |= {bracketed(address) for address in other.listen if address != _ANY}
    yield from sorted((address, port) for address in named - _WILDCARDS)


def other_sites(nginx: NginxFacts, deployed: Sequence[Site]) -> Iterator[NginxServer]:
    """Sites of novaops' own that are on the host, but not in this section."""
    known = {SHARED, DEFAULT, *(file for entry in deployed for file in site_files(entry.name))}
    return (server for server in nginx.conf.servers() if is_ours(server.file) and server.file not in known)


def listen_words(pairs: Iterable[Pair]) -> list[str]:
    """As the directive `listen` takes them."""
    return [str(port) if address == "*" else f"{address}:{port}" for address, port in pairs]
