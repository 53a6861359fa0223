"""A directory with its mode and owner."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.facts.file import FileAt, FileState
from novaops.model.action import Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Question
from novaops.shell import quote


@dataclass(frozen=True)
class Directory(Resource):
    path: str
    mode: str = "0755"
    owner: str = "root"
    group: str = "root"

    @property
    def id(self) -> str:
        return f"directory:{self.path}"

    def questions(self) -> Iterable[Question[Any]]:
        yield FileAt(self.path)

    def plan(self, facts: Facts) -> Iterable[Step]:
        found = facts[FileAt(self.path)]
        old = found if isinstance(found, FileState) else None
        if old is None:
            changes = (Change("directory", None, "present"), Change("mode", None, self.mode), Change("owner", None, self._owner))
            yield Step(self.id, changes, (self._make(),))
            return
        if old.kind != "directory":
            raise Refused(f"{self.path} is a {old.kind}, not a directory", fix="move it away first")
        if old.mode != self.mode.rjust(4, "0"):
            undo = Command(("chmod", old.mode, "--", self.path), holds=self._has("%a", old.mode.lstrip("0") or "0"))
            yield Step(self.id, (Change("mode", old.mode, self.mode),), (Command(("chmod", self.mode, "--", self.path), undo=undo),))
        was = f"{old.owner}:{old.group}"
        if self.owner not in {old.owner, old.uid} or self.group not in {old.group, old.gid}:
            undo = Command(("chown", was, "--", self.path), holds=self._has(_form(old), was))
            yield Step(self.id, (Change("owner", was, self._owner),), (Command(("chown", self._owner, "--", self.path), undo=undo),))

    @property
    def _owner(self) -> str:
        return f"{self.owner}:{self.group}"

    def _has(self, form: str, value: str) -> str:
        return f'[ "$(stat -L -c {form} -- {quote(self.path)})" = {quote(value)} ]'

    def _make(self) -> Command:
        words = ("install", "-d", "-m", self.mode, "-o", self.owner, "-g", self.group, "--", self.path)
        return Command(words, holds=f"[ -d {quote(self.path)} ]", undo=taken_away(self.path))


def _form(found: FileState) -> str:
    """How stat prints owner and group as `found` has them: by number what has no name on the host."""
    return f"{'%u' if found.owner.isdecimal() else '%U'}:{'%g' if found.group.isdecimal() else '%G'}"


def taken_away(path: str) -> Command:
    """Removes a directory that a run has made, as its undo. Where something is in it by then, it stays: that is somebody else's."""
    here = quote(path)
    return Command(("rmdir", "--", path), holds=f'[ ! -d {here} ] || [ -n "$(find {here} -mindepth 1 -maxdepth 1 -print -quit)" ]')
