"""What a new tunnel leads to is reached from its far end, before anything is made. It only checks: there is nothing to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.features.tunnel.facts.ends import AuthorizedKeys
from novaops.features.tunnel.facts.reach import TargetReached
from novaops.formats.names import pair
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Question


@dataclass(frozen=True)
class TargetsReached(Resource):
    name: str
    host: str
    """The host that is asked, by its name."""
    asked: tuple[TargetReached, ...]
    permissions: tuple[str, ...] = ()
    """For each of them, on a gateway, what the key's line has once the tunnel leads there; sshd may read that line anywhere."""
    comment: str = ""
    """Of that line."""

    @property
    def id(self) -> str:
        return f"target:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield from self.asked
        if self.permissions:
            yield AuthorizedKeys()

    def _leads_there(self, number: int, facts: Facts) -> bool:
        if not self.permissions:
            return False
        lines = facts.known(AuthorizedKeys()).lines
        return any(self.permissions[number] in line and line.split()[-1:] == [self.comment] for line in lines)

    def plan(self, facts: Facts) -> Iterable[Step]:
        for number, one in enumerate(self.asked):
            if (said := facts.known(one)) and not self._leads_there(number, facts):
                raise Refused(
                    f"{self.name}: {self.host} does not reach {pair(one.host, one.port)}: {said}",
                    why="The tunnel would lead nowhere, and nothing was made.",
                    fix=f"is to: right, and does a firewall let {self.host} out? Try it there: nc -vz {one.host} {one.port}",
                )
        return ()
