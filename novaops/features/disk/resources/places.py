"""Whether something may be mounted at a path, and what holds the path now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from novaops.errors import Refused
from novaops.facts.directory import Directory
from novaops.features.disk.facts.mount_units import MountUnits
from novaops.features.disk.facts.mounts import MountedAt, MountTable
from novaops.formats.fstab import unescape
from novaops.model.question import Missing
from novaops.shell import quote

_SUBVOLUME = ("subvol=", "subvolid=")
"""The kernel shows both of each mount of a btrfs."""

_VIRTUAL = {"proc", "sysfs", "devtmpfs", "devpts", "cgroup2", "cgroup", "securityfs", "debugfs", "tracefs", "bpf", "efivarfs"}
_SYSTEM_FOLDERS = tuple(
    f"/{name}"
    for name in (
        *("bin", "boot", "dev", "efi", "etc", "lib", "lib32", "lib64", "nix", "ostree", "proc", "root", "run", "sbin", "snap", "sys"),
        *("sysroot", "usr"),
        *(f"var/lib/{name}" for name in ("apt", "cloud", "dbus", "dpkg", "NetworkManager", "novaops", "pacman", "rpm", "sss", "systemd")),
    )
)
"""The host needs them and all that is in them."""

_SYSTEM_PATHS = frozenset(f"/{name}" for name in ("", "home", "tmp", "var", "var/lib", "var/log", "var/mail", "var/spool"))
"""The host needs them, and not all that is in them."""


def is_of_the_system(path: str) -> bool:
    """Whether the host itself needs what is there: nobody is advised to move or to unmount that. In a home are the keys of its user."""
    is_home = path.rpartition("/")[0] == "/home"
    in_folder = any(path == folder or path.startswith(f"{folder}/") for folder in _SYSTEM_FOLDERS)
    return path in _SYSTEM_PATHS or in_folder or is_home or ".ssh" in path.split("/")


def unmount_hint(path: str, otherwise: str, then: str = "") -> str:
    """The command that unmounts `path`, and what follows it; for a path of the system something else."""
    return otherwise if is_of_the_system(path) else f"novaops disk unmount HOST --path {path}{then}"


def holder(path: str, mounts: MountTable) -> MountedAt:
    """The mount that `path` is in."""
    holders = [m for m in mounts.mounts if path == m.target or path.startswith(m.target.rstrip("/") + "/")]
    return max(holders, key=lambda m: len(m.target))


def seen_at(path: str, mounts: MountTable) -> tuple[str, str]:
    """The device number and the path inside its file system of what is at `path`."""
    mount = holder(path, mounts)
    inside = path[len(mount.target.rstrip("/")) :]
    return mount.number, (mount.root.rstrip("/") + inside) or "/"


def is_shared(mounted: MountedAt, mounts: MountTable) -> bool:
    """Whether other subvolumes of the same btrfs are mounted. Options of the file system are those of all of them."""
    return mounted.filesystem == "btrfs" and any(m.number == mounted.number and m.root != mounted.root for m in mounts.mounts)


def occupied(place: Directory, mounted: MountedAt) -> Refused:
    hint = "" if is_of_the_system(place.real) else f", or unmount it first: novaops disk unmount HOST --path {place.real}"
    return Refused(f"{mounted.source} ({mounted.filesystem}) is mounted at {place.real} already", fix=f"choose another --path{hint}")


def refuse_other_subvolume(mounted: MountedAt, options: Iterable[str], before: Iterable[str]) -> None:
    """Raises Refused where the line means another subvolume of btrfs than the one that is seen: other data, from the next mount on."""
    wanted, was = ([option for option in some if option.startswith(_SUBVOLUME)][-1:] for some in (options, before))
    seen = {name: value for name, _, value in (unescape(option).partition("=") for option in mounted.options) if f"{name}=" in _SUBVOLUME}
    if mounted.filesystem != "btrfs" or not (wanted or was) or not seen:
        return
    name, _, value = (wanted or ["subvol="])[0].partition("=")
    if seen.get(name, "").strip("/") != value.strip("/"):
        raise Refused(
            f"{mounted.target} shows {mounted.root} of {mounted.source}, and {wanted[0] if wanted else 'no subvol='} is wanted",
            why="Another subvolume is other data, and no remount changes it.",
            fix=unmount_hint(mounted.target, "say the one that is mounted", ", then run this again"),
        )


def refuse_part(options: Iterable[str], path: str) -> None:
    """Raises Refused for mount(8)'s option that shows one folder of a disk in its place."""
    if part := next((option for option in options if option.startswith("X-mount.subdir=")), ""):
        raise Refused(
            f"{part} shows one folder of the disk at {path}",
            why="novaops mounts disks as a whole.",
            fix="mount the disk in another place, and show the folder at this path by an entry with its path as `device` and `options: [bind]`",
        )


def refuse_no_directory(place: Directory) -> None:
    if place.state == "other":
        raise Refused(f"{place.nearest} is not a directory", fix="choose another --path")


def refuse_place(place: Directory, mounts: MountTable) -> None:
    """Raises Refused where the mount would hide files or other mounts."""
    if place.state == "filled":
        raise Refused(
            f"{place.real} is not empty",
            why="Mounting there would hide what is in it.",
            fix="choose another --path" if is_of_the_system(place.real) else "move the files away, or choose another --path",
        )
    if beneath := [m.target for m in mounts.below(place.real)]:
        raise Refused(f"{', '.join(beneath)} is mounted beneath {place.real}, and would be hidden", fix="choose another --path")
    under = holder(place.nearest, mounts)
    if under.filesystem in _VIRTUAL:
        raise Refused(f"{place.real} is inside {under.target}, which the kernel makes", fix="choose another --path")


def refuse_unit(units: MountUnits | Literal[Missing.ABSENT], path: str, *, automounts: bool) -> None:
    """Raises Refused where systemd would not go by the line in fstab when the host starts."""
    if units is Missing.ABSENT:
        return
    for unit in units if automounts else (units.mount,):
        if unit.state == "masked":
            raise Refused(
                f"systemd's unit for {path} is masked: {unit.file}",
                why="It mounts nothing there when the host starts, whatever /etc/fstab says.",
                fix=f"on the host: systemctl unmask {quote(unit.name)}",
            )
    if units.mount.state == "own":
        raise Refused(
            f"systemd has a unit of its own for {path}: {units.mount.file}",
            why="When the host starts, it outweighs the line in /etc/fstab.",
            fix="choose another --path, or leave this one to fstab, on the host: "
            f"systemctl disable {quote(units.mount.name)}; rm {quote(units.mount.file)}; systemctl daemon-reload",
        )
    if units.drop_in:
        raise Refused(
            f"{units.drop_in} changes how systemd mounts {path}",
            why="When the host starts, it outweighs the line in /etc/fstab.",
            fix="say it by --options or `options:` and take that file away, or choose another --path",
        )


def refuse_return(units: MountUnits | Literal[Missing.ABSENT], path: str) -> None:
    """Raises Refused where systemd mounts it again without a line in fstab when the host starts."""
    for unit in () if units is Missing.ABSENT else units:
        if unit.started and unit.state != "masked":
            raise Refused(
                f"{unit.file} mounts {path} again when the host starts",
                why="It is a unit of systemd's own, not made from /etc/fstab.",
                fix=f"on the host: systemctl disable {quote(unit.name)}",
            )
