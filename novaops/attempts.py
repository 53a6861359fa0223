"""Which routes a host has to an API, as the inventory says. A new kind of route is one more function of `KINDS`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from novaops import provider, secret_source
from novaops.errors import UsageError
from novaops.facts.route import Route
from novaops.provider import Provider
from novaops.routes import Attempt
from novaops.secret import Secret
from novaops.site import Site, api_at, upstream_url

NO_KEY = "no key (--key env:NAME)"
NOT_WANTED = "--no-stream"
DEFAULT = "openai"

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
class Errand:
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


def direct(errand: Errand) -> Iterator[Attempt]:
    """To the API itself."""
    first, *others = errand.api.provider.endpoints
    serves = errand.api.provider.model_copy(update={"endpoints": (first.model_copy(update={"at": None}), *others)})
    question = errand.question("direct", serves.origin, serves, errand.key_headers)
    has_key = errand.key is not None
    yield Attempt(
        *(errand.api.name, "direct", "direct", question.url, question),
        unstreamed=errand.unstreamed(has_key=has_key),
        has_key=has_key,
        knows_probe=errand.api.knows_probe,
    )


def by_proxy(errand: Errand) -> Iterator[Attempt]:
    """Through each site of the inventory that has this API behind it."""
    for host, site in errand.sites:
        if not errand.api.is_behind(site):
            continue
        name = f"proxy {host}/{site.name}"
        if not site.origins:
            yield Attempt(errand.api.name, name, "proxy", "", untried=f"{', '.join(site.domain)} is a pattern, and no name to ask for")
        elif _only_for_itself(site) and host != errand.host:
            yield Attempt(errand.api.name, name, "proxy", site.origins[0], untried=f"it listens only on {', '.join(site.listen)} of {host}")
        else:
            yield _through(errand, name, host, site)


KINDS: tuple[Callable[[Errand], Iterator[Attempt]], ...] = (direct, by_proxy)
"""Every kind of route, in the order of the table."""


def attempts(errand: Errand) -> list[Attempt]:
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


def _through(errand: Errand, name: str, host: str, site: Site) -> Attempt:
    login, token, lacks = _credentials(errand, site)
    injects = bool(site.auth and site.auth.inject)
    own_key = () if injects or lacks else errand.key_headers
    question = errand.question(name, site.origins[0], site.of(errand.api.provider), (*token, *own_key), login)
    has_key = injects or bool(own_key)
    return Attempt(
        *(errand.api.name, name, "proxy", question.url, question),
        unstreamed=errand.unstreamed(has_key=has_key),
        has_key=has_key,
        injects=injects,
        by=host,
        lacks=lacks,
        advice=f"trust the certificate of {host}: it is in /etc/nginx/novaops/{site.name}.crt" if site.tls == "self-signed" else "",
        knows_probe=errand.api.knows_probe,
    )


def _credentials(errand: Errand, site: Site) -> tuple[Secret | None, list[tuple[str, Secret]], str]:
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
