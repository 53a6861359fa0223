"""A file with its content, mode and owner; or no file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.facts.file import LARGEST, FileAt, FileState
from novaops.facts.succeeds import Succeeds
from novaops.formats.size import human
from novaops.model.action import Text, WriteFile, payload
from novaops.model.journal import pending_marker
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.secret import Secret
from novaops.shell import quote


def rewrite(path: str, found: FileState | Missing, content: bytes, *, check: tuple[str, ...] = (), then: tuple[str, ...] = ()) -> WriteFile:
    """Write a file that is not novaops' alone: one that is there keeps its mode and owner."""
    old = found if isinstance(found, FileState) else None
    permissions = (old.mode, old.owner, old.group) if old and old.mode else None
    return WriteFile(
        *(path, content, *(permissions or ("0644", "root", "root"))),
        before=old.content if old else None,
        permissions_before=permissions,
        check=check,
        then=then,
    )


@dataclass(frozen=True)
class File(Resource):
    path: str
    content: Text | None
    """None: there must be no such file. A Secret is written, and never shown."""
    mode: str = "0644"
    owner: str = "root"
    group: str = "root"
    check: tuple[str, ...] = ()
    """A command that must succeed before the rename; `{}` is the path of the new file."""
    then: tuple[str, ...] = ()
    """A command that puts the file into effect, such as a reload. It belongs to the same action as the write, so it is never left out."""

    @property
    def id(self) -> str:
        return f"file:{self.path}"

    def questions(self) -> Iterable[Question[Any]]:
        yield FileAt(self.path)
        if self.content is None and self.then:
            yield self._pending

    def plan(self, facts: Facts) -> Iterable[Step]:
        found = facts[FileAt(self.path)]
        old = found if isinstance(found, FileState) else None
        if old is not None and not old.is_regular:
            raise Refused(f"{self.path} is a {old.kind}, not a file", fix="move it away first")
        if self.content is not None and len(payload(self.content)) > LARGEST:
            raise Refused(f"what {self.path} should hold is larger than {human(LARGEST)}", why="Files of that size are not compared.")
        if old is not None and old.content is None:
            raise Refused(
                f"{self.path} is larger than {human(LARGEST)}", why="Files of that size are not compared, and so not overwritten."
            )
        if changes := list(self._changes(old, facts)):
            write = WriteFile(
                *(self.path, self.content, self._mode, self.owner, self.group),
                before=old.content if old else None,
                permissions_before=(old.mode, old.owner, old.group) if old else None,
                check=self.check,
                then=self.then,
            )
            yield Step(self.id, tuple(changes), (write,))

    @property
    def _mode(self) -> str:
        """As the host says it: 644 is 0644."""
        return self.mode.rjust(4, "0")

    def _changes(self, old: FileState | None, facts: Facts) -> Iterable[Change]:
        if self.content is None:
            if old is not None:
                yield Change("file", "present", None)
            elif self._removal_is_pending(facts):
                yield Change("then", "not finished", " ".join(self.then))
            return
        wanted = payload(self.content)
        if old is None:
            yield Change("file", None, "present")
        if old is None or old.content != wanted:
            yield Change("content", *self._shown(old, wanted))
        for field, value, number in (("mode", self._mode, ""), ("owner", self.owner, "uid"), ("group", self.group, "gid")):
            was = getattr(old, field) if old else None
            if was != value and not (old and number and getattr(old, number) == value):
                yield Change(field, was, value)
        if old is not None and old.pending:
            yield Change("then", "not finished", " ".join(self.then) or "finished")

    @property
    def _pending(self) -> Succeeds:
        """Whether a run removed the file and ended before `then` succeeded. FileAt does not tell, as there is no file."""
        return Succeeds(f"[ -e {quote(pending_marker(self.path))} ]")

    def _removal_is_pending(self, facts: Facts) -> bool:
        return bool(self.then) and facts.known(self._pending)

    def _shown(self, old: FileState | None, wanted: bytes) -> tuple[str | None, str]:
        if isinstance(self.content, Secret):
            return "[secret]" if old else None, "[secret]"
        was = None if old is None or old.content is None else old.content.decode("utf-8", "replace")
        return was, wanted.decode("utf-8", "replace")
