"""What a path leads to that should be a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.facts.directory import REAL_PATH
from novaops.model.question import Missing, Question, Section
from novaops.shell import join, lines_of


@dataclass(frozen=True)
class Device:
    real: str
    """With every link resolved: /dev/vdb for /dev/disk/by-id/virtio-DATA."""
    kind: str
    """As stat names it: "block special file", "directory", …"""


@dataclass(frozen=True)
class DeviceAt(Question[Device]):
    path: str
    family: ClassVar[str] = "device"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        return f"""\
{REAL_PATH}for path in {join(q.path for q in questions)}; do
  if [ ! -e "$path" ]; then echo absent
  elif real_path "$path"; then printf '%s\\t%s\\n' "$(stat -L -c %F -- "$path")" "$real"
  else echo unknown
  fi
done
"""

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, Device | Missing]:
        answers: dict[Self, Device | Missing] = {}
        for question, line in zip(questions, lines_of(section.stdout), strict=True):
            kind, _, real = line.partition("\t")
            answers[question] = Missing.ABSENT if line == "absent" else Device(real, kind) if real else Missing.UNKNOWN
        return answers
