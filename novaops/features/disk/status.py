"""The disks of a host: size, content, where they are mounted, and which are idle. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from typing import Any

from novaops.errors import HostFailed
from novaops.facts.file import FileAt
from novaops.features.disk.facts.block_devices import BlockDevices
from novaops.features.disk.facts.device_table import KINDS, BlockDevice, DeviceTable
from novaops.features.disk.facts.filesystem_size import FilesystemExtent, MountedFilesystems
from novaops.features.disk.facts.mounts import Mounts, MountTable
from novaops.features.disk.facts.storage_layers import Array, Encryption, Layers, StorageLayers
from novaops.features.disk.resources.fstab_file import FSTAB
from novaops.features.disk.resources.selection import is_swap_of_fstab, uses
from novaops.formats import fstab
from novaops.formats.size import human
from novaops.model.question import Facts, Question
from novaops.shell import quote


@dataclass(frozen=True)
class DiskLine:
    """A disk or something made of it. All that `disk ls` says about it."""

    device: str
    kind: str
    depth: int
    """0 for a disk, 1 for what is on it, and so on."""
    size: int
    """Bytes."""
    serial: str
    model: str
    content: str
    uuid: str
    label: str
    mounted: tuple[str, ...]
    fstab: tuple[str, ...]
    automounted: tuple[str, ...]
    """Of the paths in fstab those at which systemd mounts it when they are used."""
    idle: bool
    """Of a disk: nothing on it is mounted, swapped to, or part of something larger."""
    uses: tuple[str, ...]
    """What the device itself is in use for, in words."""
    by_id: str
    unused: int | None = None
    """Bytes of the device that nothing on it uses, where `disk grow` or another partition could; None: the host could not say."""


@dataclass(frozen=True)
class Room:
    """What says how much of each device is used."""

    layers: Layers
    filesystems: tuple[FilesystemExtent, ...] = ()

    def unused(self, path: str) -> int:
        """Bytes of the device at `path` that nothing on it uses; 0 for a blank one, and for less than counts."""
        layer = self.layers.find(path)
        if layer is None:
            return 0
        free = layer.table.unused(layer.size) if layer.table else 0
        if layer.holds:
            free = max(layer.size - layer.holds.start - layer.holds.size, 0) + layer.holds.free
        for upper in self.layers.devices.values():
            if layer.node in upper.parents and isinstance(upper.about, Encryption):
                free = layer.size - upper.about.offset - upper.size
            elif layer.node in upper.parents and isinstance(upper.about, Array):
                offset, _ = upper.about.members.get(layer.node, (layer.size, 0))
                free = layer.size - offset - upper.about.component
        for filesystem in self.filesystems:
            for extent in filesystem.extents:
                if extent.device in {layer.path, f"/dev/{layer.node}"}:
                    free = layer.size - extent.size if layer.size - extent.size >= filesystem.unit else 0
        return free if free >= LEAST_ROOM else 0


_GROWS = tuple(KINDS[kind] for kind in ("ext2", "ext3", "ext4", "xfs", "btrfs"))

LEAST_ROOM = 16 * 1_048_576
"""Bytes: the ends of partition tables, and what does not fill an extent, are no room."""


def questions() -> tuple[Question[Any], ...]:
    return BlockDevices(), Mounts(), FileAt(FSTAB), StorageLayers(), MountedFilesystems()


def details(facts: Facts) -> dict[str, Any]:
    """What `disk ls --json` says of a host."""
    text = getattr(facts[FileAt(FSTAB)], "content", None) or b""
    try:
        room = Room(facts.known(StorageLayers()), facts.known(MountedFilesystems()))
    except HostFailed:
        room = None
    return {"disks": [asdict(line) for line in list_disks(facts.known(BlockDevices()), facts.known(Mounts()), text, room)]}


def rows(report_details: dict[str, Any]) -> list[tuple[str, ...]]:
    """The same as rows of a table."""
    return [
        (
            "  " * disk["depth"] + disk["device"],
            human(disk["size"]),
            disk["content"] or "blank",
            state(DiskLine(**disk)),
            disk["by_id"].removeprefix("/dev/disk/by-id/") or disk["serial"],
        )
        for disk in report_details["disks"]
    ]


def list_disks(table: DeviceTable, mounts: MountTable, fstab_text: bytes, room: Room | None) -> list[DiskLine]:
    """Every disk with what is on it beneath it. Loop devices count only when something uses them or is on them."""
    lines: list[DiskLine] = []

    def visit(device: BlockDevice, depth: int) -> None:
        lines.append(replace(_line(device, depth, table, mounts, fstab_text), unused=room.unused(device.path) if room else None))
        for child in table.children(device):
            visit(child, depth + 1)

    for device in table.devices:
        if not device.parents and device.kind in {"disk", "mpath"}:
            visit(device, 0)
    return lines


def _line(device: BlockDevice, depth: int, table: DeviceTable, mounts: MountTable, fstab_text: bytes) -> DiskLine:
    used = (*uses(device, table, mounts), *_swap_by_fstab(device, table, fstab_text))
    in_fstab = tuple(line.path for line in fstab.with_source(fstab_text, device.names) if line.path.startswith("/"))
    automounted = tuple(filter(mounts.automounted, in_fstab))
    by_id = [link for link in device.links if link.startswith("/dev/disk/by-id/")]
    return DiskLine(
        device=device.path,
        kind=device.kind,
        depth=depth,
        size=device.size,
        serial=device.serial,
        model=device.model,
        content=device.content,
        uuid=device.uuid,
        label=device.label,
        mounted=tuple(m.target for m in mounts.mounts if m.number == device.number or m.source == device.path),
        fstab=in_fstab,
        automounted=automounted,
        idle=depth == 0 and not used and not automounted,
        uses=tuple(use for use in used if use.startswith("it ") or use.endswith(" is built on it")),
        by_id=min(by_id, key=len, default=""),
    )


def _swap_by_fstab(device: BlockDevice, table: DeviceTable, fstab_text: bytes) -> Iterator[str]:
    """What of it is swap space that is not in use now."""
    for part in table.family(device):
        if not {part.path, *part.links} & set(table.swaps) and is_swap_of_fstab(part, fstab_text):
            yield f"{'it' if part is device else part.path} is swap space by fstab"


def to_grow(lines: Sequence[Mapping[str, Any]], number: int) -> str:
    """What to type so that what is on the device of that line takes the room there is; "" where nothing is mounted that could."""
    depth = lines[number]["depth"]
    above = takewhile(lambda one: one["depth"] > depth, lines[number + 1 :])
    paths = [one["mounted"][0] for one in (lines[number], *above) if one["mounted"] and one["content"].startswith(_GROWS)]
    return ", or ".join(f"novaops disk grow HOST --path {quote(path)}" for path in paths)


def state(line: DiskLine) -> str:
    """The column STATE: where it is mounted, or why not; and how much of it is not used."""
    return "; ".join(filter(None, [_state(line), f"{human(line.unused)} of it not used" if line.unused else ""]))


def _state(line: DiskLine) -> str:
    if line.mounted:
        return f"mounted at {', '.join(line.mounted)}"
    if line.automounted:
        return f"mounted at {', '.join(line.automounted)} when that is used"
    if line.fstab:
        return f"not mounted, although fstab has it for {', '.join(line.fstab)}"
    return "idle: nothing uses it" if line.idle else "; ".join(line.uses)
