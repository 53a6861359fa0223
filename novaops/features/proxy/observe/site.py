"""What is expected of a site, and what was observed."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from novaops.features.proxy.auth import Auth
from novaops.features.proxy.observe.certificate import Shown
from novaops.features.proxy.observe.site_files import Logged, ObservedApi, ObservedFile
from novaops.features.proxy.settings import Site
from novaops.features.proxy.upstreams import Location, Upstream
from novaops.formats.names import is_address
from novaops.providers.loader import Provider
from novaops.verify.http_answer import HttpAnswer


@dataclass(frozen=True)
class ExpectedSite:
    site: Site
    provider: Provider | None = None
    """The API as the site serves it; None for servers of one's own."""

    @property
    def present(self) -> bool:
        return self.site.state == "present"

    @property
    def encrypted(self) -> bool:
        return self.present and self.site.encrypted

    @property
    def is_api(self) -> bool:
        return self.provider is not None

    @property
    def is_app(self) -> bool:
        return self.present and not self.site.is_api

    @property
    def auth(self) -> Auth:
        return self.site.auth or Auth()

    @property
    def guard(self) -> str:
        """How the site itself authenticates clients: basic, key, token, or ""."""
        return "basic" if self.auth.basic else "key" if self.auth.keys else "token" if self.auth.token else ""

    def inside(self, address: str) -> bool:
        """Whether the site serves clients from that address."""
        networks = [ipaddress.ip_network(network) for network in self.auth.addresses]
        return not networks or any(ipaddress.ip_address(address) in network for network in networks)

    @property
    def names(self) -> tuple[str, ...]:
        """A name to request, for each domain that stands for one or has one below it."""
        named = [domain for domain in self.site.domain if not domain.startswith("~") and not domain.endswith(".*")]
        return tuple(f"novaops-verify.{name.lstrip('*.')}" if name.startswith(("*", ".")) else name for name in named)

    @property
    def only_on(self) -> tuple[str, ...]:
        return () if {"0.0.0.0", "::"} & set(self.site.listen) else self.site.listen  # noqa: S104 - compared, not bound

    @property
    def password_file(self) -> str:
        return f"/etc/nginx/novaops/{self.site.name}.htpasswd"

    @property
    def secrets_file(self) -> str:
        suffix = "inject" if self.auth.inject else "tokens"
        return f"/etc/nginx/novaops/{self.site.name}.{suffix}"

    @property
    def keys_file(self) -> str:
        return f"/etc/nginx/novaops/{self.site.name}.keys"

    @property
    def certificate(self) -> tuple[str, str]:
        """The paths of certificate and key on the host; "" without TLS."""
        name = self.site.name
        match self.site.tls if self.present else None:
            case "files":
                return self.site.certificate or "", self.site.key or ""
            case "letsencrypt":
                return f"/etc/letsencrypt/live/novaops-{name}/fullchain.pem", f"/etc/letsencrypt/live/novaops-{name}/privkey.pem"
            case "self-signed":
                return f"/etc/nginx/novaops/{name}.crt", f"/etc/nginx/novaops/{name}.key"
        return "", ""

    @property
    def renewal(self) -> str:
        """The file, of certbot's, of how the certificate is renewed; "" for one that certbot has nothing to do with."""
        return f"/etc/letsencrypt/renewal/novaops-{self.site.name}.conf" if self.present and self.site.tls == "letsencrypt" else ""

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that are looked at: those with secrets, and all files of a site that is to be absent."""
        secret = (self.password_file, self.secrets_file, self.keys_file)
        if self.present:
            return (*secret, *([self.certificate[1]] if self.site.encrypted else []))
        own, conf = f"/etc/nginx/novaops/{self.site.name}", f"/etc/nginx/conf.d/novaops-{self.site.name}"
        timer = f"/etc/systemd/system/timers.target.wants/novaops-proxy@{self.site.name}.timer"
        return (*secret, f"{own}.crt", f"{own}.key", f"{own}.addresses", f"{conf}.conf", f"{conf}.http.conf", timer)

    @property
    def apis(self) -> tuple[str, ...]:
        """HOST:PORT of each API whose name has to be looked up."""
        endpoints = self.provider.endpoints if self.provider else ()
        return tuple(dict.fromkeys(f"{each.host}:{each.port}" for each in endpoints if not is_address(each.host)))

    @property
    def log(self) -> str:
        return f"/var/log/nginx/novaops-{self.site.name}.access.log"

    @property
    def key_is_known(self) -> bool:
        return bool(self.auth.inject or self.site.test_key)

    def asked_at(self, api: str) -> str:
        """What to ask an API (HOST:PORT) for itself: HOST:PORT/PATH, with http:// before it where there is no TLS."""
        assert self.provider is not None
        first = self.provider.endpoints[0]
        plain = any(f"{each.host}:{each.port}" == api and not each.tls for each in self.provider.endpoints)
        path = (self.provider.probe if f"{first.host}:{first.port}" == api else "") or "/"
        return f"{'http://' if plain else ''}{api}{path}"

    @property
    def probe(self) -> str:
        """The path of the requests that show who is let in."""
        if self.provider:
            return self.provider.probed_at
        return next((pool.path for pool in self.pools if pool.auth != "off"), "/")

    @property
    def stream(self) -> str:
        return self.provider.served_at(self.provider.stream.path) if self.provider and self.provider.stream else ""

    @property
    def probe_path(self) -> str:
        """The same as the log has it: without the query."""
        return self.probe.partition("?")[0]

    @property
    def stream_path(self) -> str:
        """The same as the log has it: without the query."""
        return self.stream.partition("?")[0]

    @property
    def host(self) -> str:
        """The header Host of clients."""
        return self.named(self.names[0], self.site.port, 443 if self.site.encrypted else 80)

    @staticmethod
    def named(name: str, port: int, default: int) -> str:
        return (f"[{name}]" if ":" in name else name) + ("" if port == default else f":{port}")

    @property
    def pools(self) -> tuple[Location, ...]:
        """The locations of an app site, each with its upstreams."""
        return self.site.parts if self.is_app else ()


@dataclass(frozen=True)
class Pool:
    """One location of an app site, requested until each of its servers should have answered."""

    location: Location
    requests: int = 0
    answer: HttpAnswer = field(default_factory=HttpAnswer)
    """The first answer that cannot be a server's, or else the last one."""
    logged: tuple[Logged, ...] = ()
    addresses: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The names of each server in the log, by its name in the inventory."""
    upgrade: HttpAnswer = field(default_factory=HttpAnswer)
    """The site's answer to a request for a websocket."""
    direct: HttpAnswer = field(default_factory=HttpAnswer)
    """The answer of one of the servers itself."""

    @property
    def expected(self) -> tuple[Upstream, ...]:
        return tuple(upstream for upstream in self.location.upstreams if not upstream.backup)

    @property
    def servers(self) -> str:
        """The expected servers, in words."""
        return " and ".join(upstream.address for upstream in self.expected)

    @property
    def serving(self) -> frozenset[str]:
        """The servers that answered, by their names in the log."""
        return frozenset(address for line in self.logged for address, status in line.upstreams if status not in {"502", "504"})

    def served(self, upstream: Upstream) -> bool:
        return bool(self.addresses.get(upstream.address, frozenset()) & self.serving)


@dataclass(frozen=True)
class ObservedSite:
    wanted: ExpectedSite
    here: str = ""
    """This machine's address, as the host sees it."""
    address: str = ""
    """Where the requests were sent."""
    on_host: str = ""
    """Why the requests were made on the host itself, where they were."""
    ports: Mapping[int, str] = field(default_factory=dict)
    """Why a port takes no connections; "" when it does."""
    listening: frozenset[int] = frozenset()
    """The ports that a program on the host listens on, loopback aside."""
    rivals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Other web servers that will run after the next boot, as `Before` has them."""
    own_page: str = ""
    """The page of nginx's package that is enabled, as `Before` has it."""
    shown: tuple[Shown, ...] = ()
    tried: Mapping[str, HttpAnswer] = field(default_factory=dict)
    """Requests, by who asked: stranger, wrong, known, outsider, stream."""
    http: Mapping[str, tuple[HttpAnswer, HttpAnswer]] = field(default_factory=dict)
    """The answers to GET and POST in plain http, by the URL that they should redirect to."""
    unknown: Mapping[str, HttpAnswer] = field(default_factory=dict)
    """The answers for a name that no site has, by scheme; and one for the path /."""
    taken: tuple[str, ...] = ()
    """The schemes in which the site itself answered those."""
    api: Logged | None = None
    """The stream, in the site's log."""
    version: tuple[int, ...] = ()
    """Of nginx."""
    timer: tuple[str, str] = ("", "")
    """Whether its timer is enabled and active, in systemd's words."""
    apis: Mapping[str, ObservedApi] = field(default_factory=dict)
    """The APIs behind it, by HOST:PORT."""
    connects: tuple[float | None, ...] = ()
    """Of requests on one connection: the seconds until the site had one to the API."""
    pools: tuple[Pool, ...] = ()
    files: Mapping[str, ObservedFile] = field(default_factory=dict)
    """The site's files that exist."""
    hashes: tuple[tuple[str, str], ...] = ()
    """Users in the password file, each with the first characters of the hash."""
    workers: frozenset[str] = frozenset()
    leaks: tuple[tuple[str, str], ...] = ()
    """Where a secret can be read, and which one."""
    renewals: Mapping[str, str] = field(default_factory=dict)
    """What runs certbot on the host by itself, as `Before` has it."""
    left_out: bool = False
    """Whether certbot is told not to renew this site's certificate."""
    verified: Mapping[str, str] = field(default_factory=dict)
    """openssl's verdict on the host about each chain, by name; "" when it is trusted there."""

    @property
    def inside(self) -> bool:
        return self.wanted.inside(self.here)


@dataclass(frozen=True)
class Rebooted:
    answer: HttpAnswer
