"""Which routes a host has to an API, as the inventory says. A new kind of route is one more function of `KINDS`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from novaops import secret_source
from novaops.errors import UsageError
from novaops.features.api.facts import Route
from novaops.features.api.verdict import ApiRoute
from novaops.features.proxy.settings import Site, api_at, upstream_url
from novaops.features.tunnel.settings import ResolvedForward, Tunnel
from novaops.features.vpn.settings import Link
from novaops.formats.names import pair, reached
from novaops.providers import loader as provider
from novaops.providers.loader import Provider
from novaops.secret import Secret

NO_KEY = "no key (--key env:NAME)"
NOT_WANTED = "--no-stream"
DEFAULT = "openai"
NOWHERE = "127.0.0.1:80"
"""Where a site listens does not matter for where its tunnel is entered."""

PART = 0.4
"""Of the time that a host may be silent: what one answer may take. The stream after it takes a quarter more, and both must fit."""


@dataclass(frozen=True)
class Api:
    """An API that is asked for: a provider by its name, or one that is only a URL."""

    name: str
    provider: Provider
    upstream: str = ""

    def is_behind(self, site: Site) -> bool:
        return _same(site.upstream, self.upstream) if self.upstream else site.provider == self.name

    @property
    def knows_probe(self) -> bool:
        return self.provider.probe != self.provider.endpoints[0].path


@dataclass(frozen=True)
class RouteQuery:
    """What one host is asked to find out about one API."""

    host: str
    api: Api
    sites: Sequence[tuple[str, Site]]
    """All of the inventory, each with the host that it is on."""
    key: Secret | None
    streaming: bool
    seconds: int
    secret: Callable[[str], Secret]
    """Resolves a reference. Raises UsageError."""
    tunnels: Sequence[tuple[str, Tunnel]] = ()
    """All of the inventory, each with the host whose section it is in."""
    links: Sequence[Link] = ()
    """The VPNs that this host is a client of."""

    @property
    def key_headers(self) -> tuple[tuple[str, Secret], ...]:
        """What shows the client's own key, where there is one."""
        shown = self.api.provider.key
        return ((shown.header, Secret(shown.value(self.key.reveal()))),) if self.key else ()

    def question(
        self, name: str, origin: str, serves: Provider, headers: Sequence[tuple[str, Secret]] = (), login: Secret | None = None
    ) -> Route:
        """The requests for this API by way of `origin`, which serves it as `serves` says."""
        stream = self.api.provider.stream if self.streaming else None
        return Route(
            f"{name} to {self.api.name}",
            f"{origin}{serves.served_at(serves.probe)}",
            tuple(headers),
            login,
            f"{origin}{serves.served_at(stream.path)}" if stream else "",
            json.dumps(stream.body) if stream else "",
            self.seconds,
        )

    def unstreamed(self, *, has_key: bool) -> str:
        """Why no stream is asked for, "" where one is."""
        if not self.streaming:
            return NOT_WANTED
        if self.api.provider.stream is None:
            return "no request that streams is known for this API"
        return "" if has_key else NO_KEY


def direct(errand: RouteQuery) -> Iterator[ApiRoute]:
    """To the API itself. Where a transparent tunnel has taken its name over on this host, past it, if DNS tells how."""
    yield _itself(errand, "direct", "direct", around=True)


def by_proxy(errand: RouteQuery) -> Iterator[ApiRoute]:
    """Through each site of the inventory that has this API behind it."""
    for host, site in errand.sites:
        if not errand.api.is_behind(site):
            continue
        name = f"proxy {host}/{site.name}"
        if not site.origins:
            yield ApiRoute(errand.api.name, name, "proxy", "", untried=f"{', '.join(site.domain)} is a pattern, and no name to ask for")
        elif _only_for_itself(site) and host != errand.host:
            yield ApiRoute(
                errand.api.name, name, "proxy", site.origins[0], untried=f"it listens only on {', '.join(site.listen)} of {host}"
            )
        else:
            yield _through(errand, name, host, site)


def by_tunnel(errand: RouteQuery) -> Iterator[ApiRoute]:
    """Through each tunnel that can be entered on this host, and leads to the API or to a site that has it behind it."""
    first = errand.api.provider.endpoints[0]
    for client, tunnel in errand.tunnels:
        entered, left = (tunnel.via, client) if tunnel.reverse else (client, tunnel.via or "")
        if tunnel.state != "present" or entered != errand.host:
            continue
        name = f"tunnel {tunnel.name}"
        if tunnel.site:
            for host, site in errand.sites:
                if (host, site.name) == (tunnel.via, tunnel.site) and errand.api.is_behind(site):
                    (passage,) = tunnel.resolved_forwards(NOWHERE)
                    yield _through(errand, name, host, site, passage)
            continue
        leading = [passage for passage in tunnel.resolved_forwards() if (passage.host, passage.port) == (first.host.lower(), first.port)]
        for passage in leading:
            own = name if len(leading) == 1 else f"{name} {passage.listens}"
            yield _itself(errand, own, "tunnel", by=left, connect_to=_entrance(passage))


def by_vpn(errand: RouteQuery) -> Iterator[ApiRoute]:
    """Through each VPN of this host that the API's host is to go by: its name is routed, or what is asked to see that networks are."""
    host = errand.api.provider.endpoints[0].host.lower()
    for link in errand.links:
        if link.state == "present" and host in {*link.routes, urlsplit(link.url).hostname}:
            yield _itself(errand, f"vpn {link.name}", "vpn", by=f"the VPN {link.name}", interface=link.device)


KINDS: tuple[Callable[[RouteQuery], Iterator[ApiRoute]], ...] = (direct, by_proxy, by_tunnel, by_vpn)
"""Every kind of route, in the order of the table."""


def attempts(errand: RouteQuery) -> list[ApiRoute]:
    return [attempt for kind in KINDS for attempt in kind(errand)]


def apis(name: str | None, upstream: str | None, sites: Iterable[tuple[str, Site]], folders: Sequence[Path]) -> list[Api]:
    """The APIs in question: the one that is named, else those of the inventory, else openai. Raises UsageError."""
    if name and upstream:
        raise UsageError("--provider and --upstream exclude each other", why="Each of them names the API.")
    if upstream:
        return [_at(upstream)]
    if name:
        return [Api(name, provider.load(name, folders))]
    found: dict[str, Api] = {}
    for _, site in sites:
        if site.upstream:
            found.setdefault(site.upstream.rstrip("/"), _at(site.upstream))
        elif site.provider and site.provider not in found:
            found[site.provider] = Api(site.provider, provider.load(site.provider, folders))
    return list(found.values()) or [Api(DEFAULT, provider.load(DEFAULT, folders))]


def sendable(secret: Secret, whose: str) -> Secret:
    """The secret, if it can stand in a header. Raises UsageError."""
    text = secret.reveal()
    if not text or not all(" " < c <= "~" for c in text):
        raise UsageError(f"{whose} is empty, or has characters that cannot stand in a header")
    return secret


def _at(url: str) -> Api:
    try:
        return Api(upstream_url(url).removeprefix("https://").rstrip("/"), api_at(url), url)
    except ValueError as error:
        raise UsageError(f"--upstream: {error}") from None


def _same(one: str | None, other: str) -> bool:
    return one is not None and one.rstrip("/") == other.rstrip("/")


def _only_for_itself(site: Site) -> bool:
    return bool(site.listen) and all(address == "::1" or address.startswith("127.") for address in site.listen)


def _itself(
    errand: RouteQuery, name: str, kind: str, *, by: str = "", connect_to: str = "", interface: str = "", around: bool = False
) -> ApiRoute:
    """To the API itself, by whatever way."""
    first, *others = errand.api.provider.endpoints
    serves = errand.api.provider.model_copy(update={"endpoints": (first.model_copy(update={"at": None}), *others)})
    asked = errand.question(name, serves.origin, serves, errand.key_headers)
    question = replace(asked, connect_to=connect_to, interface=interface, around=around)
    has_key = errand.key is not None
    return ApiRoute(
        *(errand.api.name, name, kind, question.url, question),
        unstreamed=errand.unstreamed(has_key=has_key),
        has_key=has_key,
        by=by,
        knows_probe=errand.api.knows_probe,
    )


def _entrance(passage: ResolvedForward) -> str:
    """Where the host itself finds the listener, wherever the tunnel is made from."""
    return pair(reached(passage.listen), passage.listen_port)


def _through(errand: RouteQuery, name: str, host: str, site: Site, passage: ResolvedForward | None = None) -> ApiRoute:
    """To a site, or to where a tunnel brings it: there a client asks for the listener's own address, unless a certificate has a name."""
    origin, connect_to = site.origins[0] if site.origins else "", ""
    if passage is not None:
        entrance = _entrance(passage)
        origin, connect_to = (origin, entrance) if site.encrypted and origin else (f"http://{entrance}", "")
    login, token, lacks = _credentials(errand, site)
    injects = bool(site.auth and site.auth.inject)
    own_key = () if injects or lacks else errand.key_headers
    asked = errand.question(name, origin, site.of(errand.api.provider), (*token, *own_key), login)
    question = replace(asked, connect_to=connect_to)
    has_key = injects or bool(own_key)
    return ApiRoute(
        *(errand.api.name, name, "proxy" if passage is None else "tunnel", question.url, question),
        unstreamed=errand.unstreamed(has_key=has_key),
        has_key=has_key,
        injects=injects,
        by=host,
        lacks=lacks,
        advice=f"trust the certificate of {host}: it is in /etc/nginx/novaops/{site.name}.crt" if site.tls == "self-signed" else "",
        knows_probe=errand.api.knows_probe,
    )


def _credentials(errand: RouteQuery, site: Site) -> tuple[Secret | None, list[tuple[str, Secret]], str]:
    """The first user of the site, or its first token; where it cannot be had, why."""
    auth = site.auth
    if auth is None:
        return None, [], ""
    try:
        for user, reference in auth.basic.items():
            return Secret(f"{user}:{errand.secret(reference).reveal()}"), [], ""
        for who, reference in auth.token.items():
            return None, [(auth.header, sendable(errand.secret(reference), f"the token of {who}"))], ""
    except UsageError as error:
        return None, [], error.what
    return None, [], ""


def resolver() -> Callable[[str], Secret]:
    """Resolves each reference once: a command may ask somebody."""
    known: dict[str, Secret | UsageError] = {}

    def resolve(reference: str) -> Secret:
        if reference not in known:
            try:
                known[reference] = secret_source.resolve(reference)
            except UsageError as error:
                known[reference] = error
        found = known[reference]
        if isinstance(found, UsageError):
            raise found
        return found

    return resolve
