"""Units of systemd's own for a mount point: they outweigh its line in fstab when the host starts, or mount it without one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from novaops.facts.directory import REAL_PATH
from novaops.model.question import Missing, Question, Section
from novaops.shell import join, lines_of, sh_file

_SCRIPT = REAL_PATH + sh_file(__package__, "mount_units.sh")


@dataclass(frozen=True)
class MountUnit:
    """A unit file, as systemd finds it at the next boot."""

    state: Literal["none", "own", "vendor", "masked"]
    """own: an administrator's. vendor: a package's, which a line in fstab outweighs. masked: nothing is mounted, whatever fstab says."""
    started: bool = False
    """Whether something that starts at boot asks for it."""
    file: str = ""

    @property
    def name(self) -> str:
        return self.file.rpartition("/")[2]


@dataclass(frozen=True)
class MountUnits:
    mount: MountUnit
    automount: MountUnit
    drop_in: str = ""
    """A file of an administrator's that says for the mount unit what is mounted, how or whether."""

    def __iter__(self) -> Iterator[MountUnit]:
        return iter((self.mount, self.automount))


@dataclass(frozen=True)
class MountUnitsOf(Question[MountUnits]):
    """ABSENT on a host that systemd did not start."""

    path: str
    family: ClassVar[str] = "mount-units"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        return f"[ -d /run/systemd/system ] || {{ echo absent; exit; }}\n{_SCRIPT}mount_units {join(q.path for q in questions)}\n"

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, MountUnits | Missing]:
        lines = lines_of(section.stdout)
        if lines == ["absent"]:
            return dict.fromkeys(questions, Missing.ABSENT)
        return {question: _units(line.split("\t")) for question, line in zip(questions, lines, strict=True)}


def _units(fields: Sequence[str]) -> MountUnits | Missing:
    match fields:
        case [
            ("none" | "own" | "vendor" | "masked") as mount,
            started,
            file,
            ("none" | "own" | "vendor" | "masked") as automount,
            auto_started,
            auto_file,
            drop_in,
        ]:
            return MountUnits(MountUnit(mount, bool(started), file), MountUnit(automount, bool(auto_started), auto_file), drop_in)
        case _:
            return Missing.UNKNOWN
