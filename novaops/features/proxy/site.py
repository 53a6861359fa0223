"""One site as the resources that make it: its files, the certificate that they need, and the proof that it answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from novaops.engine.desired import HostView
from novaops.errors import Refused
from novaops.features.proxy import behind
from novaops.features.proxy.auth import UNNAMED, Auth
from novaops.features.proxy.credentials import Credentials
from novaops.features.proxy.facts.answer import OUTSIDE, SiteAnswer
from novaops.features.proxy.facts.in_use import InUse
from novaops.features.proxy.facts.nginx import BUNDLES, NginxFacts
from novaops.features.proxy.listen import listens
from novaops.features.proxy.resources.access_kept import AccessKept, reached_by
from novaops.features.proxy.resources.given_certificate import GivenCertificate
from novaops.features.proxy.resources.letsencrypt import LETS_ENCRYPT, LetsEncrypt
from novaops.features.proxy.resources.nginx_files import NginxFiles, Part, no_file, site_files
from novaops.features.proxy.resources.nginx_in_use import NginxInUse
from novaops.features.proxy.resources.nginx_reload import STALE, BeforeReload
from novaops.features.proxy.resources.ports import Pair
from novaops.features.proxy.resources.self_signed import SelfSigned
from novaops.features.proxy.resources.site_answers import ApiBehind, SiteAnswers
from novaops.features.proxy.settings import Site
from novaops.features.proxy.site_conf import WEBROOT, SiteConf, own_file
from novaops.features.proxy.site_rules import example
from novaops.features.proxy.upstreams import Location
from novaops.formats import htpasswd
from novaops.formats.names import bracketed, is_address
from novaops.formats.nginx_quoting import exactly, literal, quoted
from novaops.model.plan import Resource
from novaops.providers.loader import Provider
from novaops.secret import Secret
from novaops.shell import lines_of

_RELOAD = ("systemctl", "try-reload-or-restart", "nginx.service")
"""For a new certificate: nothing where nginx does not run yet."""


_WHEN_UNDONE = ("sh", "-c", f"[ -e {STALE} ] || {' '.join(_RELOAD)}")
"""The same, unless it is part of a run that reloads at its end."""


@dataclass(frozen=True)
class NginxSite:
    entry: Site
    host: HostView
    settings: tuple[Site, ...] = ()
    """All entries of the section."""

    def listens(self, port: int, nginx: NginxFacts) -> Iterator[Pair]:
        return listens(self.entry, port, nginx, self.settings)

    @cached_property
    def provider(self) -> Provider | None:
        return self.entry.api(self.host.own)

    @property
    def auth(self) -> Auth:
        return self.entry.auth or Auth()

    @cached_property
    def credentials(self) -> Credentials:
        return Credentials(self.entry)

    def resolve(self) -> None:
        """Read what the entry only names: its API's data and its secrets. Raises UsageError, or Refused for a secret that is too weak."""
        _ = self.provider
        self.credentials.resolve()

    @property
    def certificate(self) -> tuple[str, str]:
        """The paths of certificate and key."""
        match self.entry.tls:
            case "files":
                return self.entry.certificate or "", self.entry.key or ""
            case "letsencrypt":
                return self._lets_encrypt.certificate, self._lets_encrypt.key
            case _:
                return self._path("crt"), self._path("key")

    @property
    def http_files(self) -> NginxFiles:
        """The server for plain http where the site itself has TLS."""
        return NginxFiles(f"{self.entry.name} (http)", (Part(site_files(self.entry.name)[1], self._conf.http),))

    @property
    def apis(self) -> tuple[str, ...]:
        """HOST:PORT of each API whose name has to be looked up."""
        endpoints = self.provider.endpoints if self.provider else ()
        return tuple(dict.fromkeys(f"{each.host}:{each.port}" for each in endpoints if not is_address(each.host)))

    def certificates(self) -> Iterator[Resource]:
        """Its certificate, which comes before the site."""
        entry = self.entry
        match entry.tls:
            case "self-signed":
                yield BeforeReload(SelfSigned(entry.name, entry.domain, *self.certificate, then=_WHEN_UNDONE))
            case "files":
                yield GivenCertificate(*self.certificate, entry.domain)
            case "letsencrypt":
                yield self._lets_encrypt

    @property
    def access_kept(self) -> AccessKept | None:
        """For a site that flags describe."""
        entry, auth, own = self.entry, self.auth, self.credentials
        if entry.others != "keep" or entry.open:
            return None
        kinds = ((own.passwords, "htpasswd", htpasswd.users), (own.tokens, "tokens", _clients), (own.keys, "keys", _clients))
        files = [(bool(wanted) or not entry.is_api, (self._path(suffix), read)) for wanted, suffix, read in kinds]
        token = own.tokens.get(UNNAMED)
        return AccessKept(
            *(entry.name, site_files(entry.name)[0], entry.is_api or bool(own.passwords)),
            networks=auth.addresses,
            pages=entry.cors,
            without=entry.without,
            people=tuple(file for stays, file in files if not stays),
            known=tuple(file for stays, file in files if stays),
            says_tls=entry.tls is not None,
            limited=auth.limit is not None or not (own.keys or own.tokens),
            unnamed=(self._path("tokens"), Secret(_line(UNNAMED, token.reveal()))) if token else None,
        )

    @property
    def files(self) -> NginxFiles:
        """The site itself."""
        return NginxFiles(self.entry.name, self._parts())

    @property
    def in_use(self) -> NginxInUse:
        """All that nginx has to have read as it is: the site's own files, and those that somebody else writes."""
        entry = self.entry
        certificate, key = self.certificate if entry.encrypted else ("", "")
        # One name that clients ask for: an address goes without a name, and another site may answer it.
        asked = [example(name) for name in entry.domain if example(name) and not is_address(name)]
        shown = (InUse(certificate, self._at, asked[0]) if asked else InUse(certificate),) if certificate else ()
        checked = {part.verify or "on" for part in entry.parts if any(upstream.tls for upstream in part.upstreams)} - {"off"}
        trusted = sorted(checked - {"on"} | ({*BUNDLES} if "on" in checked else set()))
        paths = [part.path for part in (*self.files.parts, *self.http_files.parts) if not part.read_anew]
        return NginxInUse(entry.name, (*shown, *map(InUse, filter(None, (key, entry.upstream_ca, *trusted, *paths)))))

    @property
    def _at(self) -> str:
        """ADDRESS:PORT where the host itself asks the site.

        Another server may have a listen of its own for 127.0.0.1. A request to 127.0.0.2 also comes from 127.0.0.1.
        """
        return f"{bracketed(self.entry.listen[0]) if self.entry.listen else '127.0.0.2'}:{self.entry.port}"

    @property
    def proof(self) -> SiteAnswers:
        """Requests to the site: a client's, with what lets it in, and a stranger's."""
        entry, auth = self.entry, self.auth
        path, is_open = self._tested
        login = next((Secret(f"{user}:{password.reveal()}") for user, password in self.credentials.passwords.items()), None)
        return SiteAnswers(
            entry.name,
            (f"{entry.asked_at}{path}",) if entry.asked_at else (),
            f"{self._asked_at}:{entry.port}",
            site_files(entry.name)[0],
            self.certificate[0] if entry.encrypted else "",
            mode=auth.mode or ("open" if is_open else "basic" if auth.basic else "from" if auth.addresses else "open"),
            api=self._api,
            allowed=() if is_open else auth.addresses,
            headers=tuple(self._test_headers()),
            login=login,
            log=f"/var/log/nginx/novaops-{entry.name}.error.log",
            gathers=not entry.is_api and entry.buffering,
            behind=tuple(self._behind()),
        )

    @property
    def _asked_at(self) -> str:
        """As others do, where all are served: a host that asks itself at 127.0.0.1 may be let in where nobody else is.

        Whether a site for some networks lets the host in is only known of 127.0.0.1. A request to 127.0.0.2 comes from there too, and
        another server may have a listen of its own for 127.0.0.1.
        """
        if self.entry.listen:
            return bracketed(self.entry.listen[0])
        return "127.0.0.2" if self.auth.addresses else OUTSIDE

    # -- the proof --------------------------------------------------------------------------------------------------------

    @property
    def _api(self) -> ApiBehind | None:
        if self.provider is None:
            return None
        injects, entry = self.credentials.key is not None, self.entry
        has_key = injects or self.credentials.test_key is not None
        return ApiBehind(entry.api_name, has_key, injects, bool(entry.provider), self.provider.without_key, entry.speaks_json)

    def _behind(self) -> Iterator[SiteAnswer]:
        after = site_files(self.entry.name)[0]
        if self.provider is not None:
            yield behind.api(self.entry, self.provider, self.credentials, after)
        elif self.entry.asked_at:
            yield from behind.servers(self._tested_location, self.entry.asked_at.partition("://")[2], after)

    def _test_headers(self) -> Iterator[tuple[str, str | Secret]]:
        yield from self.provider.headers.items() if self.provider else ()
        if token := next(iter(self.credentials.tokens.values()), None):
            yield self.auth.header, token
        if self.provider is not None and (own := next(iter(self.credentials.keys.values()), None)):
            yield self.provider.key.header, Secret(self.provider.key.value(own.reveal()))
        if self.provider is not None and (key := self.credentials.test_key):
            yield self.provider.key.header, Secret(self.provider.key.value(key.reveal()))

    @property
    def _tested(self) -> tuple[str, bool]:
        """The path that is requested, and whether everybody is let in there."""
        if self.provider is not None:
            return self.provider.probed_at, False
        return self._tested_location.path, self._tested_location.auth == "off"

    @property
    def _tested_location(self) -> Location:
        """Of servers of one's own: the one for /, or else the first one."""
        by_exactness = sorted(self.entry.parts, key=lambda location: not location.exact)
        return next((location for location in by_exactness if location.path == "/"), self.entry.parts[0])

    # -- the files --------------------------------------------------------------------------------------------------------

    def _path(self, suffix: str) -> str:
        return own_file(self.entry.name, suffix)

    @cached_property
    def _lets_encrypt(self) -> LetsEncrypt:
        entry = self.entry
        directory = entry.acme or LETS_ENCRYPT
        return LetsEncrypt(entry.name, entry.domain, entry.email, directory, WEBROOT, (self.host.address, *entry.public), _RELOAD)

    @cached_property
    def _conf(self) -> SiteConf:
        return SiteConf(self.entry, self.settings, self.provider, self.certificate, self.host.templates)

    def _parts(self) -> tuple[Part, ...]:
        """The secrets first, as the site refers to them; then the site; then the removal of secrets that it does not need."""
        secrets = (
            (
                self.credentials.passwords,
                Part(self._path("htpasswd"), self._users, "0640", for_workers=True, read_anew=True, who=htpasswd.users),
            ),
            (self.credentials.key, Part(self._path("inject"), self._key, "0600")),
            (self.credentials.tokens, Part(self._path("tokens"), self._tokens, "0600", who=_clients)),
            (self.credentials.keys, Part(self._path("keys"), self._keys, "0600", who=_clients)),
        )
        site = Part(site_files(self.entry.name)[0], self._conf.site, reached=reached_by)
        return (
            *(part for secret, part in secrets if secret),
            site,
            *(no_file(part.path, part.who) for secret, part in secrets if not secret),
        )

    def _users(self, _nginx: NginxFacts, old: str) -> Secret:
        kept = {*htpasswd.users(old)} - {*self.entry.without} if self.entry.others == "keep" else ()
        return Secret(htpasswd.written(self.credentials.passwords, old, kept))

    def _key(self, _nginx: NginxFacts, _old: str) -> Secret:
        """The key, for this API alone: a site that is changed to another API does not send the key there."""
        assert self.credentials.key is not None
        assert self.provider is not None
        first = self.provider.endpoints[0]
        return Secret(f"{exactly(f'api:{first.host}:{first.port}')} {literal(self.credentials.key.reveal())};\n")

    def _keys(self, _nginx: NginxFacts, old: str) -> Secret:
        """As a client's header carries them."""
        assert self.provider is not None
        shown = {client: self.provider.key.value(key.reveal()) for client, key in self.credentials.keys.items()}
        return self._map(shown, old)

    def _tokens(self, _nginx: NginxFacts, old: str) -> Secret:
        return self._map({client: token.reveal() for client, token in self.credentials.tokens.items()}, old)

    def _map(self, shown: Mapping[str, str], old: str) -> Secret:
        """Who shows what: a line of a `map` for each client, after those of others that stay."""
        without = {*self.entry.without}
        there = lines_of(old) if self.entry.others == "keep" else []
        kept = [line for line in there if not {*_clients(line)} <= {*shown, *without}]
        new = [_line(who, text) for who, text in shown.items()]
        self._refuse_shared((*product(new, kept), *product((*kept, *new), [line for line in there if {*_clients(line)} & without])))
        return Secret("".join(f"{line}\n" for line in (*kept, *new)))

    def _refuse_shared(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Of pairs of lines that have one key for two clients: a line that the file is to have, and one that it has."""
        for line, there in pairs:
            who, other = "".join(_clients(line)), "".join(_clients(there))  # "" for a line of somebody's own that is none
            if who and other and who != other and line.rpartition(" ")[0] == there.rpartition(" ")[0]:
                raise Refused(
                    f"{self.entry.name}: {who} has the key or token of {other}",
                    why="Without one of its two names, it would still open the site.",
                    fix=f"choose another one for {who}",
                )


def _line(client: str, shown: str) -> str:
    """Of a file of keys or tokens."""
    return f"{exactly(shown)} {quoted(client)};"


def _clients(text: str) -> tuple[str, ...]:
    """The clients of a file of keys or tokens."""
    return tuple(re.findall(r' "([^"]*)";$', text, re.MULTILINE))
