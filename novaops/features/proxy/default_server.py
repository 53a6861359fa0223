"""The default server, which answers names that no site has, and the directives that all sites share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from novaops.engine.desired import HostView
from novaops.features.proxy.facts.nginx import HTTP2_DIRECTIVE, NO_AUTHORITY, REJECT_HANDSHAKE, RESOLVE, NginxFacts
from novaops.features.proxy.inherited import OF_CONNECTIONS, counts_nothing, taken_back
from novaops.features.proxy.listen import listen_words, other_sites
from novaops.features.proxy.resources.api_addresses import EVERY, SCRIPT, UNIT
from novaops.features.proxy.resources.nginx_files import DEFAULT, SHARED, NginxFiles, Part, site_files
from novaops.features.proxy.resources.ports import Pair
from novaops.features.proxy.resources.site_preconditions import foreign_defaults
from novaops.features.proxy.settings import Site
from novaops.features.proxy.site import NginxSite
from novaops.formats.names import covers, is_address
from novaops.formats.nginx_conf import NginxServer
from novaops.formats.nginx_quoting import quoted

UNITS = "/etc/systemd/system"

_RESTART = ("sh", "-c", f"systemctl daemon-reload && {{ [ ! -e {UNITS}/{UNIT}.timer ] || systemctl try-restart '{UNIT}*.timer'; }}")

_HASH_SIZE = "server_names_hash_bucket_size"

_LONGEST_NAME = 46
"""Characters of a server name that fit into nginx's hash table of names as it is by default."""


def shared_conf(host: HostView, settings: Sequence[Site]) -> NginxFiles:
    """What all sites refer to, as long as there are any."""

    def render(nginx: NginxFacts, old: str) -> str | None:
        if nginx.broken and old:
            return old  # other sites are only known once nginx reads its configuration again
        present, others = [entry for entry in settings if entry.state == "present"], list(other_sites(nginx, settings))
        if not present and not others:
            return None
        served = [name for entry in present for name in entry.domain] + [name for server in others for name in server.names]
        long_names = any(len(name) > _LONGEST_NAME for name in served) and not set(nginx.conf.files_with(_HASH_SIZE)) - {SHARED}
        return str(host.templates.render("proxy/shared.conf.j2", long_names=long_names, counts_nothing=counts_nothing(nginx)))

    def no_authority(nginx: NginxFacts, old: str) -> str | None:
        """Once it is there it stays for as long as there are sites, as one that this section does not have may refer to it."""
        if not old and not nginx.trust_folder:
            return None
        present = [entry for entry in settings if entry.state == "present"]
        stays = old and (nginx.broken or present or any(other_sites(nginx, settings)))
        wanted = any(entry.is_api and not entry.upstream_ca for entry in present)
        return str(host.templates.render("proxy/no-authority.pem")) if stays or wanted else None

    return NginxFiles("(shared)", (Part(NO_AUTHORITY, no_authority), Part(SHARED, render)))


def addresses_files(host: HostView, settings: Sequence[Site], *, gone: bool = False) -> NginxFiles:
    """What follows the addresses of APIs, where nginx does not do it itself: a script, and a timer that is started for each site.

    With `gone` they are removed where they are not needed, otherwise made where they are: a timer cannot be stopped without its file.
    """

    def part(path: str, template: str, then: tuple[str, ...] = (), **values: object) -> Part:
        def render(nginx: NginxFacts, old: str) -> str | None:
            present = [entry for entry in settings if entry.state == "present"]
            stays = old and (nginx.broken or present or any(other_sites(nginx, settings)))
            wanted = any(entry.is_api for entry in present)
            if nginx.version < RESOLVE and (stays or wanted):
                return str(host.templates.render(f"proxy/addresses.{template}", **values))
            return None if gone else old or None

        return Part(path, render, read_anew=True, then=then)

    return NginxFiles(
        "(addresses, gone)" if gone else "(addresses)",
        (
            part(SCRIPT, "sh"),
            part(f"{UNITS}/{UNIT}.service", "service.j2", ("systemctl", "daemon-reload"), script=SCRIPT),
            part(f"{UNITS}/{UNIT}.timer", "timer.j2", _RESTART, every=EVERY),
        ),
    )


def default_server(host: HostView, settings: Sequence[Site], present: Sequence[NginxSite]) -> NginxFiles:
    """A default server wherever a site of novaops listens, also one of another section, and nobody else has a default server."""

    def render(nginx: NginxFacts, old: str) -> str | None:
        if nginx.broken and old:
            return old  # other servers are only known once nginx reads its configuration again
        foreign = foreign_defaults(nginx)
        ours = [_existing(server) for server in other_sites(nginx, settings)]
        ours += [_desired(site, port, nginx) for site in present for port in site.entry.ports]
        tls = {pair: server.tls for server in ours for pair in server.pairs}
        pairs = sorted((pair for pair in tls if pair not in foreign), key=lambda pair: (pair[1], pair[0]))
        if not pairs:
            return None
        encrypted: dict[tuple[str, str] | None, list[Pair]] = {}
        for pair in pairs:
            if tls[pair]:
                encrypted.setdefault(_certificate(pair[1], ours, nginx), []).append(pair)
        if nginx.version < REJECT_HANDSHAKE:
            encrypted.pop(None, None)
        return str(
            host.templates.render(
                "proxy/default.conf.j2",
                http=listen_words(pair for pair in pairs if not tls[pair]),
                encrypted=[(certificate, listen_words(group)) for certificate, group in encrypted.items()],
                http2=nginx.version < HTTP2_DIRECTIVE and any(server.http2 for server in ours),
                inherited=taken_back(nginx, (), OF_CONNECTIONS),
                quoted=quoted,
            )
        )

    return NginxFiles("(default)", (Part(DEFAULT, render),))


def no_conflicting_default(present: Sequence[NginxSite]) -> NginxFiles:
    """No default server while a port of its changes from plain http to TLS or back: nginx rejects both at one port."""

    def render(nginx: NginxFacts, old: str) -> str | None:
        now = {
            (listen.address, listen.port): "ssl" in listen.options
            for server in nginx.conf.servers()
            if server.file == DEFAULT
            for listen in server.listens
        }
        desired = {pair: site.entry.is_tls(port) for site in present for port in site.entry.ports for pair in site.listens(port, nginx)}
        conflict = any(now.get(pair, tls) != tls for pair, tls in desired.items())
        return None if conflict else old or None

    return NginxFiles("(default, aside)", (Part(DEFAULT, render),))


def no_conflicting_site(settings: Sequence[Site], certified: Sequence[NginxSite]) -> NginxFiles:
    """No file of the section's that has a name of the servers for plain http, where an authority is about to look: nginx would ignore
    one of the two. Such as that of the same site as it was without TLS, or of one that is to be absent.
    """
    taken = [(name, site.entry.http_port) for site in certified for name in site.entry.domain]
    new = {site_files(entry.name)[1] for entry in settings if entry.state == "present"}

    def part(path: str) -> Part:
        def render(nginx: NginxFacts, old: str) -> str | None:
            here = [server for server in nginx.conf.servers() if server.file == path]
            names = [(name, listen.port) for server in here for listen in server.listens for name in server.names]
            conflict = any(port == other_port and covers(name, other) for name, port in names for other, other_port in taken)
            return None if conflict else old or None

        return Part(path, render)

    return NginxFiles("(sites, aside)", tuple(part(path) for entry in settings for path in site_files(entry.name) if path not in new))


@dataclass(frozen=True)
class _Server:
    """A server of novaops' own at one or more addresses, as far as it matters to the default server."""

    pairs: tuple[Pair, ...]
    tls: bool
    http2: bool
    has_address: bool
    """Whether an address is among its names."""
    certificate: tuple[str, str] | None


def _existing(server: NginxServer) -> _Server:
    pairs = tuple((listen.address, listen.port) for listen in server.listens)
    options = {option for listen in server.listens for option in listen.options}
    has_address = any(is_address(name.strip("[]")) for name in server.names)
    return _Server(pairs, "ssl" in options, "http2" in options, has_address, server.certificate)


def _desired(site: NginxSite, port: int, nginx: NginxFacts) -> _Server:
    tls = site.entry.is_tls(port)
    http2 = tls and site.entry.http2 and nginx.version < HTTP2_DIRECTIVE
    has_address = any(is_address(name) for name in site.entry.domain)
    return _Server(tuple(site.listens(port, nginx)), tls, http2, has_address, site.certificate if tls else None)


def _certificate(port: int, ours: Sequence[_Server], nginx: NginxFacts) -> tuple[str, str] | None:
    """The certificate for clients that send no name, as those do that ask for an address; None where no site serves them."""
    here = [server for server in ours if server.tls and any(at == port for _, at in server.pairs)]
    addressed = [server for server in here if server.has_address]
    if nginx.version < REJECT_HANDSHAKE:
        addressed = addressed or here
    # The same one on every run, whichever sites are deployed together.
    return min((server.certificate for server in addressed if server.certificate), default=None)
