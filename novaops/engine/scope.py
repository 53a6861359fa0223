"""Which entries of a section a verb is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Scope:
    """Which entries of a section a verb is for where it names none."""

    section: str
    key: str
    """What entries are named by: path, name."""
    agrees: tuple[str, ...]
    """The declared states that the verb does not contradict."""
    default: str = "present"
    """The state of an entry that declares none."""
    takes_all: bool = False
    """Whether it acts on entries of other states, too; the flags then say their state."""
    not_for: Callable[[Mapping[str, Any]], str] = lambda _: ""
    """Why the verb is not for an entry at all, such as "it is a server"; "" where it is."""

    def leaves(self, entry: Mapping[str, Any]) -> str:
        """Why a verb that names no entry leaves this one; "" for one that it acts on."""
        if why := self.not_for(entry):
            return why
        return "" if self.takes_all or self.agrees_with(entry) else f"its state is {self.declared(entry)}"

    def agrees_with(self, entry: Mapping[str, Any]) -> bool:
        return self.declared(entry) in self.agrees

    def declared(self, entry: Mapping[str, Any]) -> str:
        return str(entry.get("state", self.default))
