"""The disks of a lab VM as a person names them: `20G`, `20G,serial=data,bus=nvme`, `1G,ro`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from novaops.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

Bus = Literal["virtio", "scsi", "nvme"]
BUSES: tuple[Bus, ...] = ("virtio", "scsi", "nvme")

_SIZE = re.compile(r"[1-9][0-9]*[KMGT]")
_SERIAL = re.compile(r"[A-Za-z0-9_.-]{1,20}")


@dataclass(frozen=True)
class Disk:
    """A blank disk (or, with `image`, one that shows that qcow2 file's content and leaves the file as it is).

    `size` is a number and K, M, G or T (powers of 1024). `bus` decides its name in the guest: virtio gives /dev/vdb and
    on, scsi /dev/sda, nvme /dev/nvme0n1. `serial` (at most 20 letters, digits, `_.-`) is what /dev/disk/by-id shows.
    """

    size: str = "20G"
    serial: str = ""
    bus: Bus = "virtio"
    read_only: bool = False
    image: Path | None = None

    def __post_init__(self) -> None:
        if not _SIZE.fullmatch(self.size):
            raise UsageError(f"{self.size!r} is not the size of a disk", fix="a number and K, M, G or T: 20G")
        if self.serial and not _SERIAL.fullmatch(self.serial):
            raise UsageError(f"{self.serial!r} is not a disk's serial", fix="1 to 20 letters, digits, `_`, `.` or `-`")
        if self.bus not in BUSES:
            raise UsageError(f"a lab disk has no bus {self.bus!r}", fix=f"one of: {', '.join(BUSES)}")


def parse_disk(text: str) -> Disk:
    """`SIZE[,serial=S][,bus=virtio|scsi|nvme][,ro]` as a Disk; raises UsageError that says which word is wrong."""
    size, *options = map(str.strip, text.split(","))
    given: dict[str, str] = {}
    for option in options:
        name, equals, value = option.partition("=")
        if name in given:
            raise UsageError(f"--disk {text}: {name} is said twice", fix="say it once")
        if name == "ro" and not equals:
            given["ro"] = "yes"
        elif name in ("serial", "bus") and value:
            given[name] = value
        else:
            raise UsageError(f"--disk {text}: {option!r} is none of its options", fix="--disk SIZE[,serial=S][,bus=B][,ro]")
    bus = cast("Bus", given.get("bus", "virtio"))  # Disk checks it
    return Disk(size=size, serial=given.get("serial", ""), bus=bus, read_only="ro" in given)


def in_bytes(size: str) -> int:
    """The bytes in `20G` (powers of 1024); raises UsageError when it is no size."""
    Disk(size)
    return int(size[:-1]) << 10 * ("KMGT".index(size[-1]) + 1)
