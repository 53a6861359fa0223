"""How large a mounted file system is, and how large it could be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.model.question import Missing, Question, Section
from novaops.shell import join, lines_of, sh_file

_SCRIPT = sh_file(__package__, "filesystem_size.sh")

TABLE_END = 2 * 1_048_576
"""Bytes left free at a disk's end: the backup GPT is there, and partitions end on a whole MiB."""


@dataclass(frozen=True)
class FreeSpace:
    """All sizes are bytes."""

    filesystem: str
    source: str
    """The device it is on."""
    size: int
    unit: int
    """The least by which it grows: a block group. Less than that is not a change."""
    device_size: int
    disk: str = ""
    """The disk of the partition it is on; "" when it is on a whole disk."""
    partition: int = 0
    """The partition's number."""
    behind: int = 0
    """Free behind the partition; 0 when another one follows."""


@dataclass(frozen=True)
class FilesystemSize(Question[FreeSpace]):
    """ABSENT when nothing is mounted at `path`. Asking makes the kernel look again how large a SCSI disk is."""

    path: str
    family: ClassVar[str] = "filesystem-size"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        return f"set -- {join(question.path for question in questions)}\n{_SCRIPT}"

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, FreeSpace | Missing]:
        answers: dict[Self, FreeSpace | Missing] = {}
        for question, line in zip(questions, lines_of(section.stdout), strict=False):
            match line.split("\t"):
                case ["absent"]:
                    answers[question] = Missing.ABSENT
                case ["room", kind, source, "", device_size, disk, number, behind]:
                    answers[question] = FreeSpace(kind, source, 0, 0, int(device_size), disk, int(number), int(behind))
                case ["room", kind, source, size, unit, device_size, disk, number, behind] if int(size):
                    numbers = (int(size), int(unit), int(device_size))
                    answers[question] = FreeSpace(kind, source, *numbers, disk, int(number), int(behind))
                case _:
                    answers[question] = Missing.UNKNOWN
        return answers
