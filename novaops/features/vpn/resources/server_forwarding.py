"""The rules by which a VPN server passes its clients' packets on, behind the host's own address."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from novaops.errors import HostFailed
from novaops.facts.succeeds import Succeeds
from novaops.facts.unit import UnitNamed
from novaops.features.vpn.paths import ServerPaths
from novaops.features.vpn.resources.server_running import NewUnit
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Question


@dataclass(frozen=True)
class Forwarding(Resource):
    """Its unit runs, and the rules are as the unit made them: a firewall that was reloaded may have removed them."""

    server: str

    @property
    def id(self) -> str:
        return f"forwarding:{self.server}"

    @property
    def paths(self) -> ServerPaths:
        return ServerPaths(self.server)

    @property
    def _in_place(self) -> Succeeds:
        return Succeeds(f"sh {self.paths.forward_script} check")

    def questions(self) -> Iterable[Question[Any]]:
        yield from (self._in_place, UnitNamed(self.paths.forward_unit))

    def plan(self, facts: Facts) -> Iterable[Step]:
        started = [replace(step, resource=self.id) for step in NewUnit(self.paths.forward_unit).plan(facts)]
        yield from started
        if not started and not facts.known(self._in_place):
            command = Command(("systemctl", "restart", "--", self.paths.forward_unit), holds=self._in_place.command)
            yield Step(self.id, (Change("rules", "not as they were put up", "put up again"),), (command,))

    def verify_works(self, facts: Facts) -> None:
        if not facts.known(self._in_place):
            raise HostFailed(
                f"the way out for the clients of {self.server} is not as it should be",
                why=f"`{self._in_place.command}` says so: ip_forward, the rule that masquerades, or iptables' chain FORWARD.",
                fix=f"systemctl status {self.paths.forward_unit}",
            )


@dataclass(frozen=True)
class ForwardingRemoved(Resource):
    """Its rules are removed, and the host's ip_forward is off again where it was off before."""

    server: str

    @property
    def id(self) -> str:
        return f"forwarding:{self.server}"

    @property
    def paths(self) -> ServerPaths:
        return ServerPaths(self.server)

    @property
    def _removed(self) -> Succeeds:
        return Succeeds(f"[ ! -e {self.paths.ip_forward_before} ]")

    def questions(self) -> Iterable[Question[Any]]:
        yield self._removed

    def plan(self, facts: Facts) -> Iterable[Step]:
        if facts.known(self._removed):
            return
        script = self.paths.forward_script
        up = Command(("sh", script, "up"), holds=f"sh {script} check")
        command = Command(("sh", script, "gone"), holds=self._removed.command, undo=up)
        yield Step(self.id, (Change("rules", "masquerade, and what lets clients through", None),), (command,))
