"""A web site that passes requests on, as the inventory describes it: one entry of `proxy:`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from novaops.engine.secret_source import Reference
from novaops.errors import UsageError
from novaops.features.proxy.auth import Auth
from novaops.features.proxy.field_types import (
    ONE_OR_MORE,
    AcmeDirectory,
    Addresses,
    Balance,
    Domains,
    Email,
    Head,
    Origins,
    Port,
    Seconds,
    Size,
    StrictModel,
    StrictTransport,
    Tls,
    Url,
    Verify,
    in_the_clear,
    upstream_url,
)
from novaops.features.proxy.site_rules import complaints, example, is_exact, repeated
from novaops.features.proxy.upstreams import Location, Upstream, Upstreams
from novaops.formats import names
from novaops.providers.loader import Endpoint, Provider, RequestPath, UrlPath, load, url_path

__all__ = ["Site", "api_at", "api_of", "distinct", "upstream_url"]

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PUBLICLY_TRUSTED = ("files", "letsencrypt")
"""The kinds of `tls:` whose certificates clients are taken to trust."""


class Site(StrictModel):
    """One entry of `proxy:`."""

    name: names.Name
    state: Literal["present", "absent"] = "present"
    domain: Domains = ()
    """One name or several: exact, *.example.com, .example.com, www.*, or ~ and a regular expression."""
    listen: Addresses = ()
    """Without it on all addresses of the host."""
    http_port: Port = 80
    https_port: Port = 443
    tls: Tls | None = None
    certificate: names.Path | None = None
    """For tls: files, on the host: the certificate with the intermediate ones after it."""
    key: names.Path | None = None
    email: Email | None = None
    """Where Let's Encrypt writes to when a certificate is about to expire."""
    acme: AcmeDirectory | None = None
    """The directory of another ACME server than Let's Encrypt's, one that the host trusts."""
    public: Addresses = ()
    """For tls: letsencrypt, further addresses that lead to the host, such as those of a load balancer in front of it."""
    redirect: bool = True
    """With TLS: whether plain http is redirected to https. Otherwise plain http serves ACME challenges only."""
    hsts: StrictTransport | None = None
    """The value of Strict-Transport-Security, or off. Without it a year, where the certificate is publicly trusted."""
    http2: bool = True

    provider: names.Name | None = None
    upstream: Url | None = None
    """https://HOST[:PORT]/PATH: where the API of `provider:` is for this user; alone, an API that speaks OpenAI's language."""
    probe: RequestPath | None = None
    """A path of the API that answers 2xx with a key and 401 without one. Without it the provider's, or /models below `upstream:`."""
    upstream_ca: names.Path | None = None
    """The file on the host with the authority that the API's certificate is checked against; without it all that the host trusts."""
    path: UrlPath | None = None
    """Where the API is served; without it at its own path."""
    test_key: Reference | None = None
    """An API key for tests alone: with token and passthrough novaops has no other."""

    upstreams: Upstreams = ()
    verify: Verify = "on"
    """How the certificates of https:// upstreams are checked: by what the host trusts, by a file on the host, or not at all."""
    balance: Balance = "round_robin"
    keepalive: int = Field(default=32, ge=0, le=10000)
    """Connections to upstreams that are kept open, idle, by each of nginx's workers."""
    keepalive_timeout: Seconds | None = None
    """For how many seconds, less than upstreams keep theirs. Without it what the provider's file says, or 4."""
    locations: tuple[Location, ...] = ()
    websockets: bool = True
    buffering: bool = True
    """off: answers and uploads are passed on as they arrive, such as server-sent events."""

    auth: Auth | None = None
    others: Literal["keep", "remove"] = "remove"
    """What becomes of users, keys and tokens that the host has for the site beside these. Flags alone keep them."""
    without: Annotated[tuple[str, ...], ONE_OR_MORE] = ()
    """Of those that are kept, which ones go."""
    open: bool = False
    """Whether flags alone may open an app site to everybody."""
    cors: Origins = ()
    """Origins of web pages whose scripts may use the site: https://app.example.com. The site itself answers their preflights."""
    max_body: Size | None = None
    """The largest upload; 520M for an API (files of 512 MB, and what is around them), 64M otherwise; 0 for any."""
    max_head: Head = 32
    """The largest head of an upstream's answer, its status and headers, in kB."""
    timeout: Seconds = 600
    """How long an upstream may be silent."""
    streams: int = Field(default=0, ge=0, le=100000)
    """How many requests must be held open at once; 0: as many as nginx holds as it is, some 350 with Debian's configuration."""

    @field_validator("upstream")
    @classmethod
    def _plain_only_for_a_provider(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value and not value.startswith("https://") and not info.data.get("provider"):
            raise ValueError(in_the_clear(value))
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Site:
        if self.state == "present" and (complaint := next(complaints(self), None)):
            raise ValueError(complaint)
        return self

    @property
    def is_api(self) -> bool:
        return bool(self.provider or self.upstream)

    @property
    def api_name(self) -> str:
        """What the API is called in sentences: its provider, or its URL; "" for servers of one's own."""
        return self.provider or self.upstream or ""

    @property
    def speaks_json(self) -> bool:
        """Whether the API is known to: a provider's file says so, and an `upstream:` alone is taken to speak OpenAI's language."""
        return bool(self.provider) or self.probe is None

    @property
    def encrypted(self) -> bool:
        return self.tls not in {None, "off"}

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        return self.https_port if self.encrypted else self.http_port

    @property
    def ports(self) -> tuple[int, ...]:
        return (self.http_port, self.https_port) if self.encrypted else (self.http_port,)

    @property
    def origins(self) -> tuple[str, ...]:
        """What a client's URL begins with, for each exact name."""
        return tuple(self._origin(name) for name in self.domain if is_exact(name))

    @property
    def asked_at(self) -> str:
        """What the URL of a test begins with: by an exact name, or by one that a pattern takes; "" where none is known."""
        by_exactness = sorted(filter(None, map(example, self.domain)), key=lambda name: name not in self.domain)
        return self._origin(by_exactness[0]) if by_exactness else ""

    def _origin(self, name: str) -> str:
        scheme = "https" if self.encrypted else "http"
        port = "" if self.port == _DEFAULT_PORTS[scheme] else f":{self.port}"
        return f"{scheme}://{names.bracketed(name)}{port}"

    @property
    def strict_transport(self) -> str:
        """The value of Strict-Transport-Security, "" for none. A browser that has seen it lets no user accept an untrusted certificate."""
        if not self.encrypted or not self.redirect or self.hsts in {"off", "no", "false"}:
            return ""
        return self.hsts or ("max-age=31536000" if self.tls in _PUBLICLY_TRUSTED else "")

    @property
    def parts(self) -> tuple[Location, ...]:
        """An app site's locations, each with its upstreams and balance. `/` comes first where the site has upstreams and no other `/`."""
        has_root = any(location.path == "/" and not location.exact for location in self.locations)
        root = () if has_root or not self.upstreams else (Location(path="/"),)
        return tuple(
            location.model_copy(
                update={
                    "upstreams": location.upstreams or self.upstreams,
                    "balance": location.balance or self.balance,
                    "verify": location.verify or self.verify,
                }
            )
            for location in (*root, *self.locations)
        )

    @property
    def all_upstreams(self) -> tuple[Upstream, ...]:
        """Those of the site and those of its locations."""
        return (*self.upstreams, *(upstream for location in self.locations for upstream in location.upstreams))

    def is_tls(self, port: int) -> bool:
        """Whether the site speaks TLS at this port of its."""
        return self.encrypted and port == self.https_port

    def api(self, folder: Path | None) -> Provider | None:
        """The API as this site serves it; None for servers of one's own. `folder` is the inventory's, if there is one.

        Raises UsageError where there is no such provider.
        """
        if not self.is_api:
            return None
        return self.of(api_of(self.provider, self.upstream, self.probe, [folder / "providers"] if folder else []))

    def of(self, provider: Provider) -> Provider:
        """The provider as this site serves it: with `path` the first endpoint is served there."""
        if self.path is None:
            return provider
        first, *others = provider.endpoints
        moved = (first.model_copy(update={"at": self.path}), *others)
        if twice := repeated([endpoint.served_at for endpoint in moved]):
            raise UsageError(f"{self.name}: path: something else of the API is served at {twice}")
        return provider.model_copy(update={"endpoints": moved})


def api_of(provider: str | None, upstream: str | None, probe: str | None, folders: Sequence[Path]) -> Provider:
    """The API that these words name, at least one of the first two. Raises UsageError where there is no such provider, or it wants TLS."""
    if provider is None:
        if upstream and not upstream.startswith("https://"):
            raise UsageError(in_the_clear(upstream))
        found = api_at(upstream or "")
    else:
        found = load(provider, folders)
        if found.own_host and upstream is None:
            example = f"https://{found.endpoints[0].host.removesuffix('.invalid')}{found.endpoints[0].path}"
            raise UsageError(f"{provider}: each user has a host of their own there", fix=f"say which: upstream: URL like {example}")
        if upstream and upstream.startswith("http://") and found.endpoints[0].tls:
            raise UsageError(in_the_clear(upstream))
        found = found.located(upstream) if upstream else found
    if probe is None:
        return found
    base = found.endpoints[0].path
    if not probe.partition("?")[0].startswith(f"{base}/"):
        raise UsageError(f"probe: {probe} is not below {base or '/'}, the path of the API")
    return found.model_copy(update={"probe": probe})


def api_at(url: str) -> Provider:
    """The API that an `upstream:` alone is: it is taken to speak OpenAI's language, in which /models answers 401 without a key."""
    parts = urlsplit(url)
    host, port = names.address(parts.netloc)
    path = url_path(parts.path)
    return Provider(endpoints=(Endpoint(host=host, port=port or _DEFAULT_PORTS["https"], path=path),), probe=f"{path}/models")


def distinct(sites: list[Site]) -> list[Site]:
    """The sites, if clients and nginx can tell them apart. Raises ValueError."""
    names.each_once("name", [site.name for site in sites])
    present = [site for site in sites if site.state == "present"]
    _distinct_names(present)
    _one_scheme_a_port(present)
    return sites


def _distinct_names(sites: Sequence[Site]) -> None:
    seen: list[tuple[str, int, str]] = []
    for site in sites:
        for name in site.domain:
            for port in site.ports:
                for known, at, other in seen:
                    if at == port and other != site.name and names.covers(known, name):
                        raise ValueError(f"{other} and {site.name} both have {name} at port {port}")
                seen.append((name, port, site.name))


def _one_scheme_a_port(sites: Sequence[Site]) -> None:
    schemes: dict[int, tuple[bool, str]] = {}
    for site in sites:
        for port in site.ports:
            tls = site.is_tls(port)
            other_tls, other = schemes.setdefault(port, (tls, site.name))
            if other_tls != tls:
                raise ValueError(f"port {port} is http for one of {other} and {site.name}, and https for the other")
