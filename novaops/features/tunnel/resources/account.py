"""The user as which tunnels run on the client and log in on the gateway. It has no shell and no password."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from novaops.errors import Refused
from novaops.facts.account import AccountNamed
from novaops.facts.succeeds import Succeeds
from novaops.features.tunnel.facts.ends import AuthorizedKeys
from novaops.features.tunnel.paths import FOLDER, HOME, USER
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.shell import sh_file

_MAKE = """\
shell=$(command -v nologin) || shell=/bin/false
group=-U; ! getent group -- "$1" >/dev/null || group=-N
useradd -r "$group" -M -d "$2" -s "$shell" -p '*' -c 'Tunnels of novaops' -- "$1"
"""
"""No password matches `*`. A locked account (`!`) would not do: sshd without PAM lets nobody in there, not even by key."""

_REMOVE = sh_file(__package__, "remove_user.sh")

_THERE = f"getent passwd -- {USER} >/dev/null"


@dataclass(frozen=True)
class TunnelUser(Resource):
    @property
    def id(self) -> str:
        return f"user:{USER}"

    def questions(self) -> Iterable[Question[Any]]:
        yield AccountNamed(USER)

    def plan(self, facts: Facts) -> Iterable[Step]:
        account = facts[AccountNamed(USER)]
        if account is not Missing.ABSENT:
            if account.shell_works or account.uid == 0:
                raise Refused(
                    f"{USER} is a user here already, and one who can log in",
                    why=f"Its shell is {account.shell or '/bin/sh'}; a tunnel's key would open it.",
                    fix=f"rename that user, or: usermod -s /usr/sbin/nologin {USER}",
                )
            return
        undo = Command(("sh", "-c", _REMOVE, "remove", USER, HOME), holds=f"! {_THERE}")
        yield Step(
            self.id,
            (Change("user", None, "which nobody can log in as"),),
            (Command(("sh", "-c", _MAKE, "make", USER, HOME), holds=_THERE, undo=undo),),
        )


@dataclass(frozen=True)
class TunnelUserRemoved(Resource):
    """No such user, once no tunnel begins or ends here any more."""

    removed: tuple[str, ...] = ()
    """The tunnels that are taken away in the same run, and so do not count."""
    ends_here: bool = False
    """Whether the host is their gateway; otherwise their client."""
    yields_to_present: ClassVar[bool] = True

    @property
    def id(self) -> str:
        return f"user:{USER}"

    def questions(self) -> Iterable[Question[Any]]:
        yield from (AccountNamed(USER), self._begins_here, self._is_gateway)
        if self.ends_here:
            yield AuthorizedKeys()

    @property
    def _begins_here(self) -> Succeeds:
        others = "".join(f"{FOLDER}/{name}.conf) ;; " for name in self.removed)
        return Succeeds(f'for file in {FOLDER}/*.conf; do case $file in {others}*) [ ! -e "$file" ] || exit 0 ;; esac; done; exit 1')

    @property
    def _is_gateway(self) -> Succeeds:
        return Succeeds(f"[ -d {HOME} ]")

    def plan(self, facts: Facts) -> Iterable[Step]:
        if facts[AccountNamed(USER)] is Missing.ABSENT or facts.known(self._begins_here):
            return
        if bool(facts.known(AuthorizedKeys()).content) if self.ends_here else facts.known(self._is_gateway):
            return
        undo = Command(("sh", "-c", _MAKE, "make", USER, HOME), holds=_THERE)
        remove = Command(("sh", "-c", _REMOVE, "remove", USER, HOME), holds=f"! {_THERE}", undo=undo)
        yield Step(self.id, (Change("user", "present", None),), (remove,))
