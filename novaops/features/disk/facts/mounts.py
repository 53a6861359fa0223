"""What is mounted, from /proc/self/mountinfo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from novaops.formats.fstab import unescape
from novaops.model.question import Missing, Section, Singleton


@dataclass(frozen=True)
class MountedAt:
    target: str
    source: str
    """As given to mount: a device path, a name such as "tmpfs"."""
    filesystem: str
    options: frozenset[str]
    root: str
    """The part of the file system that is seen here: "/" unless it is a bind mount or a btrfs subvolume."""
    number: str
    """The device's major:minor."""

    @property
    def is_automount(self) -> bool:
        return self.filesystem == "autofs" and self.source == "systemd-1"

    def contains(self, other: MountedAt) -> bool:
        """Whether the other mount shows a part of what is seen here, or the same file system where all of it is seen here."""
        return self.number == other.number and (self.root == "/" or other.root.startswith(f"{self.root}/"))


@dataclass(frozen=True)
class MountTable:
    mounts: tuple[MountedAt, ...]

    def at(self, path: str) -> MountedAt | None:
        """What is mounted exactly at `path`; of several stacked there the topmost, which is the visible one.

        Never the automount of systemd that waits there: see `automounted`.
        """
        return next((m for m in reversed(self.mounts) if m.target == path and not m.is_automount), None)

    def times(self, path: str) -> int:
        """How often what is visible at `path` is mounted there in a row, as after `mount --bind` was typed twice."""
        stacked = [(m.number, m.root) for m in reversed(self.mounts) if m.target == path and not m.is_automount]
        return next((count for count, other in enumerate(stacked) if other != stacked[0]), len(stacked))

    def automounted(self, path: str) -> bool:
        """Whether an automount unit of systemd mounts at `path` what is to be there, as soon as it is used."""
        return any(mount.target == path and mount.is_automount for mount in self.mounts)

    def below(self, path: str) -> Iterator[MountedAt]:
        prefix = path.rstrip("/") + "/"
        return (mount for mount in self.mounts if mount.target.startswith(prefix))

    def outside(self, path: str) -> MountTable:
        """What is mounted neither at `path` nor beneath it."""
        gone = {path, *(mount.target for mount in self.below(path))}
        return MountTable(tuple(mount for mount in self.mounts if mount.target not in gone))


class Mounts(Singleton[MountTable]):
    family: ClassVar[str] = "mounts"

    @classmethod
    def script_one(cls) -> str:
        return "cat /proc/self/mountinfo\n"

    @classmethod
    def parse_one(cls, section: Section) -> MountTable | Missing:
        *lines, cut = section.stdout.split("\n")  # a path may have a form feed in it
        if section.status or cut or not lines:
            return Missing.UNKNOWN
        return MountTable(tuple(map(_read_line, lines)))


def _read_line(line: str) -> MountedAt:
    """One line of mountinfo; proc(5) has the fields."""
    left, _, right = line.partition(" - ")
    _, _, number, root, target, options, *_ = left.split(" ")
    filesystem, source, super_options = right.split(" ", 2)  # options of 9p may have blanks in them: path=C:\Program Files
    return MountedAt(
        target=unescape(target),
        source=unescape(source),
        filesystem=filesystem,
        options=frozenset(options.split(",")) | frozenset(super_options.split(",")),
        root=unescape(root),
        number=number,
    )
