"""A tunnel that leads elsewhere is not turned by flags that do not name it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.facts.file import FileAt, text_at
from novaops.features.tunnel.paths import FOLDER
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Question
from novaops.shell import lines_of

_TARGET = 4
"""The column of a file of forwards that has where each leads."""


@dataclass(frozen=True)
class TunnelKept(Resource):
    """Two targets may have one default name: api.openai.com and files.openai.com are both `openai`. Changes nothing."""

    tunnel: str
    targets: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"tunnel as made:{self.tunnel}"

    @property
    def _file(self) -> FileAt:
        return FileAt(f"{FOLDER}/{self.tunnel}.forwards")

    def questions(self) -> Iterable[Question[Any]]:
        yield self._file

    def plan(self, facts: Facts) -> Iterable[Step]:
        rows = [line.split("\t") for line in lines_of(text_at(self._file.path, facts)) if not line.startswith("#")]
        there = list(dict.fromkeys(row[_TARGET] for row in rows if len(row) > _TARGET))
        if there and not set(there) & set(self.targets):
            raise Refused(
                f"{self.tunnel} leads to {', '.join(there)}, and would lead to {', '.join(self.targets)} instead",
                why=f"Without --name a tunnel is named after its target, and {self.tunnel} is the name of both.",
                fix=f"--name NAME makes another one; --name {self.tunnel} turns this one",
            )
        return ()
