"""Which settings of a site go together: what no type of a single value can say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from novaops.features.proxy.auth import Auth
from novaops.formats import names

if TYPE_CHECKING:
    from novaops.features.proxy.settings import Site
    from novaops.features.proxy.upstreams import Location

Value = TypeVar("Value")

_TLS_KEYS = {"certificate": "files", "key": "files", "email": "letsencrypt", "acme": "letsencrypt", "public": "letsencrypt"}
"""Keys that belong to one kind of `tls:`."""
_OF_CORS = frozenset({"access-control-allow-origin", "access-control-expose-headers"})
"""Response headers that a site with `cors:` has itself."""


def complaints(site: Site) -> Iterator[str]:
    """What is wrong with a site that is present, most basic first."""
    for rule in (_kind, _names, _upstreams, _tls, _auth, _cors):
        yield from rule(site)


def repeated(values: Sequence[Value]) -> Value | None:
    """The first value that is there more than once."""
    return next((value for value in values if values.count(value) > 1), None)


def is_exact(name: str) -> bool:
    """Whether a server name is one name, and no pattern."""
    return not name.startswith(("~", "*.", ".")) and not name.endswith(".*")


def example(name: str) -> str:
    """A name that clients can ask for, of a server name; "" for a pattern of which none is known."""
    if name.startswith("~") or name.endswith(".*"):
        return ""
    return name if is_exact(name) else f"novaops.{name.lstrip('*.')}"


def _kind(site: Site) -> Iterator[str]:
    kinds = [kind for kind in ("provider", "upstream", "upstreams") if getattr(site, kind)]
    if (
        len(kinds) != 1
        and kinds != ["provider", "upstream"]
        and not (not kinds and site.locations and all(location.upstreams for location in site.locations))
    ):
        yield f"{' and '.join(kinds) or 'nothing'}: say one of provider:, upstream: (an API) and upstreams: (servers of your own)"
    for key in ("locations", "balance", "verify") if site.is_api else ("path", "upstream_ca", "test_key", "probe"):
        if key in site.model_fields_set:
            yield f"{key}: that is for {'servers of your own' if site.is_api else 'an API'}"
    if twice := repeated([(location.path, location.exact) for location in site.locations]):
        yield f"locations: {twice[0]} is there twice"


def _names(site: Site) -> Iterator[str]:
    if site.name.endswith(".http"):
        yield f"name: {site.name} is the name of another file of novaops's"
    if not site.domain:
        yield "domain: a site needs a name"
    if twice := next((name for n, name in enumerate(site.domain) if any(names.covers(name, other) for other in site.domain[:n])), None):
        yield f"domain: {twice} is there twice"
    if again := repeated(site.listen):
        yield f"listen: {again} is there twice"


def _upstreams(site: Site) -> Iterator[str]:
    for upstreams in (site.upstreams, *(location.upstreams for location in site.locations)):
        if upstreams and all(upstream.backup for upstream in upstreams):
            yield "upstreams: all of them are backups"
    groups = [(site.upstreams, site.balance), *((on.upstreams or site.upstreams, on.balance or site.balance) for on in site.locations)]
    if any(balance == "ip_hash" and any(upstream.backup for upstream in upstreams) for upstreams, balance in groups):
        yield "balance: ip_hash does not support backup"
    for part in () if site.is_api else site.parts:
        yield from _secured(part)


def _secured(part: Location) -> Iterator[str]:
    """Of upstreams that speak TLS: nginx asks all of a location in one way, and checks their certificates against one name."""
    secured = [upstream for upstream in part.upstreams if upstream.tls]
    if secured and len(secured) < len(part.upstreams):
        yield f"upstreams: some at {part.path} are https:// and some are not"
    if any(upstream.is_socket for upstream in secured):
        yield f"upstreams: https:// and a socket do not go together at {part.path}"
    if part.verify == "off" or not secured:
        return
    if address := next((upstream.host for upstream in secured if names.is_address(upstream.host)), None):
        yield f"upstreams: https://{address} is an address, and nginx checks a certificate against a name: write that, or verify: off"
    elif len({upstream.host for upstream in secured}) > 1:
        yield f"upstreams: those at {part.path} have several names, and nginx checks certificates against one: verify: off, or one name"


def _tls(site: Site) -> Iterator[str]:
    if site.tls is None and site.is_api:
        yield "tls: is required in front of an API: letsencrypt, self-signed, files, or off, with which keys travel in the clear"
    if site.encrypted and site.http_port == site.https_port:
        yield "https_port: http has that port"
    if site.tls == "files" and not (site.certificate and site.key):
        yield "tls: files needs certificate: and key:"
    if "$" in f"{site.certificate}{site.key}":
        yield "certificate, key: nginx would take a $ in their paths for a variable"
    for key, tls in _TLS_KEYS.items():
        if getattr(site, key) and site.tls != tls:
            yield f"{key}: that is for tls: {tls}"
    if site.tls == "letsencrypt":
        if site.http_port != 80 and site.acme is None:  # noqa: PLR2004 - HTTP
            yield "http_port: Let's Encrypt looks at port 80"
        if odd := next((name for name in site.domain if not is_exact(name)), None):
            yield f"domain: {odd} cannot be validated over http, and so gets no certificate; name each one, or use tls: files"
    if site.tls == "self-signed" and any(name.startswith("~") or name.endswith(".*") for name in site.domain):
        yield "domain: a certificate cannot hold a pattern; name each one"


def _auth(site: Site) -> Iterator[str]:
    mode = (site.auth or Auth()).mode
    if site.is_api and not mode:
        yield "auth: is required in front of an API: {keys: {CLIENT: …}, inject: …}, {basic: …, inject: …}, {token: …} or {passthrough: …}"
    if not site.is_api and mode:
        yield f"auth: {mode} is for an API"


def _cors(site: Site) -> Iterator[str]:
    headers = (name for location in site.locations for name in location.response_headers if name.lower() in _OF_CORS)
    if site.cors and (twice := next(headers, None)):
        yield f"response_headers: {twice}: with cors: the site itself says it, for the origins there"
