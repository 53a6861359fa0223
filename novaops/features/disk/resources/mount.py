"""A mount: the mount point, the line in fstab and the mount itself, in one step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from novaops.errors import Refused
from novaops.facts.directory import Directory, DirectoryAt
from novaops.facts.file import FileAt
from novaops.features.disk.facts.mount_units import MountUnitsOf
from novaops.features.disk.facts.mounts import MountedAt, Mounts, MountTable
from novaops.features.disk.resources import fstab_file, mount_options, mounting, places, unmount
from novaops.features.disk.resources.filesystem import Filesystem
from novaops.features.disk.resources.fstab_file import FSTAB
from novaops.features.disk.resources.selection import is_mounted
from novaops.formats import fstab
from novaops.model.action import Action, Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Question

State = Literal["mounted", "defined", "unmounted", "absent"]
"""mounted: line and mount. defined: the line; the mount stays as it is. unmounted: no mount; the line stays as it is. absent: neither."""


@dataclass(frozen=True)
class Mount(Resource):
    path: str
    source: Filesystem | str = ""
    """A file system on a disk, or fstab's first field as text, such as /srv/data for a bind mount. "" where nothing is to be mounted."""
    filesystem: str = "none"
    """The type in fstab where `source` is a text."""
    options: tuple[str, ...] = ("defaults",)
    keeps_options: bool = False
    """Whether a line that is there keeps its options, with those of `options` added that it has none of."""
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
        yield MountUnitsOf(self.path)
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
        if self.state not in {"mounted", "defined"}:
            yield from unmount.still_needed(self.path, facts)
            return
        old = fstab.find(fstab_file.text(facts), real, self.path)
        mounted = facts.known(Mounts()).at(real)
        kept = self._kept(old, mounted)
        if added := mount_options.missing(self.options, kept) if kept else ():
            whose = f"fstab's options for {real} are kept" if old else f"fstab gets the options that {real} is mounted with"
            yield f"{whose}: {','.join(kept)}; novaops adds {','.join(added)}"
        if kept and old and "noauto" in old.options and not old.automounts:
            yield f"fstab's option noauto is kept: {real} is not mounted when the host starts. --options without it changes that"
        shared = mounted is not None and places.is_shared(mounted, facts.known(Mounts()))
        later = mount_options.later(self.options, old.options, mounted, shared=shared) if old and mounted and not kept else []
        if later and isinstance(self.source, Filesystem):
            yield f"a remount does not change all of it; from the next mount of {real} on: {', '.join(later)}"

    def _kept(self, old: fstab.FstabLine | None, mounted: MountedAt | None) -> tuple[str, ...]:
        """The options that others wrote into the line, or gave a mount that has none, and nobody asked to change."""
        if not self.keeps_options:
            return ()
        return old.options if old else tuple(mount_options.given(mounted)) if mounted else ()

    def _there(self, facts: Facts) -> Iterator[Step]:
        place = facts.known(DirectoryAt(self.path))
        mounts = facts.known(Mounts())
        before = fstab_file.text(facts)
        if place.real == "/":
            raise Refused(f"{self.path} leads to /, which the host runs from", fix="choose another --path")
        there = fstab.find_all(before, place.real, self.path)
        old = there[-1] if there else None
        line, mounted, check = self._wanted(facts, place, mounts, old)
        self._refuse_other_line(facts, line, there, place)
        units = facts[MountUnitsOf(self.path)]
        places.refuse_unit(units, place.real, automounts=line.automounts)
        changes: list[Change] = []
        actions: list[Action] = []
        line_changed = len(there) != 1 or not there[0].same_as(line)
        stops = mounts.automounted(place.real) and not line.automounts and self.state == "mounted"
        to_mount = mounted is None and self.state == "mounted" and (stops or not mounts.automounted(place.real))
        places.refuse_no_directory(place)
        if to_mount:
            places.refuse_place(place, mounts)
        if place.state == "absent" and (to_mount or line_changed):
            actions.append(mounting.make_directory(place))
        if stops:
            changes.append(Change("automount", "on", None))
            actions.append(mounting.automount_off(place.real, mounting.by_line(old, place.real) if old and old.automounts else None))
        if to_mount:
            changes.append(Change("mounted", None, line.source))
            actions += check
            actions.append(mounting.trial(line, place.real))
        if line_changed:
            actions += [] if to_mount else self._proof(line, old, mounted, check)
            changes.append(Change("fstab", fstab.shown(there), line.render()))
            actions.append(fstab_file.write(facts, fstab.put(before, line, self.path)))
        if to_mount or stops:
            actions.append(mounting.by_line(line, place.real))
        elif mounted is not None and (remount := self._live_options(facts, line, old, mounted)):
            changes.append(remount[0])
            actions.append(remount[1])
        if self.owner and self.state == "mounted" and (mounted is None or not _owned(place, self.owner)):
            was = f"{place.owner}:{place.group}" if mounted else ""
            changes.append(Change("owner", was or None, self.owner))
            actions.append(mounting.chown(place.real, self.owner, was))
        if changes:
            yield Step(self.id, tuple(changes), tuple(actions))

    def _proof(self, line: fstab.FstabLine, old: fstab.FstabLine | None, mounted: MountedAt | None, check: list[Action]) -> list[Action]:
        """Of options that only the next mount shows to be wrong: it may be that of the next boot, or of the automount when it is used."""
        before = old.options if old else ()
        if not isinstance(self.source, Filesystem) or (mounted is None and self.state != "mounted"):
            return []
        if mounted is None:
            return [*check, mounting.proof(line, read_only="ro" in line.options)] if set(line.options) - set(before) else []
        new = mount_options.unproven(line.options, before, mounted)
        return [mounting.proof(line, read_only="ro" in mounted.options)] if new else []

    def _refuse_other_line(self, facts: Facts, line: fstab.FstabLine, there: tuple[fstab.FstabLine, ...], place: Directory) -> None:
        known = self.source.select(facts).device.names if isinstance(self.source, Filesystem) else frozenset[str]()
        others = [old.source for old in there if fstab.source_name(old.source) not in {*known, fstab.source_name(line.source)}]
        if others:
            raise Refused(
                f"/etc/fstab has {others[0]} for {place.real} already",
                why=f"Wanted there: {line.source}.",
                fix=places.unmount_hint(place.real, "choose another --path", f" takes {_all_lines(there)} out"),
            )

    def _line(
        self, source: str, path: str, kind: str, old: fstab.FstabLine | None, mounted: MountedAt | None, check: str = "0"
    ) -> fstab.FstabLine:
        """The wanted line. Of the one that is there, or of the mount without one, it keeps what nobody asked to change."""
        kept = self._kept(old, mounted)
        options = (*kept, *mount_options.missing(self.options, kept)) if kept else self.options
        line = fstab.FstabLine(source, path, kind, options, "0", check)
        return replace(line, dump=old.dump, check=old.check if old.complete else check) if kept and old else line

    def _wanted(
        self, facts: Facts, place: Directory, mounts: MountTable, old: fstab.FstabLine | None
    ) -> tuple[fstab.FstabLine, MountedAt | None, list[Action]]:
        """The line, what of it is mounted already, and what to check before it is."""
        present = mounts.at(place.real)
        if isinstance(self.source, Filesystem):
            selection = self.source.select(facts)
            kind = self.source.kind
            line = self._line(f"UUID={selection.uuid}", place.real, kind, old, present, "2" if kind == "ext4" else "0")
            places.refuse_part(line.options, place.real)
            if present is not None and not is_mounted(selection.device, place.real, mounts):
                raise places.occupied(place, present)
            if present is not None and self.state == "mounted":
                places.refuse_other_subvolume(present, line.options, old.options if old else ())
            healthy: list[Action] = [] if selection.make else [_healthy(kind, selection.device.path, read_only="ro" in line.options)]
            return line, present, healthy
        line = self._line(self.source, place.real, self.filesystem, old, present)
        if "bind" in self.options or "rbind" in self.options:
            source = facts.known(DirectoryAt(self.source))
            if source.state not in {"empty", "filled"}:
                raise Refused(f"there is no folder {self.source} to bind to {place.real}")
            if present is not None and (present.number, present.root) != places.seen_at(source.real, mounts):
                raise places.occupied(place, present)
        elif present is not None and present.source != self.source:
            raise places.occupied(place, present)
        return line, present, []

    def _live_options(
        self, facts: Facts, line: fstab.FstabLine, old: fstab.FstabLine | None, mounted: MountedAt
    ) -> tuple[Change, Command] | None:
        """The remount that gives a live mount the options of its line; None where it has them."""
        bound = bool({"bind", "rbind"} & set(line.options))
        holder = places.holder(facts.known(DirectoryAt(str(self.source))).real, facts.known(Mounts())) if bound else None
        live = mount_options.live(mounted)
        shared = places.is_shared(mounted, facts.known(Mounts()))
        wanted = mount_options.wanted(line.options, mounted, holder, old.options if old else (), shared=shared)
        if not (after := mount_options.differing(wanted, live)):
            return None
        change = Change("options", ",".join(mount_options.differing(live, wanted)), ",".join(after))
        return change, mounting.remount(mounted, wanted, live, bound=bound)

    def predict(self, facts: Facts) -> Facts:
        """Without the mount once it is unmounted, so that its parent can be unmounted next."""
        if self.state in {"mounted", "defined"}:
            return facts
        path = facts.known(DirectoryAt(self.path)).real
        return facts.but(Mounts(), facts.known(Mounts()).outside(path))


def _all_lines(there: tuple[fstab.FstabLine, ...]) -> str:
    return "that line" if len(there) == 1 else f"all {len(there)} lines for it"


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
