"""novaops tunnel: reach an API, or any port, through another host, over ssh."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from novaops.cli.options import Flags, GuardedRun, Hosts, Options, verb
from novaops.engine.scope import Scope
from novaops.features.tunnel import cli_open as tunnel_open

if TYPE_CHECKING:
    from novaops.cli.section_verb import Desired
    from novaops.engine.desired import DesiredState
    from novaops.engine.inventory import Host
    from novaops.features.tunnel.settings import Tunnel

app = typer.Typer(help="Tunnels over ssh: up, status, down, open.", no_args_is_help=True, rich_markup_mode=None)

UP = Scope("tunnel", "name", ("present",), takes_all=True)
DOWN = Scope("tunnel", "name", ("absent",), takes_all=True)

Name = Annotated[
    str | None, typer.Option("--name", help="The tunnel; without it every entry of the host's tunnel: section, or the one of --to.")
]


class TunnelFlags(Flags):
    via: Annotated[str | None, typer.Option(metavar="HOST", help="The host that it goes through.")] = None
    via_address: Annotated[
        str | None,
        typer.Option("--via-address", metavar="HOST[:PORT]", help="How the client reaches it, if not at the inventory's address."),
    ] = None
    to: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where it leads, as the gateway resolves it.")] = None
    site: Annotated[str | None, typer.Option(metavar="NAME", help="Or to a site of the gateway's proxy: section.")] = None
    socks: Annotated[
        str | None,
        typer.Option(metavar="[ADDRESS:]PORT", help="Or to any host, as ssh -D: where clients find the SOCKS proxy; with --ask URL."),
    ] = None
    reaches: Annotated[
        str | None, typer.Option(metavar="HOST:PORT,...", help="What the SOCKS proxy may connect to; else ports 80 and 443 of any host.")
    ] = None
    listen: Annotated[str | None, typer.Option(metavar="[ADDRESS:]PORT", help="Where clients find it.")] = None
    supervisor: Annotated[str | None, typer.Option(help="autossh or systemd: what starts ssh again.")] = None
    transparent: Annotated[
        bool | None,
        typer.Option("--transparent/--no-transparent", help="Lead the target's name into it on the host, so that clients need no change."),
    ] = None
    reverse: Annotated[bool | None, typer.Option("--reverse/--no-reverse", help="As ssh -R: listen is on the gateway.")] = None
    ask: Annotated[str | None, typer.Option("--ask", metavar="URL|tcp", help="The health check: what is requested through it.")] = None

    def given(self) -> dict[str, Any]:
        said = super().given()
        return {{"ask": "check"}.get(key, key): value for key, value in said.items()}


@verb(app)
def up(options: Options, hosts: Hosts = None, *, name: Name = None, flags: TunnelFlags, run: GuardedRun) -> int:
    """Set up each tunnel of the hosts' tunnel: sections, on both of its ends, and prove it by a request through it."""
    from novaops.features.tunnel import kept
    from novaops.features.tunnel.settings import default_name

    given = flags.given()
    unnamed = name is None and "to" in given
    name = name or default_name(given)
    state = {"state": "present"} if name else {}  # otherwise as each entry says
    as_made = kept.not_turned if unnamed else kept.not_widened if "socks" in given else None
    return _converge(options, hosts, name, {**given, **state}, run, UP, as_made)


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
def down(
    options: Options,
    hosts: Hosts = None,
    *,
    name: Name = None,
    via: Annotated[str | None, typer.Option(metavar="HOST", help="The gateway, where no inventory says it.")] = None,
    only_here: Annotated[
        bool, typer.Option("--only-here", help="Leave the gateway alone: for one that is gone for good. Its line for the key stays there.")
    ] = False,
    run: GuardedRun,
) -> int:
    """Remove tunnels on both ends: units, key, lines. Other tunnels of the gateway, and their user, stay."""
    from novaops.features.tunnel.settings import LEFT_ALONE

    def without_gateway(of: Callable[[Any], DesiredState], _: Host, entries: list[Tunnel]) -> DesiredState:
        return of([entry.model_copy(update={"via": LEFT_ALONE}) for entry in entries])

    flags = {"state": "absent", **({"via": via} if via else {})}
    return _converge(options, hosts, name, flags, run, DOWN, without_gateway if only_here else None)


tunnel_open.register(app)


def _converge(
    options: Options,
    hosts: list[str] | None,
    name: str | None,
    flags: dict[str, Any],
    run: GuardedRun,
    scope: Scope,
    desired: Desired | None = None,
) -> int:
    from novaops.cli.section_verb import converge_entries

    return converge_entries(options, hosts or [], run, scope, name, flags, desired)
