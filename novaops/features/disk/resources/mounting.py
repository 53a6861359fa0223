"""The commands by which a mount comes, changes and goes."""

from __future__ import annotations

from dataclasses import replace

from novaops.facts.directory import Directory
from novaops.features.disk.facts.mounts import MountedAt
from novaops.features.disk.resources import mount_options
from novaops.features.disk.resources.mount_options import Switches
from novaops.formats.fstab import FstabLine
from novaops.model.action import Command
from novaops.shell import join, quote, sh_file

_SH = sh_file(__package__, "mounting.sh")


def make_directory(place: Directory) -> Command:
    """The mount point, with those above it that are missing; undone where nothing was put into it meanwhile."""
    made = place.real[len(place.nearest) :].strip("/")
    undo = Command(
        ("sh", "-c", f'{_SH}unmake "$1" "$2"', "rmdir", place.nearest, made),
        holds=f'[ ! -d {quote(place.real)} ] || [ -n "$(ls -A -- {quote(place.real)})" ]',
    )
    return Command(("mkdir", "-p", "-m", "0755", "--", place.real), holds=f"[ -d {quote(place.real)} ]", undo=undo)


def trial(line: FstabLine, path: str) -> Command:
    """Mount without fstab and unmount again, so that a line that cannot work is never written."""
    kind = () if line.filesystem == "none" else ("-t", line.filesystem)
    words = ("mount", *kind, "-o", ",".join(line.options), "--", line.source, path)
    return Command(("sh", "-c", f'{_SH}trial "$0" "$@"', path, *words))


def proof(line: FstabLine, *, read_only: bool) -> Command:
    """Mount elsewhere for a moment what is mounted already, or waits for its first use: a remount does not tell whether the next one will work.

    `read_only`: whether it is mounted so now.
    """
    options = [option for option in line.options if option not in {"ro", "rw"} and not option.startswith(_OF_SELINUX)]
    access = ("ro", "rw") if read_only else ("rw", "ro")
    return Command(("sh", "-c", f'{_SH}proven "$@"', "proof", line.filesystem, ",".join(options), line.source, *access))


_OF_SELINUX = ("context=", "fscontext=", "defcontext=", "rootcontext=")
"""One file system has one context, wherever it is mounted."""


def by_line(line: FstabLine, path: str) -> Command:
    """Mount by fstab's line, which proves the line too; undone by unmounting. An automount is started, and used once."""
    if line.automounts:
        return Command(_automount("on", path), holds=_automounted(path), undo=automount_off(path))
    return Command(("mount", "--", path), holds=_is_mounted(path), undo=umount(path, whole="rbind" in line.options))


def as_it_was(mounted: MountedAt) -> Command | None:
    """Mount again what has no line. None for a folder shown in a second place: its device would show all of itself there."""
    if mounted.root != "/":
        return None
    options = dict.fromkeys((*mount_options.written(mount_options.live(mounted), mounted), *mount_options.given(mounted)))
    words = ("mount", "-t", mounted.filesystem, "-o", ",".join(options), "--", mounted.source, mounted.target)
    return Command(words, holds=_is_mounted(mounted.target))


def umount(path: str, undo: Command | None = None, *, whole: bool = False) -> Command:
    """`whole`: with what an rbind brought along, which stays where it came from."""
    words = ("sh", "-c", f'{_SH}taken_off "$1"', "umount", path) if whole else ("umount", "--", path)
    return Command(words, holds=f"! {_is_mounted(path)}", undo=undo)


def automount_off(path: str, undo: Command | None = None) -> Command:
    """Unmount, and stop the automount unit, which would mount it again."""
    return Command(_automount("off", path), holds=f"! {_automounted(path)}", undo=undo)


def remount(mounted: MountedAt, wanted: Switches, live: Switches, *, bound: bool) -> Command:
    """From the live options to the wanted ones. It says what the kernel has against it."""

    def command(switches: Switches, other: Switches) -> Command:
        there, gone = mount_options.shown(switches, other, mounted)
        words = mount_options.remount(mounted, switches, other, bound=bound)
        holds = f"{_SH}shows {join([mounted.target, *there, '--', *gone])}"
        return Command(("sh", "-c", f'{_SH}told "$0" "$@"', *words), holds=holds)

    return replace(command(wanted, live), undo=command(live, wanted))


def chown(path: str, owner: str, before: str) -> Command:
    """`before` is USER:GROUP; "" where the file system that has it comes with the same step."""

    def command(to: str) -> Command:
        user, _, group = to.partition(":")
        found = " ".join(f'"$(stat -c {form} -- {quote(path)})"' for form in ("%U:%u", "%G:%g"))
        return Command(("chown", to, "--", path), holds=f"{_SH}owned {quote(user)} {quote(group)} {found}")

    return replace(command(owner), undo=command(before) if before else None)


def _automount(what: str, path: str) -> tuple[str, ...]:
    return ("sh", "-c", f'{_SH}automount_{what} "$1"', f"automount {what}", path)


def _is_mounted(path: str) -> str:
    """A test: something is mounted there by itself. A step that makes an automount of it undoes the one and does the other."""
    return f"{{ mountpoint -q -- {quote(path)} && ! {_waits(path)}; }}"


def _automounted(path: str) -> str:
    """A test: an automount is there, with something mounted or not. Without systemd there is none, and the line is mounted at once."""
    return f"{{ {_waits(path)} || {{ [ ! -d /run/systemd/system ] && mountpoint -q -- {quote(path)}; }}; }}"


def _waits(path: str) -> str:
    return f"findmnt -n -o FSTYPE --mountpoint {quote(path)} | grep -qx autofs"
