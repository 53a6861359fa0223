"""Which disk is meant, and whether it may be used: what keeps data from being lost is decided here. Pure."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from novaops.errors import Refused
from novaops.features.disk.facts.device import Device
from novaops.features.disk.facts.device_table import BlockDevice, DeviceTable
from novaops.features.disk.facts.mounts import MountTable
from novaops.features.disk.resources.places import unmount_hint
from novaops.formats import disk_name, fstab
from novaops.formats.size import human
from novaops.model.question import Missing


@dataclass(frozen=True)
class DiskRequest:
    """The disk that is asked for. `device` is auto, a path, a tag such as UUID=…, a serial, or a name that udev or a cloud gives it."""

    device: str
    filesystem: str
    path: str
    """The mount point, every link resolved."""
    written: str
    """The mount point as it was written."""
    wipe: str = ""
    read_only: bool = False


@dataclass(frozen=True)
class HostDisks:
    """The facts that a selection rests on."""

    table: DeviceTable
    mounts: MountTable
    fstab: bytes
    crypttab: str
    named: Device | Missing | None
    """What is at `DiskRequest.device` where that is a path; None where it is not a path."""


@dataclass(frozen=True)
class DiskChoice:
    device: BlockDevice
    make: bool
    """Whether a file system has to be made; otherwise the one that is there is used."""
    uuid: str
    """The UUID of the file system, existing or to be made."""
    wipe: bool = False


def select(request: DiskRequest, host: HostDisks) -> DiskChoice:
    """The device for `request`. Raises Refused, with what is on the device, unless using it is provably safe."""
    device = _named(request, host) if request.device != "auto" else _automatic(request, host)
    device = next((d for d in _pool(device, host.table) if is_mounted(d, request.path, host.mounts)), device)
    if is_mounted(device, request.path, host.mounts) or _is_automounted(device, request, host):
        return _mounted(request, device, host)
    _refuse_if_used(request, device, host)
    if request.wipe and request.wipe in device.identities:
        return _make(request, device, host, wipe=True)
    if request.wipe and device.blank is not True:
        raise Refused(
            f"--wipe {request.wipe} is not the identity of {describe(device)}",
            why=f"It holds {device.content or 'unknown data'}.",
            fix=_wipe_hint(device),
        )
    if device.blank is True:
        return _make(request, device, host, wipe=False)
    if device.filesystem == request.filesystem and {s.kind for s in device.signatures} == {request.filesystem}:
        if device.read_only and not request.read_only:
            raise Refused(f"{describe(device)} is read-only", fix="add --options ro to mount it for reading")
        _refuse_copy(device, host.table)
        return DiskChoice(device, make=False, uuid=device.uuid)
    raise _holds_something(request, device, host.table)


def is_mounted(device: BlockDevice, path: str, mounts: MountTable) -> bool:
    """Whether the device is mounted at `path`. A bind mount of one of its folders does not count, a subvolume of btrfs does."""
    mounted = mounts.at(path)
    if mounted is None or (mounted.root != "/" and mounted.filesystem != "btrfs"):
        return False
    return mounted.number == device.number or mounted.source in {device.path, *device.links}


def _is_automounted(device: BlockDevice, request: DiskRequest, host: HostDisks) -> bool:
    """Whether the device is mounted there as soon as that is used: an automount waits, and fstab's line names the device."""
    line = fstab.find(host.fstab, request.path, request.written)
    return line is not None and host.mounts.automounted(request.path) and fstab.source_name(line.source) in device.names


def describe(device: BlockDevice) -> str:
    """/dev/vdb (serial DATA, 20 GiB): enough to identify it."""
    about = [f"serial {device.serial}"] if device.serial else []
    return f"{device.path} ({', '.join([*about, human(device.size)])})"


def uses(device: BlockDevice, table: DeviceTable, mounts: MountTable) -> Iterator[str]:
    """Why the device, or anything made of it, is in use; nothing for an idle one."""
    for part in table.family(device):
        name = "it" if part is device else part.path
        mounted = [m.target for m in mounts.mounts if m.number == part.number or m.source == part.path]
        for target in mounted:
            yield f"{name} is mounted at {target}" + (", the host runs from it" if target == "/" else "")
        yield from (f"{name} {use}" for use in part.users if not mounted)
        if {part.path, *part.links} & set(table.swaps):
            yield f"{name} is swap space in use"
        if part is not device and (part.kind in {"lvm", "crypt", "mpath"} or part.kind.startswith("raid")):
            yield f"{part.path} ({part.kind}) is built on it"
        elif part.holders and not any(True for _ in table.children(part)):
            yield f"{name} is held by {', '.join(part.holders)}"


def _named(request: DiskRequest, host: HostDisks) -> BlockDevice:
    wanted = request.device
    found: tuple[BlockDevice, ...]
    if wanted.startswith("/"):
        if host.named is Missing.ABSENT or not isinstance(host.named, Device):
            raise Refused(f"there is no {wanted} on this host", why=_overview(host), fix=_did_you_mean(wanted, host))
        if "block" not in host.named.kind:
            raise Refused(f"{wanted} is a {host.named.kind}, not a disk", why=_overview(host), fix=_LOOK)
        device = host.table.find(host.named.real)
        found = (device,) if device else ()
    elif "=" in wanted:
        found = host.table.named(wanted)
        if found and not request.wipe and set(found) <= set(_pool(found[0], host.table)):
            found = found[:1]
    else:
        exact = tuple(
            d for d in host.table.devices if d.serial == wanted or {d.path, *d.links} & {f"/dev/disk/by-id/{wanted}", f"/dev/{wanted}"}
        )
        serials, links = disk_name.serials(wanted), disk_name.links(wanted)
        found = exact or tuple(d for d in host.table.devices if d.serial in serials or {d.path, *d.links} & links)
    if len(found) == 1:
        return found[0]
    if found:
        raise _several(wanted, found)
    raise Refused(f"no disk on this host is {wanted}", why=_overview(host), fix=_did_you_mean(wanted, host))


def _pool(device: BlockDevice, table: DeviceTable) -> tuple[BlockDevice, ...]:
    """The devices that one file system of btrfs lies on. A copy of a disk is none of them: it has its number in the file system too."""
    if device.filesystem != "btrfs":
        return (device,)
    same = tuple(d for d in table.devices if d.filesystem == "btrfs" and d.uuid == device.uuid)
    numbers = {d.probed.get("UUID_SUB", "") for d in same} - {""}
    return same if len(numbers) == len(same) else (device,)


def strangers(device: BlockDevice, table: DeviceTable) -> Iterator[BlockDevice]:
    """The devices that neither lie on this one, nor this one on them, nor share a file system with it."""
    pool = _pool(device, table)
    return (d for d in table.devices if d not in pool and d not in table.family(device) and device not in table.family(d))


def _refuse_copy(device: BlockDevice, table: DeviceTable) -> None:
    """Raises Refused where the line in fstab, which is by UUID, would mean another device as well."""
    if copies := [d for d in strangers(device, table) if device.uuid and d.uuid == device.uuid]:
        names = " and ".join(map(describe, copies))
        new = {"ext4": "tune2fs -U random", "xfs": "xfs_admin -U generate", "btrfs": "btrfstune -u"}[device.filesystem]
        raise Refused(
            f"{describe(device)} has the UUID {device.uuid}, and so has {names}",
            why="One is probably a copy of the other. Which of them is mounted by UUID when the host starts is chance.",
            fix=f"detach the copy, or give it a UUID of its own, on the host: {new} DEVICE",
        )


def _did_you_mean(wanted: str, host: HostDisks) -> str:
    disks = [device for device in host.table.devices if device.kind == "disk"]
    known = {name: device for device in disks for name in (device.serial, *device.links) if name}
    meant = disk_name.similar(wanted, known)
    if len({known[name].path for name in meant}) != 1:
        return _LOOK
    device = known[meant[0]]
    return f"did you mean {device.path}? --device {device.serial or _stable_name(device)}; {_LOOK}"


def _several(name: str, found: Sequence[BlockDevice]) -> Refused:
    return Refused(
        f"{name} is the name of {len(found)} devices: {', '.join(map(describe, found))}",
        why="One is probably a copy of the other.",
        fix="name the device by its path or serial",
    )


_LOOK = "novaops disk ls HOST shows every disk with its names"


def _automatic(request: DiskRequest, host: HostDisks) -> BlockDevice:
    """What fstab or the kernel already has at the path, so that a second run finds the disk of the first; else the one blank disk."""
    line = fstab.find(host.fstab, request.path, request.written)
    if line is not None:
        device = next((d for d in host.table.devices if fstab.source_name(line.source) in d.names), None)
        if device is None and "=" not in line.source and not line.source.startswith("/dev/"):
            raise Refused(
                f"/etc/fstab has {line.source} ({line.filesystem}) for {request.path}, which is no disk",
                fix=unmount_hint(request.path, "choose another --path", ", or choose another --path"),
            )
        if device is None:
            raise Refused(
                f"/etc/fstab has {line.source} for {request.path}, and no disk on this host is that",
                why="The disk is missing, or was made anew. Another one is not taken in its place.",
                fix=f"attach the disk, or take the line out: {unmount_hint(request.path, 'by hand')}",
            )
        return device
    for device in host.table.devices:
        if is_mounted(device, request.path, host.mounts):
            return device
    if request.wipe:
        meant = [device for device in host.table.devices if request.wipe in device.identities]
        if len(meant) > 1:
            raise _several(request.wipe, meant)
        if meant:
            return meant[0]
    idle = [
        d
        for d in host.table.devices
        if d.kind == "disk" and not d.path.startswith("/dev/zram") and not any(uses(d, host.table, host.mounts))
    ]
    blank = [d for d in idle if d.blank is True and not d.read_only]
    formatted = [
        part
        for disk in idle
        for part in host.table.family(disk)
        if part.filesystem == request.filesystem and part is _pool(part, host.table)[0] and not fstab.with_source(host.fstab, part.names)
    ]
    for found, what in ((blank, "blank disks"), (formatted, f"idle disks with {request.filesystem}")):
        if len(found) == 1:
            return found[0]
        if found:
            raise Refused(
                f"there are {len(found)} {what}: {', '.join(map(describe, found))}",
                why="auto means the only one.",
                fix="say which: " + " or ".join(f"--device {_stable_name(d)}" for d in found),
            )
    raise Refused("there is no blank disk on this host", why=_overview(host), fix=_no_blank_hint(request, idle))


def _mounted(request: DiskRequest, device: BlockDevice, host: HostDisks) -> DiskChoice:
    if request.wipe in device.identities and not _was_made_by(device.uuid, request.wipe):
        raise Refused(
            f"{describe(device)} is mounted at {request.path}, and is not wiped while it is in use",
            fix=unmount_hint(request.path, _LOOK, ", then run this again"),
        )
    if device.filesystem != request.filesystem:
        raise Refused(
            f"{request.path} is {device.filesystem or 'an unknown file system'}, and {request.filesystem} is wanted",
            why=f"{describe(device)} is mounted there with its data.",
            fix=f"--filesystem {device.filesystem} keeps it as it is",
        )
    if device.filesystem != "btrfs" and fstab.find(host.fstab, request.path, request.written) is None:
        _refuse_line_elsewhere(request, device, host)  # subvolumes of btrfs have a line each
    return DiskChoice(device, make=False, uuid=device.uuid)


def _refuse_if_used(request: DiskRequest, device: BlockDevice, host: HostDisks) -> None:
    if reasons := list(uses(device, host.table, host.mounts)):
        raise Refused(
            f"{describe(device)} is in use: {'; '.join(reasons)}",
            why="A disk in use is neither formatted nor mounted elsewhere, --wipe or not.",
            fix="novaops disk ls HOST shows what is idle",
        )
    _refuse_line_elsewhere(request, device, host)


def is_swap_of_fstab(device: BlockDevice, content: bytes) -> bool:
    """Whether fstab has the device as swap space, in use or not."""
    return any(line.filesystem == "swap" for line in fstab.with_source(content, device.names))


def _refuse_line_elsewhere(request: DiskRequest, device: BlockDevice, host: HostDisks) -> None:
    """Raises Refused where the host takes the device, or a part of it, for something else when it starts."""
    for part in host.table.family(device):
        if is_swap_of_fstab(part, host.fstab):
            raise Refused(
                f"/etc/fstab has {part.path} as swap space",
                why="The host takes it as swap when it starts, and waits for it where it is gone.",
                fix="take its line out of /etc/fstab on the host, then run this again",
            )
        if name := next((name for name, source in _opened_at_start(host.crypttab) if source in part.names), ""):
            raise Refused(
                f"/etc/crypttab opens {part.path} as {name} when the host starts",
                why="With swap or tmp in its options it makes anew what is on it; and it fails on a disk without encryption.",
                fix="take its line out of /etc/crypttab on the host, then run this again",
            )
        for line in fstab.with_source(host.fstab, part.names):
            if line.path not in {request.path, request.written} and line.path.startswith("/"):
                raise Refused(
                    f"/etc/fstab mounts {part.path} at {line.path}, not at {request.path}",
                    why="One device with two lines is mounted wherever comes first.",
                    fix=unmount_hint(line.path, f"--path {line.path} is what fstab has it for", ", then run this again"),
                )


def _opened_at_start(crypttab: str) -> Iterator[tuple[str, str]]:
    """The name and the device of each line of crypttab(5)."""
    for words in map(str.split, crypttab.split("\n")):
        opened = len(words) > 1 and not words[0].startswith("#")
        if opened and "noauto" not in (words[3].split(",") if len(words) > 3 else ()):  # noqa: PLR2004 - name, device, key, options
            yield words[0], fstab.source_name(words[1])


def _make(request: DiskRequest, device: BlockDevice, host: HostDisks, *, wipe: bool) -> DiskChoice:
    if device.read_only:
        raise Refused(f"{describe(device)} is read-only: no file system can be made on it")
    if request.read_only:
        raise Refused(
            f"{describe(device)} has no {request.filesystem} on it, and a read-only mount of a new file system is of no use",
            fix="leave ro out of the options to have one made",
        )
    new = uuid.uuid5(uuid.UUID(host.table.fresh_uuid), device.path)
    return DiskChoice(device, make=True, uuid=str(_after_wipe(new, request.wipe) if wipe else new), wipe=wipe)


def _after_wipe(new: uuid.UUID, identity: str) -> uuid.UUID:
    """The UUID of the file system that a `--wipe` makes: it tells that wipe when it is asked for a second time from one never done.

    The first 32 bits are those of `new`, the rest follows from them and the identity.
    """
    first = new.hex[:8]
    return uuid.UUID(first + uuid.uuid5(uuid.NAMESPACE_URL, f"novaops disk wipe {identity} {first}").hex[8:])


def is_meant_by(device: BlockDevice, identity: str) -> bool:
    """Whether `--wipe` with the identity is about the device, or was when it was done."""
    return identity in device.identities or _was_made_by(device.uuid, identity)


def _was_made_by(found: str, identity: str) -> bool:
    try:
        return uuid.UUID(found) == _after_wipe(uuid.UUID(found), identity)
    except ValueError:
        return False


def _holds_something(request: DiskRequest, device: BlockDevice, table: DeviceTable) -> Refused:
    if device.blank is None:
        return Refused(
            f"what is on {describe(device)} could not be read to its end",
            why="Only a disk that was looked at, and is blank, is formatted.",
            fix="dmesg on the host says more about a disk that cannot be read",
        )
    partitions = [part for part in table.children(device) if part.kind == "part"]
    listed = [f"{part.path}: {part.content or 'blank'}, {human(part.size)}" for part in partitions]
    fitting = [part for part in partitions if part.filesystem == request.filesystem or part.blank]
    hint = _wipe_hint(device)
    if fitting:
        hint = f"to use the partition: --device {fitting[0].path}; {hint}"
    elif device.filesystem in {"ext4", "xfs", "btrfs"} and len(device.signatures) == 1:
        hint = f"to mount it as it is: --filesystem {device.filesystem}; {hint}"
    return Refused(
        f"{describe(device)} is not blank: it holds {device.content}",
        why="; ".join(listed),
        fix=hint,
    )


def _wipe_hint(device: BlockDevice) -> str:
    if not device.identities:
        return "wipe it by hand if nothing on it is needed: wipefs -a on the host"
    return f"to lose what is on it: --wipe {device.identities[0]}"


def _no_blank_hint(request: DiskRequest, idle: Sequence[BlockDevice]) -> str:
    if not idle:
        return "attach a disk at the provider, then run this again"
    if request.wipe:
        return f"--wipe {request.wipe} is none of their identities"
    return "name the one to use: " + " or ".join(f"--device {_stable_name(d)}" for d in idle)


def _stable_name(device: BlockDevice) -> str:
    """A name below /dev/disk/by-id where there is one: kernel names change between boots."""
    by_id = [link for link in device.links if link.startswith("/dev/disk/by-id/")]
    return min(by_id, key=len) if by_id else device.path


def _overview(host: HostDisks) -> str:
    rows = []
    for disk in host.table.devices:
        if disk.kind == "disk":
            reasons = list(uses(disk, host.table, host.mounts))
            rows.append(f"{describe(disk)}: {'; '.join(reasons) or disk.content or 'blank'}")
    return "Disks here: " + " · ".join(rows) if rows else "The host has no disks."
