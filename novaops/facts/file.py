"""What is at a path, with the content of a file that is small enough to be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, Self

from novaops.model.journal import pending_marker
from novaops.model.question import Facts, Missing, Question, Section
from novaops.shell import join, sh_file

LARGEST = 1_048_576
"""Bytes. The content of a larger file is not read."""


@dataclass(frozen=True)
class FileState:
    kind: str
    """As stat names it: "regular file", "directory", …; "dangling link" for a link to nothing."""
    mode: str = ""
    owner: str = ""
    group: str = ""
    content: bytes | None = None
    """None for what is no regular file, or is larger than LARGEST."""
    pending: bool = False
    """A run wrote the file, and ended before the command that must follow (`WriteFile.then`) succeeded."""
    predicted_digest: str = ""
    """The sha256 that an earlier step of the plan will give it, where only that is known."""
    uid: str = ""
    gid: str = ""

    @property
    def digest(self) -> str:
        """The sha256 of its content; "" where that is not known."""
        return self.predicted_digest or ("" if self.content is None else sha256(self.content).hexdigest())

    @property
    def is_regular(self) -> bool:
        return self.kind.startswith("regular")


@dataclass(frozen=True)
class FileAt(Question[FileState]):
    """What is at `path`, links followed. ABSENT when there is nothing."""

    path: str
    family: ClassVar[str] = "file"
    bulky: ClassVar[bool] = True

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        paths = join(q.path for q in questions)
        markers = join(pending_marker(q.path) for q in questions)
        return f"{sh_file(__package__, 'file.sh')}pending {markers}\nfiles {LARGEST} {paths}\n"

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, FileState | Missing]:
        if section.status:
            return {}
        number = len(questions)
        lines = section.stdout.split("\n", 2 * number)
        pending, states = lines[:number], lines[number : 2 * number]
        present = states.count("present")
        *about, content = lines[-1].split("\n", present)
        rest = content.encode("utf-8", "surrogateescape")
        answers: dict[Self, FileState | Missing] = {}
        for question, state, mark in zip(questions, states, pending, strict=True):
            if state != "present":
                answers[question] = _NOT_THERE[state]
                continue
            mode, owner, uid, group, gid, size, kind = about.pop(0).split("\t")
            taken = min(int(size), LARGEST) if kind.startswith("regular") else 0
            if taken > len(rest):
                return {}
            read = rest[:taken] if kind.startswith("regular") and int(size) <= LARGEST else None
            rest = rest[taken:]
            names = (named(owner, uid), named(group, gid))
            answers[question] = FileState(kind, mode.rjust(4, "0"), *names, read, pending=mark == "pending", uid=uid, gid=gid)
        return {} if rest else answers


_NOT_THERE: Mapping[str, FileState | Missing] = {
    "absent": Missing.ABSENT,
    "dangling": FileState(kind="dangling link"),
    "unknown": Missing.UNKNOWN,
}


def named(name: str, number: str) -> str:
    """A user or a group as chown takes it: by number where it has no name on this host, for which stat says UNKNOWN."""
    return number if name == "UNKNOWN" else name


def text_at(path: str, facts: Facts) -> str:
    """What the file says, to be read and not to be written again; "" for no file."""
    found = facts[FileAt(path)]
    return (found.content or b"").decode("utf-8", "replace") if isinstance(found, FileState) else ""
