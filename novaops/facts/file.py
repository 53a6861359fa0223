"""Files: what stands at a path, with its content where that is small enough to compare."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.facts import Gap, Question, Section
from novaops.journal import pending_marker
from novaops.shell import join

LARGEST = 1_048_576
"""Bytes. The content of a larger file is not read."""


@dataclass(frozen=True)
class File:
    kind: str
    """As stat names it: "regular file", "directory", …; "dangling link" for a link to nothing."""
    mode: str = ""
    owner: str = ""
    group: str = ""
    content: bytes | None = None
    """None for what is no regular file, or is larger than LARGEST."""
    pending: bool = False
    """The file was written by a run that was cut before the action that belongs to it succeeded."""

    @property
    def is_regular(self) -> bool:
        return self.kind.startswith("regular")


@dataclass(frozen=True)
class FileAt(Question[File]):
    """What is at `path`, links followed. ABSENT when there is nothing."""

    path: str
    family: ClassVar[str] = "file"

    @classmethod
    def ask(cls, questions: Sequence[Self]) -> str:
        pairs = [word for q in questions for word in (q.path, pending_marker(q.path))]
        return f"""\
set -- {join(pairs)}
while [ $# -gt 0 ]; do
  if [ -e "$2" ]; then pending=pending; else pending=-; fi
  if [ -e "$1" ]; then
    about=$(stat -L --printf '%a\\t%U\\t%G\\t%s\\t%F' -- "$1") || about=
    printf 'file\\t%s\\t%s\\n' "$pending" "$about"
    if [ -f "$1" ] && [ "$(stat -L -c %s -- "$1")" -le {LARGEST} ]; then base64 <"$1"; fi
  elif [ -L "$1" ]; then printf 'dangling\\n'
  elif [ -x "${{1%/*}}/" ] || [ ! -e "${{1%/*}}/" ]; then printf 'absent\\n'
  else printf 'unknown\\n'
  fi
  shift 2
done
"""

    @classmethod
    def read(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, File | Gap]:
        blocks: list[tuple[str, list[str]]] = []
        for line in section.stdout.splitlines():
            if line.split("\t")[0] in {"file", "dangling", "absent", "unknown"}:
                blocks.append((line, []))
            elif blocks:
                blocks[-1][1].append(line)
        return {question: _read_one(head, body) for question, (head, body) in zip(questions, blocks, strict=False)}


def _read_one(head: str, body: list[str]) -> File | Gap:
    word, *fields = head.split("\t")
    if word == "absent":
        return Gap.ABSENT
    if word == "dangling":
        return File(kind="dangling link")
    if word == "unknown" or len(fields) != 6:  # noqa: PLR2004 - pending, mode, owner, group, size, kind
        return Gap.UNKNOWN
    pending, mode, owner, group, size, kind = fields
    content = None
    if kind.startswith("regular") and int(size) <= LARGEST:
        content = base64.b64decode("".join(body))
        if len(content) < int(size):
            return Gap.UNKNOWN
    return File(kind, mode.rjust(4, "0"), owner, group, content, pending=pending == "pending")
