"""Clients of a VPN server: a certificate that is given, and one that is taken away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import HostFailed, Refused
from novaops.features.vpn.facts.server_clients import Clients, VpnClients
from novaops.features.vpn.facts.server_profile import VpnProfile
from novaops.features.vpn.paths import ServerPaths
from novaops.features.vpn.resources.server_authority import pki_script
from novaops.formats.x509 import day
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.shell import quote, sh_file


def no_server(server: str) -> HostFailed:
    return HostFailed(
        f"there is no VPN server {server} on the host",
        fix=f"set it up: novaops vpn serve HOST --name {server}; or name another one: --server NAME",
    )


def _list_of(server: str) -> str:
    """The command that lists its clients."""
    return f"novaops vpn client ls HOST --server {server}"


def _script(verb: str, server: str, *words: str) -> tuple[str, ...]:
    return ("sh", "-c", pki_script(sh_file(__package__, "server_client.sh")), verb, server, *words)


def _is_valid(server: str, client: str) -> str:
    """sh: whether the client has a certificate that is not revoked."""
    program = f'$1 == "V" && $6 == "/CN={client}" {{ found = 1 }} END {{ exit !found }}'
    return f"awk -F '\\t' {quote(program)} {quote(ServerPaths(server).folder)}/index.txt"


@dataclass(frozen=True)
class ClientCertificate(Resource):
    """A certificate for a public key that was made elsewhere."""

    server: str
    client: str
    request: str
    """The CSR, as PEM."""
    key: str
    """The sha256 of its public key: by this the certificate is known."""
    days: int
    renew: bool = False
    """Whether it takes the place of another one, which is revoked."""

    @property
    def id(self) -> str:
        return f"client:{self.server}/{self.client}"

    @property
    def question(self) -> VpnProfile:
        return VpnProfile(self.server, self.client)

    def questions(self) -> Iterable[Question[Any]]:
        yield self.question

    def plan(self, facts: Facts) -> Iterable[Step]:
        parts = facts[self.question]
        if parts is Missing.ABSENT:
            raise no_server(self.server)
        if parts.key == self.key:
            return
        if self.renew and parts.certificate is None:
            raise HostFailed(
                f"there is no client {self.client}",
                fix=f"make it: novaops vpn client add HOST {self.client} --server {self.server}; {_list_of(self.server)} lists them",
            )
        if parts.valid is not None and not self.renew:
            raise Refused(
                f"there is a client {self.client} already, valid until {day(parts.valid.until)}",
                why="Its certificate and its profile stay as they are.",
                fix=f"choose another name; or novaops vpn client renew HOST {self.client} --server {self.server}, or revoke it first",
            )
        before, lost, undo = None, "", None
        if parts.valid is not None:
            before = f"serial {parts.valid.serial}, until {day(parts.valid.until)}"
            lost = "the certificate before: it is revoked, and the client cut off"
        else:
            undo = Command(_script("revoke", self.server, self.client), holds=f"! {_is_valid(self.server, self.client)}")
        give = Command(_script("add", self.server, self.client, str(self.days)), self.request, undo=undo)
        yield Step(self.id, (Change("certificate", before, f"new, for {self.days} days"),), (give,), cannot_undo=lost)


@dataclass(frozen=True)
class ClientRevoked(Resource):
    """A client that cannot come in any more, and is not in."""

    server: str
    client: str

    @property
    def id(self) -> str:
        return f"client:{self.server}/{self.client}"

    @property
    def question(self) -> VpnClients:
        return VpnClients(self.server)

    def questions(self) -> Iterable[Question[Any]]:
        yield self.question

    def plan(self, facts: Facts) -> Iterable[Step]:
        clients = facts[self.question]
        if clients is Missing.ABSENT:
            raise no_server(self.server)
        if self.client not in clients.newest:
            names = ", ".join(clients.newest) or "none"
            raise HostFailed(f"there is no client {self.client}", why=f"Those of {self.server}: {names}.", fix=_list_of(self.server))
        if changes := tuple(self._changes(clients)):
            command = Command(_script("revoke", self.server, self.client))
            yield Step(self.id, changes, (command,), cannot_undo="a revoked certificate stays dead; the name may be given again")

    def _changes(self, clients: Clients) -> Iterable[Change]:
        valid = clients.valid(self.client)
        if valid is not None:
            yield Change("certificate", f"serial {valid.serial}, until {day(valid.until)}", "revoked")
        lacking = [one.serial for one in clients.revocations.lacking if one.name == self.client]
        if lacking or (clients.revocations.trouble and valid is None):
            reason = f"lacks serial {', '.join(lacking)}" if lacking else clients.revocations.trouble
            yield Change("list of revoked certificates", reason, "new")
        for one in clients.connected:
            if one.name == self.client:
                yield Change("connected", f"from {one.address}", "cut off")
