"""Resources that are planned once the packages are there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.facts.package import PackageNamed
from novaops.model.plan import Resource, Step, Wrapped
from novaops.model.question import Facts, Missing, Question


def installed(facts: Facts, packages: Iterable[str]) -> str:
    """The name and version of the one that is installed; "" where none is."""
    for name in packages:
        version = facts[PackageNamed(name)]
        if version is not Missing.ABSENT:
            return f"{name} {version}"
    return ""


@dataclass(frozen=True)
class AfterInstall(Wrapped):
    """`resource`, once one of the packages is there."""

    resource: Resource
    packages: tuple[str, ...]
    refuses_before: bool = False
    """Whether what it refuses is refused before the packages, too."""

    def questions(self) -> Iterable[Question[Any]]:
        yield from map(PackageNamed, self.packages)
        yield from self.resource.questions()

    def plan(self, facts: Facts) -> Iterator[Step]:
        there = installed(facts, self.packages)
        if there or self.refuses_before:
            steps = tuple(self.resource.plan(facts))
            yield from steps if there else ()

    def notes(self, facts: Facts) -> Iterable[str]:
        return self.resource.notes(facts) if installed(facts, self.packages) else ["is planned once EVE-NG is installed"]

    def verify_works(self, facts: Facts) -> None:
        if installed(facts, self.packages):
            self.resource.verify_works(facts)
