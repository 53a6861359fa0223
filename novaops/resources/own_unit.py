"""A unit whose file the same plan writes: at first there is none to ask systemd about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.resources.unit import Unit


@dataclass(frozen=True)
class OwnUnit(Resource):
    name: str

    @property
    def id(self) -> str:
        return f"unit:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield UnitNamed(self.name)

    def plan(self, facts: Facts) -> Iterable[Step]:
        unit = facts[UnitNamed(self.name)]
        if unit is Missing.ABSENT:
            unit = UnitFacts("loaded", "inactive", "disabled")
        if unit.active == "activating":  # between two attempts: it is on its way, and whether it gets there is for the proof
            unit = UnitFacts(unit.load, "active", unit.enabled)
        return Unit(self.name).plan(facts.but(UnitNamed(self.name), unit))
