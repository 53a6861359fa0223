"""How large each layer beneath a file system can become, and what has to be done for it, from the disk upwards. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from novaops.errors import Refused
from novaops.features.disk.facts.storage_layers import Array, Encryption, Layer, Layers, LogicalVolume, PartitionTable, TableEntry
from novaops.formats.size import human
from novaops.model.action import Action, Command, Precondition
from novaops.shell import quote, sh_file

MIB = 1_048_576

VOLUME = "logical volume"

_DOS_SECTORS = 2**32
"""A DOS partition table counts in 32 bits."""

_ENCRYPTION_BLOCK = 4096
"""The largest sector of LUKS2, of which a volume has whole ones."""

_GROWING_LEVELS = {"raid1", "raid4", "raid5", "raid6"}
"""Of md: those that take more of each member."""

_GROW_PARTITION = sh_file(__package__, "grow_partition.sh")


@dataclass(frozen=True)
class Move:
    """One layer that becomes larger."""

    field: str
    path: str
    before: int
    """Bytes, as `after`."""
    after: int
    command: Command
    needs: tuple[tuple[str, int], ...] = ()
    """Devices, and the sizes that they must have right before: one that is smaller would shrink what is on it."""

    def actions(self) -> Iterable[Action]:
        for device, size in self.needs:
            is_there = f'[ "$(blockdev --getsize64 {quote(device)})" -ge {size} ] || {{ echo {quote(device)} is smaller; exit 1; }}'
            yield Precondition(is_there, f"{device} has {human(size)}")
        yield self.command


@dataclass(frozen=True)
class Grown:
    size: int
    """Bytes that the layer can have."""
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True)
class Stack:
    """The layers of a host, asked how large they can become."""

    layers: Layers
    worth: int
    """Bytes below which room does not count."""
    growing: frozenset[str] = frozenset()
    """The kernel's names of all partitions that grow in the same plan: room that they take is not out of reach."""

    def grown(self, layer: Layer) -> Grown:
        """Raises Refused, with the layer's name, for one that cannot take what is beneath it, or that is not understood."""
        if layer.partition:
            return self._partition(layer)
        match layer.about:
            case LogicalVolume() as volume:
                return self._volume(layer, volume)
            case Encryption() as encryption:
                return self._encryption(layer, encryption)
            case Array() as array:
                return self._array(layer, array)
        parents = self.layers.parents(layer)
        if layer.kind == "loop" and layer.file_size // 512 * 512 > layer.size:
            size = layer.file_size // 512 * 512
            return Grown(size, (Move("loop device", layer.path, layer.size, size, Command(("losetup", "--set-capacity", layer.path))),))
        is_whole = layer.kind == "mpath" and parents and all(parent.size == layer.size for parent in parents)
        if is_whole or (layer.kind in {"disk", "loop"} and not parents):
            return Grown(layer.size)
        raise Refused(
            f"{layer.path} ({layer.kind}) is a layer that novaops does not grow",
            why=f"It is made of {', '.join(parent.path for parent in parents) or 'nothing that the host shows'}.",
            fix="grow it by hand, then run this again",
        )

    def _partition(self, layer: Layer) -> Grown:
        disk = self._only(layer)
        below = self.grown(disk)
        table = disk.table
        entry = next((one for one in table.entries if one.number == layer.partition), None) if table else None
        if table is None or entry is None:
            if below.size - layer.start - layer.size < self.worth + MIB:
                return Grown(layer.size)
            raise Refused(f"{layer.path} is not grown: the partition table of {disk.path} could not be read", fix="sfdisk -d on the host")
        outer = table.extended if table.is_logical(entry) else None
        for part in filter(None, (outer, entry)):
            self._refuse_out_of_reach(disk, table, part, below.size)
        reach = _reach(table, entry, below.size)
        if reach - entry.start <= layer.size:
            return Grown(layer.size)
        moves = list(below.moves)
        if outer and reach > outer.end:
            moves.append(_partition_move("extended partition", disk, table, outer, reach, outer.size))
        moves.append(_partition_move("partition", disk, table, entry, reach, layer.size, layer))
        return Grown(reach - entry.start, tuple(moves))

    def _refuse_out_of_reach(self, disk: Layer, table: PartitionTable, entry: TableEntry, size: int) -> None:
        """Raises Refused where the disk has room that the partition cannot have, and that no other one of the plan takes."""
        name = _node(disk, entry.number)
        if table.label not in {"gpt", "dos"}:
            if size - max(one.end for one in table.entries) >= self.worth + MIB:
                raise Refused(f"{name} is not grown: {disk.path} has a partition table of the kind {table.label or 'unknown'}")
            return
        if table.label == "dos" and size - _DOS_SECTORS * table.sector >= self.worth:
            raise Refused(
                f"{disk.path} has a DOS partition table, which reaches no further than {human(_DOS_SECTORS * table.sector)}",
                why=f"The disk has {human(size)}.",
                fix="convert it to GPT first (sgdisk --mbrtogpt), with a backup at hand",
            )
        behind = [one for one in table.beside(entry) if one.start >= entry.end]
        if not behind:
            return
        gap = behind[0].start - entry.end if table.is_logical(entry) else 0
        end = _reach(table, behind[-1], size) - behind[-1].end
        if (end if _kernel_name(disk, table.innermost(behind[-1]).number) not in self.growing else 0) + gap >= self.worth:
            raise Refused(
                f"{name} cannot grow: {_node(disk, behind[0].number)} is behind it",
                why=f"{human(max(end, gap))} of {disk.path} are not used, and out of its reach.",
                fix=f"use them for another partition, or grow {_node(disk, behind[-1].number)}",
            )

    def _only(self, layer: Layer) -> Layer:
        found = self.layers.parents(layer)
        if len(found) != 1:
            raise Refused(f"{layer.path} ({layer.kind}) is not grown: what it is made of is not among the disks of the host")
        return found[0]

    def _volume(self, layer: Layer, volume: LogicalVolume) -> Grown:
        if volume.kind in {"thin", "thin-pool", "snapshot", "cache", "vdo", "writecache"} or volume.roles & {"snapshot", "origin"}:
            kind = next(iter(sorted(volume.roles & {"snapshot", "origin"})), volume.kind)
            raise Refused(
                f"{layer.path} is a logical volume of the kind {kind}, which novaops does not grow",
                fix=f"on the host: lvextend --resizefs --size +SIZE {volume.group}/{volume.name}",
            )
        room, moves = 0, list[Move]()
        for device in self.layers.parents(layer) or [self._only(layer)]:
            if device.holds is None:
                continue
            below = self.grown(device)
            size = (below.size - device.holds.start) // volume.extent * volume.extent
            room += device.holds.free
            if size > device.holds.size:
                room += size - device.holds.size
                command = Command(("pvresize", "--", device.path))
                move = Move("physical volume", device.path, device.holds.size, size, command, ((device.path, below.size),))
                moves += [*below.moves, move]
        if room < self.worth:
            return Grown(layer.size)
        if volume.kind != "linear" or volume.missing:
            why = f"its group misses {volume.missing} of its disks" if volume.missing else f"its kind is {volume.kind}"
            raise Refused(
                f"the logical volume {layer.path} is not grown: {why}",
                fix=f"on the host: lvextend --resizefs --extents +100%FREE {volume.group}/{volume.name}",
            )
        words = ("lvextend", "--size", f"{layer.size + room}b", f"{volume.group}/{volume.name}")
        holds = f'[ "$(blockdev --getsize64 {quote(layer.path)})" -ge {layer.size + room} ]'
        moves.append(Move(VOLUME, layer.path, layer.size, layer.size + room, Command(words, holds=holds)))
        return Grown(layer.size + room, tuple(moves))

    def _encryption(self, layer: Layer, encryption: Encryption) -> Grown:
        device = self._only(layer)
        below = self.grown(device)
        size = (below.size - encryption.offset) // _ENCRYPTION_BLOCK * _ENCRYPTION_BLOCK
        if size - layer.size < self.worth:
            return Grown(layer.size)
        name = layer.path.rpartition("/")[2]
        if encryption.kind not in {"LUKS1", "LUKS2"} or not encryption.plain:
            raise Refused(f"the encryption {layer.path} ({encryption.kind or 'unknown'}) is a layer that novaops does not grow")
        if encryption.wants_key and not encryption.key_file:
            raise Refused(
                f"the encryption {layer.path} wants its passphrase before it grows",
                why="The kernel keeps its key where nobody reads it, and /etc/crypttab names no file with it.",
                fix=f"on the host: cryptsetup resize {name}, then run this again",
            )
        key = ("--key-file", encryption.key_file) if encryption.key_file else ()
        command = Command(("cryptsetup", "resize", "--batch-mode", *key, "--", name))
        return Grown(size, (*below.moves, Move("encryption", layer.path, layer.size, size, command, ((device.path, below.size),))))

    def _array(self, layer: Layer, array: Array) -> Grown:
        rooms, moves, needs = list[int](), list[Move](), list[tuple[str, int]]()
        takes_more = array.level in _GROWING_LEVELS
        for device in self.layers.parents(layer):
            offset, taken = array.members.get(device.node, (0, 0))
            below = self.grown(device)
            moves += below.moves
            needs.append((device.path, below.size))
            rooms.append(below.size - offset - (array.component if takes_more else taken))
        room = (min if takes_more else max)(rooms, default=0) // MIB * MIB
        if room < self.worth:
            return Grown(layer.size)
        faults = {
            f"its level is {array.level}": not takes_more,
            f"its metadata is of the kind {array.metadata}": array.metadata not in {"1.1", "1.2"},
            "a member is missing": array.degraded or len(array.members) != len(rooms),
            "it is being rebuilt or checked": array.busy,
        }
        if why := next((why for why, is_so in faults.items() if is_so), ""):
            raise Refused(f"the RAID {layer.path} is not grown: {why}", fix="cat /proc/mdstat on the host shows its state")
        data = layer.size // array.component
        size = layer.size + room * data
        holds = f'[ "$(blockdev --getsize64 {quote(layer.path)})" -ge {size} ]'
        command = Command(("mdadm", "--grow", layer.path, "--size=max"), holds=holds)
        return Grown(size, (*moves, Move("RAID", layer.path, layer.size, size, command, tuple(needs))))


def _reach(table: PartitionTable, entry: TableEntry, size: int) -> int:
    """Where on a disk of `size` bytes a partition could end, on a whole MiB."""
    behind = [one for one in table.beside(entry) if one.start >= entry.end]
    if table.is_logical(entry):  # what is between two logical ones describes the second
        outer = table.extended
        return entry.end if behind or outer is None else _reach(table, outer, size)
    usable = size - MIB if table.label == "gpt" else min(size, _DOS_SECTORS * table.sector - MIB)
    return max((behind[0].start if behind else usable) // MIB * MIB, entry.end)


def _partition_move(
    field: str, disk: Layer, table: PartitionTable, entry: TableEntry, end: int, before: int, layer: Layer | None = None
) -> Move:
    sectors = [str(number // table.sector) for number in (entry.start, entry.size, end - entry.start)]
    words = ("sh", "-c", _GROW_PARTITION, "grow", disk.path, str(entry.number), *sectors, layer.node if layer else "")
    return Move(field, _node(disk, entry.number), before, end - entry.start, Command(words), ((disk.path, end),))


def _kernel_name(disk: Layer, number: int) -> str:
    return f"{disk.node}{'p' if disk.node[-1].isdigit() else ''}{number}"


def _node(disk: Layer, number: int) -> str:
    return f"/dev/{_kernel_name(disk, number)}"
