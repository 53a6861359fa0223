"""novaops tunnel: reach an API, or any port, through another host, over ssh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from novaops.cli.options import Check, Diff, Guard, Hosts, NoWait, Options, verb
from novaops.engine.guard import SECONDS
from novaops.features.tunnel import cli_open as tunnel_open

if TYPE_CHECKING:
    from novaops.engine.inventory import Host, Inventory
    from novaops.engine.playbooks import DesiredState, Playbooks

app = typer.Typer(help="Tunnels over ssh: up, status, down, open.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[
    str | None, typer.Option("--name", help="The tunnel; without it every entry of the host's tunnel: section, or the one of --to.")
]


@verb(app)
def up(  # noqa: PLR0913 - one option for each key of the section
    options: Options,
    hosts: Hosts = None,
    *,
    name: Name = None,
    via: Annotated[str | None, typer.Option(metavar="HOST", help="The host that it goes through.")] = None,
    via_address: Annotated[
        str | None,
        typer.Option("--via-address", metavar="HOST[:PORT]", help="How the client reaches it, if not at the inventory's address."),
    ] = None,
    to: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where it leads, as the gateway resolves it.")] = None,
    site: Annotated[str | None, typer.Option(metavar="NAME", help="Or to a site of the gateway's proxy: section.")] = None,
    listen: Annotated[str | None, typer.Option(metavar="[ADDRESS:]PORT", help="Where clients find it.")] = None,
    supervisor: Annotated[str | None, typer.Option(help="autossh or systemd: what starts ssh again.")] = None,
    transparent: Annotated[
        bool | None,
        typer.Option("--transparent/--no-transparent", help="Lead the target's name into it on the host, so that clients need no change."),
    ] = None,
    reverse: Annotated[bool | None, typer.Option("--reverse/--no-reverse", help="As ssh -R: listen is on the gateway.")] = None,
    url: Annotated[str | None, typer.Option("--ask", metavar="URL|tcp", help="The health check: what is requested through it.")] = None,
    check: Check = False,
    diff: Diff = False,
    no_wait: NoWait = False,
    guard: Guard = SECONDS,
) -> int:
    """Set up each tunnel of the hosts' tunnel: sections, on both of its ends, and prove it by a request through it."""
    given: dict[str, Any] = {
        "via": via,
        "via_address": via_address,
        "to": to,
        "site": site,
        "listen": listen,
        "supervisor": supervisor,
        "transparent": transparent,
        "reverse": reverse,
        "check": url,
    }
    flags = {key: value for key, value in given.items() if value is not None}
    name = name or _default_name(flags)
    state = {"state": "present"} if name else {}  # otherwise as each entry says
    return _converge(options, hosts or [], name, {**flags, **state}, check=check, diff=diff, no_wait=no_wait, guard=guard)


@verb(app)
def status(options: Options, hosts: Hosts = None) -> int:
    """Each tunnel that begins on a host: a request through it now, bytes carried, the last error. Exit 1 for one that is down."""
    from dataclasses import replace

    from novaops.cli import output
    from novaops.cli.query import ask_hosts, not_there, show_rows
    from novaops.features.tunnel import status as tunnels

    reports, started = ask_hosts(options, hosts or [], tunnels.questions(), tunnels.details, section="tunnel")
    found = {one.host: {tunnel["tunnel"] for tunnel in one.details["tunnels"]} for one in reports if not one.error}
    for host, entries in not_there(options, "tunnel", found).items():
        (details,) = [one.details for one in reports if one.host == host]
        details["tunnels"] += [tunnels.not_set_up(entry, host) for entry in entries]
    judged = [replace(one, status="failed") if not one.error and tunnels.is_down(one.details) else one for one in reports]
    code = show_rows(options, judged, started, tunnels.HEADERS, tunnels.rows)
    if not options.json:
        for line in dict.fromkeys(line for one in judged for line in tunnels.lines_to_use(one.details)):
            output.line(line)
    return code


@verb(app)
def down(  # noqa: PLR0913 - one option for each thing that can be said
    options: Options,
    hosts: Hosts = None,
    *,
    name: Name = None,
    via: Annotated[str | None, typer.Option(metavar="HOST", help="The gateway, where no inventory says it.")] = None,
    only_here: Annotated[
        bool, typer.Option("--only-here", help="Leave the gateway alone: for one that is gone for good. Its line for the key stays there.")
    ] = False,
    check: Check = False,
    diff: Diff = False,
    no_wait: NoWait = False,
    guard: Guard = SECONDS,
) -> int:
    """Remove tunnels on both ends: units, key, lines. Other tunnels of the gateway, and their user, stay."""
    flags = {"state": "absent", **({"via": via} if via else {})}
    return _converge(options, hosts or [], name, flags, check=check, diff=diff, no_wait=no_wait, guard=guard, of_peers=not only_here)


tunnel_open.register(app)


def _default_name(flags: dict[str, Any]) -> str | None:
    """A name for a tunnel that only flags describe: the site, or the distinctive label of `to`. None where neither is given."""
    if site := flags.get("site"):
        return str(site)
    host = str(flags.get("to", "")).rpartition(":")[0].strip("[]")
    if not host:
        return None
    labels = host.split(".")
    is_address = labels[-1].isdecimal() or ":" in host
    return host.replace(":", "-").strip("-") if is_address or len(labels) == 1 else labels[-2]


def _converge(  # noqa: PLR0913 - the options of both verbs
    options: Options,
    hosts: list[str],
    name: str | None,
    flags: dict[str, Any],
    *,
    check: bool,
    diff: bool,
    no_wait: bool,
    guard: int,
    of_peers: bool = True,
) -> int:
    from novaops.cli.section_verb import converge_hosts
    from novaops.engine.converge import RunOptions
    from novaops.features.tunnel.settings import LEFT_ALONE

    def wanted(known: Inventory, playbooks: Playbooks, found: Host) -> DesiredState:
        settings = playbooks.by_name["tunnel"].overridden(known, found, "name", name, flags)
        if not of_peers:
            settings = [entry.model_copy(update={"via": LEFT_ALONE}) for entry in settings]
        return playbooks.wishes(known, found, settings={"tunnel": settings})

    return converge_hosts(options, hosts, RunOptions(check, not no_wait, guard=guard), wanted=wanted, section="tunnel", diff=diff)
