"""A VPN server that runs and says that it is up, and units whose file comes with the same plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import HostFailed
from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.features.vpn.facts.server import VpnServer
from novaops.features.vpn.paths import ServerPaths
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.unit import Unit


@dataclass(frozen=True)
class NewUnit(Unit):
    """A unit whose file comes with the same plan: it is started in the same run."""

    def plan(self, facts: Facts) -> Iterable[Step]:
        asked = UnitNamed(self.name)
        if facts[asked] is Missing.ABSENT:
            facts = facts.but(asked, UnitFacts("loaded", "inactive", "disabled"))
        return super().plan(facts)


@dataclass(frozen=True)
class ServerAnswers(Resource):
    """The server runs with what is on the disk, listens, and says that it is up."""

    question: VpnServer

    @property
    def id(self) -> str:
        return f"vpn:{self.question.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield self.question

    def plan(self, facts: Facts) -> Iterable[Step]:
        server, unit = facts.known(self.question), ServerPaths(self.question.name).unit
        if server.stale:
            change = Change("loaded", f"{', '.join(server.stale)} of before", "as on the disk")
            yield Step(self.id, (change,), (Command(("systemctl", "restart", "--", unit)),))

    def verify_works(self, facts: Facts) -> None:
        question, server = self.question, facts.known(self.question)
        log = f"journalctl -u openvpn-server@{question.name} -n 30"
        if not server.listens:
            raise HostFailed(
                f"the VPN server {question.name} runs, and nobody listens at port {question.port}/{question.protocol}", fix=log
            )
        if not server.answers:
            raise HostFailed(f"the VPN server {question.name} runs, and does not say that it is up", fix=log)
