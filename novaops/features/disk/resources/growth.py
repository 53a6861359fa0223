"""A file system that is grown to fill its disk, after the provider made the disk larger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.features.disk.facts.filesystem_size import TABLE_END, FilesystemSize, FreeSpace
from novaops.formats.size import human
from novaops.model.action import Action, Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question

_GROW_PARTITION = """\
set -e
printf ', +\\n' | sfdisk --no-reread --no-tell-kernel --force --quiet -N "$2" "$1"
partx --update --nr "$2" "$1"
! command -v udevadm >/dev/null || udevadm settle"""


@dataclass(frozen=True)
class Growth(Resource):
    path: str
    mounts_first: bool = False
    """Whether another resource of the same plan mounts it: then it cannot be measured before."""

    @property
    def id(self) -> str:
        return f"growth:{self.path}"

    def questions(self) -> Iterable[Question[Any]]:
        yield FilesystemSize(self.path)

    def plan(self, facts: Facts) -> Iterable[Step]:
        room = facts[FilesystemSize(self.path)]
        if room is Missing.ABSENT:
            if self.mounts_first:
                return
            raise Refused(f"nothing is mounted at {self.path}", fix="novaops disk ls HOST shows what is mounted where")
        changes: list[Change] = []
        actions: list[Action] = []
        available = room.device_size
        if room.disk and room.behind > TABLE_END:
            available += room.behind - TABLE_END
            changes.append(Change("partition", human(room.device_size), human(available)))
            actions.append(Command(("sh", "-c", _GROW_PARTITION, "grow", room.disk, str(room.partition))))
        if available - room.size >= room.unit:
            changes.append(Change("filesystem", human(room.size), human(available)))
            actions.append(Command(self._words(room)))
        if changes:
            yield Step(self.id, tuple(changes), tuple(actions), cannot_undo="what has grown is not made smaller again")

    def _words(self, room: FreeSpace) -> tuple[str, ...]:
        match room.filesystem:
            case "ext2" | "ext3" | "ext4":
                return ("resize2fs", room.source)
            case "xfs":
                return ("xfs_growfs", "-d", self.path)
            case "btrfs":
                return ("btrfs", "filesystem", "resize", "max", self.path)
            case other:
                raise Refused(f"{self.path} is {other}, which novaops does not grow")
