"""An installed package, of any version: upgrades are left to the distribution. Several in a row are installed by one call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from novaops.facts.package import OF_DPKG, PackageNamed
from novaops.facts.succeeds import has
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.shell import quote, sh_file

_INSTALL = OF_DPKG + sh_file(__package__, "package_install.sh")
_REMOVE = OF_DPKG + sh_file(__package__, "package_remove.sh")

LOCK_WAIT = 120
"""Seconds that apt waits for another package manager to end."""


@dataclass(frozen=True)
class Package(Resource):
    name: str
    lock_wait: int = LOCK_WAIT
    command: str = ""
    """What it is wanted for. Where the host has that from elsewhere, nothing is installed: a package overwrites it, and takes it away when it goes."""
    comes_first: ClassVar[bool] = True

    @property
    def id(self) -> str:
        return f"package:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield PackageNamed(self.name)
        if self.command:
            yield has(self.command)

    def plan(self, facts: Facts) -> Iterable[Step]:
        if facts[PackageNamed(self.name)] is not Missing.ABSENT or (self.command and facts.known(has(self.command))):
            return
        status = f"[ \"$(dpkg-query -W -f '${{db:Status-Status}}' {quote(self.name)} 2>/dev/null)\" = installed ] || rpm -q {quote(self.name)} >/dev/null 2>&1"
        undo = Command(("sh", "-c", _REMOVE, "remove", self.name), holds=f"! {{ {status}; }}", batch=True)
        script = f"wait={self.lock_wait}\n{_INSTALL}"
        install = Command(("sh", "-c", script, "install", self.name), holds=status, undo=undo, batch=True)
        yield Step(
            self.id,
            (Change("package", None, "installed"),),
            (install,),
            cannot_undo=f"what came with {self.name}: its configuration, and the packages it needs",
        )
