"""A mount: the mount point, the line in fstab and the mount itself, in one step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from novaops.errors import Refused
from novaops.facts.directory import Directory, DirectoryAt
from novaops.facts.file import FileAt
from novaops.features.disk.facts.mounts import MountedAt, Mounts, MountTable
from novaops.features.disk.resources import fstab_file, mount_options, unmount
from novaops.features.disk.resources.filesystem import Filesystem
from novaops.features.disk.resources.fstab_file import FSTAB
from novaops.features.disk.resources.selection import is_mounted, names
from novaops.formats import fstab
from novaops.model.action import Action, Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Question
from novaops.shell import quote

State = Literal["mounted", "defined", "unmounted", "absent"]
"""mounted: line and mount. defined: the line; the mount stays as it is. unmounted: no mount; the line stays as it is. absent: neither."""

_VIRTUAL = {"proc", "sysfs", "devtmpfs", "devpts", "cgroup2", "cgroup", "securityfs", "debugfs", "tracefs", "bpf", "efivarfs"}


@dataclass(frozen=True)
class Mount(Resource):
    path: str
    source: Filesystem | str = ""
    """A file system on a disk, or fstab's first field as text, such as /srv/data for a bind mount. "" where nothing is to be mounted."""
    filesystem: str = "none"
    """The type in fstab where `source` is a text."""
    options: tuple[str, ...] = ("defaults",)
    owner: str = ""
    """USER or USER:GROUP of the mounted file system's top folder; "" leaves it as it is."""
    state: State = "mounted"

    @property
    def id(self) -> str:
        return f"mount:{self.path}"

    def questions(self) -> Iterable[Question[Any]]:
        yield Mounts()
        yield FileAt(FSTAB)
        yield DirectoryAt(self.path)
        if isinstance(self.source, Filesystem):
            yield from self.source.questions()
        elif self.source.startswith("/"):
            yield DirectoryAt(self.source)

    def plan(self, facts: Facts) -> Iterable[Step]:
        if self.state in {"absent", "unmounted"}:
            yield from unmount.steps(self.id, self.path, facts, with_line=self.state == "absent")
        else:
            yield from self._there(facts)

    def exclusive_keys(self, facts: Facts) -> Iterator[str]:
        """The mount point, wherever a link leads."""
        yield f"the mount point {facts.known(DirectoryAt(self.path)).real}"

    def notes(self, facts: Facts) -> Iterator[str]:
        real = facts.known(DirectoryAt(self.path)).real
        if real != self.path.rstrip("/"):
            yield f"{self.path} leads to {real}: that is what fstab names"

    def _there(self, facts: Facts) -> Iterator[Step]:
        place = facts.known(DirectoryAt(self.path))
        mounts = facts.known(Mounts())
        before = fstab_file.text(facts)
        line, mounted, check = self._wanted(facts, place, mounts)
        old = fstab.find(before, place.real)
        known = names(self.source.select(facts).device) if isinstance(self.source, Filesystem) else frozenset[str]()
        if old is not None and old.source not in {*known, line.source}:
            raise Refused(
                f"/etc/fstab has {old.source} for {place.real} already",
                why=f"Wanted there: {line.source}.",
                fix=f"novaops disk unmount HOST --path {place.real} takes that line out",
            )
        changes: list[Change] = []
        actions: list[Action] = []
        line_changed = old is None or not old.same_as(line)
        to_mount = mounted is None and self.state == "mounted"
        _refuse_no_directory(place)
        if to_mount:
            _refuse_place(place, mounts)
        if place.state == "absent" and (to_mount or line_changed):
            actions.append(_make_directory(place))
        if to_mount:
            changes.append(Change("mounted", None, line.source))
            actions += check
            actions.append(_trial(line, place.real))
        if line_changed:
            changes.append(Change("fstab", old.render() if old else None, line.render()))
            actions.append(fstab_file.write(facts, fstab.put(before, line)))
        if to_mount:
            actions.append(unmount.by_line(place.real))
        elif mounted is not None:
            live, wanted = mount_options.live(mounted), mount_options.wanted(line.options, self._inherited(facts, line, mounts))
            if differing := [option for option, now in zip(wanted, live, strict=True) if option != now]:
                changes.append(Change("options", ",".join(live), ",".join(differing)))
                put, back = (mount_options.remount(place.real, line.options, switches) for switches in (wanted, live))
                actions.append(Command(put, undo=Command(back)))
        if self.owner and self.state == "mounted" and (mounted is None or not _owned(place, self.owner)):
            was = f"{place.owner}:{place.group}" if mounted else None
            changes.append(Change("owner", was, self.owner))
            undo = Command(("chown", was, "--", place.real)) if was else None
            actions.append(Command(("chown", self.owner, "--", place.real), undo=undo))
        if changes:
            yield Step(self.id, tuple(changes), tuple(actions))

    def _wanted(self, facts: Facts, place: Directory, mounts: MountTable) -> tuple[fstab.FstabLine, MountedAt | None, list[Action]]:
        """The line, what of it is mounted already, and what to check before it is."""
        present = mounts.at(place.real)
        if isinstance(self.source, Filesystem):
            selection = self.source.select(facts)
            kind = self.source.kind
            line = fstab.FstabLine(f"UUID={selection.uuid}", place.real, kind, self.options, "0", "2" if kind == "ext4" else "0")
            if present is not None and not is_mounted(selection.device, place.real, mounts):
                raise _occupied(place, present)
            healthy: list[Action] = [] if selection.make else [_healthy(kind, selection.device.path, read_only=self.source.read_only)]
            return line, present, healthy
        line = fstab.FstabLine(self.source, place.real, self.filesystem, self.options)
        if "bind" in self.options or "rbind" in self.options:
            source = facts.known(DirectoryAt(self.source))
            if source.state not in {"empty", "filled"}:
                raise Refused(f"there is no folder {self.source} to bind to {place.real}")
            if present is not None and (present.number, present.root) != _seen_at(source.real, mounts):
                raise _occupied(place, present)
        elif present is not None and present.source != self.source:
            raise _occupied(place, present)
        return line, present, []

    def _inherited(self, facts: Facts, line: fstab.FstabLine, mounts: MountTable) -> frozenset[str]:
        """The options that a bind mount takes over from the mount that holds its source."""
        if isinstance(self.source, Filesystem) or not {"bind", "rbind"} & set(line.options):
            return frozenset()
        return _holder(facts.known(DirectoryAt(self.source)).real, mounts).options

    def predict(self, facts: Facts) -> Facts:
        """Without the mount once it is unmounted, so that its parent can be unmounted next."""
        if self.state in {"mounted", "defined"}:
            return facts
        path = facts.known(DirectoryAt(self.path)).real
        return facts.but(Mounts(), MountTable(tuple(m for m in facts.known(Mounts()).mounts if m.target != path)))


def _make_directory(place: Directory) -> Command:
    made = place.real[len(place.nearest) :].strip("/")
    undo = Command(
        ("sh", "-c", 'cd -- "$1" && rmdir -p --ignore-fail-on-non-empty -- "$2"', "rmdir", place.nearest, made),
        holds=f"[ ! -d {quote(place.real)} ]",
    )
    return Command(("mkdir", "-p", "-m", "0755", "--", place.real), holds=f"[ -d {quote(place.real)} ]", undo=undo)


def _trial(line: fstab.FstabLine, path: str) -> Command:
    """Mount without fstab and unmount again, so that a line that cannot work is never written."""
    kind = () if line.filesystem == "none" else ("-t", line.filesystem)
    words = ("mount", *kind, "-o", ",".join(line.options), "--", line.source, path)
    return Command(("sh", "-c", '"$@" && umount -- "$0"', path, *words))


_XFS_CHECK = """\
sound() { xfs_repair -n "$1" >/dev/null 2>&1; [ $? != 1 ]; }
sound "$1" || {
  at=$(mktemp -d) && mount -t xfs -o OPTIONS,nosuid,nodev,noexec -- "$1" "$at" && umount -- "$at"
  rmdir -- "$at"; sound "$1"
}"""
"""After a power cut the log is not empty, and only mounting replays it; before that xfs_repair reports errors that are none."""


def _healthy(kind: str, device: str, *, read_only: bool) -> Command:
    """An existing file system is checked before it is mounted: repaired where that is safe (fsck's exit status 1), never made anew.

    With `read_only` the check does not write either: the device may not allow it.
    """
    how = {
        "ext4": f'e2fsck {"-n" if read_only else "-p"} -- "$1"; [ $? -le 1 ]',
        "xfs": _XFS_CHECK.replace("OPTIONS", "ro" if read_only else "rw"),
        "btrfs": 'btrfs check --readonly -- "$1"',
    }
    say = f'{{ echo "{kind} on $1 has errors that cannot be mended safely: look at it with fsck before it is used"; exit 1; }}'
    return Command(("sh", "-c", f"{{ {how[kind]}; }} || {say}", "check", device))


def _owned(place: Directory, owner: str) -> bool:
    user, _, group = owner.partition(":")
    return user in {place.owner, place.uid} and (not group or group in {place.group, place.gid})


def _holder(path: str, mounts: MountTable) -> MountedAt:
    """The mount that `path` is in."""
    holders = [m for m in mounts.mounts if path == m.target or path.startswith(m.target.rstrip("/") + "/")]
    return max(holders, key=lambda m: len(m.target))


def _seen_at(path: str, mounts: MountTable) -> tuple[str, str]:
    """The device number and the path inside its file system of what is at `path`."""
    mount = _holder(path, mounts)
    inside = path[len(mount.target.rstrip("/")) :]
    return mount.number, (mount.root.rstrip("/") + inside) or "/"


def _occupied(place: Directory, mounted: MountedAt) -> Refused:
    return Refused(
        f"{mounted.source} ({mounted.filesystem}) is mounted at {place.real} already",
        fix=f"choose another --path, or unmount it first: novaops disk unmount HOST --path {place.real}",
    )


def _refuse_no_directory(place: Directory) -> None:
    if place.state == "other":
        raise Refused(f"{place.nearest} is not a directory", fix="choose another --path, or move it away")


def _refuse_place(place: Directory, mounts: MountTable) -> None:
    """Raises Refused where the mount would hide files or other mounts."""
    if place.state == "filled":
        raise Refused(
            f"{place.real} is not empty",
            why="Mounting there would hide what is in it.",
            fix="move the files away, or choose another --path",
        )
    if beneath := [m.target for m in mounts.below(place.real)]:
        raise Refused(f"{', '.join(beneath)} is mounted beneath {place.real}, and would be hidden", fix="choose another --path")
    under = _holder(place.nearest, mounts)
    if under.filesystem in _VIRTUAL:
        raise Refused(f"{place.real} is inside {under.target}, which the kernel makes", fix="choose another --path")
