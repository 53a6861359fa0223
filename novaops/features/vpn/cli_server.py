"""novaops vpn serve, novaops vpn client: the other end of a VPN, and those who may come in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from novaops.cli.options import Check, Diff, Hosts, NoWait, OneHost, Options, verb

if TYPE_CHECKING:
    from pathlib import Path

    from novaops.engine.desired import DesiredState
    from novaops.engine.inventory import Host, Inventory
    from novaops.engine.playbooks import Playbooks
    from novaops.engine.report import HostReport
    from novaops.features.vpn.settings import Server
    from novaops.model.plan import Resource
    from novaops.secret import Secret
    from novaops.ssh.session import Session

client = typer.Typer(help="Clients of a VPN server: add, revoke, ls, renew.", no_args_is_help=True, rich_markup_mode=None)

DEFAULT = "vpn"
"""The name of a server that nobody named."""

Which = Annotated[str | None, typer.Option("--server", metavar="NAME", help="Which server, where the host has several [default: vpn].")]
Client = Annotated[str, typer.Argument(metavar="NAME", help="The client.")]
Out = Annotated[str | None, typer.Option("--out", metavar="FILE", help="Where the profile is written [default: NAME.ovpn].")]
Days = Annotated[int, typer.Option(min=1, max=3650, help="How long the certificate is good.")]
Passphrase = Annotated[
    str | None, typer.Option(metavar="SOURCE", help="env:NAME, file:PATH or cmd:WORDS: what the key in the profile is encrypted with.")
]


def register(app: typer.Typer) -> None:
    verb(app)(serve)
    app.add_typer(client, name="client")


def serve(  # noqa: PLR0913 - one option for each key of the section
    options: Options,
    hosts: Hosts = None,
    *,
    name: Annotated[str | None, typer.Option("--name", help="The server [default: vpn, or those of the inventory].")] = None,
    port: Annotated[str | None, typer.Option(help="Where it listens [default: 1194].")] = None,
    protocol: Annotated[str | None, typer.Option(help="udp or tcp [default: udp].")] = None,
    network: Annotated[str | None, typer.Option(metavar="CIDR", help="The clients' own addresses [default: 10.86.0.0/24].")] = None,
    address: Annotated[str | None, typer.Option(help="What clients reach it by [default: the host's address].")] = None,
    reaches: Annotated[str | None, typer.Option(metavar="CIDR,...", help="Where clients may go [default: everywhere].")] = None,
    renew: Annotated[bool, typer.Option("--renew", help="Give the server a new certificate of the same authority.")] = False,
    days: Annotated[int, typer.Option(min=31, max=3650, help="With --renew: how long it is good.")] = 3650,
    remove: Annotated[bool, typer.Option("--remove", help="Take the server away; its authority and its clients are kept.")] = False,
    forget_clients: Annotated[
        bool, typer.Option("--forget-clients", help="With --remove: those, too. No profile of it is ever good again.")
    ] = False,
    check: Check = False,
    diff: Diff = False,
    no_wait: NoWait = False,
) -> int:
    """Make the hosts VPN servers with a small authority of their own, and prove it."""
    import secrets

    from novaops.cli.section_verb import converge_hosts
    from novaops.engine.converge import RunOptions
    from novaops.errors import UsageError

    if forget_clients and not remove:
        raise UsageError("--forget-clients goes with --remove")
    if renew and remove:
        raise UsageError("--renew and --remove exclude each other")
    given = {"port": port, "protocol": protocol, "network": network, "address": address, "reaches": reaches}
    flags = {key: value for key, value in given.items() if value is not None}
    if remove:
        flags["state"] = "absent"
    elif name or flags:
        flags["state"] = "present"
    token = secrets.token_hex(8) if renew else ""

    def wanted(known: Inventory, playbooks: Playbooks, found: Host) -> DesiredState:
        from novaops.engine.desired import DesiredState

        own: list[Resource] = []
        for one in _names(found, name, named=bool(hosts)):
            entries: list[Server] = playbooks.by_name["vpn"].overridden(known, found, "name", one, {**flags, "serve": "true"})
            own += [_renewing(resource, days, token) for resource in playbooks.resources(known, found, settings={"vpn": entries})]
            if forget_clients:
                own += _forgotten(entries)
        return DesiredState(own)

    return converge_hosts(options, hosts or [], RunOptions(check, not no_wait), wanted=wanted, section="vpn", diff=diff)


def _names(host: Host, name: str | None, *, named: bool) -> list[str]:
    """Of the servers that a host has, or is to have. A host that nobody named gets none that the inventory does not say."""
    if name is not None:
        return [name]
    written = host.sections.get("vpn")
    entries = [entry for entry in written if isinstance(entry, dict)] if isinstance(written, list) else []
    servers = [str(entry["name"]) for entry in entries if str(entry.get("serve")).lower() == "true" and "name" in entry]
    return servers or ([DEFAULT] if named else [])


def _renewing(resource: Resource, days: int, token: str) -> Resource:
    from dataclasses import replace

    from novaops.features.vpn.resources.server_authority import Authority

    return replace(resource, days=days, token=token) if token and isinstance(resource, Authority) else resource


def _forgotten(entries: list[Server]) -> list[Resource]:
    from novaops.features.vpn.resources.server_removed import AuthorityForgotten
    from novaops.features.vpn.server import question

    return [AuthorityForgotten(question(entry)) for entry in entries]


# -- clients ----------------------------------------------------------------------------------------------------------


@verb(client)
def add(  # noqa: PLR0913 - one option for each choice
    options: Options,
    host: OneHost,
    name: Client,
    *,
    out: Out = None,
    days: Days = 825,
    passphrase: Passphrase = None,
    server: Which = None,
    check: Check = False,
    no_wait: NoWait = False,
) -> int:
    """Let a client in: its key is made here, its certificate by the host, and both are in the profile that is written."""
    return _issue(options, (host, name, server), (out, days, passphrase), check=check, no_wait=no_wait, renew=False)


@verb(client)
def renew(  # noqa: PLR0913 - see add
    options: Options,
    host: OneHost,
    name: Client,
    *,
    out: Out = None,
    days: Days = 825,
    passphrase: Passphrase = None,
    server: Which = None,
    check: Check = False,
    no_wait: NoWait = False,
) -> int:
    """Give a client a new key and certificate, and write its profile anew. The certificate before is revoked."""
    return _issue(options, (host, name, server), (out, days, passphrase), check=check, no_wait=no_wait, renew=True)


@verb(client)
def revoke(
    options: Options,
    host: OneHost,
    name: Client,
    *,
    server: Which = None,
    check: Check = False,
    diff: Diff = False,
    no_wait: NoWait = False,
) -> int:
    """Shut a client out, and cut it off where it is connected. The others stay."""
    from novaops.cli.section_verb import converge_hosts
    from novaops.engine.converge import RunOptions

    _plain(name, "NAME")

    def wanted(known: Inventory, playbooks: Playbooks, found: Host) -> DesiredState:
        del known, playbooks
        from novaops.engine.desired import DesiredState
        from novaops.features.vpn.resources.server_client import ClientRevoked

        return DesiredState([ClientRevoked(_server_of(found, server), name)])

    return converge_hosts(options, [host], RunOptions(check, not no_wait), wanted=wanted, diff=diff)


@verb(client)
def ls(options: Options, host: OneHost, *, server: Which = None) -> int:
    """Every client: whether it may come in, how long, and whether it is in now."""
    from novaops.cli.query import ask_hosts, show_rows
    from novaops.features.vpn import server_clients
    from novaops.features.vpn.facts.server import VpnClients

    found = _one_host(options, host)[0]
    which = _server_of(found, server)
    reports, started = ask_hosts(options, [host], [VpnClients(which)], lambda facts: server_clients.details(facts, which))
    return show_rows(options, reports, started, ("CLIENT", "STATE", "SERIAL", "LEFT", "CONNECTED"), server_clients.rows)


def _plain(name: str, what: str) -> str:
    """Raises UsageError for a name that is none."""
    from novaops.errors import UsageError
    from novaops.formats import names

    try:
        return names.name(name)
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from None


def _one_host(options: Options, word: str) -> tuple[Host, Inventory]:
    from novaops.errors import UsageError

    known, _ = options.known()
    found = known.find([word])
    if len(found) != 1:
        raise UsageError(f"{word} is a group, where one host is needed")
    return found[0], known


def _server_of(host: Host, server: str | None) -> str:
    """Raises UsageError where it must be said which."""
    from novaops.errors import UsageError

    if server is not None:
        return _plain(server, "--server")
    servers = _names(host, None, named=True)
    if len(servers) > 1:
        raise UsageError("say which: --server", why=f"{host.name} has {len(servers)}: {', '.join(servers)}.")
    return servers[0]


def _issue(
    options: Options,
    who: tuple[str, str, str | None],
    how: tuple[str | None, int, str | None],
    *,
    check: bool,
    no_wait: bool,
    renew: bool,
) -> int:
    import time
    from dataclasses import replace
    from pathlib import Path

    from novaops.cli import output
    from novaops.engine.converge import RunOptions
    from novaops.engine.peers import converge_in
    from novaops.engine.query import with_session
    from novaops.features.vpn import client_profile
    from novaops.features.vpn.resources.server_client import ClientCertificate
    from novaops.model.plan import Note

    started = time.monotonic()
    (word, name, server), (out, days, source) = who, how
    _plain(name, "NAME")
    host, _ = _one_host(options, word)
    which = _server_of(host, server)
    file = Path(out or f"{name}.ovpn")
    _free(file, name, renew=renew)
    asked = client_profile.ask(name, _passphrase(source))
    resource = ClientCertificate(which, name, asked.request, asked.public, days, renew)
    (target,) = options.targets([host]).values()

    def work(session: Session) -> HostReport:
        report, facts = converge_in(session, [resource], RunOptions(check, not no_wait), tell)
        if report.status != "changed":
            return report
        with _certificate_is_made(file, name, host.name):
            place = client_profile.profile(which, name, facts.known(resource.question), asked.key)
            _write(draft, place)
            draft.replace(file) if renew else _put(draft, file)
        written = Note(resource.id, f"its profile is {file}: whoever has that file comes in")
        return replace(report, notes=(*report.notes, written), details={"profile": str(file)})

    draft = _draft(file) if not check else file
    try:
        with output.progress([host.name]) as tell:
            report = with_session(target, tell, work)
    finally:
        if not check:
            draft.unlink(missing_ok=True)
    return output.show(options, [report], started)


def _passphrase(source: str | None) -> Secret | None:
    """Raises UsageError for one that OpenVPN could not be given."""
    from novaops.errors import UsageError
    from novaops.secret_source import resolve

    if source is None:
        return None
    found = resolve(source)
    if not 4 <= len(found.reveal().encode()) <= 127 or any(c in found.reveal() for c in "\r\n\0"):  # noqa: PLR2004 - openssl's, and OpenVPN's
        raise UsageError("--passphrase: 4 to 127 bytes in one line are needed", why="OpenVPN takes no others.")
    return found


def _free(file: Path, name: str, *, renew: bool) -> None:
    """Raises Refused where a file would be lost."""
    from novaops.errors import Refused
    from novaops.features.vpn.client_profile import certificate_in
    from novaops.formats.x509 import Chain

    if not file.exists() and not file.is_symlink():
        return
    if renew and file.is_file() and not file.is_symlink():
        try:
            if Chain.read(certificate_in(file.read_text("utf-8"))).leaf.common_name == name:
                return
        except (OSError, ValueError):
            pass
        raise Refused(f"{file} is there already, and is no profile of {name}", fix="name another file: --out FILE")
    raise Refused(f"{file} is there already", why="Nothing was contacted, and it was left as it is.", fix="name another file: --out FILE")


def _draft(file: Path) -> Path:
    """An empty file of the user's alone beside the one that is wanted, made before anything is changed: there is a place to write to.

    Raises UsageError where there is none.
    """
    import os
    import tempfile
    from pathlib import Path

    from novaops.errors import UsageError

    try:
        handle, path = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    except OSError as error:
        raise UsageError(f"{file} cannot be written", why=str(error.strerror or error), fix="name another file: --out FILE") from None
    os.close(handle)
    return Path(path)


def _write(draft: Path, text: Secret) -> None:
    draft.write_text(text.reveal(), "utf-8")


def _put(draft: Path, file: Path) -> None:
    """Raises FileExistsError where somebody has written it meanwhile."""
    import os

    os.link(draft, file)


@contextmanager
def _certificate_is_made(file: Path, name: str, host: str) -> Iterator[None]:
    """What is said when its profile cannot be written."""
    from novaops.errors import HostFailed

    try:
        yield
    except OSError as error:
        raise HostFailed(
            f"the certificate of {name} is made, and {file} could not be written",
            why=f"{error.strerror or error}. The key was never anywhere else, and is lost.",
            fix=f"make another one: novaops vpn client renew {host} {name} --out FILE",
        ) from error
