"""A mount: the place, the line in fstab and the mount itself. One step, all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from novaops.errors import Refused
from novaops.facts.directory import Directory, DirectoryAt
from novaops.facts.file import FileAt, FileState
from novaops.features.disk.facts.mounts import MountedAt, Mounts, MountTable
from novaops.features.disk.resources.filesystem import FSTAB, Filesystem
from novaops.features.disk.resources.selection import describe, is_mounted, names
from novaops.formats import fstab
from novaops.model.action import Action, Command, WriteFile
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Question
from novaops.shell import quote

State = Literal["mounted", "defined", "unmounted", "absent"]
"""mounted: line and mount. defined: the line, the mount as it is. unmounted: the mount gone, the line as it is. absent: neither."""

_SWITCHES = {"ro": "rw", "noexec": "exec", "nosuid": "suid", "nodev": "dev", "noatime": "atime", "sync": "async"}
"""Options that the kernel shows on a live mount, with their opposites."""

_IMPLIED = {
    **dict.fromkeys(("user", "users"), ("noexec", "nosuid", "nodev")),
    **dict.fromkeys(("owner", "group"), ("nosuid", "nodev")),
}

_VIRTUAL = {"proc", "sysfs", "devtmpfs", "devpts", "cgroup2", "cgroup", "securityfs", "debugfs", "tracefs", "bpf", "efivarfs"}


@dataclass(frozen=True)
class Mount(Resource):
    path: str
    source: Filesystem | str = ""
    """A file system on a disk, or what fstab takes as it is: /srv/data for a bind mount. "" where nothing is to be mounted."""
    filesystem: str = "none"
    """The type in fstab for a source that is a text."""
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
            yield from self._gone(facts)
        else:
            yield from self._there(facts)

    def notes(self, facts: Facts) -> Iterator[str]:
        real = facts.known(DirectoryAt(self.path)).real
        if real != self.path.rstrip("/"):
            yield f"{self.path} leads to {real}: that is what fstab names"

    # -- there ------------------------------------------------------------------------------------------------------

    def _there(self, facts: Facts) -> Iterator[Step]:
        place = facts.known(DirectoryAt(self.path))
        mounts = facts.known(Mounts())
        before = _fstab(facts)
        line, mounted, check = self._wanted(facts, place, mounts)
        old = fstab.find(before, place.real)
        known = names(self.source.select(facts).device) if isinstance(self.source, Filesystem) else {line.source}
        if old is not None and old.source not in known and old.source != line.source:
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
            actions.append(_write_fstab(facts, fstab.put(before, line)))
        if to_mount:
            actions.append(_mount(place.real))
        elif mounted is not None:
            switches = _switches(line.options, self._inherited(facts, line, mounts))
            if differing := [said for said, live in zip(_said(switches), _live(mounted), strict=True) if said != live]:
                changes.append(Change("options", ",".join(_live(mounted)), ",".join(differing)))
                actions.append(_remount(place.real, line.options, switches, mounted))
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

    # -- gone -------------------------------------------------------------------------------------------------------

    def _gone(self, facts: Facts) -> Iterator[Step]:
        place = facts.known(DirectoryAt(self.path))
        mounts = facts.known(Mounts())
        before = _fstab(facts)
        old = fstab.find(before, place.real)
        mounted = mounts.at(place.real)
        if place.real == "/":
            raise Refused("/ is what the host runs from, and is not unmounted")
        if beneath := [m.target for m in mounts.below(place.real)] if mounted else []:
            raise Refused(
                f"{', '.join(beneath)} is mounted beneath {place.real}",
                fix=f"novaops disk unmount HOST --path {beneath[0]} first",
            )
        changes: list[Change] = []
        actions: list[Action] = []
        if mounted is not None:
            changes.append(Change("mounted", mounted.source, None))
            back = _mount(place.real) if old else _mount_again(mounted)
            undo = Command(back.words, holds=back.holds) if back else None
            actions.append(Command(_umount(place.real), holds=_not_mounted(place.real), undo=undo))
        if old is not None and self.state == "absent":
            changes.append(Change("fstab", old.render(), None))
            actions.append(_write_fstab(facts, fstab.remove(before, place.real)))
        if changes:
            yield Step(self.id, tuple(changes), tuple(actions))

    def predict(self, facts: Facts) -> Facts:
        """Without the mount, once it is gone: what it is mounted beneath can go next."""
        if self.state in {"mounted", "defined"}:
            return facts
        path = facts.known(DirectoryAt(self.path)).real
        return facts.but(Mounts(), MountTable(tuple(m for m in facts.known(Mounts()).mounts if m.target != path)))


def _fstab(facts: Facts) -> bytes:
    """The text of fstab; a host without one has an empty one."""
    return getattr(facts[FileAt(FSTAB)], "content", None) or b""


def _write_fstab(facts: Facts, after: bytes) -> WriteFile:
    """A file that is there keeps its mode and owner.

    Findmnt must find no more wrong with the new text than with the old: foreign lines are not ours to mend.
    """
    old = facts[FileAt(FSTAB)]
    permissions = (old.mode, old.owner, old.group) if isinstance(old, FileState) and old.mode else None
    mode, owner, group = permissions or ("0644", "root", "root")
    count = r"findmnt --verify --tab-file \"$1\" 2>&1 | awk '/\[E\]|parse error at/ { n++ } END { print n + 0 }'".replace('\\"', '"')
    verify = f'errors() {{ {count}; }}; [ "$(errors "$2")" -le "$(errors "$1")" ] || {{ findmnt --verify --tab-file "$2" 2>&1; exit 1; }}'
    reload = "[ ! -d /run/systemd/system ] || systemctl daemon-reload"
    return WriteFile(
        *(FSTAB, after, mode, owner, group),
        before=old.content if isinstance(old, FileState) else None,
        permissions_before=permissions,
        check=("sh", "-c", verify, "verify", FSTAB, "{}"),
        then=("sh", "-c", reload),
    )


def _make_directory(place: Directory) -> Command:
    made = place.real[len(place.nearest) :].strip("/")
    undo = Command(
        ("sh", "-c", 'cd -- "$1" && rmdir -p --ignore-fail-on-non-empty -- "$2"', "rmdir", place.nearest, made),
        holds=f"[ ! -d {quote(place.real)} ]",
    )
    return Command(("mkdir", "-p", "-m", "0755", "--", place.real), holds=f"[ -d {quote(place.real)} ]", undo=undo)


def _trial(line: fstab.FstabLine, path: str) -> Command:
    """Mount by hand and unmount again, before fstab has a word of it: a line that cannot work is never written."""
    kind = () if line.filesystem == "none" else ("-t", line.filesystem)
    words = ("mount", *kind, "-o", ",".join(line.options), "--", line.source, path)
    return Command(("sh", "-c", '"$@" && umount -- "$0"', path, *words))


def _mount(path: str) -> Command:
    """By fstab's line, so that the line is proven too."""
    undo = Command(_umount(path), holds=_not_mounted(path))
    return Command(("mount", "--", path), holds=f"mountpoint -q -- {quote(path)}", undo=undo)


def _mount_again(mounted: MountedAt) -> Command | None:
    """None for a folder shown in a second place: its device would show all of itself there."""
    if mounted.root != "/":
        return None
    words = ("mount", "-t", mounted.filesystem, "-o", ",".join(_live(mounted)), "--", mounted.source, mounted.target)
    return Command(words, holds=f"mountpoint -q -- {quote(mounted.target)}")


def _umount(path: str) -> tuple[str, ...]:
    return ("umount", "--", path)


def _not_mounted(path: str) -> str:
    return f"! mountpoint -q -- {quote(path)}"


_XFS_CHECK = """\
sound() { xfs_repair -n "$1" >/dev/null 2>&1; [ $? != 1 ]; }
sound "$1" || {
  at=$(mktemp -d) && mount -t xfs -o OPTIONS,nosuid,nodev,noexec -- "$1" "$at" && umount -- "$at"
  rmdir -- "$at"; sound "$1"
}"""
"""After a power cut the log is full, and only mounting writes it back: until then xfs_repair sees errors that are none."""


def _healthy(kind: str, device: str, *, read_only: bool) -> Command:
    """A file system that was there is checked before it is trusted: repaired where that is safe (fsck's 1), never made anew.

    One that is to be read only is not written to by the check either: its device may not allow it.
    """
    how = {
        "ext4": f'e2fsck {"-n" if read_only else "-p"} -- "$1"; [ $? -le 1 ]',
        "xfs": _XFS_CHECK.replace("OPTIONS", "ro" if read_only else "rw"),
        "btrfs": 'btrfs check --readonly -- "$1"',
    }
    say = f'{{ echo "{kind} on $1 has errors that cannot be mended safely: look at it with fsck before it is used"; exit 1; }}'
    return Command(("sh", "-c", f"{{ {how[kind]}; }} || {say}", "check", device))


def _remount(path: str, options: tuple[str, ...], wanted: dict[str, bool], mounted: MountedAt) -> Command:
    """Every switch is said: what is left out of a remount stays as it is."""
    switches = {*_SWITCHES, *_SWITCHES.values()}
    others = [o for o in options if o not in {*switches, "defaults"} and not o.startswith(("x-", "nofail"))]

    def words(said: Iterable[str]) -> tuple[str, ...]:
        return ("mount", "-o", ",".join(["remount", *said, *others]), "--", path)

    return Command(words(_said(wanted)), undo=Command(words(_live(mounted))))


def _live(mounted: MountedAt) -> list[str]:
    return _said({on: on in mounted.options for on in _SWITCHES})


def _said(switches: dict[str, bool]) -> list[str]:
    return [on if switches[on] else off for on, off in _SWITCHES.items()]


def _switches(options: tuple[str, ...], inherited: frozenset[str]) -> dict[str, bool]:
    """What `options` make of each switch; of contradicting options the last counts. A bind mount inherits its source's."""
    wanted = {on: on in inherited for on in _SWITCHES}
    for option in _spelled_out(options):
        for on, off in _SWITCHES.items():
            if option in {on, off}:
                wanted[on] = option == on
    return wanted


def _spelled_out(options: Iterable[str]) -> Iterator[str]:
    """The options, each after those it brings with it: mount(8)."""
    for option in options:
        yield from _IMPLIED.get(option, ())
        yield option


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
    """Nothing is mounted over what somebody put there."""
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


__all__ = ["Mount", "State", "describe"]
