"""A file system that is grown to fill its disk, after the provider made the disk larger, with every layer between the two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.features.disk.facts.filesystem_size import Extent, FilesystemExtent, FilesystemSize
from novaops.features.disk.facts.storage_layers import Layer, Layers, LogicalVolume, StorageLayers
from novaops.features.disk.resources.growth_moves import VOLUME, Grown, Move, Stack
from novaops.formats.size import human
from novaops.model.action import Action, Command
from novaops.model.plan import Change, Resource, Step
from novaops.model.question import Facts, Missing, Question


@dataclass(frozen=True)
class Growth(Resource):
    path: str
    mounts_first: bool = False
    """Whether another resource of the same plan mounts it: then it cannot be measured before."""
    others: tuple[str, ...] = ()
    """The other paths that grow in the same plan."""

    @property
    def id(self) -> str:
        return f"growth:{self.path}"

    def questions(self) -> Iterable[Question[Any]]:
        yield StorageLayers()
        yield from map(FilesystemSize, (self.path, *self.others))

    def plan(self, facts: Facts) -> Iterable[Step]:
        found = facts[FilesystemSize(self.path)]
        if found is Missing.ABSENT:
            if self.mounts_first:
                return
            raise Refused(f"nothing is mounted at {self.path}", fix="novaops disk ls HOST shows what is mounted where")
        if not found.extents:
            raise Refused(f"{self.path} is {found.filesystem}, which novaops does not grow")
        moves = list(self._moves(found, facts))
        if not moves:
            return
        if found.read_only:
            raise Refused(f"{self.path} is mounted read-only, and does not grow so", fix=f"mount -o remount,rw {self.path} on the host")
        fields = Counter(move.field for move in moves)
        changes = [
            Change(f"{move.field} {move.path}" if fields[move.field] > 1 else move.field, human(move.before), human(move.after))
            for move in moves
        ]
        actions: list[Action] = [action for move in moves for action in move.actions()]
        yield Step(self.id, tuple(changes), tuple(actions), cannot_undo="what has grown is not made smaller again")

    def _moves(self, found: FilesystemExtent, facts: Facts) -> Iterator[Move]:
        layers = facts.known(StorageLayers())
        others = {path: _beneath(layers, path, facts) for path in self.others}
        beneath = [*_beneath(layers, self.path, facts), *(layer for its in others.values() for layer in its)]
        stack = Stack(layers, found.unit, frozenset(layer.node for layer in beneath if layer.partition))
        for extent in found.extents:
            layer = layers.find(extent.device)
            if layer is None:
                raise Refused(f"{extent.device}, which {self.path} is on, is not among the disks of the host")
            grown = stack.grown(layer)
            if grown.size - extent.size >= found.unit:
                self._refuse_shared(layers.below(layer), grown, others)
                yield from grown.moves
                command = self._command(found, extent, layer)
                yield Move("filesystem", layer.path, extent.size, grown.size, command, ((layer.path, grown.size),))

    def _refuse_shared(self, mine: Iterable[Layer], grown: Grown, others: dict[str, list[Layer]]) -> None:
        """Raises Refused where another path of the plan would take the same free space of a volume group."""
        if not any(move.field == VOLUME for move in grown.moves):
            return
        own = [one.about for one in mine if isinstance(one.about, LogicalVolume)]
        for path, beneath in others.items():
            theirs = [one.about for one in beneath if isinstance(one.about, LogicalVolume)]
            shared = next((volume.group for volume in theirs if volume not in own and volume.group in {one.group for one in own}), None)
            if shared:
                raise Refused(
                    f"the free space of the volume group {shared} is wanted for both {self.path} and {path}",
                    fix=f"grow one of them: novaops disk grow HOST --path {self.path}",
                )

    def _command(self, found: FilesystemExtent, extent: Extent, layer: Layer) -> Command:
        match found.filesystem:
            case "xfs":
                return Command(("xfs_growfs", "-d", self.path))
            case "btrfs":
                return Command(("btrfs", "filesystem", "resize", f"{extent.number}:max", self.path))
            case _:
                return Command(("resize2fs", layer.path))


def growths(paths: Iterable[str], *, mounts_first: bool = False) -> list[Growth]:
    """One for each path, that knows of the others."""
    known = list(paths)
    return [Growth(path, mounts_first, tuple(other for other in known if other != path)) for path in known]


def _beneath(layers: Layers, path: str, facts: Facts) -> list[Layer]:
    """All that the file system at `path` stands on."""
    found = facts[FilesystemSize(path)]
    extents = () if found is Missing.ABSENT else found.extents
    tops = filter(None, (layers.find(extent.device) for extent in extents))
    return [layer for top in tops for layer in layers.below(top)]
