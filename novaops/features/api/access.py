"""Which API is meant, with which key, by which route: read from flags and the inventory, and opened."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from novaops.cli.options import TIMEOUT, Flags, Options
from novaops.errors import UsageError
from novaops.secret import Secret

if TYPE_CHECKING:
    from novaops.engine.inventory import Inventory
    from novaops.engine.playbooks import Playbooks
    from novaops.features.api.api import Api
    from novaops.features.api.llm.http import Http
    from novaops.features.api.llm.protocol import Credential
    from novaops.features.api.llm.route import Address, Route
    from novaops.features.proxy.settings import Site
    from novaops.providers.loader import Provider
    from novaops.ssh.target import Target

DEFAULT = "openai"
_SITE = "proxy:"
_SOURCE = "env:NAME, file:PATH or cmd:WORDS"


class ApiFlags(Flags):
    """Which API a verb talks to from this machine. What is not said stands in the inventory's `api:`."""

    provider: Annotated[str | None, typer.Option(help="openai, sensenova, anthropic, local, … [default: openai].")] = None
    upstream: Annotated[str | None, typer.Option(metavar="URL", help="Another API, or where --provider is for you.")] = None
    key: Annotated[str | None, typer.Option(metavar="SOURCE", help=f"The API's key: {_SOURCE}.")] = None
    key_id: Annotated[str | None, typer.Option(metavar="SOURCE", help="The id of an access key, whose secret is --key.")] = None
    via: Annotated[str | None, typer.Option(metavar="ROUTE", help="direct, HOST (over ssh), or proxy:HOST/SITE [default: direct].")] = None

    def about(self, provider: str) -> ApiFlags:
        """Those that are for this provider. Of flags for another one that is a host on the way alone, for it leads to both."""
        said = self.given()
        if self.provider not in {None, provider}:
            said = {} if self.via is None or self.via.startswith(_SITE) else {"via": self.via}
        return ApiFlags(**{**said, "provider": provider})


@dataclass(frozen=True)
class Access:
    """Everything that is known before anything is contacted."""

    name: str
    """The provider's."""
    credential: Credential
    route: Route
    model: str = ""
    """"" for the one that the provider's file names."""
    through: Target | None = None
    """The host whose ssh server the requests go through."""
    leads: Mapping[Address, Address] = field(default_factory=dict)
    """By host and port of a URL where that is for the host they go through."""


def choose(options: Options, flags: ApiFlags) -> Access:
    """Raises UsageError, InventoryError."""
    known, playbooks = options.known()
    api, own = _api(known, flags)
    access = _route(options, playbooks, api, flags.via or _usual_route(options, playbooks, api, own=own))
    credential = _credential(known, api.provider, api.name, flags, own=own) if access.route.sends_key else None
    return replace(access, credential=credential, model=(known.api.model or "") if own else "")


def route_of(options: Options, flags: ApiFlags) -> str:
    """The route as --via says it, or would say it. Raises UsageError, InventoryError."""
    known, playbooks = options.known()
    api, own = _api(known, flags)
    return flags.via or _usual_route(options, playbooks, api, own=own)


@contextmanager
def opened(access: Access, timeout: float | None, tell: Callable[[str], None]) -> Iterator[Http]:
    """The API by that route, for as long as the context lasts. `tell` is called with what happens meanwhile.

    Raises Unreachable and HostFailed where the route cannot be opened.
    """
    from novaops.features.api.llm.http import Http

    with ExitStack() as stack:
        route = access.route
        if access.through is not None:
            from novaops.engine.local_forward import LocalTunnel
            from novaops.formats.forward import PortForward

            wanted = {at: PortForward(*to) for at, to in access.leads.items()}
            tunnel = stack.enter_context(LocalTunnel(access.through, list(wanted.values()), tell))
            entrances = (forward.entrance for forward in tunnel.forwards)
            route = replace(route, forwards=dict(zip(wanted, entrances, strict=True)))
        yield stack.enter_context(Http(access.name, access.credential, route, timeout=timeout, tell=tell))


def _api(known: Inventory, flags: ApiFlags) -> tuple[Api, bool]:
    """The one that is meant, and whether it is that of the inventory's `api:`."""
    from novaops.features.api.api import Api
    from novaops.features.proxy.settings import api_of, upstream_url

    defaults = known.api
    own = not (flags.provider or flags.upstream) or (flags.provider is not None and flags.provider == defaults.provider)
    name = flags.provider or (defaults.provider if own else None)
    upstream = flags.upstream or (defaults.upstream if own else None)
    if name is None and upstream is None:
        name = DEFAULT
    folders = [Path(known.file).parent / "providers"] if known.file else []
    try:
        provider = api_of(name, upstream and upstream_url(upstream), None, folders)
    except ValueError as error:
        raise UsageError(f"--upstream: {error}") from None
    return Api(name or upstream or "", provider, upstream or ""), own


def _usual_route(options: Options, playbooks: Playbooks, api: Api, *, own: bool) -> str:
    """The inventory's, where it leads to this API: a host to all that are elsewhere, a site to the one that is behind it."""
    from novaops.features.api.llm.route import is_local

    known, _ = options.known()
    route = known.api.route
    if is_local(api.provider.endpoints[0].host):
        return "direct"
    if route.startswith(_SITE) and not own and not api.is_behind(_site(options, playbooks, route.removeprefix(_SITE))[1]):
        return "direct"
    return route


def _credential(known: Inventory, provider: Provider, name: str, flags: ApiFlags, *, own: bool) -> Credential:
    """The key that was said, else the inventory's, else where the provider's file looks for one. None for an API that asks for none."""
    from novaops.engine.secret_source import resolve
    from novaops.features.api.llm.protocol import KeyPair, sendable

    def secret(reference: str) -> Secret:
        return sendable(resolve(reference), reference)

    key, key_id = flags.key, flags.key_id
    if not key and own:
        key, key_id = known.api.key, flags.key_id or known.api.key_id
    if key_id and not key:
        raise UsageError("--key-id is there without --key", why="The id of an access key is of no use without its secret.")
    if key:
        return KeyPair(secret(key_id).reveal(), secret(key)) if key_id else secret(key)
    if provider.key.source is None:
        return None
    with suppress(UsageError):
        return secret(provider.key.source)
    if provider.key.pair:
        with suppress(UsageError):
            return KeyPair(secret(provider.key.pair[0]).reveal(), secret(provider.key.pair[1]))
    places = " or ".join(filter(None, (provider.key.source, provider.key.pair and " with ".join(provider.key.pair))))
    fix = f"{provider.start} makes one" if provider.start else f"say where it is: --key {_SOURCE}"
    raise UsageError(f"{name} asks for a key, and there is none in {places}", fix=fix)


def _route(options: Options, playbooks: Playbooks, api: Api, word: str) -> Access:
    from novaops.features.api.llm.route import Route, direct

    if word == "direct":
        return Access(api.name, None, direct(api.provider))
    if word.startswith(_SITE):
        return _by_site(options, playbooks, api, word.removeprefix(_SITE))
    addresses = [(endpoint.host, endpoint.port) for endpoint in api.provider.endpoints]
    return Access(api.name, None, Route(api.provider, word), through=_target(options, word), leads={each: each for each in addresses})


def _by_site(options: Options, playbooks: Playbooks, api: Api, word: str) -> Access:
    """Through a site of the inventory; over ssh where it listens on its host's loopback only. Raises UsageError."""
    from novaops.engine.secret_source import resolve
    from novaops.features.api.llm.route import Route
    from novaops.features.api.routes import on_loopback, site_credentials

    host, site = _site(options, playbooks, word)
    if not api.is_behind(site):
        raise _before_another(word, site, api)
    if not site.origins:
        raise UsageError(f"proxy:{word}: {', '.join(site.domain)} is a pattern, and no name to ask for")
    login, headers = site_credentials(site, api.provider.key, resolve)
    if login:
        headers = [("Authorization", Secret(f"Basic {base64.b64encode(login.reveal().encode()).decode()}"))]
    injects = bool(site.auth and site.auth.inject)
    route = Route(site.of(api.provider), f"{_SITE}{word}", site.origins[0], dict(headers), sends_key=not injects)
    if not on_loopback(site):
        return Access(api.name, None, route)
    there = (urlsplit(site.origins[0]).hostname or "", site.port)
    return Access(api.name, None, route, through=_target(options, host), leads={there: (site.listen[0], site.port)})


def _before_another(word: str, site: Site, api: Api) -> UsageError:
    """A site passes on what it gets, the client's key too."""
    said = {"--provider": site.provider, "--upstream": site.upstream}
    behind, meant = (" at ".join(dict.fromkeys(filter(None, names))) for names in (said.values(), (api.name, api.upstream)))
    fix = " ".join(f"{flag} {value}" for flag, value in said.items() if value)
    return UsageError(f"proxy:{word} is a site before {behind}, and {meant} is meant", why="Another API would get its key.", fix=fix)


def _site(options: Options, playbooks: Playbooks, word: str) -> tuple[str, Site]:
    from novaops.features.proxy.settings import Site

    known, _ = options.known()
    host, _, wanted = word.partition("/")
    if host not in known.hosts or "proxy" not in known.hosts[host].sections:
        raise UsageError(f"proxy:{word}: the inventory has no host {host} with a proxy: section", fix="--via proxy:HOST/SITE names both")
    sites = [one for one in playbooks.by_name["proxy"].settings(known, known.hosts[host]) if isinstance(one, Site)]
    present = {one.name: one for one in sites if one.state == "present" and one.is_api}
    if wanted not in present:
        why = f"Its sites before an API are {', '.join(present) or 'none'}."
        raise UsageError(f"proxy:{word}: {host} has no such site", why=why, fix=f"--via proxy:{host}/SITE")
    return host, present[wanted]


def _target(options: Options, word: str) -> Target:
    """One host, without its sudo password: that is not needed, so it is not prompted for. Raises UsageError."""
    known, _ = options.known()
    if word in known.groups:
        raise UsageError(f"--via {word}: that is a group, and a route goes through one host")
    (found,) = known.find([word])
    access = found.access.model_copy(update={"sudo_password": None})
    return replace(found, access=access).target(options.timeout or TIMEOUT)
