"""What is observed of a disk: fstab and mounts by findmnt, devices by blkid, and a file by writing it."""

from __future__ import annotations

import json
import posixpath
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from novaops.formats import disk_name
from novaops.shell import lines_of
from novaops.verify import output

if TYPE_CHECKING:
    from testinfra.host import Host


class ExpectedMount(Protocol):
    """What an entry of `disk:` says."""

    path: str
    device: str
    filesystem: str
    label: str
    owner: str | None
    state: str
    options: tuple[str, ...]
    binds: bool


def wants_writable_disk(wanted: ExpectedMount) -> bool:
    return wanted.state == "mounted" and not wanted.binds and "ro" not in wanted.options


@dataclass(frozen=True)
class ObservedFstabLine:
    """A mount, as findmnt lists it from fstab or from the kernel."""

    source: str
    target: str
    fstype: str
    options: str
    uuid: str = ""

    @property
    def named_uuid(self) -> str:
        """The UUID that a line of fstab names; "" where it names its source in another way."""
        return match[1] if (match := re.fullmatch(r'UUID="?([^"]+)"?', self.source)) else ""


@dataclass(frozen=True)
class ObservedUnit:
    """A mount or automount unit, as systemctl shows it."""

    load: str = "not-found"
    file: str = ""
    """"" for one that has no file: what the kernel has mounted."""
    asked_for: bool = False
    """Whether another unit wants or requires it."""
    changed_by: tuple[str, ...] = ()
    """Drop-ins that say what is mounted, how or whether."""

    @property
    def lasts(self) -> bool:
        """Whether it is there after a reboot too. What is made from fstab lies below /run."""
        return bool(self.file) and not self.file.startswith("/run/")


@dataclass(frozen=True)
class Written:
    """A file that was written below the path, synced, looked at and removed."""

    number: str = ""
    """major:minor of the device it was on."""
    source: str = ""
    complaint: str = ""
    """Why it could not be written."""


@dataclass(frozen=True)
class ObservedMount:
    wanted: ExpectedMount
    place: str
    """The path with every symbolic link resolved: what fstab and the kernel name."""
    fstab: tuple[ObservedFstabLine, ...]
    mounted: ObservedFstabLine | None
    errors: tuple[str, ...]
    """What findmnt --verify complains about at the path."""
    devices: Mapping[str, str] = field(default_factory=dict)
    """Every device that blkid finds with fstab's UUID, and its major:minor."""
    label: str = ""
    filesystem: str = ""
    named: frozenset[str] = frozenset()
    """major:minor of what the entry's device leads to, and the serials of the disks that have fstab's UUID."""
    owners: tuple[str, ...] = ()
    """The owner of the path, by names and by numbers."""
    inodes: tuple[str, ...] = ()
    """Where the path and the entry's source lead, as device and inode: the same for a bind mount."""
    units: tuple[ObservedUnit, ...] = ()
    """The mount unit and the automount unit of the path. () where systemd does not run."""
    written: Written = Written()
    mark: str = ""
    """A file that is to survive a reboot."""

    @property
    def uuid(self) -> str:
        return self.fstab[-1].named_uuid if self.fstab else ""

    @property
    def writable(self) -> bool:
        """Whether a file may be written there."""
        return self.mounted is not None and wants_writable_disk(self.wanted)


@dataclass(frozen=True)
class Rebooted:
    mounted: ObservedFstabLine | None
    survived: bool
    """Whether the marker file was there, with what had been written into it."""


def observe(host: Host, entries: Sequence[ExpectedMount]) -> list[ObservedMount]:
    """Three execs for all entries, and up to five for each. Raises HostFailed where the host cannot say."""
    fstab = _in_fstab(output(host, "findmnt --fstab --list --json --output SOURCE,TARGET,FSTYPE,OPTIONS", expected=(0, 1)))
    wanted_paths = {wanted.path.rstrip("/") for wanted in entries if wanted.state == "mounted"}
    _use_automounts(host, [line for line in fstab if line.target in wanted_paths])
    kernel = _kernel(host)
    errors = _errors(output(host, "findmnt --verify 2>&1", expected=(0, 1)))
    return [_observe_entry(host, wanted, fstab, kernel, errors) for wanted in entries]


def before_reboot(host: Host, seen: Sequence[ObservedMount]) -> None:
    """Leave a marker file on every disk that can be written to."""
    for one in seen:
        if one.writable:
            output(host, f"{_NEW}printf '%%s\\n' %s >%s && sync -- %s", one.mark, one.mark, one.mark)


def after_reboot(host: Host, seen: Sequence[ObservedMount]) -> list[Rebooted]:
    """What is mounted now, and whether the marker files are there; they are removed."""
    _use_automounts(host, [line for one in seen for line in one.fstab])
    kernel = _kernel(host)
    read = "[ -L %s ] || [ ! -f %s ] || { cat -- %s && rm -- %s; }"
    survived = [one.writable and output(host, read, *[one.mark] * 4) == f"{one.mark}\n" for one in seen]
    return [Rebooted(_topmost(kernel, one.place), there) for one, there in zip(seen, survived, strict=True)]


_NEW = "umask 077; set -C; "
"""sh: `>FILE` makes a new file, and never follows a link. The folder may be a user's, who puts one there."""


def _use_automounts(host: Host, fstab: Sequence[ObservedFstabLine]) -> None:
    """What systemd mounts when it is used is used now; where that fails, nothing is mounted, which a claim says."""
    for line in fstab:
        if "x-systemd.automount" in line.options.split(","):
            host.run("ls -d -- %s/.", line.target)


# -- one entry ----------------------------------------------------------------------------------------------------------------


def _observe_entry(
    host: Host,
    wanted: ExpectedMount,
    fstab: Sequence[ObservedFstabLine],
    kernel: Sequence[ObservedFstabLine],
    errors: Mapping[str, tuple[str, ...]],
) -> ObservedMount:
    place, _, units = output(host, _PLACE, wanted.path, wanted.path).partition("\0")
    seen = ObservedMount(
        *(wanted, place, tuple(line for line in fstab if line.target == place), _topmost(kernel, place), errors.get(place, ())),
        mark=f"{place}/.novaops-verify-{secrets.token_hex(8)}",
    )
    probed = _probed(host, seen.uuid) if seen.uuid else {}
    paths = _paths(host, wanted.device)
    at_path, *stats = _stat(host, [place, *paths, *probed])
    at_device, at_probed = list(filter(None, stats[: len(paths)])), stats[len(paths) :]
    serials = _serials(host, list(probed)) if probed else set()
    tags = next(iter(probed.values()), {})
    seen = replace(
        seen,
        devices={name: stat.device for name, stat in zip(probed, at_probed, strict=True) if stat},
        label=tags.get("LABEL", ""),
        filesystem=tags.get("TYPE", ""),
        named=frozenset({found.device for found in at_device} | serials),
        owners=at_path.owners if at_path else (),
        inodes=tuple(stat.inode for stat in (at_path, *at_device) if stat),
        units=tuple(_units(units)),
    )
    return replace(seen, written=_write(host, seen)) if seen.writable else seen


_PLACE = """\
readlink -z -m -- %s || exit
[ -d /run/systemd/system ] || exit 0
unit=$(systemd-escape --path -- "$(readlink -m -- %s)") || exit
systemctl show -p LoadState,FragmentPath,WantedBy,RequiredBy -- "$unit.mount" "$unit.automount"
echo
drop_ins=$(systemctl show --value -p DropInPaths -- "$unit.mount")
grep -l -s -E '^ *(What|Where|Type|Options|Condition.*|Assert.*) *=' $drop_ins </dev/null || :
"""


def _units(shown: str) -> Iterator[ObservedUnit]:
    *blocks, drop_ins = shown.split("\n\n")
    for block, changed in zip(blocks, (tuple(lines_of(drop_ins)), ()), strict=False):
        unit = dict(line.partition("=")[::2] for line in lines_of(block))
        asked_for = bool(unit.get("WantedBy") or unit.get("RequiredBy"))
        yield ObservedUnit(unit.get("LoadState", ""), unit.get("FragmentPath", ""), asked_for, changed)


def _paths(host: Host, device: str) -> list[str]:
    """Where the entry's device may be found."""
    if device == "auto" or device.startswith(("/", "ID=")):
        return [] if device == "auto" else [device.replace("ID=", "/dev/disk/by-id/", 1)]
    if "=" in device:
        return lines_of(output(host, "findfs %s", device, expected=(0, 1)))
    return sorted(disk_name.links(device))


@dataclass(frozen=True)
class _Stat:
    device: str
    """major:minor of a device file."""
    inode: str
    owners: tuple[str, ...]


def _stat(host: Host, paths: Sequence[str]) -> list[_Stat | None]:
    """What each path leads to; None where there is nothing."""
    words = " ".join(["%s"] * len(paths))
    loop = f"for path in {words}; do stat -L -c '%%t:%%T %%d:%%i %%U:%%G %%u:%%g' -- \"$path\" 2>/dev/null || echo; done"
    found = [line.split() for line in lines_of(output(host, loop, *paths))]
    return [_Stat(_decimal(fields[0]), fields[1], tuple(fields[2:])) if fields else None for fields in found]


def _write(host: Host, seen: ObservedMount) -> Written:
    """A file written at the place, synced to its device, looked at, and removed again. Once it is open, its name is not followed again."""
    done = host.run(
        _NEW
        + """\
file=$(mktemp -u -- %s/.novaops-verify-XXXXXXXX) && exec 3>"$file" || exit
trap 'rm -f -- "$file"' EXIT
here=/proc/$$/fd/3
printf '%%s\\n' "$file" >&3 && sync -- "$here" && stat -L -c '%%d' -- "$here" || exit
source=$(df --output=source -- "$here" | tail -n 1) || exit
printf '%%s\\n' "$source"
stat -L -c '%%t:%%T' -- "$source" 2>/dev/null || echo 0:0
rm -- "$file" && [ ! -e "$file" ]""",
        seen.place,
    )
    if done.rc:
        return Written(complaint=done.stderr.strip() or f"exit status {done.rc}")
    number, source, source_number = lines_of(done.stdout)
    # A file on btrfs has a device number that no device has: what it is on is what its mount says.
    on_btrfs = seen.mounted is not None and seen.mounted.fstype == "btrfs"
    return Written(_decimal(source_number) if on_btrfs else _major_minor(int(number)), source)


# -- what the tools print -----------------------------------------------------------------------------------------------------


def _kernel(host: Host) -> tuple[ObservedFstabLine, ...]:
    return _lines(output(host, "findmnt --kernel --list --json --output SOURCE,TARGET,FSTYPE,OPTIONS,UUID"))


def _topmost(lines: Sequence[ObservedFstabLine], place: str) -> ObservedFstabLine | None:
    """What is mounted at `place`; of several stacked there the last, which is the visible one."""
    return next((line for line in reversed(lines) if line.target == place), None)


def _lines(text: str) -> tuple[ObservedFstabLine, ...]:
    """What findmnt says as JSON; it prints nothing when there is nothing."""
    found = json.loads(text)["filesystems"] if text.strip() else []
    return tuple(ObservedFstabLine(**{key: value or "" for key, value in line.items()}) for line in found)


def _in_fstab(text: str) -> tuple[ObservedFstabLine, ...]:
    """The lines of fstab, in which a path may be written as /data/ or //data: findmnt says it as it is there."""
    return tuple(replace(line, target=_plain(line.target)) for line in _lines(text))


def _plain(path: str) -> str:
    return posixpath.normpath(f"/{path.lstrip('/')}") if path.startswith("/") else path


def _errors(text: str) -> dict[str, tuple[str, ...]]:
    """The errors of findmnt --verify, by the path they are about. Warnings are none."""
    errors: dict[str, tuple[str, ...]] = {}
    place = ""
    for line in lines_of(text):
        if line.startswith("/"):
            place = _plain(line)
        elif match := re.match(r"\s+\[E\] (.*)", line):
            errors[place] = (*errors.get(place, ()), match[1])
    return errors


def _probed(host: Host, uuid: str) -> dict[str, dict[str, str]]:
    """The devices that have `uuid` now, not by blkid's cache, and their tags."""
    text = output(host, "blkid -c /dev/null -o export -t %s", f"UUID={uuid}", expected=(0, 2))
    blocks = (dict(line.split("=", 1) for line in lines_of(block) if "=" in line) for block in text.split("\n\n"))
    return {tags.pop("DEVNAME"): tags for tags in blocks if "DEVNAME" in tags}


def _serials(host: Host, devices: Sequence[str]) -> set[str]:
    """The serials of the devices, and of the disks they are parts of."""
    words = " ".join(["%s"] * len(devices))
    return set(output(host, f"lsblk --noheadings --inverse --list --output SERIAL -- {words}", *devices).split())


def _decimal(hexadecimal: str) -> str:
    """254:16 for fe:10, as stat has it."""
    return ":".join(str(int(part, 16)) for part in hexadecimal.split(":"))


def _major_minor(number: int) -> str:
    """A device number as Linux packs it, whatever the operator's own machine does."""
    major = (number >> 8) & 0xFFF | (number >> 32) & ~0xFFF
    minor = number & 0xFF | (number >> 12) & ~0xFF
    return f"{major}:{minor}"
