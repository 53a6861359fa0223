"""A mount that should not be there any more, and with it its line in fstab."""

from __future__ import annotations

from collections.abc import Iterator

from novaops.errors import Refused
from novaops.facts.directory import DirectoryAt
from novaops.features.disk.facts.mounts import MountedAt, Mounts
from novaops.features.disk.resources import fstab_file, mount_options
from novaops.formats import fstab
from novaops.model.action import Action, Command
from novaops.model.plan import Change, Step
from novaops.model.question import Facts
from novaops.shell import quote


def steps(resource: str, path: str, facts: Facts, *, with_line: bool) -> Iterator[Step]:
    """Unmount what is at `path`; `with_line` takes its line out of fstab too. Raises Refused."""
    real = facts.known(DirectoryAt(path)).real
    mounts = facts.known(Mounts())
    before = fstab_file.text(facts)
    old = fstab.find(before, real)
    mounted = mounts.at(real)
    if real == "/":
        raise Refused("/ is what the host runs from, and is not unmounted")
    if beneath := [m.target for m in mounts.below(real)] if mounted else []:
        raise Refused(
            f"{', '.join(beneath)} is mounted beneath {real}",
            fix=f"novaops disk unmount HOST --path {beneath[0]} first",
        )
    changes: list[Change] = []
    actions: list[Action] = []
    if mounted is not None:
        changes.append(Change("mounted", mounted.source, None))
        back = by_line(real) if old else _as_it_was(mounted)
        undo = Command(back.words, holds=back.holds) if back else None
        actions.append(Command(_umount(real), holds=_not_mounted(real), undo=undo))
    if old is not None and with_line:
        changes.append(Change("fstab", old.render(), None))
        actions.append(fstab_file.write(facts, fstab.remove(before, real)))
    if changes:
        yield Step(resource, tuple(changes), tuple(actions))


def by_line(path: str) -> Command:
    """Mount by fstab's line, which proves the line too; undone by unmounting."""
    undo = Command(_umount(path), holds=_not_mounted(path))
    return Command(("mount", "--", path), holds=f"mountpoint -q -- {quote(path)}", undo=undo)


def _as_it_was(mounted: MountedAt) -> Command | None:
    """None for a folder shown in a second place: its device would show all of itself there."""
    if mounted.root != "/":
        return None
    options = ",".join(mount_options.live(mounted))
    words = ("mount", "-t", mounted.filesystem, "-o", options, "--", mounted.source, mounted.target)
    return Command(words, holds=f"mountpoint -q -- {quote(mounted.target)}")


def _umount(path: str) -> tuple[str, ...]:
    return ("umount", "--", path)


def _not_mounted(path: str) -> str:
    return f"! mountpoint -q -- {quote(path)}"
