"""A file system on a disk: made on a blank disk, kept where it exists, refused in every other case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from novaops.errors import Refused
from novaops.facts.directory import DirectoryAt
from novaops.facts.file import FileAt, text_at
from novaops.features.disk.facts.block_devices import ENDS, USERS, BlockDevices
from novaops.features.disk.facts.device import Device, DeviceAt
from novaops.features.disk.facts.device_table import BlockDevice, DeviceTable
from novaops.features.disk.facts.mounts import Mounts
from novaops.features.disk.resources import fstab_file
from novaops.features.disk.resources.fstab_file import FSTAB
from novaops.features.disk.resources.selection import DiskChoice, DiskRequest, HostDisks, describe, is_meant_by, select, strangers
from novaops.model.action import Action, Command, Precondition
from novaops.model.plan import Change, Resource, Risk, Step
from novaops.model.question import Facts, Missing, Question
from novaops.shell import join, quote, sh_file

MAKERS = {"ext4": "e2fsprogs", "xfs": "xfsprogs", "btrfs": "btrfs-progs"}
"""Each file system that can be made, and the package that makes it."""

_CRYPTTAB = "/etc/crypttab"

_SAME_DISK = ENDS + USERS + sh_file(__package__, "same_disk.sh")

_FRESH_IDENTITY = {
    "ext4": lambda uuid, label: ["-q", "-m", "0", "-U", uuid, *(["-L", label] if label else [])],
    "xfs": lambda uuid, label: ["-q", "-m", f"uuid={uuid}", *(["-L", label] if label else [])],
    "btrfs": lambda uuid, label: ["-q", "-U", uuid, *(["-L", label] if label else [])],
}


@dataclass(frozen=True)
class Filesystem(Resource):
    """The file system that will be mounted at `path`."""

    device: str
    """auto for the one blank disk; else a path, a tag such as UUID=…, a serial, or a name that udev or a cloud gives it."""
    kind: str
    path: str
    label: str = ""
    wipe: str = ""
    """The identity of a disk whose content may be lost, as a refusal printed it."""
    read_only: bool = False
    _chosen: WeakKeyDictionary[Facts, DiskChoice] = field(default_factory=WeakKeyDictionary, init=False, repr=False, compare=False)
    """The results of `select`: plan, notes and exclusive_keys ask for the same one, and so does the mount."""

    @property
    def id(self) -> str:
        return f"filesystem:{self.path}"

    def questions(self) -> Iterable[Question[Any]]:
        yield BlockDevices()
        yield Mounts()
        yield FileAt(FSTAB)
        yield DirectoryAt(self.path)
        yield FileAt(_CRYPTTAB)
        if self.device.startswith("/"):
            yield DeviceAt(self.device)

    def select(self, facts: Facts) -> DiskChoice:
        """The device this file system is on, or will be. Raises Refused."""
        if facts not in self._chosen:
            named: Device | Missing | None = None
            if self.device.startswith("/"):
                at_path = facts[DeviceAt(self.device)]
                named = at_path
            host = HostDisks(
                table=facts.known(BlockDevices()),
                mounts=facts.known(Mounts()),
                fstab=fstab_file.text(facts),
                crypttab=text_at(_CRYPTTAB, facts),
                named=named,
            )
            path = facts.known(DirectoryAt(self.path)).real
            self._chosen[facts] = select(DiskRequest(self.device, self.kind, path, self.path, self.wipe, self.read_only), host)
        return self._chosen[facts]

    def plan(self, facts: Facts) -> Iterable[Step]:
        selection = self.select(facts)
        device = selection.device
        if self.label and (selection.make or device.label != self.label):
            self._refuse_label(device, facts.known(BlockDevices()))
        if selection.make:
            yield self._make(selection, facts.known(BlockDevices()))
        elif self.label and device.label != self.label:
            change = Change("label", device.label or None, self.label)
            yield Step(self.id, (change,), (_set_label(self.kind, device, self.label),))

    def exclusive_keys(self, facts: Facts) -> Iterator[str]:
        """The device: it cannot have a second file system."""
        yield describe(self.select(facts).device)

    def notes(self, facts: Facts) -> Iterator[str]:
        selection = self.select(facts)
        if not selection.make and not facts.known(Mounts()).at(facts.known(DirectoryAt(self.path)).real):
            yield f"{describe(selection.device)} has {self.kind} already: kept as it is, nothing is formatted"
        if self.wipe and not is_meant_by(selection.device, self.wipe):
            yield f"--wipe {self.wipe} is not the identity of {describe(selection.device)}: what is on it stays"
        for maker in _made_by_hand(selection.device, facts):
            yield f"{maker}: nothing makes it when the host starts, and {self.path} is not mounted then"

    def _refuse_label(self, device: BlockDevice, table: DeviceTable) -> None:
        """Raises Refused where LABEL=, by which a host may mount even its root, would mean two devices from then on."""
        if others := [describe(other) for other in strangers(device, table) if other.label == self.label]:
            raise Refused(
                f"the label {self.label} is that of {' and '.join(others)} already",
                why="Of two devices with one label, which one is mounted by it when the host starts is chance.",
                fix="choose another --label, or none",
            )

    def _make(self, selection: DiskChoice, table: DeviceTable) -> Step:
        device = selection.device
        changes = [
            Change("device", None, describe(device)),
            Change("content", device.content or None, self.kind),
            Change("uuid", device.uuid or None, selection.uuid),
        ]
        if self.label:
            changes.append(Change("label", device.label or None, self.label))
        options = _FRESH_IDENTITY[self.kind](selection.uuid, self.label)
        actions: list[Action]
        if selection.wipe:
            family = [part.path for part in table.family(device)]
            actions = [
                Precondition(_still_idle(device, family), f"{device.path} is still the disk that may be wiped, and idle"),
                # Partitions first: their device nodes vanish with the partition table.
                Command(("wipefs", "--all", "--quiet", "--", *reversed(family))),
                Command(
                    ("sh", "-c", f"blockdev --rereadpt {quote(device.path)} 2>/dev/null; ! command -v udevadm >/dev/null || udevadm settle")
                ),
            ]
        else:
            actions = [Precondition(_still_blank(device), f"{device.path} is still blank")]
        actions += [
            Command(
                (f"mkfs.{self.kind}", *options, "--", device.path) if self.kind == "ext4" else (f"mkfs.{self.kind}", *options, device.path)
            ),
            Command(("sh", "-c", _settled(device.path, selection.uuid))),
        ]
        lost = f"what was on {device.path} is gone for good" if selection.wipe else f"the new file system on {device.path} stays"
        return Step(self.id, tuple(changes), tuple(actions), Risk.DATA_LOSS, cannot_undo=lost)


def _still_blank(device: BlockDevice) -> str:
    """Sh that says why `device` is not blank after all, and fails. Asked on the host, right before mkfs."""
    return f"{_SAME_DISK}device={quote(device.path)}\nstill_blank {device.size}\n"


def _still_idle(device: BlockDevice, family: list[str]) -> str:
    """Sh that says why `device` may not be wiped after all, and fails. Asked on the host, right before wipefs."""
    parts = "\n".join(f"device={quote(path)}; idle" for path in family)
    return f"""\
{_SAME_DISK}device={quote(device.path)}
same_size {device.size}
{_same(device)} || no 'is another disk than when it was looked at'
parts_are {len(family)} 'has other partitions or volumes on it now'
{parts}
"""


def _same(device: BlockDevice) -> str:
    """Sh that succeeds when what is called by the device's name is still the disk, with the content, that was planned for."""
    tests = []
    if device.serial:
        tests.append(f'[ "$(lsblk -d -n -o SERIAL -- "$device" | tr -d " ")" = {quote(device.serial.replace(" ", ""))} ]')
    if device.uuid:
        tests.append(f'[ "$(blkid -p -s UUID -o value -- "$device")" = {quote(device.uuid)} ]')
    elif device.fingerprint:
        tests.append(f'fingerprint "$device" "$(edge_of {device.size})" | grep -q ^{device.fingerprint}')
    return " && ".join(tests) or ":"


def _settled(path: str, uuid: str) -> str:
    """Sh that waits until udev knows the new file system, and fails unless it has its UUID."""
    return (
        "! command -v udevadm >/dev/null || udevadm settle; "
        f'found=$(blkid -p -s UUID -o value -- {quote(path)}); [ "$found" = {uuid} ] || '
        f'{{ echo "{path} has the UUID $found after mkfs, not {uuid}"; exit 1; }}'
    )


def _set_label(kind: str, device: BlockDevice, label: str) -> Command:
    """Mounted ext4 and btrfs can be labelled by e2label and btrfs; a mounted xfs needs xfs_io."""

    def command(text: str) -> Command:
        where = f"where=$(findmnt -n -f -o TARGET -S {quote(device.path)} || echo {quote(device.path)})"
        how = {
            "ext4": join(("e2label", device.path, text)),
            "btrfs": f'{where}; btrfs filesystem label "$where" {quote(text)}',
            "xfs": f'{where}; if [ -d "$where" ]; then xfs_io -c {quote(f"label -s {text}" if text else "label -c")} "$where"; '
            f"else xfs_admin -L {quote(text or '--')} {quote(device.path)}; fi",
        }
        holds = f'[ "$(blkid -p -s LABEL -o value -- {quote(device.path)})" = {quote(text)} ]'
        return Command(("sh", "-c", how[kind]), holds=holds)

    put = command(label)
    return Command(put.words, holds=put.holds, undo=command(device.label))


def _made_by_hand(device: BlockDevice, facts: Facts) -> Iterator[str]:
    """What the device is, or lies on, that was only set up for now, in words."""
    table = facts.known(BlockDevices())
    opened = {words[0] for words in map(str.split, text_at(_CRYPTTAB, facts).split("\n")) if words}
    if device.kind == "crypt" and device.path.rpartition("/")[2] not in opened:
        yield f"{device.path} was opened by hand, and {_CRYPTTAB} has no line for it"
    if device.kind == "loop":
        yield f"{device.path} is a loop device"
    for parent in filter(None, map(table.find, device.parents)):
        yield from _made_by_hand(parent, facts)
