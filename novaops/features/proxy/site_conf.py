"""The nginx configuration of one site, rendered from templates/proxy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from novaops.features.proxy.auth import Auth
from novaops.features.proxy.facts.nginx import HTTP2_DIRECTIVE, NO_AUTHORITY, RESOLVE, NginxFacts
from novaops.features.proxy.headers import IDENTIFYING, SPOOFABLE
from novaops.features.proxy.inherited import taken_back
from novaops.features.proxy.listen import listen_words, listens
from novaops.features.proxy.resources.api_addresses import folder
from novaops.features.proxy.resources.nginx_files import OWN
from novaops.features.proxy.settings import Site
from novaops.features.proxy.upstreams import Location
from novaops.formats.names import bracketed, is_address
from novaops.formats.nginx_quoting import exactly, literal, quoted, variable
from novaops.providers.loader import IDLE, Provider
from novaops.providers.proof import WITHOUT_KEY

WEBROOT = "/var/lib/novaops-acme"
"""Where ACME challenges are served from."""

_ERRORS = (
    (401, "unauthorized", "This proxy does not know you: its user and password, its key or its token are missing or wrong."),
    (403, "forbidden", "This proxy does not serve your address."),
    (404, "not_found", "This proxy passes nothing on at this path."),
    (429, "rate_limited", "This proxy limits how many requests a client may make."),
    (413, "too_large", "The request is larger than this proxy takes."),
    (502, "bad_gateway", "The API gave no answer that could be passed on: the error log of the site on the proxy says why."),
    (503, "busy", "This proxy turns the request away: a limit of this nginx, for all its sites (limit_conn or limit_req)."),
    (504, "timeout", "The API did not answer in time."),
)
"""nginx's own answers in front of an API: status, code, message."""

_NO_KEY = ("no_key", "This proxy has lost the key of the API.")
"""A 503, too: code and message of a site that should put a key in, and has none."""

_CROOKED = r"[^?]*(?i:/|%2f|%5c|\\)(?i:\.|%2e){1,2}(?i:/|%2f|%5c|\\|;|%3b|\?|$)"
"""What must not follow in a path, as an expression: what $novaops_crooked of templates/proxy/shared.conf.j2 takes anywhere."""

_STRAIGHT = r"/[^?.%]*(?:\?|$)"
"""Most paths have no dot, not even an escaped one. nginx interprets its expressions, and each request is asked."""

_SAID = frozenset({"satisfy", "add_header", "proxy_intercept_errors"})
"""What the template of every site says in the server itself, of all that http may say."""


@dataclass(frozen=True)
class SiteConf:
    entry: Site
    deployed: tuple[Site, ...]
    """All entries of the section."""
    provider: Provider | None
    certificate: tuple[str, str]
    """The paths of certificate and key."""
    templates: Any

    @property
    def _auth(self) -> Auth:
        return self.entry.auth or Auth()

    def http(self, nginx: NginxFacts, _old: str) -> str | None:
        """The server for plain http of a site with TLS; None for a site without."""
        entry = self.entry
        if not entry.encrypted:
            return None
        return self._render(
            "http",
            nginx,
            listens=listen_words(listens(entry, entry.http_port, nginx, self.deployed)),
            webroot=WEBROOT if entry.tls == "letsencrypt" else "",
            redirect=entry.redirect,
            inherited=taken_back(nginx, ()),
            port="" if entry.https_port == 443 else f":{entry.https_port}",  # noqa: PLR2004 - of https
        )

    def site(self, nginx: NginxFacts, _old: str) -> str:
        return self._app(nginx) if self.provider is None else self._api(nginx, self.provider)

    def _api(self, nginx: NginxFacts, provider: Provider) -> str:
        auth = self._auth
        own = auth.header if auth.token else ""
        replaces_login = auth.inject and provider.key.header.lower() != "authorization"
        return self._render(
            "api",
            nginx,
            inherited=taken_back(nginx, self._said(nginx) | {"error_page", "client_body_timeout"}),
            bases=[f"{origin}{provider.endpoints[0].served_at}" for origin in self.entry.origins],
            asked=self.entry.asked_at and f"{self.entry.asked_at}{provider.endpoints[0].served_at}",
            endpoints=provider.endpoints,
            below=lambda path: quoted(rf"^{re.escape(path)}(?:{_STRAIGHT}|(?!{_CROOKED})/)"),
            beginning=lambda path: quoted(f"^{re.escape(path)}(?<novaops_rest>/.*)$"),
            probe=provider.probe or "/",
            headers=list(provider.headers.items()),
            expects=" ".join(filter(None, ("json" if self.entry.speaks_json else "", "described" if self.entry.provider else ""))),
            without_key="" if provider.without_key == WITHOUT_KEY else " ".join(map(str, provider.without_key)),
            inject=bool(auth.inject),
            inject_file=_optional(own_file(self.entry.name, "inject")),
            clients=(own or (provider.key.header if auth.keys else "")).lower().replace("-", "_"),
            clients_file=_optional(own_file(self.entry.name, "keys" if auth.keys else "tokens")),
            limit=auth.limit.replace("/", "r/").replace("min", "m") if auth.limit else "",
            burst=auth.limit.partition("/")[0] if auth.limit else "",
            key=provider.key,
            resolves=nginx.version >= RESOLVE,
            is_address=is_address,
            addresses=lambda api: quoted(_optional(f"{folder(self.entry.name)}/{api}")),
            trusted=self.entry.upstream_ca or (NO_AUTHORITY if nginx.trust_folder else nginx.bundle),
            trust_folder="" if self.entry.upstream_ca else nginx.trust_folder,
            no_key=_NO_KEY,
            errors=[_at_its_paths(error, provider) if error[0] == HTTPStatus.NOT_FOUND else error for error in _ERRORS],
            withheld=[*IDENTIFYING, *filter(None, (own, "Authorization" if replaces_login else ""))],
        )

    def _said(self, nginx: NginxFacts) -> frozenset[str]:
        entry = self.entry
        return _SAID | ({"http2"} if entry.encrypted and entry.http2 and nginx.version >= HTTP2_DIRECTIVE else frozenset())

    def _app(self, nginx: NginxFacts) -> str:
        entry = self.entry
        said = self._said(nginx) | ({"error_page"} if self._auth.basic else set())
        return self._render(
            "app",
            nginx,
            inherited=taken_back(nginx, said),
            bases=entry.origins,
            asked=entry.asked_at,
            locations=[self._location(number, part, nginx) for number, part in enumerate(entry.parts)],
            guarded=entry.auth is not None,
            own_certificate=entry.tls == "self-signed",
            forged=SPOOFABLE,
            closed=not any(part.path == "/" and not part.exact for part in entry.parts),
            resolves=any(upstream.is_name for upstream in entry.all_upstreams),
            cookie_domains=_cookie_domains(entry),
        )

    def _location(self, number: int, location: Location, nginx: NginxFacts) -> dict[str, Any]:
        entry = self.entry
        by_name = any(upstream.is_name for upstream in location.upstreams)
        resolves = by_name and nginx.version >= RESOLVE
        is_open = location.auth == "off"
        return {
            "path": location.path,
            "places": _places(location, entry.parts),
            "upstreams": location.upstreams,
            # An older nginx looks names in a pool up once, when it starts, and does not start when DNS is down.
            "pool": f"novaops_{variable(entry.name)}_{number}" if resolves or not by_name else "",
            "resolves": resolves,
            "balance": location.balance,
            "keepalive": entry.keepalive,
            "allowed": () if is_open else self._auth.addresses,
            "basic": bool(self._auth.basic) and not is_open,
            "buffering": entry.buffering if location.buffering is None else location.buffering,
            "websockets": entry.websockets,
            "timeout": entry.timeout,
            **_secured(location, nginx),
            "strip": quoted(f"^{re.escape(location.path)}(?<novaops_rest>.*)$") if location.strip_prefix else "",
            "request_headers": [(name, literal(value)) for name, value in location.request_headers.items()],
            "response_headers": [(name, literal(value) if value else "") for name, value in location.response_headers.items()],
            "told": {name.lower() for name in location.request_headers},
        }

    def _render(self, template: str, nginx: NginxFacts, **own: Any) -> str:
        entry, (certificate, key) = self.entry, self.certificate
        common = {
            "name": entry.name,
            "id": variable(entry.name),
            "nginx": nginx,
            "tls": entry.encrypted,
            "listens": listen_words(listens(entry, entry.port, nginx, self.deployed)),
            "http2": ("on" if nginx.version >= HTTP2_DIRECTIVE else "listen") if entry.http2 else "",
            "domains": [bracketed(name) if is_address(name) else name for name in entry.domain],
            "log": f"/var/log/nginx/novaops-{entry.name}",
            "certificate": certificate,
            "certificate_key": key,
            "hsts": entry.strict_transport,
            "max_body": entry.max_body or ("520M" if entry.is_api else "64M"),
            "timeout": entry.timeout,
            "max_head": entry.max_head,
            "keepalive": entry.keepalive,
            "keepalive_timeout": entry.keepalive_timeout or (self.provider.idle if self.provider else IDLE),
            "htpasswd": own_file(entry.name, "htpasswd"),
            "basic": bool(self._auth.basic),
            "allowed": self._auth.addresses,
            "quoted": quoted,
            "origins": entry.cors,
            "clients": "",
            "exactly": exactly,
            "bracketed": bracketed,
            "resolver": " ".join([*nginx.resolvers, "valid=30s", *([] if nginx.ipv6_route else ["ipv6=off"])]),
            "literal": literal,
        }
        return str(self.templates.render(f"proxy/{template}.conf.j2", **{**common, **own}))


def _at_its_paths(error: tuple[int, str, str], provider: Provider) -> tuple[int, str, str]:
    """The error, with where the API is."""
    status, code, message = error
    paths = ", ".join(dict.fromkeys(endpoint.served_at or "/" for endpoint in provider.endpoints))
    return status, code, f"{message} The API is at {paths}."


def _secured(location: Location, nginx: NginxFacts) -> dict[str, Any]:
    """How upstreams are asked, and what their certificates are checked by; "" for not at all."""
    if not any(upstream.tls for upstream in location.upstreams):
        return {"scheme": "http", "trusted": "", "checked_name": ""}
    name = location.upstreams[0].host
    trusted = {"on": nginx.bundle, "off": ""}.get(location.verify or "on", location.verify)
    return {"scheme": "https", "trusted": trusted, "checked_name": "" if is_address(name) else name}


def own_file(name: str, suffix: str) -> str:
    """The path of one of the site's files beside its configuration: a secret, or its certificate."""
    return f"{OWN}/{name}.{suffix}"


def _optional(path: str) -> str:
    """A pattern that only this file matches: nginx starts although a pattern matches nothing, and not without a file that it names."""
    return f"{path[:-1]}[{path[-1]}]"


def _places(location: Location, parts: Sequence[Location]) -> list[str]:
    """The path and what is below it, as nginx's locations: one for /public alone would also take /publicadmin."""
    if location.exact or location.path.endswith("/"):
        return [_place(location)]
    places = [f"= {location.path}", f"{location.path}/"]
    return [place for place in places if place not in {_place(other) for other in parts}]


def _place(location: Location) -> str:
    return f"= {location.path}" if location.exact else location.path


def _cookie_domains(entry: Site) -> str:
    """A pattern for the domains of cookies that a browser would not accept from this site; "" where that cannot be said."""
    if any(name.startswith("~") or name.endswith(".*") for name in entry.domain):
        return ""
    parents = {name.split(".", n)[-1] for name in entry.domain for n in range(name.count("."))} | set(entry.domain)
    accepted = sorted(name for name in parents if not name.startswith(("~", "*", ".")) and not name.endswith("*"))
    escaped = "|".join(name.replace(".", r"\.") for name in accepted)
    return rf"~^(?!\.?(?:{escaped})$).+$" if accepted else ""
