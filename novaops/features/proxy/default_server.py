"""What answers for names that no site has, and what all sites refer to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from novaops.features.proxy.facts.nginx import NginxFacts
from novaops.features.proxy.resources.nginx_files import DEFAULT, SHARED, NginxFiles, Part
from novaops.features.proxy.resources.site_preconditions import strangers
from novaops.features.proxy.settings import Site
from novaops.features.proxy.site import HANDSHAKE_REFUSED, HTTP2_DIRECTIVE, NginxSite, Pair, other_sites, written
from novaops.formats.names import is_address
from novaops.formats.nginx_conf import NginxServer
from novaops.formats.nginx_quoting import quoted

NAMES_TABLE = "server_names_hash_bucket_size"

LONGEST_NAME = 46
"""Characters of a server name that nginx's table of them takes, unless it is told otherwise."""


def shared(host: Any, settings: Sequence[Site]) -> NginxFiles:
    """What all sites refer to, as long as there are any."""

    def render(nginx: NginxFacts, old: str) -> str | None:
        if nginx.broken and old:
            return old  # nothing is known of other sites before nginx reads its configuration again
        served = [name for entry in settings if entry.state == "present" for name in entry.domain]
        served += [name for server in other_sites(nginx, settings) for name in server.names]
        if not any(entry.state == "present" for entry in settings) and not list(other_sites(nginx, settings)):
            return None
        long_names = any(len(name) > LONGEST_NAME for name in served) and not set(nginx.conf.files_with(NAMES_TABLE)) - {SHARED}
        return str(host.templates.render("proxy/shared.conf.j2", long_names=long_names))

    return NginxFiles("(shared)", (Part(SHARED, render),), serves=False)


@dataclass(frozen=True)
class _Server:
    """One that is ours, as the default server has to know it."""

    pairs: tuple[Pair, ...]
    tls: bool
    http2: bool
    has_address: bool
    """Whether an address is among its names."""
    certificate: tuple[str, str] | None


def default(host: Any, settings: Sequence[Site], present: Sequence[NginxSite]) -> NginxFiles:
    """What answers for names that no site has, where nobody else's server does: for the ports of other sites that are there, too."""

    def render(nginx: NginxFacts, old: str) -> str | None:
        if nginx.broken and old:
            return old  # nothing is known of other servers before nginx reads its configuration again
        theirs = {(listen.address, listen.port) for server in strangers(nginx) for listen in server.listens if listen.is_default}
        ours = [_known(server) for server in other_sites(nginx, settings)]
        ours += [_Server(tuple(built.listens(port, nginx)), *built.seen(port, nginx)) for built in present for port in built.entry.ports]
        tls = {pair: server.tls for server in ours for pair in server.pairs}
        free = sorted((pair for pair in tls if pair not in theirs), key=lambda pair: (pair[1], pair[0]))
        encrypted: dict[tuple[str, str] | None, list[Pair]] = {}
        for pair in free:
            if tls[pair]:
                encrypted.setdefault(_shown(pair[1], ours, nginx), []).append(pair)
        if nginx.version < HANDSHAKE_REFUSED:
            encrypted.pop(None, None)
        if not free:
            return None
        http2 = nginx.version < HTTP2_DIRECTIVE and any(server.http2 for server in ours)
        plain = written(pair for pair in free if not tls[pair])
        groups = [(certificate, written(pairs)) for certificate, pairs in encrypted.items()]
        return str(host.templates.render("proxy/default.conf.j2", plain=plain, encrypted=groups, http2=http2, quoted=quoted))

    return NginxFiles("(default)", (Part(DEFAULT, render),))


def aside(present: Sequence[NginxSite]) -> NginxFiles:
    """No default server for as long as a port that it has plain becomes one with TLS, or the other way round: nginx takes no mixture."""

    def render(nginx: NginxFacts, old: str) -> str | None:
        own = [server for server in nginx.conf.servers() if server.file == DEFAULT]
        shown = {(listen.address, listen.port): "ssl" in listen.options for server in own for listen in server.listens}
        wanted = {
            pair: built.seen(port, nginx)[0] for built in present for port in built.entry.ports for pair in built.listens(port, nginx)
        }
        clash = any(shown.get(pair, tls) != tls for pair, tls in wanted.items())
        return None if clash else old or None

    return NginxFiles("(default, aside)", (Part(DEFAULT, render),))


def _known(server: NginxServer) -> _Server:
    pairs = tuple((listen.address, listen.port) for listen in server.listens)
    options = {option for listen in server.listens for option in listen.options}
    addressed = any(is_address(name.strip("[]")) for name in server.names)
    return _Server(pairs, "ssl" in options, "http2" in options, addressed, server.certificate)


def _shown(port: int, ours: Sequence[_Server], nginx: NginxFacts) -> tuple[str, str] | None:
    """The certificate for clients that name nobody, as those do that ask for an address; None where no site wants them."""
    here = [server for server in ours if server.tls and any(at == port for _, at in server.pairs)]
    addressed = [server for server in here if server.has_address]
    if nginx.version < HANDSHAKE_REFUSED:
        addressed = addressed or here
    # Always the same one, whichever of them are deployed together.
    return min((server.certificate for server in addressed if server.certificate), default=None)
