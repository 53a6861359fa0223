"""What a VPN server needs of its host before anything is changed: a free port, and a network that nobody else has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.facts.firewall import Firewall
from novaops.facts.listening import stop_for_good
from novaops.facts.sshd import Caller
from novaops.facts.unit import UnitNamed
from novaops.features.vpn.facts.server import ServerState, VpnServer, overlaps
from novaops.features.vpn.paths import ServerPaths
from novaops.model.plan import ListensAt, Resource, Step
from novaops.model.question import Facts, Missing, Question

_IPTABLES = "ip filter"
_FIREWALLD = "inet firewalld"


@dataclass(frozen=True)
class ServerPreconditions(Resource):
    """No other program has its port, and no other network its addresses. Changes nothing."""

    question: VpnServer
    network: str
    leaving: tuple[VpnServer, ...] = ()
    """Servers of the host that are removed in the same run: this one may have their port and their network."""

    @property
    def id(self) -> str:
        return f"server:{self.question.name}"

    @property
    def _unit(self) -> UnitNamed:
        return UnitNamed(ServerPaths(self.question.name).unit)

    def listens_at(self) -> Iterator[ListensAt]:
        yield ListensAt(f"the VPN server {self.question.name}", self.question.port, protocol=self.question.protocol)

    def questions(self) -> Iterable[Question[Any]]:
        yield from (self.question, self._unit, Firewall(), Caller())
        yield from self.leaving

    def plan(self, facts: Facts) -> Iterable[Step]:
        server = facts.known(self.question)
        unit = facts[self._unit]
        runs = unit is not Missing.ABSENT and unit.active in {"active", "activating", "reloading"}
        if server.listeners and not self._is_left(server, facts):
            stop = " and ".join(filter(None, map(stop_for_good, server.units)))
            raise Refused(
                f"port {self.question.port}/{self.question.protocol} is taken by {', '.join(server.listeners)}",
                why=f"The VPN server {self.question.name} could not listen there.",
                fix=f"{stop or 'stop it for good'}, or choose another port: --port, or port: in the inventory",
            )
        another = "choose another network for the clients: --network, or network: in the inventory"
        devices = {one.device for one in self.leaving}
        routes = [(network, device) for network, device in server.routes if device not in devices]
        if taken := overlaps(self.network, routes, self.question.device):
            what = f"{self.network} overlaps {taken[0]}, which the host has at {taken[1]}"
            raise Refused(what, why="Packets for the one would go to the other.", fix=another)
        caller = facts[Caller()]
        if not runs and caller is not Missing.ABSENT and overlaps(self.network, ((f"{caller.address}/32", ""),), self.question.device):
            raise Refused(
                f"{self.network} has the address in it that this connection comes from, {caller.address}",
                why="The host would look for it among the VPN's clients, and nobody there could log in any more.",
                fix=another,
            )
        return ()

    def _is_left(self, server: ServerState, facts: Facts) -> bool:
        """Whether only a server that is removed listens at the port."""
        states = map(facts.known, self.leaving)
        wanted = (self.question.port, self.question.protocol)
        return server.listeners == ("openvpn",) and any(one.configured == wanted and not one.beside for one in states)

    def notes(self, facts: Facts) -> Iterator[str]:
        firewall = facts.known(Firewall())
        handled = {_FIREWALLD, *([_IPTABLES] if "iptables" in firewall.rules else [])}
        device = self.question.device
        for table in facts.known(self.question).closed:
            if table not in handled:
                yield (
                    f"the nftables table {table} passes on only what it names, and it is not novaops' own: the clients get nowhere, unless it says"
                    f' iifname "{device}" accept, and oifname "{device}" ct state established,related accept'
                )
