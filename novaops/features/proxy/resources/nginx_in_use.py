"""What nginx has read is what its files say now: one that was renewed under the same path counts only after a reload."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.facts.file import FileAt, FileState
from novaops.features.proxy.facts.in_use import InUse, Use
from novaops.features.proxy.resources.nginx_reload import STALE, before_reload
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question


@dataclass(frozen=True)
class NginxInUse(Resource):
    """The files of a site, whoever writes them: NginxReload has to follow."""

    name: str
    files: tuple[InUse, ...]

    @property
    def id(self) -> str:
        return f"nginx:{self.name} (in use)"

    def questions(self) -> Iterable[Question[Any]]:
        yield FileAt(STALE)
        yield from self.files

    def plan(self, facts: Facts) -> Iterable[Step]:
        # Where the run changes something for nginx there is a reload anyway.
        note = facts[FileAt(STALE)]
        if isinstance(note, FileState):
            return
        changes = tuple(_change(file.path, use) for file in self.files if (use := facts[file]) is not Missing.ABSENT and not use.current)
        if changes:
            yield before_reload(Step(self.id, changes, ()), facts)


def _change(path: str, use: Use) -> Change:
    if use.served_until:
        return Change(path, f"nginx shows the one that lasts until {use.served_until}", f"the one that lasts until {use.there_until}")
    return Change(path, "as nginx read it before it was changed", "as it is")
