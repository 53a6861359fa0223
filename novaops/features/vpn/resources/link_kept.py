"""What no flag has named of a link stays: its routes, and where they lead while it is down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.facts.file import FileAt, text_at
from novaops.features.vpn.paths import LINKS
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Question
from novaops.shell import lines_of


@dataclass(frozen=True)
class LinkKept(Resource):
    """Nothing that goes through the link leaves it by leaving a flag out. Changes nothing."""

    link: str
    routes: tuple[str, ...]
    """All that is wanted, in the form of the section."""
    removed: tuple[str, ...]
    """Those that flags have taken away."""
    when_down: str
    says_when_down: bool

    @property
    def id(self) -> str:
        return f"link as made:{self.link}"

    @property
    def _file(self) -> FileAt:
        return FileAt(f"{LINKS}/{self.link}.routes")

    def questions(self) -> Iterable[Question[Any]]:
        yield self._file

    def plan(self, facts: Facts) -> Iterable[Step]:
        made = [line.split(" ", 1) for line in lines_of(text_at(self._file.path, facts)) if " " in line]
        there = [word for key, word in made if key in {"name", "network"}]
        if gone := [one for one in there if one not in {*self.routes, *self.removed}]:
            raise Refused(
                f"{', '.join(gone)} would go through {self.link} no more, and no flag says so",
                why="By flags one adds.",
                fix=f"--routes {','.join([*there, *(one for one in self.routes if one not in there)])}; or --remove-routes {','.join(gone)}",
            )
        for key, word in made:
            if key == "when_down" and word != self.when_down and not self.says_when_down:
                what = f"{self.link} has when_down {word}, and no flag says {self.when_down}"
                raise Refused(what, why="What no flag names stays as it is.", fix=f"--when-down {word}; or --when-down {self.when_down}")
        return ()
