"""novaops api: the API of a provider, as a host can reach it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from novaops.cli.options import TIMEOUT, Hosts, Options, verb

if TYPE_CHECKING:
    from novaops.engine.inventory import Host, Inventory
    from novaops.engine.playbooks import Playbooks
    from novaops.features.proxy.settings import Site

Form = TypeVar("Form")

app = typer.Typer(help="LLM APIs: can a host reach one, and by which route?", no_args_is_help=True, rich_markup_mode=None)


@verb(app)
def check(
    options: Options,
    hosts: Hosts = None,
    *,
    provider: Annotated[str | None, typer.Option(help="openai, sensenova, …; without it those of the inventory, else openai.")] = None,
    upstream: Annotated[str | None, typer.Option(metavar="URL", help="Another API: https://HOST[:PORT]/PATH.")] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="env:NAME, file:PATH or cmd:WORDS: a key of the API's, to see whether answers stream."),
    ] = None,
    no_stream: Annotated[
        bool, typer.Option("--no-stream", help="Do not look whether answers stream: nothing is asked that costs.")
    ] = False,
) -> int:
    """Can a host reach the API, by which route, how fast, and do answers stream? Exit 1 where no route works."""
    from novaops.cli.query import on_hosts, show_rows
    from novaops.engine.query import ask, silent, with_session
    from novaops.engine.report import HostReport
    from novaops.errors import UsageError
    from novaops.features.api import routes, verdict
    from novaops.features.tunnel.settings import Tunnel
    from novaops.features.vpn.settings import Link
    from novaops.ssh.session import Session
    from novaops.ssh.target import Target

    known, playbooks = options.known()
    sites = _sites(known, playbooks)
    tunnels = [(host.name, one) for host in known.hosts.values() for one in _present(known, playbooks, host, "tunnel", Tunnel)]
    wanted = routes.apis(provider, upstream, sites, [Path(known.file).parent / "providers"] if known.file else [])
    if key and len(wanted) > 1:
        names = ", ".join(api.name for api in wanted)
        raise UsageError("say whose key it is: --provider NAME", why=f"The inventory has {names}, and each would get to see it.")
    resolve = routes.resolver()
    secret = routes.sendable(resolve(key), key) if key else None
    seconds = max(1, round((options.timeout or TIMEOUT) * routes.PART))

    def tried(host: Host) -> list[verdict.ApiRoute]:
        links = _present(known, playbooks, host, "vpn", Link)
        errands = (routes.RouteQuery(host.name, api, sites, secret, not no_stream, seconds, resolve, tunnels, links) for api in wanted)
        return [attempt for errand in errands for attempt in routes.attempts(errand)]

    def look(target: Target) -> HostReport:
        these = by_host[target.name]

        def work(session: Session) -> HostReport:
            found = verdict.details(these, ask(session, verdict.questions(these), root=False))
            return HostReport(target.name, "unchanged" if verdict.all_work(found) else "failed", details=found)

        return with_session(target, silent, work)

    by_host = {host.name: tried(host) for host in known.find(hosts or [])}
    reports, started = on_hosts(options, hosts or [], look)
    several = len(wanted) > 1
    return show_rows(
        options, reports, started, verdict.headers(several_apis=several), lambda found: verdict.rows(found, several_apis=several)
    )


def _sites(known: Inventory, playbooks: Playbooks) -> list[tuple[str, Site]]:
    """Every site of the inventory with an API behind it, and the host that it is on. Raises InventoryError."""
    from novaops.features.proxy.settings import Site

    return [(host.name, site) for host in known.hosts.values() for site in _present(known, playbooks, host, "proxy", Site) if site.is_api]


def _present(known: Inventory, playbooks: Playbooks, host: Host, section: str, form: type[Form]) -> list[Form]:
    """The entries of this form that the host's section wants to be there. Raises InventoryError."""
    if section not in host.sections:
        return []
    return [
        one for one in playbooks.by_name[section].settings(known, host) if isinstance(one, form) and getattr(one, "state", "") == "present"
    ]
