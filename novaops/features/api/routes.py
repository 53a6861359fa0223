"""Which routes a host has to an API, as the inventory says. A new kind of route is one more function of `KINDS`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from novaops.errors import UsageError
from novaops.features.api.api import Api
from novaops.features.api.facts import RouteProbe
from novaops.features.api.llm.protocol import sendable
from novaops.features.api.verdict import ApiRoute
from novaops.features.proxy.settings import Site, api_of, upstream_url
from novaops.features.tunnel.settings import ResolvedForward, Tunnel
from novaops.features.vpn.settings import Link
from novaops.formats.names import pair, reached
from novaops.providers import loader
from novaops.providers.loader import Key, Provider, request_path
from novaops.secret import Secret

NO_KEY = "no key (--key env:NAME)"
NOT_WANTED = "--no-stream"
DEFAULT = "openai"
_ANY_SITE = "127.0.0.1:80"
"""Where the site listens does not matter for where its tunnel is entered."""


class ApiChoice(NamedTuple):
    """The words of a command line that say which API is meant."""

    provider: str | None = None
    upstream: str | None = None
    probe: str | None = None


@dataclass(frozen=True)
class RouteQuery:
    """By which routes one host may reach one API: what they follow from."""

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
        """The header with the client's own key, where there is one."""
        form = self.api.provider.key
        return ((form.header, Secret(form.value(self.key.reveal()))),) if self.key else ()

    def route(
        self,
        name: str,
        kind: str,
        origin: str,
        serves: Provider,
        *,
        has_key: bool,
        headers: Sequence[tuple[str, str | Secret]] = (),
        **request: Any,
    ) -> ApiRoute:
        """A route to `origin`, which serves the API at the paths of `serves`. `request` is what else its probe has."""
        stream = self.api.provider.stream
        url = f"{origin}{serves.probed_at}"
        request["headers"] = (*serves.headers.items(), *headers)
        if not self.streaming:
            unstreamed = NOT_WANTED
        elif stream is None:
            unstreamed = "no request that streams is known for this API"
        else:
            unstreamed = "" if has_key else NO_KEY
            request |= {"stream_url": f"{origin}{serves.served_at(stream.path)}", "stream_body": json.dumps(stream.body)}
        probe = RouteProbe(f"{name} to {self.api.name}", url, seconds=self.seconds, **request)
        route = ApiRoute(*(self.api.name, name, kind, url, probe), unstreamed=unstreamed, has_key=has_key)
        return replace(route, knows_probe=self.api.speaks_json, described=self.api.described, without_key=serves.without_key)


def direct(query: RouteQuery) -> Iterator[ApiRoute]:
    """To the API itself. Where a transparent tunnel has taken its name over on this host, past it, if DNS tells how."""
    yield _to_api(query, "direct", "direct", bypass=True)


def by_proxy(query: RouteQuery) -> Iterator[ApiRoute]:
    """Through each site of the inventory that has this API behind it."""
    for host, site in query.sites:
        if not query.api.is_behind(site):
            continue
        name = f"proxy {host}/{site.name}"
        if not site.origins:
            yield ApiRoute(query.api.name, name, "proxy", "", untried=f"{', '.join(site.domain)} is a pattern, and no name to ask for")
        elif on_loopback(site) and host != query.host:
            untried = f"it listens only on {', '.join(site.listen)} of {host}"
            yield ApiRoute(query.api.name, name, "proxy", site.origins[0], untried=untried)
        else:
            yield _to_site(query, name, host, site)


def by_tunnel(query: RouteQuery) -> Iterator[ApiRoute]:
    """Through each tunnel that can be entered on this host, and leads to the API or to a site that has it behind it."""
    first = query.api.provider.endpoints[0]
    for client, tunnel in query.tunnels:
        entered, left = (tunnel.via, client) if tunnel.reverse else (client, tunnel.via or "")
        if tunnel.state != "present" or entered != query.host:
            continue
        name = f"tunnel {tunnel.name}"
        if tunnel.site:
            (forward,) = tunnel.resolved_forwards(_ANY_SITE)
            for host, site in query.sites:
                if (host, site.name) == (tunnel.via, tunnel.site) and query.api.is_behind(site):
                    yield _to_site(query, name, host, site, forward)
            continue
        to_api = [forward for forward in tunnel.resolved_forwards() if (forward.host, forward.port) == (first.host.lower(), first.port)]
        leading = [forward for forward in to_api if not forward.reaches]  # a SOCKS proxy is asked in another way
        for forward in leading:
            own = name if len(leading) == 1 else f"{name} {forward.listens}"
            yield _to_api(query, own, "tunnel", by=left, connect_to=_entrance(forward))


def by_vpn(query: RouteQuery) -> Iterator[ApiRoute]:
    """Through each VPN of this host that the API's host goes by: its name is among the routes, or in the URL of the check."""
    host = query.api.provider.endpoints[0].host.lower()
    for link in query.links:
        if link.state == "present" and host in {*link.routes, urlsplit(link.url).hostname}:
            yield _to_api(query, f"vpn {link.name}", "vpn", by=f"the VPN {link.name}", interface=link.device)


KINDS: tuple[Callable[[RouteQuery], Iterator[ApiRoute]], ...] = (direct, by_proxy, by_tunnel, by_vpn)
"""Every kind of route, in the order of the table."""


def routes_of(query: RouteQuery) -> list[ApiRoute]:
    return [route for kind in KINDS for route in kind(query)]


def apis(choice: ApiChoice, sites: Iterable[tuple[str, Site]], folders: Sequence[Path]) -> list[Api]:
    """The APIs in question: the one that is named, else those of the inventory, else openai. Raises UsageError."""
    if choice.provider or choice.upstream:
        return [_named(choice, folders)]
    found: dict[tuple[str | None, str | None], Api] = {}
    for _, site in sites:
        key = (site.provider, site.upstream and site.upstream.rstrip("/"))
        if key not in found:
            found[key] = _named(ApiChoice(site.provider, site.upstream, site.probe), folders)
    return list(found.values()) or [Api(DEFAULT, loader.load(DEFAULT, folders))]


def _named(choice: ApiChoice, folders: Sequence[Path]) -> Api:
    """The API of a provider, of a URL, or of a provider that is at a URL."""
    name, upstream, probe = choice
    try:
        called = " at ".join(filter(None, (name, upstream and upstream_url(upstream).partition("://")[2].rstrip("/"))))
        serves = api_of(name, upstream, probe and request_path(probe), folders)
        return Api(called, serves, upstream or "", described=name is not None, speaks_json=name is not None or probe is None)
    except ValueError as error:
        raise UsageError(f"--upstream, --probe: {error}") from None


def on_loopback(site: Site) -> bool:
    return bool(site.listen) and all(address == "::1" or address.startswith("127.") for address in site.listen)


def _entrance(forward: ResolvedForward) -> str:
    """Where the host itself finds the listener, wherever the tunnel is made from."""
    return pair(reached(forward.listen), forward.listen_port)


def _to_api(query: RouteQuery, name: str, kind: str, by: str = "", **request: Any) -> ApiRoute:
    """A route to the API itself, whatever the way there."""
    first, *others = query.api.provider.endpoints
    serves = query.api.provider.model_copy(update={"endpoints": (first.model_copy(update={"at": None}), *others)})
    has_key = query.key is not None
    return replace(query.route(name, kind, serves.origin, serves, has_key=has_key, headers=query.key_headers, **request), by=by)


def _to_site(query: RouteQuery, name: str, host: str, site: Site, forward: ResolvedForward | None = None) -> ApiRoute:
    """A route to a site, or to the listener of a tunnel to it: clients use the listener's own address, unless a certificate has a name."""
    kind, origin, connect_to = "proxy", site.origins[0] if site.origins else "", ""
    if forward is not None:
        kind, entrance = "tunnel", _entrance(forward)
        origin, connect_to = (origin, entrance) if site.encrypted and origin else (f"http://{entrance}", "")
    login, token, lacks = _credentials(query, site)
    injects = bool(site.auth and site.auth.inject)
    own_key = () if injects or lacks else query.key_headers
    serves, headers = site.of(query.api.provider), (*token, *own_key)
    has_key = injects or bool(own_key)
    route = query.route(name, kind, origin, serves, has_key=has_key, headers=headers, login=login, connect_to=connect_to)
    advice = f"trust the certificate of {host}: it is in /etc/nginx/novaops/{site.name}.crt" if site.tls == "self-signed" else ""
    return replace(route, injects=injects, by=host, lacks=lacks, advice=advice)


def _credentials(query: RouteQuery, site: Site) -> tuple[Secret | None, list[tuple[str, Secret]], str]:
    """What the site asks for; where it cannot be had, why."""
    try:
        return *site_credentials(site, query.api.provider.key, query.secret), ""
    except UsageError as error:
        return None, [], error.what


def site_credentials(site: Site, form: Key, secret: Callable[[str], Secret]) -> tuple[Secret | None, list[tuple[str, Secret]]]:
    """The first user of the site as USER:PASSWORD, or the header with its first key or token. `secret` resolves a reference.

    Raises UsageError where that cannot be had.
    """
    if site.auth is None:
        return None, []
    for user, reference in site.auth.basic.items():
        return Secret(f"{user}:{secret(reference).reveal()}"), []
    for who, reference in site.auth.keys.items():
        own = sendable(secret(reference), f"the key of {who}")
        return None, [(form.header, Secret(form.value(own.reveal())))]
    for who, reference in site.auth.token.items():
        return None, [(site.auth.header, sendable(secret(reference), f"the token of {who}"))]
    return None, []
