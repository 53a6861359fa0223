"""The packages of EVE-NG, of the newest version that the repository has: it keeps no other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.facts.machine import Machine
from novaops.facts.package import PackageNamed
from novaops.facts.sshd import SshdState
from novaops.features.eve.paths import SOURCES, VERSIONS
from novaops.features.eve.resources.after_install import installed
from novaops.features.eve.resources.host import edition_for_host
from novaops.features.eve.resources.root_login import BACK, main_lines
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Question
from novaops.shell import join, sh_file

_INSTALL = sh_file(__package__, "install.sh")

_REMOVE = (
    """\
lines=$1; shift
set -- $(dpkg-query -W -f '${Package} ${db:Status-Status}\\n' "$@" 'eve-ng*' 2>/dev/null | sed -n 's/ installed$//p' | sort -u)
[ $# = 0 ] || DEBIAN_FRONTEND=noninteractive apt-get remove -y -q -o DPkg::Lock::Timeout=120 -- "$@" || exit
"""
    + BACK
)


@dataclass(frozen=True)
class EvePackages(Resource):
    packages: tuple[str, ...]
    """What counts as installed."""
    named: str | None
    """The one to install. None: the first of the edition's that the repository has."""
    lock_wait: int

    @property
    def id(self) -> str:
        return "eve:packages"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (Machine(), SshdState())
        yield from map(PackageNamed, self.packages)

    def plan(self, facts: Facts) -> Iterable[Step]:
        if installed(facts, self.packages):
            return
        names = (self.named,) if self.named else edition_for_host(facts.known(Machine())).packages
        there = f"dpkg-query -W -f '${{db:Status-Status}}\\n' {join(self.packages)} 2>/dev/null | grep -qx installed"
        undo = Command(("sh", "-c", _REMOVE, "remove", main_lines(facts.known(SshdState())), *self.packages), holds=f"! {{ {there}; }}")
        words = ("sh", "-c", _INSTALL, "install", str(self.lock_wait), VERSIONS, SOURCES, *names)
        yield Step(
            self.id,
            (Change("packages", None, f"{' or '.join(names)}, the newest version"),),
            (Command(words, holds=there, undo=undo),),
            cannot_undo="what came with EVE-NG: apache, the database with what is in it, kernels, images and labs",
        )

    def notes(self, facts: Facts) -> Iterable[str]:
        if version := installed(facts, self.packages):
            yield f"{version} is installed; {VERSIONS} has what was installed when"
