"""A unit of systemd: whether it is enabled, and whether it is active."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from novaops.errors import Refused
from novaops.facts.package import PackageNamed
from novaops.facts.succeeds import has
from novaops.facts.unit import UnitFacts, UnitNamed
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.shell import quote

_RUNNING = ("active", "reloading")
_STOPPED = ("inactive", "failed")
_CAN_BE_ENABLED = ("disabled", "enabled-runtime", "linked", "linked-runtime")


@dataclass(frozen=True)
class Unit(Resource):
    name: str
    enabled: bool = True
    active: bool = True
    comes_with_package: str = ""
    """The package of the same plan that contains it: before that is installed, the unit may be absent."""
    or_command: str = ""
    """What the package is wanted for. Where the host has that from elsewhere, the package does not come."""

    @property
    def id(self) -> str:
        return f"unit:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield UnitNamed(self.name)
        if self.comes_with_package:
            yield PackageNamed(self.comes_with_package)
        if self.or_command:
            yield has(self.or_command)

    def plan(self, facts: Facts) -> Iterable[Step]:
        unit = facts[UnitNamed(self.name)]
        if unit is Missing.ABSENT:
            if self._is_wanted and not self._comes(facts):
                raise Refused(f"there is no unit {self.name}")
            return
        if unit.load == "masked" and self._is_wanted:
            raise Refused(f"{self.name} is masked, which keeps it from running", fix=f"systemctl unmask {quote(self.name)}")
        pairs = [*self._enabling(unit), *self._starting(unit)]
        if pairs:
            yield Step(self.id, tuple(change for change, _ in pairs), tuple(command for _, command in pairs))

    def _comes(self, facts: Facts) -> bool:
        if not self.comes_with_package or (self.or_command and facts.known(has(self.or_command))):
            return False
        return facts[PackageNamed(self.comes_with_package)] is Missing.ABSENT

    @property
    def _is_wanted(self) -> bool:
        return self.enabled or self.active

    def _enabling(self, unit: UnitFacts) -> Iterator[tuple[Change, Command]]:
        if (unit.enabled == "enabled") == self.enabled:
            return
        if self.enabled and unit.enabled not in _CAN_BE_ENABLED:
            raise Refused(f"{self.name} cannot be enabled: it is {unit.enabled or 'a unit without a file'}")
        is_enabled = f'[ "$(systemctl is-enabled -- {quote(self.name)} 2>/dev/null)" = enabled ]'
        enable, disable = self._opposites(("enable", is_enabled), ("disable", f"! {is_enabled}"))
        yield Change("enabled", unit.enabled, "enabled" if self.enabled else "disabled"), enable if self.enabled else disable

    def _starting(self, unit: UnitFacts) -> Iterator[tuple[Change, Command]]:
        if unit.active in (_RUNNING if self.active else _STOPPED):
            return
        running = f"systemctl is-active --quiet -- {quote(self.name)}"
        stopped = f"case $(systemctl is-active -- {quote(self.name)}) in {' | '.join(_STOPPED)}) ;; *) false ;; esac"
        start, stop = self._opposites(("start", running), ("stop", stopped))
        yield Change("active", unit.active, "active" if self.active else "inactive"), start if self.active else stop

    def _opposites(self, *verbs: tuple[str, str]) -> tuple[Command, Command]:
        """Two systemctl commands, each the undo of the other, from pairs of a verb and the test that it is done."""
        one, other = (Command(("systemctl", verb, "--", self.name), holds=test) for verb, test in verbs)
        return replace(one, undo=other), replace(other, undo=one)


@dataclass(frozen=True)
class OwnUnit(Unit):
    """A unit whose file the same plan writes: before that, systemd does not know it."""

    def plan(self, facts: Facts) -> Iterable[Step]:
        unit = facts[UnitNamed(self.name)]
        if unit is Missing.ABSENT:
            unit = UnitFacts("loaded", "inactive", "disabled")
        elif unit.active == "activating":  # it tries again and again to come up; `verify_works` of what uses it tells whether it does
            unit = replace(unit, active="active")
        return super().plan(facts.but(UnitNamed(self.name), unit))
