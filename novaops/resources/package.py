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
from novaops.shell import quote

_INSTALL = f"""\
{OF_DPKG}if of_dpkg && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  install() {{ apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout="$wait" -o Dpkg::Options::=--force-confold -- "$@"; }}
  install "$@" || {{ apt-get update -q -o DPkg::Lock::Timeout="$wait" && install "$@"; }}
elif command -v dnf >/dev/null; then dnf install -y -q -- "$@"
else echo "neither apt-get nor dnf is here to install $*"; exit 1
fi"""
"""The package lists are updated only when the installation fails without: that takes seconds, and most hosts have them."""

_REMOVE = f"""\
{OF_DPKG}others() {{ # what somebody else has put there, and would go with them
  if of_dpkg; then apt-get -s remove -- "$@" 2>/dev/null | sed -n 's/^Remv \\([^ ]*\\).*/\\1/p' | while read -r one; do
    case " $* " in *" $one "*) ;; *) echo "$one would be removed with it" ;; esac; done
  else rpm -e --test -- "$@" 2>&1 | grep ' is needed by '
  fi
}}
needed=$(others "$@")
[ -z "$needed" ] || {{ printf '%s\n%s\n' "$needed" "other packages need $*: nothing is removed"; exit 1; }}
if of_dpkg; then DEBIAN_FRONTEND=noninteractive apt-get remove -y -q -o DPkg::Lock::Timeout=120 -- "$@"
else dnf remove -y -q -- "$@"
fi"""


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
