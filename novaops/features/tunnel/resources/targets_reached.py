"""What a new tunnel leads to is reached from its far end, before anything is made. It only checks: there is nothing to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
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

    @property
    def id(self) -> str:
        return f"target:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        return self.asked

    def plan(self, facts: Facts) -> Iterable[Step]:
        for one in self.asked:
            if said := facts.known(one):
                raise Refused(
                    f"{self.name}: {self.host} does not reach {pair(one.host, one.port)}: {said}",
                    why="The tunnel would lead nowhere, and nothing was made.",
                    fix=f"is to: right, and does a firewall let {self.host} out? Try it there: nc -vz {one.host} {one.port}",
                )
        return ()
