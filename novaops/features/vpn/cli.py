"""novaops vpn: links to OpenVPN servers that take the named routes, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from novaops.cli.options import Flags, GuardedRun, Hosts, Options, verb
from novaops.engine.scope import Scope
from novaops.features.vpn import cli_server
from novaops.features.vpn.kind import by_name, is_server

if TYPE_CHECKING:
    from novaops.engine.desired import DesiredState
    from novaops.engine.inventory import Host

app = typer.Typer(help="OpenVPN for named routes only: up, status, down, lint; and servers.", no_args_is_help=True, rich_markup_mode=None)

UP = Scope("vpn", "name", ("present",), takes_all=True, not_for=lambda entry: "it is a server" if is_server(entry) else "")
DOWN = replace(UP, agrees=("absent",))

Name = Annotated[str | None, typer.Option("--name", help="The link; without it every entry of the host's vpn: section.")]
Removed = Annotated[str | None, typer.Option("--remove-routes", metavar="NAME,...", help="What may go through it no more.")]
Source = "env:NAME, file:PATH or cmd:WORDS"

_REFUSED = 4


class LinkFlags(Flags):
    profile: Annotated[Path | None, typer.Option(metavar="FILE", help="The .ovpn, on this machine.")] = None
    routes: Annotated[str | None, typer.Option(metavar="NAME,...", help="Names, addresses and networks that go through it.")] = None
    user: Annotated[str | None, typer.Option(metavar="NAME", help="With --password: what the server asks for.")] = None
    password: Annotated[str | None, typer.Option(metavar="SOURCE", help=f"{Source}: that user's password.")] = None
    key_password: Annotated[str | None, typer.Option(metavar="SOURCE", help="What opens the profile's private key.")] = None
    when_down: Annotated[str | None, typer.Option(help="unreachable or direct: where the routes lead while the link is down.")] = None

    def given(self) -> dict[str, Any]:
        profile = {} if self.profile is None else {"profile": str(self.profile.absolute())}
        return {**super().given(), **profile}


@verb(app)
def up(
    options: Options, hosts: Hosts = None, *, name: Name = None, flags: LinkFlags, remove_routes: Removed = None, run: GuardedRun
) -> int:
    """Bring each link of the hosts' vpn: sections up, and prove it by a request that went through it."""
    state = {"state": "present"} if name else {}
    return _converge(options, hosts, name, {**flags.given(), **state}, run, UP, _removed(remove_routes))


@verb(app)
def down(options: Options, hosts: Hosts = None, *, name: Name = None, run: GuardedRun) -> int:
    """Take links away, with their routes, passwords and keys: addresses and routes are as they were before."""
    return _converge(options, hosts, name, {"state": "absent"}, run, DOWN)


@verb(app)
def status(options: Options, hosts: Hosts = None) -> int:
    """Each link: its device, the age of its handshake, bytes, where each name's addresses are routed, and the API's answer."""
    from novaops.cli.query import ask_hosts, not_there, show_rows
    from novaops.features.vpn import status as vpn_status
    from novaops.features.vpn.settings import Link

    reports, started = ask_hosts(options, hosts or [], vpn_status.questions(), vpn_status.details, section="vpn")
    details = {one.host: one.details for one in reports if not one.error}
    found = {host: {link["link"] for link in its["links"]} for host, its in details.items()}
    for host, entries in not_there(options, "vpn", found).items():
        details[host]["links"] += [vpn_status.not_set_up(one.name, one.device, one.url, host) for one in entries if isinstance(one, Link)]
    reports = [replace(report, status="failed") if vpn_status.broken(report.details) else report for report in reports]
    return show_rows(options, reports, started, vpn_status.HEADERS, vpn_status.rows)


@verb(app)
def lint(options: Options, file: Annotated[Path, typer.Argument(metavar="FILE", help="An .ovpn.")]) -> int:
    """What is wrong with a profile for OpenVPN 2.6 and OpenSSL 3, and what to change. Exit 4 where `vpn up` would refuse it."""
    from novaops.cli import output
    from novaops.features.vpn.link import lint_file

    found = lint_file(file)
    code = _REFUSED if found.refusals else 0
    if options.json:
        findings = [
            {"line": one.line or None, "option": one.option, "weight": one.weight, "what": one.what, "fix": one.fix}
            for one in found.findings
        ]
        output.document({"file": str(file), "findings": findings, "exit_code": code})
        return code
    if found.findings:
        output.table(
            ["LINE", "OPTION", "", "WHAT", "CHANGE"],
            [(str(one.line or ""), one.option, one.weight, one.what, one.fix) for one in found.findings],
        )
    else:
        output.line("nothing is wrong with it")
    return code


def _removed(words: str | None) -> tuple[str, ...]:
    """Raises UsageError for what is no route."""
    from novaops.errors import UsageError
    from novaops.features.vpn.settings import route
    from novaops.formats import names

    try:
        return tuple(map(route, names.words(words or "")))
    except ValueError as error:
        raise UsageError(f"--remove-routes: {error}") from None


def _converge(
    options: Options,
    hosts: list[str] | None,
    name: str | None,
    flags: dict[str, Any],
    run: GuardedRun,
    scope: Scope,
    removed: tuple[str, ...] = (),
) -> int:
    from novaops.cli.section_verb import converge_entries
    from novaops.errors import UsageError
    from novaops.features.vpn.resources.link_kept import LinkKept
    from novaops.features.vpn.settings import Link

    def links_only(of: Callable[[Any], DesiredState], host: Host, entries: list[Any]) -> DesiredState:
        links = [entry for entry in entries if isinstance(entry, Link)]
        if name and not links:
            raise UsageError(f"{name} is a server of {host.name}", fix=f"novaops vpn serve {host.name} --name {name}")
        declared = by_name(host.sections.get("vpn"))
        if removed and name in declared:
            raise UsageError(f"--remove-routes: {name} is in the inventory", fix=f"take it out of the routes: of {name} there")
        kept = [
            LinkKept(link.name, link.routes, removed, link.when_down, says_when_down="when_down" in flags)
            for link in links
            if scope is UP and link.name not in declared
        ]
        state = of(links)
        return replace(state, own=[*kept, *state.own]) if kept else state

    return converge_entries(options, hosts or [], run, scope, name, flags, links_only)


cli_server.register(app)
