"""What a VPN server needs of the host around it, and whether it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from novaops.errors import HostFailed, Refused
from novaops.facts.firewall import Firewall
from novaops.facts.sshd import Caller
from novaops.facts.succeeds import Succeeds
from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.features.vpn.facts.server import VpnServer, overlaps
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.unit import Unit

_IPTABLES = "ip filter"
_FIREWALLD = "inet firewalld"


@dataclass(frozen=True)
class ServerFits(Resource):
    """Nobody else has its port, or addresses of its network. Changes nothing."""

    question: VpnServer
    network: str

    @property
    def id(self) -> str:
        return f"vpn:{self.question.name}"

    @property
    def _unit(self) -> UnitNamed:
        return UnitNamed(f"openvpn-server@{self.question.name}.service")

    def questions(self) -> Iterable[Question[Any]]:
        yield from (self.question, self._unit, Firewall(), Caller())

    def plan(self, facts: Facts) -> Iterable[Step]:
        server = facts.known(self.question)
        unit = facts[self._unit]
        runs = unit is not Missing.ABSENT and unit.active in {"active", "activating", "reloading"}
        strangers = [one for one in server.listeners if one != "openvpn" or not runs]
        if strangers:
            raise Refused(
                f"port {self.question.port}/{self.question.protocol} is taken by {', '.join(strangers)}",
                why=f"The VPN server {self.question.name} could not listen there.",
                fix="stop it, or choose another port: --port, or port: in the inventory",
            )
        if taken := overlaps(self.network, server.routes, self.question.device):
            raise Refused(
                f"{self.network} overlaps {taken[0]}, which the host has at {taken[1]}",
                why="Packets for the one would go to the other.",
                fix="choose another network for the clients: --network, or network: in the inventory",
            )
        caller = facts[Caller()]
        if not runs and caller is not Missing.ABSENT and overlaps(self.network, ((f"{caller.address}/32", ""),), self.question.device):
            raise Refused(
                f"{self.network} has the address in it that this connection comes from, {caller.address}",
                why="The host would look for it among the VPN's clients, and nobody there could log in any more.",
                fix="choose another network for the clients: --network, or network: in the inventory",
            )
        return ()

    def notes(self, facts: Facts) -> Iterator[str]:
        firewall = facts.known(Firewall())
        asked = {_IPTABLES} if "iptables" in firewall.rules else set()
        for table in facts.known(self.question).closed:
            if table not in asked and table != _FIREWALLD:
                device = self.question.device
                yield (
                    f"the nftables table {table} passes on only what it names, and it is not novaops' own: the clients get nowhere, unless it says"
                    f' iifname "{device}" accept, and oifname "{device}" ct state established,related accept'
                )


@dataclass(frozen=True)
class NewUnit(Unit):
    """A unit whose file comes with the same plan: it is started in the same run."""

    def plan(self, facts: Facts) -> Iterable[Step]:
        asked = UnitNamed(self.name)
        if facts[asked] is Missing.ABSENT:
            facts = facts.but(asked, UnitFacts("loaded", "inactive", "disabled"))
        return super().plan(facts)


@dataclass(frozen=True)
class WayOut(Resource):
    """The unit is up that puts up the rules, and they are still there: a firewall that was loaded anew may have swept them away."""

    name: str
    script: str
    unit: str

    @property
    def id(self) -> str:
        return f"forwarding:{self.name}"

    @property
    def _stands(self) -> Succeeds:
        return Succeeds(f"sh {self.script} check")

    def questions(self) -> Iterable[Question[Any]]:
        yield from (self._stands, UnitNamed(self.unit))

    def plan(self, facts: Facts) -> Iterable[Step]:
        started = [replace(step, resource=self.id) for step in NewUnit(self.unit).plan(facts)]
        yield from started
        if not started and not facts.known(self._stands):
            command = Command(("systemctl", "restart", "--", self.unit), holds=self._stands.command)
            yield Step(self.id, (Change("rules", "not as they were put up", "put up again"),), (command,))

    def verify_works(self, facts: Facts) -> None:
        if not facts.known(self._stands):
            raise HostFailed(
                f"the way out for the clients of {self.name} is not as it should be",
                why=f"`sh {self.script} check` says so: ip_forward, the rule that masquerades, or iptables' chain FORWARD.",
                fix=f"systemctl status {self.unit}",
            )


@dataclass(frozen=True)
class WayOutRemoved(Resource):
    """Its rules are taken away; forwarding is off again where it was."""

    name: str
    script: str
    kept: str

    @property
    def id(self) -> str:
        return f"forwarding:{self.name}"

    @property
    def _gone(self) -> Succeeds:
        return Succeeds(f"[ ! -e {self.kept} ]")

    def questions(self) -> Iterable[Question[Any]]:
        yield self._gone

    def plan(self, facts: Facts) -> Iterable[Step]:
        if facts.known(self._gone):
            return
        up = Command(("sh", self.script, "up"), holds=f"sh {self.script} check")
        command = Command(("sh", self.script, "gone"), holds=self._gone.command, undo=up)
        yield Step(self.id, (Change("rules", "masquerade, and what lets clients through", None),), (command,))


@dataclass(frozen=True)
class ServerAnswers(Resource):
    """The server runs, listens, and says that it is up. Changes nothing."""

    question: VpnServer

    @property
    def id(self) -> str:
        return f"vpn:{self.question.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield self.question

    def plan(self, facts: Facts) -> Iterable[Step]:
        del facts
        return ()

    def verify_works(self, facts: Facts) -> None:
        server = facts.known(self.question)
        log = f"journalctl -u openvpn-server@{self.question.name} -n 30"
        if "openvpn" not in server.listeners:
            where = f"port {self.question.port}/{self.question.protocol}"
            raise HostFailed(f"the VPN server {self.question.name} runs, and nobody listens at {where}", fix=log)
        if not server.answers:
            raise HostFailed(f"the VPN server {self.question.name} runs, and does not say that it is up", fix=log)
