"""Directories, as places where something could be mounted: where a path really leads and what is in the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from novaops.model.question import Missing, Question, Section
from novaops.shell import join


@dataclass(frozen=True)
class Directory:
    real: str
    """The path with every symbolic link in it resolved, also where its last parts do not exist yet."""
    state: Literal["absent", "empty", "filled", "other"]
    """"other": something that is no directory stands there, or in place of one of its parents."""
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
        return f"""\
for path in {join(q.path for q in questions)}; do
  real=$(readlink -m -- "$path") || {{ printf 'unknown\\n'; continue; }}
  near=$real
  while [ ! -e "$near" ] && [ ! -L "$near" ] && [ -n "$near" ]; do near=${{near%/*}}; done
  [ -n "$near" ] || near=/
  about=$(stat --printf '%a\\t%U\\t%G\\t%u\\t%g' -- "$near") || {{ printf 'unknown\\n'; continue; }}
  if [ ! -d "$near" ]; then state=other
  elif [ "$near" != "$real" ]; then state=absent
  elif [ -z "$(find "$real" -mindepth 1 -maxdepth 1 -print -quit)" ]; then state=empty
  else state=filled
  fi
  printf '%s\\t%s\\t%s\\t%s\\n' "$state" "$about" "$near" "$real"
done
"""

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Directory | Missing]:
        answers: dict[Self, Directory | Missing] = {}
        for question, line in zip(questions, section.stdout.splitlines(), strict=False):
            match line.split("\t"):
                case [("absent" | "empty" | "filled" | "other") as state, mode, owner, group, uid, gid, near, real]:
                    answers[question] = Directory(*(real, state, near, mode.rjust(4, "0"), owner, group, uid, gid))
                case _:
                    answers[question] = Missing.UNKNOWN
        return answers
