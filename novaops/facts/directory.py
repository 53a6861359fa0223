"""Directories, as places where something could be mounted: the real path, and what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from novaops.facts.file import named
from novaops.model.question import Missing, Question, Section
from novaops.shell import join, lines_of, sh_file

REAL_PATH = sh_file(__package__, "real_path.sh")
"""sh: real_path."""


@dataclass(frozen=True)
class Directory:
    real: str
    """The path with every symbolic link in it resolved, also where its last parts do not exist yet."""
    state: Literal["absent", "empty", "filled", "other"]
    """"other": the path, or one of its parents, is not a directory."""
    nearest: str
    """The longest leading part of `real` that exists."""
    mode: str = ""
    owner: str = ""
    group: str = ""
    uid: str = ""
    gid: str = ""


@dataclass(frozen=True)
class DirectoryAt(Question[Directory]):
    path: str
    family: ClassVar[str] = "directory"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        return f"{REAL_PATH}{sh_file(__package__, 'directory.sh')}directories {join(q.path for q in questions)}\n"

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Directory | Missing]:
        answers: dict[Self, Directory | Missing] = {}
        for question, line in zip(questions, lines_of(section.stdout), strict=True):
            match line.split("\t"):
                case [("absent" | "empty" | "filled" | "other") as state, mode, owner, group, uid, gid, near, real]:
                    answers[question] = Directory(*(real, state, near, mode.rjust(4, "0"), named(owner, uid), named(group, gid), uid, gid))
                case _:
                    answers[question] = Missing.UNKNOWN
        return answers
