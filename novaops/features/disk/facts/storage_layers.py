"""What the block devices of a host are made of: partitions, volumes, encryption, RAID, and how much each takes of what is beneath it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from novaops.model.question import Missing, Section, Singleton
from novaops.shell import lines_of, sh_file

_SCRIPT = sh_file(__package__, "storage_layers.sh")

_EXTENDED = {"5", "f", "85"}
"""Types of the partition of a DOS table that holds the logical ones."""

_SECTOR = 512
"""Bytes: the kernel's unit, whatever the disk's own."""


@dataclass(frozen=True)
class TableEntry:
    number: int
    start: int
    """Bytes from the begin of the disk, as `size`."""
    size: int
    extended: bool = False

    @property
    def end(self) -> int:
        return self.start + self.size


@dataclass(frozen=True)
class PartitionTable:
    label: str
    """As sfdisk names it: gpt, dos, …"""
    sector: int
    """Bytes of the disk's logical sector, in which sfdisk counts."""
    entries: tuple[TableEntry, ...]

    @property
    def extended(self) -> TableEntry | None:
        return next((entry for entry in self.entries if entry.extended), None)

    def is_logical(self, entry: TableEntry) -> bool:
        outer = self.extended
        return outer is not None and entry is not outer and outer.start <= entry.start < outer.end

    def beside(self, entry: TableEntry) -> list[TableEntry]:
        """The entries at the same level: the primary ones, or the logical ones; in the order on the disk."""
        same = [other for other in self.entries if self.is_logical(other) == self.is_logical(entry)]
        return sorted(same, key=lambda other: other.start)

    def innermost(self, entry: TableEntry) -> TableEntry:
        """The last logical partition of the extended one, which is the one that can fill it; any other entry itself."""
        inside = [other for other in self.entries if self.is_logical(other)] if entry.extended else []
        return max(inside, key=lambda other: other.start, default=entry)

    def unused(self, size: int) -> int:
        """Bytes of a disk of this size that no partition has."""
        outer = self.extended
        logical = [entry for entry in self.entries if self.is_logical(entry)]
        primary = [entry for entry in self.entries if entry not in logical]
        inside = outer.size - sum(entry.size for entry in logical) if outer else 0
        return size - sum(entry.size for entry in primary) + inside


@dataclass(frozen=True)
class PhysicalVolume:
    group: str
    size: int
    free: int
    start: int
    """Where its extents begin on the device."""


@dataclass(frozen=True)
class LogicalVolume:
    group: str
    name: str
    size: int
    kind: str
    """As lvs names the type of its segments: linear, striped, thin, …"""
    roles: frozenset[str]
    extent: int
    missing: int
    """How many physical volumes the group misses."""


@dataclass(frozen=True)
class Encryption:
    kind: str
    """As cryptsetup names it: LUKS1, LUKS2, PLAIN, …"""
    offset: int
    wants_key: bool
    """Whether it does not grow without its passphrase: the kernel keeps the key where not even root reads it."""
    key_file: str = ""
    """The key's file, as /etc/crypttab names it."""
    plain: bool = True
    """Whether nothing else, such as integrity, is combined with it."""


@dataclass(frozen=True)
class Array:
    level: str
    metadata: str
    component: int
    """Bytes that it takes of each member."""
    members: Mapping[str, tuple[int, int]]
    """Device: where its data begins, and how much of it the array could take so far."""
    degraded: bool = False
    busy: bool = False
    """Whether it is being rebuilt or checked."""


@dataclass(frozen=True)
class Layer:
    node: str
    """The kernel's name: vdb1, dm-0."""
    path: str
    """/dev/vdb1, /dev/mapper/vg-data."""
    kind: str
    """As lsblk names it: disk, part, lvm, crypt, raid1, loop, mpath."""
    size: int
    """Bytes."""
    parents: tuple[str, ...] = ()
    """The kernel's names of what it is made of."""
    partition: int = 0
    """The number in its table; 0 for what is no partition."""
    start: int = 0
    about: LogicalVolume | Encryption | Array | None = None
    file_size: int = 0
    """Of a loop device: what its file could give."""
    table: PartitionTable | None = None
    holds: PhysicalVolume | None = None
    """The physical volume that it is."""


@dataclass(frozen=True)
class Layers:
    devices: Mapping[str, Layer] = field(hash=False)
    """By the kernel's name."""

    def find(self, path: str) -> Layer | None:
        """By any of its two names."""
        return next((one for one in self.devices.values() if path in {one.path, f"/dev/{one.node}"}), None)

    def below(self, layer: Layer) -> Iterator[Layer]:
        """The layer and all that it is made of."""
        yield layer
        for parent in self.parents(layer):
            yield from self.below(parent)

    def parents(self, layer: Layer) -> list[Layer]:
        """What it is made of; a logical volume of its whole group, which it may grow into."""
        if isinstance(layer.about, LogicalVolume):
            return [one for one in self.devices.values() if one.holds and one.holds.group == layer.about.group]
        return [self.devices[node] for node in layer.parents if node in self.devices]


class StorageLayers(Singleton[Layers]):
    """Asking makes the kernel look again how large SCSI disks are."""

    family: ClassVar[str] = "storage-layers"

    @classmethod
    def script_one(cls) -> str:
        return _SCRIPT

    @classmethod
    def parse_one(cls, section: Section) -> Layers | Missing:
        rows = [line.split("\t") for line in lines_of(section.stdout)]
        named: dict[str, list[list[str]]] = {}
        for word, *fields in rows:
            named.setdefault(word, []).append(fields)
        if not named.get("device"):
            return Missing.UNKNOWN
        parts = {node: (int(number), int(start) * _SECTOR) for node, number, start in named.get("part", [])}
        tables = {node: _table(node, int(sector), named.get("table", [])) for node, sector in named.get("sector", [])}
        files = {node: int(size) for node, size in named.get("file", [])}
        volumes = {path: _volume(fields) for path, fields in (row[0].split("|", 1) for row in named.get("lv", []))}
        physical = {path: _physical(fields) for path, fields in (row[0].split("|", 1) for row in named.get("pv", []))}
        arrays = {row[0]: _array(row, named.get("member", [])) for row in named.get("md", [])}
        keys = dict(named.get("key", []))
        crypts = {row[0] for row in named.get("crypt", [])}
        encryptions = {node: _encryption(node, named["crypt"], keys.get(node, "")) for node in crypts}
        return Layers(
            {
                node: Layer(
                    *(node, path, kind, int(size), tuple(parents.split())),
                    *parts.get(node, (0, 0)),
                    about=volumes.get(path) or encryptions.get(node) or arrays.get(node),
                    file_size=files.get(node, 0),
                    table=tables.get(node),
                    holds=physical.get(path) or physical.get(f"/dev/{node}"),
                )
                for node, path, kind, size, parents in named["device"]
            }
        )


def _table(disk: str, sector: int, rows: list[list[str]]) -> PartitionTable:
    lines = [line for node, line in rows if node == disk]
    label = next((line.partition(":")[2].strip() for line in lines if line.startswith("label:")), "")
    entries = []
    for line in lines:
        node, _, about = line.partition(" : ")
        number = re.search(r"[0-9]+$", node.strip())
        fields = {key.strip(): value.strip() for key, _, value in (pair.partition("=") for pair in about.split(","))}
        if number and {"start", "size"} <= fields.keys():
            start, size = int(fields["start"]) * sector, int(fields["size"]) * sector
            entries.append(TableEntry(int(number[0]), start, size, label == "dos" and fields.get("type", "") in _EXTENDED))
    return PartitionTable(label, sector, tuple(entries))


def _volume(fields: str) -> LogicalVolume:
    group, name, size, kind, roles, extent, missing = fields.split("|")
    return LogicalVolume(group, name, int(size), kind, frozenset(roles.split(",")), int(extent), int(missing))


def _physical(fields: str) -> PhysicalVolume:
    group, size, _, start, free = fields.split("|")
    return PhysicalVolume(group, int(size), int(free), int(start))


def _encryption(node: str, rows: list[list[str]], key_file: str) -> Encryption:
    fields = {key.strip(): value.strip() for key, _, value in (row[1].partition(":") for row in rows if row[0] == node)}
    return Encryption(
        kind=fields.get("type", ""),
        offset=int(fields.get("offset", "0").split()[0]) * _SECTOR,
        wants_key=fields.get("key location", "") == "keyring",
        key_file=key_file,
        plain="integrity" not in fields and "reencryption" not in fields,
    )


def _array(row: list[str], members: list[list[str]]) -> Array:
    node, level, metadata, component, degraded, action = row
    return Array(
        level=level,
        metadata=metadata,
        component=int(component) * 1024,
        members={member: (int(offset) * _SECTOR, int(size) * 1024) for of, member, offset, size in members if of == node},
        degraded=degraded != "0",
        busy=action != "idle",
    )
