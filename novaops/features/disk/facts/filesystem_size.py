"""How large a mounted file system is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.facts.directory import REAL_PATH
from novaops.model.question import Missing, Question, Section, Singleton
from novaops.shell import join, lines_of, sh_file

_SCRIPT = REAL_PATH + sh_file(__package__, "filesystem_size.sh")


@dataclass(frozen=True)
class Extent:
    """What a file system has of one device."""

    device: str
    size: int
    """Bytes."""
    number: int = 1
    """btrfs's own number of the device."""


@dataclass(frozen=True)
class FilesystemExtent:
    filesystem: str
    extents: tuple[Extent, ...] = ()
    """One for each device: btrfs may have several. None for a file system that novaops cannot measure."""
    unit: int = 0
    """The least by which it grows, in bytes: a block group. Less than that is not a change."""
    read_only: bool = False


@dataclass(frozen=True)
class FilesystemSize(Question[FilesystemExtent]):
    """ABSENT when nothing is mounted at `path`."""

    path: str
    family: ClassVar[str] = "filesystem-size"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        return f"set -- {join(question.path for question in questions)}\n{_SCRIPT}"

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, FilesystemExtent | Missing]:
        lines = lines_of(section.stdout)
        return {question: _answer(line) for question, line in zip(questions, lines, strict=True)}


class MountedFilesystems(Singleton[tuple[FilesystemExtent, ...]]):
    """Those that are mounted and could grow, each once."""

    family: ClassVar[str] = "mounted-filesystems"

    @classmethod
    def script_one(cls) -> str:
        return _ALL + _SCRIPT

    @classmethod
    def parse_one(cls, section: Section) -> tuple[FilesystemExtent, ...] | Missing:
        answers = map(_answer, lines_of(section.stdout))
        return tuple(answer for answer in answers if isinstance(answer, FilesystemExtent))


_ALL = """\
set --
while IFS= read -r target; do [ -z "$target" ] || set -- "$@" "$target"; done <<END
$(findmnt -n -l -o MAJ:MIN,TARGET -t ext2,ext3,ext4,xfs,btrfs | awk '!seen[$1]++ { sub(/^ *[^ ]+ +/, ""); print }')
END
"""


def _answer(line: str) -> FilesystemExtent | Missing:
    match line.split("\t"):
        case ["absent"]:
            return Missing.ABSENT
        case ["size", kind, access, unit, *extents]:
            parts = [extent.split(" ") for extent in extents]
            found = tuple(Extent(device, int(size), int(number)) for number, size, device in parts)
            return FilesystemExtent(kind, found, int(unit), access == "ro")
        case _:
            return Missing.UNKNOWN
