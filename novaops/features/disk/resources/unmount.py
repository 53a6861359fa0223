"""A mount that should not be there any more, and with it its line in fstab."""

from __future__ import annotations

from collections.abc import Iterator

from novaops.errors import Refused
from novaops.facts.directory import DirectoryAt
from novaops.features.disk.facts.mount_units import MountUnitsOf
from novaops.features.disk.facts.mounts import Mounts
from novaops.features.disk.resources import fstab_file, mounting
from novaops.features.disk.resources.places import refuse_return, unmount_hint
from novaops.formats import fstab
from novaops.model.action import Action, Command
from novaops.model.plan import Change, Step
from novaops.model.question import Facts

_IN_MEMORY = {"tmpfs", "ramfs"}


def still_needed(path: str, facts: Facts) -> Iterator[str]:
    """Sentences about what else shows a part of what is at `path`: the disk is in use without it, and a line of fstab may show an empty folder."""
    real = facts.known(DirectoryAt(path)).real
    mounts = facts.known(Mounts())
    for _, line in fstab.parse(fstab_file.text(facts)):
        if f"{line.source}/".startswith(f"{real}/") and line.path != real:
            what = "swap" if line.filesystem == "swap" else line.path
            yield f"fstab's line for {what} takes {line.source}, which is not there while {real} is not mounted"
    mounted = mounts.at(real)
    if others := [mount.target for mount in mounts.outside(real).mounts if mounted and mounted.contains(mount)]:
        yield f"what is mounted at {real} is mounted at {' and '.join(dict.fromkeys(others))} too: its disk stays in use"


def steps(resource: str, path: str, facts: Facts, *, with_line: bool) -> Iterator[Step]:
    """Unmount what is at `path`; `with_line` takes its line out of fstab too. Raises Refused."""
    place = facts.known(DirectoryAt(path))
    real = place.real
    mounts = facts.known(Mounts())
    before = fstab_file.text(facts)
    there = fstab.find_all(before, real, path)
    old = there[-1] if there else None
    mounted = mounts.at(real)
    if real == "/":
        raise Refused("/ is what the host runs from, and is not unmounted")
    whole = old is not None and "rbind" in old.options
    kept = {(m.number, m.root) for m in mounts.outside(real).mounts} if whole else set()
    if beneath := [m.target for m in mounts.below(real) if (m.number, m.root) not in kept] if mounted else []:
        raise Refused(
            f"{', '.join(beneath)} is mounted beneath {real}",
            fix=unmount_hint(beneath[0], "novaops disk ls HOST shows what is mounted where", " first"),
        )
    if mounted and mounted.filesystem in _IN_MEMORY and place.state != "empty":
        raise Refused(
            f"{mounted.filesystem} is mounted at {real}, and what is in it would be lost",
            why="It is in memory only.",
            fix=f"umount {real} on the host, if nothing in it is needed",
        )
    units = facts[MountUnitsOf(path)]
    if with_line:
        refuse_return(units, real)
    changes: list[Change] = []
    actions: list[Action] = []
    automounted = mounts.automounted(real)
    if mounted is not None or automounted:
        changes.append(Change("mounted", mounted.source if mounted else "when it is used", None))
        back = mounting.by_line(old, real) if old else mounting.as_it_was(mounted) if mounted else None
        undo = Command(back.words, holds=back.holds) if back else None
        actions += [mounting.umount(real, undo, whole=whole)] * (mounts.times(real) - 1)
        actions.append(mounting.automount_off(real, undo) if automounted else mounting.umount(real, undo, whole=whole))
    if there and with_line:
        changes.append(Change("fstab", fstab.shown(there), None))
        actions.append(fstab_file.write(facts, fstab.remove(before, real, path)))
    if changes:
        yield Step(resource, tuple(changes), tuple(actions))
