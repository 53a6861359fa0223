"""The passwords of EVE-NG's database: whether those that everybody knows still let somebody in, and whether EVE-NG's programs have the right ones."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import TypeAdapter

from novaops.features.eve.data import StrictModel, read
from novaops.features.eve.facts.web_admin import SQL
from novaops.features.eve.paths import DEFAULT_DATABASE_PASSWORD
from novaops.model.question import Missing, Section, Singleton
from novaops.shell import assign, lines_of, sh_file

PLACES = {"right", "wrong", "nowhere"}


class Place(StrictModel):
    """Files that have the password of a user."""

    user: str
    before: str
    """What stands before the password, as a basic regular expression."""
    files: str
    """Their names, as a pattern of sh."""
    under: tuple[str, ...]


@functools.cache
def places() -> tuple[Place, ...]:
    return TypeAdapter(tuple[Place, ...]).validate_python(read("database")["places"])


def script() -> str:
    """The sh that defines `state`, `found` and `sql`."""
    lines = "\n".join("\t".join((one.user, one.before, one.files, " ".join(one.under))) for one in places())
    return SQL + assign(default=DEFAULT_DATABASE_PASSWORD, places=lines) + sh_file(__package__, "database.sh")


@dataclass(frozen=True)
class UserFacts:
    default: bool
    """Whether the password that everybody knows lets it in."""
    place: str
    """right: every file of EVE-NG's has a password that lets it in. wrong: one has another. nowhere: no file is known to have it."""

    @property
    def is_settled(self) -> bool:
        return self.place == "nowhere" or (self.place == "right" and not self.default)


@dataclass(frozen=True)
class DatabaseFacts:
    root: bool
    """Whether the password that everybody knows lets in the database's root. It is tried over TCP."""
    users: Mapping[str, UserFacts]
    """The users of EVE-NG's programs."""

    @property
    def defaults(self) -> tuple[str, ...]:
        """Who is let in with the password that everybody knows."""
        return (*(("root",) if self.root else ()), *(name for name, user in self.users.items() if user.default))

    @property
    def is_settled(self) -> bool:
        return not self.root and all(user.is_settled for user in self.users.values())


class Database(Singleton[DatabaseFacts]):
    """ABSENT where there is no database, or it does not answer."""

    family: ClassVar[str] = "eve-database"

    @classmethod
    def script_one(cls) -> str:
        return f"{script()}state || echo absent\n"

    @classmethod
    def parse_one(cls, section: Section) -> DatabaseFacts | Missing:
        lines = [line.split(" ") for line in lines_of(section.stdout) if line]
        if lines == [["absent"]]:
            return Missing.ABSENT
        match lines:
            case [["root", root], *users] if all(len(one) == 3 and one[2] in PLACES for one in users):  # noqa: PLR2004 - name, state, place
                return DatabaseFacts(root == "default", {name: UserFacts(known == "default", place) for name, known, place in users})
        return Missing.UNKNOWN
