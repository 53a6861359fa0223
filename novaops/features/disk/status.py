"""The disks of a host: size, content, where they are mounted, and which are idle. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from novaops.facts.file import FileAt
from novaops.features.disk.facts.block_devices import BlockDevices
from novaops.features.disk.facts.device_table import BlockDevice, DeviceTable
from novaops.features.disk.facts.mounts import Mounts, MountTable
from novaops.features.disk.resources.fstab_file import FSTAB
from novaops.features.disk.resources.selection import uses
from novaops.formats import fstab
from novaops.formats.size import human
from novaops.model.question import Facts, Question


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


def questions() -> tuple[Question[Any], ...]:
    return BlockDevices(), Mounts(), FileAt(FSTAB)


def details(facts: Facts) -> dict[str, Any]:
    """What `disk ls --json` says of a host."""
    text = getattr(facts[FileAt(FSTAB)], "content", None) or b""
    return {"disks": [asdict(line) for line in list_disks(facts.known(BlockDevices()), facts.known(Mounts()), text)]}


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


def list_disks(table: DeviceTable, mounts: MountTable, fstab_text: bytes) -> list[DiskLine]:
    """Every disk with what is on it beneath it. Loop devices count only when something uses them or is on them."""
    lines: list[DiskLine] = []

    def visit(device: BlockDevice, depth: int) -> None:
        lines.append(_line(device, depth, table, mounts, fstab_text))
        for child in table.children(device):
            visit(child, depth + 1)

    for device in table.devices:
        if not device.parents and device.kind in {"disk", "mpath"}:
            visit(device, 0)
    return lines


def _line(device: BlockDevice, depth: int, table: DeviceTable, mounts: MountTable, fstab_text: bytes) -> DiskLine:
    used = tuple(uses(device, table, mounts))
    in_fstab = tuple(line.path for line in fstab.with_source(fstab_text, device.names))
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


def state(line: DiskLine) -> str:
    """The column STATE: where it is mounted, or why not."""
    if line.mounted:
        return f"mounted at {', '.join(line.mounted)}"
    if line.automounted:
        return f"mounted at {', '.join(line.automounted)} when that is used"
    if line.fstab:
        return f"not mounted, although fstab has it for {', '.join(line.fstab)}"
    return "idle: nothing uses it" if line.idle else "; ".join(line.uses)
