"""One site as nginx has to have it: its files, what it needs before them, and the proof that it answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from novaops.errors import Refused, UsageError
from novaops.features.proxy.facts.nginx import NginxFacts
from novaops.features.proxy.resources.certificate import GivenCertificate, SelfSigned
from novaops.features.proxy.resources.letsencrypt import LETS_ENCRYPT, LetsEncrypt
from novaops.features.proxy.resources.nginx_files import DEFAULT, OWN, SHARED, NginxFiles, Part, is_ours, site_files
from novaops.features.proxy.resources.site_answers import SiteAnswers
from novaops.features.proxy.resources.site_preconditions import RESOLVE
from novaops.features.proxy.settings import Auth, Location, Site, Upstream, api_at
from novaops.formats import htpasswd
from novaops.formats.names import bracketed, is_address
from novaops.formats.nginx_conf import NginxServer
from novaops.formats.nginx_quoting import exactly, literal, quoted, variable
from novaops.formats.passwords import weakness
from novaops.model.plan import Resource
from novaops.providers.loader import Provider, load
from novaops.secret import Secret
from novaops.secret_source import resolve

Pair = tuple[str, int]
"""An address to listen on, and a port."""

WEBROOT = "/var/lib/novaops-acme"

RELOAD = ("systemctl", "try-reload-or-restart", "nginx.service")
"""For a new certificate: nothing where nginx does not run yet."""

ERRORS = (
    (401, "unauthorized", "This proxy does not know you: its user and password, or its token, are missing or wrong."),
    (403, "forbidden", "This proxy does not serve your address."),
    (404, "not_found", "This proxy passes nothing on at this path."),
    (413, "too_large", "The request is larger than this proxy takes."),
    (502, "bad_gateway", "The API could not be reached, or its certificate is not its own."),
    (503, "no_key", "This proxy has lost the key of the API."),
    (504, "timeout", "The API did not answer in time."),
)

WITHHELD = (
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Real-IP", "Forwarded", "Via"),
    *("CF-Connecting-IP", "CF-IPCountry", "CF-Ray", "CF-Visitor", "CF-IPCity", "True-Client-IP", "X-Client-IP", "X-Original-Forwarded-For"),
    *("Cookie", "Referer", "Origin", "Proxy", "Proxy-Authorization"),
)
"""Headers in which a client, or what it came through, says who and where it is."""

ANY = "0.0.0.0"  # noqa: S104 - what is written for nginx

FORGED = (
    *(
        "Forwarded",
        "X-Forwarded-Prefix",
        "X-Forwarded-Scheme",
        "X-Forwarded-Server",
        "X-Forwarded-Ssl",
        "X-Forwarded-User",
        "X-Original-URL",
    ),
    *("X-Rewrite-URL", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "Proxy"),
)
"""Headers in which a client could claim to be somebody, to servers that believe what comes through a proxy."""

HTTP2_DIRECTIVE = (1, 25, 1)
HANDSHAKE_REFUSED = (1, 19, 4)
"""The versions of nginx that brought `http2 on` and `ssl_reject_handshake`."""


@dataclass(frozen=True)
class NginxSite:
    """One site, with what its files are made of."""

    entry: Site
    host: Any
    settings: tuple[Site, ...] = ()
    """All that are deployed together."""

    def listens(self, port: int, nginx: NginxFacts) -> Iterator[Pair]:
        """Where it listens at this port. On all addresses also means: on each that another server has a `listen` of its own for.

        What somebody has at a loopback address is for the host itself, such as nginx's status, and stays alone there.
        """
        for address in self.entry.listen:
            yield ("*" if address == ANY else bracketed(address), port)
        if self.entry.listen:
            return
        yield ("*", port)
        if nginx.ipv6:
            yield ("[::]", port)
        others = [server for server in nginx.conf.servers() if not is_ours(server.file)] + list(other_sites(nginx, self.settings))
        told = {
            listen.address
            for server in others
            for listen in server.listens
            if listen.port == port and (is_ours(server.file) or not listen.is_loopback)
        }
        for entry in self.settings:
            if entry.state == "present" and port in entry.ports:
                told |= {bracketed(address) for address in entry.listen if address != ANY}
        yield from sorted((address, port) for address in told - {"*", "[::]"})

    def seen(self, port: int, nginx: NginxFacts) -> tuple[bool, bool, bool, tuple[str, str] | None]:
        """What the default server has to know of it: TLS, HTTP/2, an address among its names, its certificate."""
        tls = self.entry.encrypted and port == self.entry.https_port
        http2 = tls and self.entry.http2 and nginx.version < HTTP2_DIRECTIVE
        return tls, http2, any(is_address(name) for name in self.entry.domain), self.certificate if tls else None

    @cached_property
    def provider(self) -> Provider:
        entry = self.entry
        if entry.upstream:
            return entry.of(api_at(entry.upstream))
        assert entry.provider is not None
        return entry.of(load(entry.provider, [self.host.folder / "providers"]))

    @cached_property
    def auth(self) -> Auth:
        return self.entry.auth or Auth()

    @cached_property
    def passwords(self) -> dict[str, Secret]:
        """By user. Raises UsageError when one cannot be had, Refused when one is too weak."""
        found = {user: resolve(reference) for user, reference in self.auth.basic.items()}
        for user, password in found.items():
            text = password.reveal()
            weak = weakness(text, user) or (
                "is longer than 72 bytes, and bcrypt looks at no more" if len(text.encode()) > htpasswd.LONGEST else ""
            )
            if weak or ":" in user:
                raise Refused(
                    f"{self.entry.name}: the password of {user} {weak}",
                    why="Every address that answers https is tried with the common ones all day.",
                    fix="choose another one, such as: openssl rand -base64 15",
                )
        return found

    @cached_property
    def key(self) -> Secret | None:
        return self._secret("inject", self.auth.inject)

    @cached_property
    def tokens(self) -> dict[str, Secret]:
        found = {who: self._secret("token", reference) for who, reference in self.auth.token.items()}
        for who, token in found.items():
            assert token is not None
            if weak := weakness(token.reveal()):
                raise Refused(f"{self.entry.name}: the token of {who} {weak}", fix="choose another one, such as: openssl rand -hex 24")
        return {who: token for who, token in found.items() if token is not None}

    @cached_property
    def test_key(self) -> Secret | None:
        return self._secret("test_key", self.entry.test_key)

    def _secret(self, what: str, reference: str | None) -> Secret | None:
        """What travels in a header. Raises UsageError when it cannot."""
        if reference is None:
            return None
        secret = resolve(reference)
        if not secret.reveal() or not all(" " < c <= "~" for c in secret.reveal()):
            raise UsageError(f"{self.entry.name}: {what}: what {reference.partition(':')[0]}: gives is empty, or cannot stand in a header")
        return secret

    def _path(self, suffix: str) -> str:
        return f"{OWN}/{self.entry.name}.{suffix}"

    @cached_property
    def certificate(self) -> tuple[str, str]:
        """The paths of certificate and key."""
        match self.entry.tls:
            case "files":
                return self.entry.certificate or "", self.entry.key or ""
            case "letsencrypt":
                return self._lets_encrypt.certificate, self._lets_encrypt.key
            case _:
                return self._path("crt"), self._path("key")

    @cached_property
    def _lets_encrypt(self) -> LetsEncrypt:
        entry = self.entry
        directory = entry.acme or LETS_ENCRYPT
        return LetsEncrypt(entry.name, entry.domain, entry.email, directory, WEBROOT, (self.host.address, *entry.public), RELOAD)

    @property
    def plain(self) -> NginxFiles:
        """What answers plain http where the site itself has TLS."""
        content = self._http if self.entry.encrypted else _nothing
        return NginxFiles(f"{self.entry.name} (http)", (Part(site_files(self.entry.name)[1], content),))

    def resources(self) -> Iterator[Resource]:
        """The site, with its certificate before it."""
        entry = self.entry
        match entry.tls:
            case "self-signed":
                yield SelfSigned(entry.name, entry.domain, *self.certificate, then=RELOAD)
            case "files":
                yield GivenCertificate(*self.certificate, entry.domain)
            case "letsencrypt":
                yield self._lets_encrypt
        yield NginxFiles(entry.name, self._parts())

    def _parts(self) -> tuple[Part, ...]:
        """Secrets that are wanted, then the site, then what it does not want any more."""
        secrets: dict[str, Part | None] = {
            "htpasswd": Part(self._path("htpasswd"), self._users, "0640", for_workers=True, read_anew=True) if self.passwords else None,
            "inject": Part(self._path("inject"), self._key, "0600") if self.key else None,
            "tokens": Part(self._path("tokens"), self._tokens, "0600") if self.tokens else None,
        }
        site = Part(site_files(self.entry.name)[0], self._api if self.entry.is_api else self._app)
        unwanted = [suffix for suffix, part in secrets.items() if part is None]
        wanted = [part for part in secrets.values() if part is not None]
        return (*wanted, site, *(Part(self._path(suffix), _nothing) for suffix in unwanted))

    def _users(self, _nginx: NginxFacts, old: str) -> Secret:
        return Secret(htpasswd.written(self.passwords, old))

    def _key(self, _nginx: NginxFacts, _old: str) -> Secret:
        """The key, for this API alone: should the site lead to another one, it has none."""
        assert self.key is not None
        first = self.provider.endpoints[0]
        return Secret(f"{exactly(f'api:{first.host}:{first.port}')} {literal(self.key.reveal())};\n")

    def _tokens(self, _nginx: NginxFacts, _old: str) -> Secret:
        return Secret("".join(f"{exactly(token.reveal())} {quoted(who)};\n" for who, token in self.tokens.items()))

    def _common(self, nginx: NginxFacts) -> dict[str, Any]:
        entry, (certificate, key) = self.entry, self.certificate
        return {
            "name": entry.name,
            "id": variable(entry.name),
            "nginx": nginx,
            "tls": entry.encrypted,
            "listens": written(self.listens(entry.port, nginx)),
            "http2": ("on" if nginx.version >= HTTP2_DIRECTIVE else "listen") if entry.http2 else "",
            "domains": [bracketed(name) if is_address(name) else name for name in entry.domain],
            "log": f"/var/log/nginx/novaops-{entry.name}",
            "certificate": certificate,
            "certificate_key": key,
            "hsts": entry.strict_transport,
            "max_body": entry.max_body or ("520M" if entry.is_api else "64M"),
            "timeout": entry.timeout,
            "htpasswd": self._path("htpasswd"),
            "basic": bool(self.passwords),
            "allowed": self.auth.addresses,
            "quoted": quoted,
            "resolver": " ".join([*nginx.resolvers, "valid=30s", *([] if nginx.ipv6_route else ["ipv6=off"])]),
            "literal": literal,
        }

    def _http(self, nginx: NginxFacts, _old: str) -> str:
        entry = self.entry
        values = {
            **self._common(nginx),
            "listens": written(self.listens(entry.http_port, nginx)),
            "webroot": WEBROOT if entry.tls == "letsencrypt" else "",
            "redirect": entry.redirect,
            "port": "" if entry.https_port == 443 else f":{entry.https_port}",  # noqa: PLR2004 - of https
        }
        return str(self.host.templates.render("proxy/http.conf.j2", **values))

    def _api(self, nginx: NginxFacts, _old: str) -> str:
        provider, auth = self.provider, self.auth
        first = provider.endpoints[0].served_at
        own = auth.header if auth.token else ""
        withheld = [*WITHHELD, *([own] if own else [])]
        if auth.inject and provider.key.header.lower() != "authorization":
            withheld.append("Authorization")
        return str(
            self.host.templates.render(
                "proxy/api.conf.j2",
                **self._common(nginx),
                bases=[f"{origin}{first}" for origin in self.entry.origins],
                endpoints=provider.endpoints,
                beginning=lambda path: quoted(f"^{re.escape(path)}(/.*)$"),
                probe=provider.probe or "/",
                inject=bool(auth.inject),
                token=auth.header.lower().replace("-", "_") if auth.token else "",
                secrets=_if_there(self._path("inject" if auth.inject else "tokens")),
                key=provider.key,
                pooled=nginx.version >= RESOLVE,
                trusted=self.entry.upstream_ca or nginx.bundle,
                errors=ERRORS,
                withheld=withheld,
            )
        )

    def _app(self, nginx: NginxFacts, _old: str) -> str:
        entry = self.entry
        own = [location.path for location in entry.locations if not location.exact]
        whole = [] if "/" in own or not entry.upstreams else [Location(path="/")]
        locations = [self._location(n, location, nginx) for n, location in enumerate([*whole, *entry.locations])]
        return str(
            self.host.templates.render(
                "proxy/app.conf.j2",
                **self._common(nginx),
                bases=entry.origins,
                locations=locations,
                guarded=self.entry.auth is not None,
                own_certificate=self.entry.tls == "self-signed",
                forged=FORGED,
                closed=not whole and "/" not in own,
                resolves=any(upstream.is_name for upstream in upstreams_of(entry)),
                cookie_domains=_cookie_domains(entry),
            )
        )

    def _location(self, number: int, location: Location, nginx: NginxFacts) -> dict[str, Any]:
        entry = self.entry
        upstreams = location.upstreams or entry.upstreams
        by_name = any(upstream.is_name for upstream in upstreams)
        resolves = by_name and nginx.version >= RESOLVE
        open_ = location.auth == "off"
        return {
            "path": location.path,
            "exact": location.exact,
            "upstreams": upstreams,
            # An older nginx looks names in a pool up once, when it starts, and does not start when DNS is down.
            "pool": f"novaops_{variable(entry.name)}_{number}" if resolves or not by_name else "",
            "resolves": resolves,
            "balance": location.balance or entry.balance,
            "keepalive": entry.keepalive,
            "allowed": () if open_ else self.auth.addresses,
            "basic": bool(self.passwords) and not open_,
            "buffering": entry.buffering,
            "websockets": entry.websockets,
            "timeout": entry.timeout,
        }

    @property
    def _asked(self) -> Location | None:
        """The location that the proof asks for: what answers at "/", or where nothing does, the first one."""
        locations = sorted(self.entry.locations, key=lambda location: not location.exact)
        at_root = next((location for location in locations if location.path == "/"), None)
        return at_root or (None if self.entry.upstreams or not locations else self.entry.locations[0])

    @cached_property
    def answers(self) -> SiteAnswers:
        entry = self.entry
        login = next((Secret(f"{user}:{password.reveal()}") for user, password in self.passwords.items()), None)
        headers: list[tuple[str, str | Secret]] = []
        token = next(iter(self.tokens.values()), None)
        if token:
            headers.append((self.auth.header, token))
        asked = self._asked
        path, open_ = ("/", False) if asked is None else (asked.path, asked.auth == "off")
        if entry.is_api:
            provider = self.provider
            path = provider.served_at(provider.probe)
            if provider.probe == provider.endpoints[0].path:
                path = f"{path.rstrip('/')}/"  # what is below it is passed on
            if self.test_key:
                headers.append((provider.key.header, Secret(provider.key.value(self.test_key.reveal()))))
        return SiteAnswers(
            entry.name,
            tuple(f"{origin}{path}" for origin in entry.origins[:1]),
            # Somebody may have 127.0.0.1 for themselves. A request to this one comes from 127.0.0.1 all the same.
            f"{bracketed(entry.listen[0]) if entry.listen else '127.0.0.2'}:{entry.port}",
            site_files(entry.name)[0],
            self.certificate[0] if entry.encrypted else "",
            mode=self.auth.mode or ("open" if open_ else "basic" if self.passwords else "from" if self.auth.addresses else "open"),
            api=entry.provider or entry.upstream or "",
            key_is_known=bool(self.key or self.test_key),
            allowed=() if open_ else self.auth.addresses,
            headers=tuple(headers),
            login=login,
            log=f"/var/log/nginx/novaops-{entry.name}.error.log",
        )


def _nothing(_nginx: NginxFacts, _old: str) -> None:
    return None


def _if_there(path: str) -> str:
    """A pattern that only this file matches: nginx starts without it too."""
    return f"{path[:-1]}[{path[-1]}]"


def _cookie_domains(entry: Site) -> str:
    """Matches the domains of cookies that a browser would not take from this site."""
    parents = {name.split(".", n)[-1] for name in entry.domain for n in range(name.count("."))} | set(entry.domain)
    plain = sorted(name for name in parents if not name.startswith(("~", "*", ".")) and not name.endswith("*"))
    if any(name.startswith("~") or name.endswith(".*") for name in entry.domain):
        return ""
    escaped = "|".join(name.replace(".", r"\.") for name in plain)
    return rf"~^(?!\.?(?:{escaped})$).+$" if plain else ""


def other_sites(nginx: NginxFacts, settings: Sequence[Site]) -> Iterator[NginxServer]:
    """Those of novaops' own that are on the host, and not among these."""
    for server in nginx.conf.servers():
        is_site = is_ours(server.file) and server.file not in {SHARED, DEFAULT}
        if is_site and not any(server.file in site_files(entry.name) for entry in settings):
            yield server


def written(pairs: Iterable[Pair]) -> list[str]:
    return [str(port) if address == "*" else f"{address}:{port}" for address, port in pairs]


def upstreams_of(entry: Site) -> Iterator[Upstream]:
    yield from entry.upstreams
    for location in entry.locations:
        yield from location.upstreams
