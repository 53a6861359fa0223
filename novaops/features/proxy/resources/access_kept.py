"""What flags alone must not do: open a site that asks for passwords, or that only certain networks may use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.facts.file import FileAt
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Missing, Question


@dataclass(frozen=True)
class AccessKept(Resource):
    """Of an app site that flags describe. An inventory is the whole wish: what is not in it is not wanted."""

    name: str
    file: str
    """The site's file."""
    asks: bool
    """Whether the site is to ask for passwords."""
    narrow: bool
    """Whether it is to be for certain networks."""

    @property
    def id(self) -> str:
        return f"access:{self.name}"

    def questions(self) -> Iterable[Question[Any]]:
        yield FileAt(self.file)

    def plan(self, facts: Facts) -> Iterable[Step]:
        found = facts[FileAt(self.file)]
        text = "" if found is Missing.ABSENT else (found.content or b"").decode("utf-8", "replace")
        networks = re.findall(r"^\s*allow (\S+);", text, re.MULTILINE)
        if not self.asks and re.search(r"^\s*auth_basic_user_file ", text, re.MULTILINE):
            raise Refused(
                f"{self.name}: it asks for passwords today, and would be open to everybody",
                fix="--user NAME --password SOURCE keeps it closed; --auth off says that it is to be open",
            )
        if not self.narrow and networks:
            raise Refused(
                f"{self.name}: only {', '.join(dict.fromkeys(networks))} may use it today, and it would be open to others",
                fix="--from CIDR keeps it so; --auth off says that it is to be open",
            )
        return ()
