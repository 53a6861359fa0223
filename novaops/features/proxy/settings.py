"""A web site that passes requests on, as the inventory describes it: one entry of `proxy:`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from novaops.errors import UsageError
from novaops.formats import names
from novaops.providers.loader import Endpoint, Provider, UrlPath, url_path
from novaops.secret_source import Reference

Tls = Literal["off", "letsencrypt", "self-signed", "files"]

_DEFAULT_PORTS = {"http": 80, "https": 443}
_TRUSTED_BY_THE_WORLD = ("files", "letsencrypt")


def _one_or_more(value: Any) -> Any:
    return names.listed(value)


def upstream_url(text: str) -> str:
    """https://HOST[:PORT][/PATH] of an API. Raises ValueError with the offending text, but for what may be a secret in it."""
    if "@" in text or "?" in text or "#" in text:
        raise ValueError("this is no URL like https://api.example.com/v1: host, port and path only. A key goes to auth: inject:")
    if any(not "!" <= c <= "~" for c in text):
        raise ValueError(f"{text!r} is no URL: it has blanks or strange characters in it")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError(f'"{text}" is no URL like https://api.example.com/v1') from None
    if parts.scheme != "https":
        raise ValueError(f'"{text}" is no https:// URL: a key would travel in the clear')
    host, _ = names.address(parts.netloc)
    if names.is_address(host):
        raise ValueError(f'"{text}" names an address: a certificate is checked against a name')
    url_path(parts.path)
    return text


def _of_form(pattern: str, what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f'"{text}" is no {what}')
        return text

    return AfterValidator(check)


Domains = Annotated[
    tuple[names.ServerName, ...], BeforeValidator(_one_or_more, json_schema_input_type=str | list[str]), Field(min_length=1)
]
Networks = Annotated[tuple[names.Network, ...], BeforeValidator(_one_or_more, json_schema_input_type=str | list[str])]
Addresses = Annotated[tuple[names.IpAddress, ...], BeforeValidator(_one_or_more, json_schema_input_type=str | list[str])]
Port = Annotated[int, BeforeValidator(lambda value: names.port(str(value)), json_schema_input_type=int | str)]
Size = Annotated[str, _of_form(r"[0-9]{1,9}[kKmMgG]?", "size like 64M or 4G")]
Seconds = Annotated[int, Field(ge=1, le=86400)]
Login = Annotated[str, _of_form(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", "user name")]
Header = Annotated[str, _of_form(r"[A-Za-z][A-Za-z0-9-]{0,63}", "header's name")]
Email = Annotated[str, _of_form(r"[^@\s'\"\\]+@[A-Za-z0-9.-]+", "mail address")]
Directory = Annotated[str, _of_form(r"https://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?", "URL of an ACME directory: https://HOST/PATH")]
StrictTransport = Annotated[str, _of_form(r"[A-Za-z0-9=; -]+", "value of Strict-Transport-Security like max-age=31536000")]
Below = Annotated[str, _of_form(r"/[A-Za-z0-9._~@:+=,/-]*", "path of a URL like /api/")]
Url = Annotated[str, AfterValidator(upstream_url)]


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_MEANT_OTHERWISE = frozenset(
    {
        *("accept", "accept-encoding", "authorization", "connection", "content-encoding", "content-length", "content-type", "cookie"),
        *("expect", "host", "keep-alive", "origin", "proxy-authorization", "range", "referer", "te", "trailer", "transfer-encoding"),
        *("upgrade", "user-agent", "via", "x-api-key"),
    }
)


class Auth(Form):
    """Who may use a site. In front of an API one of three: `basic` with `inject`, `token`, `passthrough`."""

    basic: dict[Login, Reference] = {}
    """Users and their passwords, which the edge asks for."""
    inject: Reference | None = None
    """The API's key, which the edge puts in: its users never see it."""
    token: dict[names.Name, Reference] = {}
    """Tokens of the edge, by who has them. They travel in a header of their own; the client's key goes through."""
    header: Header = "X-Novaops-Token"
    passthrough: bool = False
    """Whoever comes from one of the networks `from` is let through, with a key of their own."""
    addresses: Networks = Field(default=(), alias="from")

    @model_validator(mode="before")
    @classmethod
    def _one_token(cls, value: Any) -> Any:
        """A mere reference is a token with nobody's name. What has no form at all is not repeated: it may be a secret."""
        if not isinstance(value, dict | Auth):
            raise ValueError("a mapping is needed here: basic:, inject:, token:, passthrough: or from:")  # noqa: TRY004 - pydantic's way
        if isinstance(value, dict) and isinstance(value.get("token"), str):
            value = {**value, "token": {"client": value["token"]}}
        for key in ("basic", "token"):
            if isinstance(value, dict) and not isinstance(value.get(key, {}), dict):
                raise ValueError(f"{key}: a mapping is needed here: NAME: env:VARIABLE")  # noqa: TRY004 - see above
        return value

    @model_validator(mode="after")
    def _fits(self) -> Auth:
        modes = [mode for mode in ("basic", "token", "passthrough") if getattr(self, mode)]
        if len(modes) > 1:
            raise ValueError(f"{modes[0]} and {modes[1]} exclude each other: a client sends one Authorization header")
        if self.inject and not self.basic:
            raise ValueError("inject needs basic: whoever may use the key has to be known")
        if self.passthrough and not self.addresses:
            raise ValueError("passthrough needs from: without it the whole world would come through this host")
        if self.header.lower() in _MEANT_OTHERWISE:
            raise ValueError(f"header: {self.header} has another meaning")
        return self

    @property
    def mode(self) -> str:
        """inject, token or passthrough, in front of an API."""
        return "inject" if self.inject else "token" if self.token else "passthrough" if self.passthrough else ""


class Upstream(Form):
    """A server of one's own."""

    address: str
    """HOST:PORT, or unix:/PATH of a socket."""
    weight: int = Field(default=1, ge=1, le=1000)
    backup: bool = False
    """Only asked when none of the others answers."""
    max_fails: int = Field(default=3, ge=0, le=1000)
    """After so many failures within fail_timeout it is left alone for as long. 0: never."""
    fail_timeout: Seconds = 10

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return {"address": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits(self) -> Upstream:
        if self.is_socket:
            if any(c in ":;{}$\"'\\" or c.isspace() for c in self.address.removeprefix("unix:")):
                raise ValueError(f'"{self.address}" is no path of a socket that nginx could take')
            names.path(self.address.removeprefix("unix:"))
        elif names.address(self.address)[1] is None:
            raise ValueError(f'"{self.address}" has no port: HOST:PORT')
        return self

    @property
    def is_socket(self) -> bool:
        return self.address.startswith("unix:")

    @property
    def is_name(self) -> bool:
        """Whether DNS has to be asked for it."""
        return not self.is_socket and self.host != "localhost" and not names.is_address(self.host)

    @property
    def host(self) -> str:
        return "" if self.is_socket else names.address(self.address)[0]


Upstreams = Annotated[tuple[Upstream, ...], BeforeValidator(_one_or_more, json_schema_input_type=str | list[str | Upstream])]


class Location(Form):
    """A part of an app site that is different: below `path`, or with `exact` only there."""

    path: Below
    exact: bool = False
    upstreams: Upstreams = ()
    """Without them those of the site."""
    balance: Literal["round_robin", "least_conn", "ip_hash"] | None = None
    auth: Literal["off"] | None = None
    """off: whatever the site asks for is not asked for here."""


class Site(Form):
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
    acme: Directory | None = None
    """The directory of another ACME server than Let's Encrypt's, one that the host trusts."""
    public: Addresses = ()
    """For tls: letsencrypt, addresses that lead to the host beside its own and the inventory's: those of what is in front of it."""
    redirect: bool = True
    """With TLS: whether plain http leads to it. Otherwise it answers nothing but ACME."""
    hsts: StrictTransport | None = None
    """What Strict-Transport-Security says, or off. Without it a year, where the world trusts the certificate."""
    http2: bool = True

    provider: names.Name | None = None
    upstream: Url | None = None
    """Another API than a provider's: https://HOST[:PORT]/PATH."""
    upstream_ca: names.Path | None = None
    """The file on the host with the authority that the API's certificate is checked against; without it all that the host trusts."""
    path: UrlPath | None = None
    """Where the API is served; without it at the path that it has itself."""
    test_key: Reference | None = None
    """A key of the API's, only to see that it answers: with token and passthrough novaops has none."""

    upstreams: Upstreams = ()
    balance: Literal["round_robin", "least_conn", "ip_hash"] = "round_robin"
    keepalive: int = Field(default=32, ge=0, le=10000)
    """Connections to upstreams that are kept open, idle, by each of nginx's workers."""
    locations: tuple[Location, ...] = ()
    websockets: bool = True
    buffering: bool = True
    """off: answers and uploads pass as they come, such as events of one's own server."""

    auth: Auth | None = None
    max_body: Size | None = None
    """The largest upload; 520M for an API (files of 512 MB, and what is around them), 64M otherwise; 0 for any."""
    timeout: Seconds = 600
    """How long an upstream may be silent."""
    streams: int = Field(default=0, ge=0, le=100000)
    """How many requests must be held open at once; 0: as many as nginx holds as it is, some 350 with Debian's configuration."""

    @model_validator(mode="after")
    def _fits(self) -> Site:
        if self.state == "absent":
            return self
        for complaint in (*self._of_its_kind(), *self._of_names(), *self._of_upstreams(), *self._of_tls(), *self._of_auth()):
            raise ValueError(complaint)
        return self

    def _of_its_kind(self) -> Iterator[str]:
        kinds = [kind for kind in ("provider", "upstream", "upstreams") if getattr(self, kind)]
        if len(kinds) != 1 and not (not kinds and self.locations and all(location.upstreams for location in self.locations)):
            yield f"{' and '.join(kinds) or 'nothing'}: say one of provider:, upstream: (an API) and upstreams: (servers of your own)"
        strange = ("locations", "balance") if self.is_api else ("path", "upstream_ca", "test_key")
        for key in strange:
            if key in self.model_fields_set:
                yield f"{key}: that is for {'servers of your own' if self.is_api else 'an API'}"
        paths = [(location.path, location.exact) for location in self.locations]
        if twice := next((path for path, exact in paths if paths.count((path, exact)) > 1), None):
            yield f"locations: {twice} is there twice"

    def _of_names(self) -> Iterator[str]:
        if self.name.endswith(".http"):
            yield f"name: {self.name} is the name of another file of novaops's"
        if not self.domain:
            yield "domain: a site needs a name"
        if twice := next((name for n, name in enumerate(self.domain) if any(names.covers(name, other) for other in self.domain[:n])), None):
            yield f"domain: {twice} is there twice"
        if again := next((address for address in self.listen if self.listen.count(address) > 1), None):
            yield f"listen: {again} is there twice"

    def _of_upstreams(self) -> Iterator[str]:
        for upstreams in (self.upstreams, *(location.upstreams for location in self.locations)):
            if upstreams and all(upstream.backup for upstream in upstreams):
                yield "upstreams: all of them are backups"
        groups = [(self.upstreams, self.balance), *((on.upstreams or self.upstreams, on.balance or self.balance) for on in self.locations)]
        for upstreams, balance in groups:
            if balance == "ip_hash" and any(upstream.backup for upstream in upstreams):
                yield "balance: ip_hash knows no backup"

    def _of_tls(self) -> Iterator[str]:
        if self.tls is None and self.is_api:
            yield "tls: in front of an API it has to be said: letsencrypt, self-signed, files, or off, with which keys travel in the clear"
        if self.encrypted and self.http_port == self.https_port:
            yield "https_port: http has that port"
        if self.tls == "files" and not (self.certificate and self.key):
            yield "tls: files needs certificate: and key:"
        if "$" in f"{self.certificate}{self.key}":
            yield "certificate, key: nginx would take a $ in their paths for a variable"
        only = {"certificate": "files", "key": "files", "email": "letsencrypt", "acme": "letsencrypt", "public": "letsencrypt"}
        for key, tls in only.items():
            if getattr(self, key) and self.tls != tls:
                yield f"{key}: that is for tls: {tls}"
        if self.tls == "letsencrypt":
            if self.http_port != _DEFAULT_PORTS["http"] and self.acme is None:
                yield "http_port: Let's Encrypt looks at port 80"
            if odd := next((name for name in self.domain if not _is_exact(name)), None):
                yield f"domain: {odd} cannot be proven over http, and so gets no certificate; name each one, or take tls: files"
        if self.tls == "self-signed" and any(name.startswith("~") or name.endswith(".*") for name in self.domain):
            yield "domain: a certificate cannot hold a pattern; name each one"

    def _of_auth(self) -> Iterator[str]:
        auth = self.auth or Auth()
        if self.is_api and not auth.mode:
            yield "auth: say who may use this way to the API: {basic: {USER: …}, inject: …}, {token: …} or {passthrough: true, from: …}"
        if not self.is_api and auth.mode in {"token", "passthrough", "inject"}:
            yield f"auth: {auth.mode} is for an API"

    @property
    def is_api(self) -> bool:
        return bool(self.provider or self.upstream)

    @property
    def encrypted(self) -> bool:
        return self.tls not in {None, "off"}

    @property
    def port(self) -> int:
        """Where clients come to."""
        return self.https_port if self.encrypted else self.http_port

    @property
    def ports(self) -> tuple[int, ...]:
        return (self.http_port, self.https_port) if self.encrypted else (self.http_port,)

    @property
    def origins(self) -> tuple[str, ...]:
        """What a client's URL begins with, for each exact name."""
        scheme = "https" if self.encrypted else "http"
        port = "" if self.port == _DEFAULT_PORTS[scheme] else f":{self.port}"
        return tuple(f"{scheme}://{f'[{name}]' if ':' in name else name}{port}" for name in self.domain if _is_exact(name))

    @property
    def strict_transport(self) -> str:
        """The value of Strict-Transport-Security, "" for none: a browser that has it lets nobody past a certificate it does not trust."""
        if not self.encrypted or not self.redirect or self.hsts in {"off", "no", "false"}:
            return ""
        return self.hsts or ("max-age=31536000" if self.tls in _TRUSTED_BY_THE_WORLD else "")

    def of(self, provider: Provider) -> Provider:
        """The provider as this site serves it: with `path` the first endpoint is served there."""
        if self.path is None:
            return provider
        first, *others = provider.endpoints
        moved = (first.model_copy(update={"at": self.path}), *others)
        places = [endpoint.served_at for endpoint in moved]
        if twice := next((place for place in places if places.count(place) > 1), None):
            raise UsageError(f"{self.name}: path: something else of the API is served at {twice}")
        return provider.model_copy(update={"endpoints": moved})


def _is_exact(name: str) -> bool:
    return not name.startswith(("~", "*.", ".")) and not name.endswith(".*")


def api_at(url: str) -> Provider:
    """The provider that an `upstream:` is."""
    parts = urlsplit(url)
    host, port = names.address(parts.netloc)
    path = url_path(parts.path)
    return Provider(endpoints=(Endpoint(host=host, port=port or _DEFAULT_PORTS["https"], path=path),), probe=path)


def distinct(sites: list[Site]) -> list[Site]:
    """The sites, no two of which are the same to a client. Raises ValueError."""
    seen: dict[tuple[str, int], str] = {}
    for site in sites:
        if [other.name for other in sites].count(site.name) > 1:
            raise ValueError(f"{site.name} is there twice")
        for name in site.domain if site.state == "present" else ():
            for port in site.ports:
                seen.setdefault((name, port), site.name)
                for (known, at), other in seen.items():
                    if at == port and other != site.name and names.covers(known, name):
                        raise ValueError(f"{other} and {site.name} both have {name} at port {port}")
    schemes: dict[int, tuple[bool, str]] = {}
    for site in sites:
        for port in site.ports if site.state == "present" else ():
            tls = site.encrypted and port == site.https_port
            other_tls, other = schemes.setdefault(port, (tls, site.name))
            if other_tls != tls:
                raise ValueError(f"port {port} is http for one of {other} and {site.name}, and https for the other")
    return sites
