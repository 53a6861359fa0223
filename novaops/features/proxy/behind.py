"""What is asked past a site, of what is behind it: where the host itself may not use the site, nothing goes through it."""

from __future__ import annotations

from collections.abc import Iterator

from novaops.features.proxy.credentials import Credentials
from novaops.features.proxy.facts.answer import SiteAnswer
from novaops.features.proxy.settings import Site
from novaops.features.proxy.upstreams import Location
from novaops.providers.loader import Provider
from novaops.secret import Secret


def api(entry: Site, provider: Provider, credentials: Credentials, after: str) -> SiteAnswer:
    """The API's probe, with the key that the site puts in, or the one for tests."""
    key = credentials.key or credentials.test_key
    shown = ((provider.key.header, Secret(provider.key.value(key.reveal()))),) if key else ()
    return SiteAnswer(f"{provider.origin}{provider.probe}", "", after, entry.upstream_ca or "", (*provider.headers.items(), *shown))


def servers(location: Location, name: str, after: str) -> Iterator[SiteAnswer]:
    """A request for `name` to each server that curl can ask as nginx does: no socket, and none whose certificate nobody checks."""
    path = "/" if location.strip_prefix else location.path
    for upstream in location.upstreams:
        if upstream.backup or upstream.is_socket or (upstream.tls and location.verify == "off"):
            continue
        trusted = (location.verify or "").removeprefix("on") if upstream.tls else ""
        url = f"{'https' if upstream.tls else 'http'}://{upstream.address}{path}"
        yield SiteAnswer(url, "", after, trusted, (("Host", name), *location.request_headers.items()))
