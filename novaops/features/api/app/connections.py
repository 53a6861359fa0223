"""Ways to APIs that the page has chosen, open from their first use to the end of the app."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from novaops.cli.options import Options
from novaops.errors import Unreachable, UsageError
from novaops.features.api.access import DEFAULT, Access, ApiFlags, choose, opened, route_of
from novaops.features.api.api import Api
from novaops.features.api.app.backend import Choice, ProviderChoice
from novaops.features.api.llm.http import Http
from novaops.features.api.llm.redact import Redactor, secrets_of
from novaops.features.api.remote import stores
from novaops.features.proxy.settings import Site
from novaops.providers import loader

DIRECT = "direct"


@dataclass
class _Way:
    """An open way to an API, and how many use it. A lost one is taken off at once, and closed when nobody uses it any more."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    http: Http | None = None
    stack: ExitStack = field(default_factory=ExitStack)
    users: int = 0
    lost: bool = False


class Connections:
    """The provider and the route of the command line are as its flags say; others as the inventory and their files do."""

    def __init__(self, options: Options, flags: ApiFlags, tell: Callable[[str], None]) -> None:
        """Raises UsageError for what the flags say wrongly, InventoryError."""
        self._options = options
        self._flags = flags
        self._tell = tell
        self._inventory, self._playbooks = options.known()
        self._folders = [Path(self._inventory.file).parent / "providers"] if self._inventory.file else []
        self._secrets: set[str] = set()
        self._open: dict[Choice, _Way] = {}
        self._closed = False
        self._lock = threading.Lock()
        own = self._inventory.api
        name = flags.provider or flags.upstream or own.provider or own.upstream or DEFAULT
        self.chosen = Choice(name, flags.via or own.route)
        with suppress(UsageError):  # what is wrong is said where it is used
            self.chosen = Choice(name, route_of(options, flags))
        self._names = self._offered()
        self._any = loader.load(DEFAULT)
        self._sites = list(self._all_sites())
        if flags.given():
            self.access(self.chosen)

    def access(self, choice: Choice) -> Access:
        """Raises UsageError, also for what the page does not offer."""
        if choice.provider not in self._names or choice.via not in self._routes(choice.provider):
            raise UsageError(f"there is no route {choice.via} to {choice.provider} here")
        own = choice.provider == self.chosen.provider
        said = {name: getattr(self._flags, name) for name in ApiFlags.names()} if own else {"provider": choice.provider}
        found = choose(self._options, ApiFlags(**{**said, "via": choice.via}))
        self._secrets.update(secrets_of(found.credential, found.route))
        return found

    def redactor(self) -> Redactor:
        """Takes out the secrets of all ways that the page was offered."""
        return Redactor(tuple(self._secrets))

    def providers(self) -> Sequence[ProviderChoice]:
        return [self._described(name) for name in self._names]

    def default(self, provider: str) -> Choice:
        """By the chosen route where that leads there too."""
        return Choice(provider, self.chosen.via if self.chosen.via in self._routes(provider) else DIRECT)

    @contextmanager
    def http(self, choice: Choice) -> Iterator[tuple[Access, Http]]:
        """An open way. A lost ssh connection is opened anew at the next use. Raises UsageError when the app has ended."""
        access = self.access(choice)
        with self._lock:
            if self._closed:
                raise UsageError("novaops api app has ended")
            way = self._open.setdefault(choice, _Way())
            way.users += 1
        try:
            yield access, self._opened(way, access)
        except Unreachable:
            if access.through:
                self._lose(choice, way)
            raise
        finally:
            with self._lock:
                way.users -= 1
                done = way.lost and not way.users
            if done:
                way.stack.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            ways, self._open = list(self._open.values()), {}
        for way in ways:
            way.stack.close()

    def _opened(self, way: _Way, access: Access) -> Http:
        """One way that opens slowly keeps no other one waiting."""
        with way.lock:
            if way.http is None:
                way.http = way.stack.enter_context(opened(access, self._options.timeout, self._tell))
            return way.http

    def _lose(self, choice: Choice, way: _Way) -> None:
        with self._lock:
            way.lost = True
            if self._open.get(choice) is way:
                del self._open[choice]

    def _offered(self) -> list[str]:
        """The chosen one first. A provider where each user has a host of their own is offered only if that was said."""
        names = [name for name in loader.listed(self._folders) if not loader.load(name, self._folders).own_host]
        return list(dict.fromkeys([self.chosen.provider, *names]))

    def _all_sites(self) -> Iterator[tuple[str, Site]]:
        """Every site of the inventory that leads to an API, as --via names it."""
        for host in self._inventory.hosts.values():
            if "proxy" in host.sections:
                for site in self._playbooks.by_name["proxy"].settings(self._inventory, host):
                    if isinstance(site, Site) and site.state == "present" and site.is_api and site.origins:
                        yield f"proxy:{host.name}/{site.name}", site

    def _routes(self, provider: str) -> list[str]:
        own, said = provider == self.chosen.provider, self._inventory.api
        upstream = self._flags.upstream or (said.upstream if said.provider in {None, provider} else None)
        api = Api(provider, self._any, (upstream if own else None) or "")  # is_behind judges by its name and URL only
        found = [DIRECT, *self._inventory.hosts, *(name for name, site in self._sites if api.is_behind(site))]
        return list(dict.fromkeys([*found, self.chosen.via] if own else found))

    def _described(self, name: str) -> ProviderChoice:
        routes = self._routes(name)
        try:
            access = self.access(self.default(name))
        except UsageError:
            return ProviderChoice(name, usable=False, routes=routes)
        known = access.route.provider
        return ProviderChoice(
            name,
            usable=True,
            routes=routes,
            model=access.model or known.model,
            parameters=list(known.chat.parameters),
            web_search=known.chat.web_search is not None,
            keeps_bases=known.knowledge is not None and known.files is not None,
            purposes=[*dict.fromkeys(each.partition(".")[0] for each in known.files.purposes)] if known.files else [],
            largest=known.files.most if known.files else 0,
            searches=stores.searched(known),
        )
