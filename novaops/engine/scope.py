"""Which entries of a section a verb is for."""

from __future__ import annotations

from collections.abc import Mapping
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
    purpose: str = ""
    """What such an entry is to be: "mounted"."""
    default: str = "present"
    """The state of an entry that declares none."""
    takes_all: bool = False
    """Whether it acts on entries of other states, too; the flags then say their state."""

    def agrees_with(self, entry: Mapping[str, Any]) -> bool:
        return self.declared(entry) in self.agrees

    def declared(self, entry: Mapping[str, Any]) -> str:
        return str(entry.get("state", self.default))
