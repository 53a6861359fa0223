"""`api check`: the routes of the hosts collected from the inventory, and tried from each host."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from novaops.engine import secret_source
from novaops.engine.inventory import Host, Inventory
from novaops.engine.playbooks import Playbooks
from novaops.engine.query import ask, silent, with_session
from novaops.engine.report import HostReport
from novaops.errors import UsageError
from novaops.features.api import status
from novaops.features.api.llm.protocol import sendable
from novaops.features.api.routes import ApiChoice, RouteQuery, apis, routes_of
from novaops.features.api.verdict import ApiRoute
from novaops.features.proxy.settings import Site
from novaops.features.tunnel.settings import Tunnel
from novaops.features.vpn.settings import Link
from novaops.secret import Secret
from novaops.ssh.session import Session
from novaops.ssh.target import Target

PART = 0.4
"""Of the time that a host may be silent: what one answer may take. The stream after it takes a quarter more, and both must fit."""

Entry = TypeVar("Entry", Site, Tunnel, Link)


def collect_routes(
    known: Inventory,
    playbooks: Playbooks,
    hosts: Sequence[Host],
    choice: ApiChoice,
    key: str | None,
    *,
    streaming: bool,
    timeout: float,
) -> dict[str, list[ApiRoute]]:
    """By the name of each host its routes to the APIs in question.

    `key` is a reference to a secret, `timeout` the seconds that a host may be silent. Raises UsageError, InventoryError.
    """
    everywhere = list(known.hosts.values())
    sites = [(name, site) for name, site in _entries(known, playbooks, everywhere, "proxy", Site) if site.is_api]
    tunnels = _entries(known, playbooks, everywhere, "tunnel", Tunnel)
    wanted = apis(choice, sites, [Path(known.file).parent / "providers"] if known.file else [])
    if key and len(wanted) > 1:
        names = ", ".join(api.name for api in wanted)
        raise UsageError("say whose key it is: --provider NAME", why=f"The inventory has {names}, and each would get to see it.")
    resolve = resolver()
    secret = sendable(resolve(key), key) if key else None
    seconds = max(1, round(timeout * PART))

    def routes(host: Host) -> Iterator[ApiRoute]:
        links = [link for _, link in _entries(known, playbooks, [host], "vpn", Link)]
        for api in wanted:
            yield from routes_of(RouteQuery(host.name, api, sites, secret, streaming, seconds, resolve, tunnels, links))

    return {host.name: list(routes(host)) for host in hosts}


def check_host(target: Target, routes: Sequence[ApiRoute]) -> HostReport:
    """A report of all routes of one host: one exec."""

    def work(session: Session) -> HostReport:
        found = status.details(routes, ask(session, status.questions(routes), root=False))
        return HostReport(target.name, "unchanged" if status.all_work(found) else "failed", details=found)

    return with_session(target, silent, work)


def resolver() -> Callable[[str], Secret]:
    """Resolves each reference once, and remembers a failure too: a command may ask somebody."""
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


def _entries(known: Inventory, playbooks: Playbooks, hosts: Sequence[Host], section: str, form: type[Entry]) -> list[tuple[str, Entry]]:
    """The entries of this form that the hosts' sections want to be there, each with its host's name. Raises InventoryError."""
    return [
        (host.name, entry)
        for host in hosts
        if section in host.sections
        for entry in playbooks.by_name[section].settings(known, host)
        if isinstance(entry, form) and entry.state == "present"
    ]
