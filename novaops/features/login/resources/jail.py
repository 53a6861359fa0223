"""The jail that watches sshd counts as novaops writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.features.login.facts.later_jails import JAIL_FILE, LaterJails
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Question


@dataclass(frozen=True)
class JailPreconditions(Resource):
    @property
    def id(self) -> str:
        return "jail:sshd"

    def questions(self) -> Iterable[Question[Any]]:
        yield LaterJails()

    def plan(self, facts: Facts) -> Iterator[Step]:
        if later := facts.known(LaterJails()):
            raise Refused(
                f"{later[-1]} has a jail sshd of its own",
                why=f"fail2ban reads it after {JAIL_FILE}, and what it says there outweighs that.",
                fix="take its [sshd] away, or give the file a name before novaops.local",
            )
        yield from ()
