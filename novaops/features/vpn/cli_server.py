"""novaops vpn serve, novaops vpn client: the other end of a VPN, and those who may come in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from novaops.cli.options import PARALLEL, Flags, Group, Hosts, OneHost, Options, RollingRun, Run, SingleHost, verb
from novaops.engine.scope import Scope
from novaops.features.vpn.kind import is_server

if TYPE_CHECKING:
    from collections.abc import Mapping

    from novaops.engine.desired import DesiredState
    from novaops.engine.inventory import Host, Inventory
    from novaops.engine.playbooks import Playbooks
    from novaops.engine.report import HostReport
    from novaops.features.vpn.server_actions import ServeOptions
    from novaops.model.plan import Note
    from novaops.ssh.target import Target

SERVE = Scope("vpn", "name", ("present",), takes_all=True, not_for=lambda entry: "" if is_server(entry) else "it is a link")
REMOVE = replace(SERVE, agrees=("absent",))

client = typer.Typer(help="Clients of a VPN server: add, revoke, ls, renew.", no_args_is_help=True, rich_markup_mode=None)

Which = Annotated[str | None, typer.Option("--server", metavar="NAME", help="Which server, where the host has several [default: vpn].")]
Client = Annotated[str, typer.Argument(metavar="NAME", help="The client.")]
Out = Annotated[str | None, typer.Option("--out", metavar="FILE", help="Where the profile is written [default: NAME.ovpn].")]
Days = Annotated[int, typer.Option(min=1, max=3650, help="How long the certificate is good.")]
Passphrase = Annotated[
    str | None, typer.Option(metavar="SOURCE", help="env:NAME, file:PATH or cmd:WORDS: what the key in the profile is encrypted with.")
]


class ServerFlags(Flags):
    port: Annotated[str | None, typer.Option(help="Where it listens [default: as it is; 1194].")] = None
    protocol: Annotated[str | None, typer.Option(help="udp or tcp [default: as it is; udp].")] = None
    network: Annotated[str | None, typer.Option(metavar="CIDR", help="The clients' own addresses [default: as it is; 10.86.0.0/24].")] = (
        None
    )
    address: Annotated[str | None, typer.Option(help="What clients reach it by [default: as it is; the host's address].")] = None
    reaches: Annotated[str | None, typer.Option(metavar="CIDR,...", help="Where clients may go, too [default: as it is; everywhere].")] = (
        None
    )


class ServerChange(Group):
    renew: Annotated[bool, typer.Option("--renew", help="Give the server a new certificate of the same authority.")] = False
    remove_reaches: Annotated[str | None, typer.Option(metavar="CIDR,...", help="Where clients may go no more.")] = None
    days: Annotated[int | None, typer.Option(min=31, max=3650, help="With --renew: how long it is good [default: 3650].")] = None
    remove: Annotated[bool, typer.Option("--remove", help="Take the server away; its authority and its clients are kept.")] = False
    forget_clients: Annotated[
        bool, typer.Option("--forget-clients", help="With --remove: those, too. No profile of it is ever good again.")
    ] = False

    def networks(self) -> tuple[str, ...]:
        """Those that clients are to reach no more. Raises UsageError."""
        from novaops.errors import UsageError
        from novaops.features.vpn.settings import reached
        from novaops.formats import names

        found = names.listed(self.remove_reaches or [])
        try:
            return tuple(map(reached, [found] if isinstance(found, str) else found))
        except ValueError as error:
            raise UsageError(f"--remove-reaches: {error}") from None


class IssueFlags(Group):
    out: Out = None
    days: Days = 825
    passphrase: Passphrase = None
    server: Which = None


def register(app: typer.Typer) -> None:
    verb(app)(serve)
    app.add_typer(client, name="client")


def serve(
    options: Options,
    hosts: Hosts = None,
    *,
    name: Annotated[str | None, typer.Option("--name", help="The server [default: vpn, or those of the inventory].")] = None,
    flags: ServerFlags,
    change: ServerChange,
    run: RollingRun,
) -> int:
    """Make the hosts VPN servers with a small authority of their own, and prove it."""
    import secrets

    from novaops.cli.section_verb import converge_hosts
    from novaops.errors import UsageError
    from novaops.features.vpn.resources.server_authority import YEARS
    from novaops.features.vpn.server import Renewal
    from novaops.features.vpn.server_actions import ServeOptions

    if change.forget_clients and not change.remove:
        raise UsageError("--forget-clients goes with --remove")
    if change.days is not None and not change.renew:
        raise UsageError("--days goes with --renew", why="A new server takes both, too.")
    if change.renew and change.remove:
        raise UsageError("--renew and --remove exclude each other")
    given, without = flags.given(), change.networks()
    if change.remove or name or given or without:
        given["state"] = "absent" if change.remove else "present"
    renewal = Renewal(change.days or YEARS, secrets.token_hex(8)) if change.renew else None
    serving = ServeOptions(name, bool(hosts), given, without, renewal=renewal, forget_clients=change.forget_clients)
    serving = replace(serving, made=_as_made(options, hosts or [], serving))
    remarks: dict[str, list[Note]] = {}

    def wanted(known: Inventory, playbooks: Playbooks, host: Host) -> DesiredState:
        remarks[host.name] = playbooks.by_name["vpn"].remarks(host, name, given, REMOVE if change.remove else SERVE)
        return serving.desired(known, playbooks, host)

    return converge_hosts(options, hosts or [], run.options(), wanted=wanted, section="vpn", diff=run.diff, remarks=remarks)


def _as_made(options: Options, words: list[str], serving: ServeOptions) -> dict[str, Mapping[str, Any]]:
    """How the servers that no inventory has were made, by their hosts: what no flag names stays so. A host that does not answer has none.

    Whatever can be wrong with the flags is said before any host is asked.
    """
    from novaops.engine.parallel import each
    from novaops.engine.query import ask_host
    from novaops.features.vpn import server_made

    known, playbooks = options.known()
    hosts, asked = known.find(words, "vpn"), dict[str, str]()
    for host in hosts:
        replace(serving, without=()).desired(known, playbooks, host)
        for name in serving.undeclared(host):
            asked[host.name] = name
    if not asked:
        return {}
    targets = options.targets([host for host in hosts if host.name in asked], changing=True)

    def ask(target: Target) -> HostReport:
        name = asked[target.name]
        return ask_host(target, server_made.questions(name), lambda facts: server_made.settings(name, facts))

    return {one.host: one.details for one in each(list(targets.values()), ask, options.parallel or PARALLEL) if not one.error}


@verb(client)
def add(options: Options, host: SingleHost, name: Client, *, flags: IssueFlags, run: Run) -> int:
    """Let a client in: its key is made here, its certificate by the host, and both are in the profile that is written."""
    return _issue(options, host, name, flags, run, renew=False)


@verb(client)
def renew(options: Options, host: SingleHost, name: Client, *, flags: IssueFlags, run: Run) -> int:
    """Give a client a new key and certificate, and write its profile anew. The certificate before is revoked."""
    return _issue(options, host, name, flags, run, renew=True)


@verb(client)
def revoke(options: Options, host: OneHost, name: Client, *, server: Which = None, run: Run) -> int:
    """Shut a client out, and cut it off where it is connected. The others stay."""
    from novaops.cli.section_verb import converge_hosts
    from novaops.features.vpn.server_actions import plain_name, revoked

    plain_name(name, "NAME")
    return converge_hosts(options, [host], run.options(), wanted=lambda _, __, found: revoked(found, server, name), diff=run.diff)


@verb(client)
def ls(options: Options, host: SingleHost, *, server: Which = None) -> int:
    """Every client: whether it is let in, how long, and whether it is in now. Exit 1 where that is not as its certificate says."""
    from dataclasses import replace

    from novaops.cli import output
    from novaops.cli.query import ask_hosts, show_rows
    from novaops.engine.report import typed
    from novaops.features.vpn import server_clients
    from novaops.features.vpn.facts.server_clients import VpnClients
    from novaops.features.vpn.server_actions import the_server_of

    which = the_server_of(_one_host(options, host), server)
    reports, started = ask_hosts(options, [host], [VpnClients(which)], lambda facts: server_clients.details(facts, which))
    judged = [replace(one, status="failed") if not one.error and server_clients.broken(one.details) else one for one in reports]
    code = show_rows(options, judged, started, ("CLIENT", "STATE", "SERIAL", "LEFT", "CONNECTED"), server_clients.rows)
    if not options.json:
        for line in dict.fromkeys(line for one in judged for line in server_clients.lines_to_mend(one.details, one.host)):
            output.line(typed(line, options.to_type()))
    return code


def _one_host(options: Options, word: str) -> Host:
    """Raises UsageError for a group."""
    from novaops.errors import UsageError

    known, _ = options.known()
    found = known.find([word])
    if len(found) != 1:
        raise UsageError(f"{word} is a group, where one host is needed")
    return found[0]


def _issue(options: Options, word: str, name: str, flags: IssueFlags, run: Run, *, renew: bool) -> int:
    import time
    from pathlib import Path

    from novaops.cli import output
    from novaops.features.vpn.client_issue import Issue, ProfileFile, passphrase_from
    from novaops.features.vpn.server_actions import plain_name, the_server_of

    started = time.monotonic()
    plain_name(name, "NAME")
    host = _one_host(options, word)
    which = the_server_of(host, flags.server)
    file = ProfileFile(Path(flags.out or f"{name}.ovpn"), name, renew)
    file.check_free()
    issue = Issue(which, file, flags.days, passphrase_from(flags.passphrase))
    (target,) = options.targets([host], changing=True).values()
    with output.progress([host.name]) as tell:
        report = issue.run(target, run.options(), tell)
    return output.show(options, options.noted([report]), started, diff=run.diff, changing=not run.check)
