"""disk: file systems on data disks, mounted where they are wanted, and in fstab."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from novaops import names
from novaops.plan import Resource
from novaops.resources.filesystem import LABEL_LENGTH, MAKERS, Filesystem
from novaops.resources.growth import Growth
from novaops.resources.mount import Mount
from novaops.resources.package import Package

STANDARD_OPTIONS = ("nofail", "x-systemd.device-timeout=15s")
"""Without nofail a missing disk stops the boot in emergency mode, with no ssh; the time-out keeps that boot short."""


def _device(text: str) -> str:
    if text == "auto" or text.upper().startswith("UUID="):
        return text
    return names.path(text) if text.startswith("/") else names.name(text)


class Disk(BaseModel):
    """One entry of `disk:`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: names.Path
    device: Annotated[str, BeforeValidator(_device)] = "auto"
    """auto (the one blank disk), a path, UUID=…, a serial, or a name below /dev/disk/by-id."""
    filesystem: Literal["ext4", "xfs", "btrfs"] = "ext4"
    label: str = ""
    options: Annotated[tuple[names.MountOption, ...], BeforeValidator(names.listed, json_schema_input_type=str | list[str])] = ("defaults",)
    """`nofail,x-systemd.device-timeout=15s` is always added."""
    owner: names.Owner | None = None
    state: Literal["mounted", "defined", "unmounted", "absent"] = "mounted"
    grow: bool = False
    """Whether the file system is to fill a disk that has become larger."""
    wipe: str = Field(default="", pattern=r"^[^\s'\"\\]*$")
    """The identity that a refusal printed: what is on that disk may be lost."""

    @model_validator(mode="after")
    def _fits(self) -> Disk:
        if self.path == "/":
            raise ValueError("a data disk is not mounted at /")
        longest = LABEL_LENGTH[self.filesystem]
        if len(self.label.encode()) > longest or any(ord(c) < 33 or c in "'\"\\" for c in self.label):  # noqa: PLR2004 - blanks and control characters
            raise ValueError(f'label "{self.label}": {self.filesystem} takes up to {longest} bytes, without blanks and quotes')
        if not self.options:
            raise ValueError("options: an empty list is no list of options; leave it out for the defaults")
        if self.binds and self.state in {"mounted", "defined"} and not self.device.startswith("/"):
            raise ValueError(f"device: {self.device} is no folder that could be bound to {self.path}")
        return self

    @property
    def binds(self) -> bool:
        """Whether this shows a folder in a second place, and no disk."""
        return bool({"bind", "rbind"} & set(self.options))


Settings = list[Disk]


def desired(host: Any, settings: Settings, peers: Mapping[str, Any]) -> Iterator[Resource]:
    del host, peers
    for kind in sorted({disk.filesystem for disk in settings if disk.state == "mounted" and not disk.binds} - {"ext4"}):
        yield Package(MAKERS[kind])
    # A parent is mounted before what is beneath it, whatever the order written; and the other way round for unmounting.
    for disk in sorted(settings, key=lambda d: d.path.count("/") * (1 if d.state in {"mounted", "defined"} else -1)):
        yield from _resources(disk)


def _resources(disk: Disk) -> Iterator[Resource]:
    options = tuple(dict.fromkeys([*disk.options, *(o for o in STANDARD_OPTIONS if _missing(o, disk))]))
    if disk.state in {"unmounted", "absent"}:
        yield Mount(disk.path, state=disk.state)
        return
    if disk.binds:
        yield Mount(disk.path, disk.device, "none", options, disk.owner or "", disk.state)
        return
    filesystem = Filesystem(disk.device, disk.filesystem, disk.path, disk.label, disk.wipe, "ro" in disk.options)
    yield filesystem
    yield Mount(disk.path, filesystem, disk.filesystem, options, disk.owner or "", disk.state)
    if disk.grow:
        yield Growth(disk.path, mounts_first=True)


def _missing(option: str, disk: Disk) -> bool:
    if disk.binds and option != "nofail":
        return False
    return not any(given.split("=")[0] == option.split("=", maxsplit=1)[0] for given in disk.options)
