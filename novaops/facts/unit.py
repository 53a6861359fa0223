"""Units of systemd: whether they are there, run, and start at boot; by one call of systemctl for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.facts.sshd import blocks
from novaops.model.question import Missing, Question, Section
from novaops.shell import join


@dataclass(frozen=True)
class UnitFacts:
    """The states as systemd names them."""

    load: str
    """loaded, masked, or what is wrong with its file: bad-setting, error."""
    active: str
    """active, inactive, failed, activating, deactivating, reloading."""
    enabled: str
    """enabled, disabled, static, masked, generated, …; "" for one without a file."""


@dataclass(frozen=True)
class UnitNamed(Question[UnitFacts]):
    """ABSENT when systemd finds no such unit. Any of a unit's names will do; without a suffix it is a service."""

    name: str
    family: ClassVar[str] = "unit"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        return f"systemctl show -p Id,Names,LoadState,ActiveState,UnitFileState -- {join(q.name for q in questions)}\n"

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, UnitFacts | Missing]:
        if section.status:
            return {}
        units = {name: unit for unit in blocks(section.stdout) for name in (unit["Id"], *unit["Names"].split(" "))}
        return {
            question: _unit(unit) for question in questions if (unit := units.get(question.name) or units.get(f"{question.name}.service"))
        }


def _unit(about: Mapping[str, str]) -> UnitFacts | Missing:
    if about["LoadState"] == "not-found":
        return Missing.ABSENT
    return UnitFacts(about["LoadState"], about["ActiveState"], about.get("UnitFileState", ""))
