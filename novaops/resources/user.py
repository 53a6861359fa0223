"""A user account. An existing one is not changed in any way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.facts.account import AccountNamed
from novaops.facts.succeeds import Succeeds
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Risk, Step
from novaops.model.question import Facts, Missing, Question
from novaops.shell import quote, sh_file

_MAKE = """\
shell=$2
if [ -z "$shell" ]; then shell=/bin/sh; [ ! -x /bin/bash ] || shell=/bin/bash; fi
[ -x "$shell" ] || { echo "$shell cannot be the shell of $1: there is no such program"; exit 1; }
group=-U; ! getent group -- "$1" >/dev/null || group=-N
useradd -m "$group" -s "$shell" -- "$1"
"""
"""A group of that name that is there already is not joined: it may have rights, as admin has with sudo on older Ubuntus."""

_REMOVE = sh_file(__package__, "user_remove.sh")
"""A home directory in which anything was put is kept."""


@dataclass(frozen=True)
class User(Resource):
    name: str
    shell: str = ""
    """"": bash where there is one, else sh."""

    @property
    def id(self) -> str:
        return f"user:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (AccountNamed(self.name), self._group)

    def plan(self, facts: Facts) -> Iterable[Step]:
        if facts[AccountNamed(self.name)] is not Missing.ABSENT:
            return
        there = f"getent passwd -- {quote(self.name)} >/dev/null"
        undo = Command(("sh", "-c", _REMOVE, "remove", self.name), holds=f"! {there}")
        make = Command(("sh", "-c", _MAKE, "make", self.name, self.shell), holds=there, undo=undo)
        group = f"not in the group {self.name}, which is there already" if facts.known(self._group) else "a group of its own"
        yield Step(self.id, (Change("user", None, f"with a home and {group}"),), (make,), Risk.LOCKOUT)

    @property
    def _group(self) -> Succeeds:
        return Succeeds(f"getent group -- {quote(self.name)}")
