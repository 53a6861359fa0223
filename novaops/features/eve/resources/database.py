"""The passwords of the database: the packages set one that everybody knows, for its root and for the users of EVE-NG's programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.features.eve.facts.database import Database, script
from novaops.features.eve.paths import DEFAULT_DATABASE_PASSWORD
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.shell import quote, sh_file

_SET = sh_file(__package__, "database.sh")


@dataclass(frozen=True)
class DatabasePasswords(Resource):
    """The new password is made on the host, and never leaves it. A database that does not answer is left to AdminPassword's complaint."""

    @property
    def id(self) -> str:
        return "eve:database"

    def questions(self) -> Iterable[Question[Any]]:
        yield Database()

    def plan(self, facts: Facts) -> Iterator[Step]:
        found = facts[Database()]
        if found is Missing.ABSENT or found.is_settled:
            return
        changes = [Change("root", "the default password", "no password: only the system's root is let in")] if found.root else []
        changes += [
            Change(name, "the default password" if user.default else "a password that is not taken", "[secret]")
            for name, user in found.users.items()
            if not user.is_settled
        ]
        words = ("sh", "-c", f"{script()}{_SET}", "set-database")
        undo = Command((*words, DEFAULT_DATABASE_PASSWORD), holds=_no("^root other$", " other right$", " wrong$"))
        yield Step(self.id, tuple(changes), (Command(words, holds=_no("^root default$", " default right$", " wrong$"), undo=undo),))

    def notes(self, facts: Facts) -> Iterable[str]:
        found = facts[Database()]
        for name, user in {} if found is Missing.ABSENT else found.users.items():
            if user.default and user.place == "nowhere":
                yield f"the database's user {name} keeps the default password: no file of EVE-NG's is known to have it"


def _no(*lines: str) -> str:
    """The sh that succeeds where no line of the state is like one of these."""
    patterns = " ".join(f"-e {quote(line)}" for line in lines)
    return f"{script()}! state | grep -q {patterns}"
