"""The user that tunnels run and come in as: nobody can log in as it, and it can do nothing but hold ports."""

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

_MAKE = """\
shell=$(command -v nologin) || shell=/bin/false
useradd -r -U -M -d "$2" -s "$shell" -p '*' -c 'Tunnels of novaops' -- "$1"
"""
"""With the password `*` no password fits, and yet sshd without PAM does not take the account for a locked one."""

_REMOVE = rf"""
uid=$(id -u -- "$1") || exit 0
for file in {FOLDER}/*.conf "$2/.ssh/authorized_keys"; do
  [ ! -s "$file" ] || {{ echo "$1 stays: other tunnels begin or end here, as $file says" >&2; exit 1; }}
done
systemctl stop "user@$uid.service" 2>/dev/null
for _ in 1 2 3 4 5 6 7 8 9 10; do # connections of tunnels whose keys are gone
  others=$(grep -lsE "^Uid:([[:space:]]+[0-9]+)*[[:space:]]$uid([[:space:]]|\$)" /proc/[0-9]*/status)
  [ -n "$others" ] || break
  for file in $others; do process=${{file%/status}}; kill "${{process#/proc/}}" 2>/dev/null; done
  sleep 0.2
done
userdel -- "$1" || exit
! getent group -- "$1" >/dev/null || groupdel -- "$1"
for folder in "$2/.ssh" "$2"; do [ ! -d "$folder" ] || rmdir -- "$folder" || exit; done
"""

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

    but: tuple[str, ...] = ()
    """The tunnels that are taken away, and so do not count."""
    ends_here: bool = False
    """Whether the host is the gateway of those."""
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
        others = "".join(f"{FOLDER}/{name}.conf) ;; " for name in self.but)
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
