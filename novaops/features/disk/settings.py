"""The form of `disk:`, the inventory's section for data disks."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from novaops.formats import disk_name, names
from novaops.formats.fstab import split_options

LABEL_LENGTH = {"ext4": 16, "xfs": 12, "btrfs": 255}
"""Bytes: ext4(5), xfs_admin(8), btrfs-filesystem(8)."""

_TAG = re.compile(r"""(UUID|LABEL|PARTUUID|PARTLABEL|ID)=(["']?)([^"']+)\2""", re.IGNORECASE)
_TAG_NAME = re.compile("(UUID|LABEL|PARTUUID|PARTLABEL|ID)=", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+=@#,-]{0,254}(/[A-Za-z0-9][A-Za-z0-9_.:+=@#,-]{0,254})*")


def _device(text: Any) -> Any:
    """auto, a path, a tag of fstab(5), or a name. Raises ValueError with the offending text."""
    if not isinstance(text, str):
        return text
    if text.startswith("/"):
        return names.path(text)
    if (tag := _TAG.fullmatch(text)) and tag[3].isprintable():
        return f"{tag[1].upper()}={tag[3]}"
    if not _NAME.fullmatch(text) or _TAG_NAME.match(text):
        raise ValueError(
            f'"{text}" is no device: auto, a path, UUID=…, LABEL=…, PARTUUID=…, PARTLABEL=…, ID=…, a serial or another name of a disk'
        )
    return text


def _options(value: Any) -> Any:
    return list(split_options(value)) if isinstance(value, str) and value else value


class Disk(BaseModel):
    """One entry of `disk:`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: names.Path
    device: Annotated[str, BeforeValidator(_device)] = "auto"
    """auto (the one blank disk), a path, a tag of fstab(5) such as LABEL=…, a serial, or the name that udev or the cloud gives the disk."""
    filesystem: Literal["ext4", "xfs", "btrfs"] = "ext4"
    label: str = ""
    options: Annotated[tuple[names.MountOption, ...], BeforeValidator(_options, json_schema_input_type=str | list[str])] = ("defaults",)
    """`nofail,x-systemd.device-timeout=15s` is always added. Where they are not given, a line that is there keeps its own."""
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
        """Whether this is a bind mount of a folder, not of a disk."""
        return bool({"bind", "rbind"} & set(self.options))


def distinct(disks: list[Disk]) -> list[Disk]:
    """The entries, if no two of them want the same. Raises ValueError that names both."""
    names.each_once("path", [disk.path for disk in disks])
    taken: dict[tuple[str, str], str] = {}
    for disk in disks:
        if disk.state not in {"mounted", "defined"} or disk.binds:
            continue
        devices = () if disk.device == "auto" else _all_names(disk.device)
        wipe = disk.wipe if disk.device == "auto" else ""  # members of one pool, each named, have one identity
        by_label = (("label", name.removeprefix("LABEL=")) for name in devices if name.startswith("LABEL="))
        for key, value in (*(("device", name) for name in devices), *by_label, ("label", disk.label), ("wipe", wipe)):
            if value and (other := taken.setdefault((key, value), disk.path)) != disk.path:
                shown = getattr(disk, key) or value
                raise ValueError(f"{other} and {disk.path} both have the {key} {shown}")
    return disks


def _all_names(device: str) -> frozenset[str]:
    """All that the device may be called where a console, udev and the kernel each have a name for it."""
    name = _one_name(device)
    if "=" in name or name.startswith("/"):
        return frozenset((name,))
    return disk_name.serials(name) | disk_name.links(name)


def _one_name(device: str) -> str:
    """The device as it can be compared: /dev/disk/by-uuid/X and UUID=x are one."""
    for folder, tag in _FOLDERS.items():
        if device.startswith(f"/dev/disk/by-{folder}/"):
            device = tag + re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), device.rpartition("/")[2])
    device = device.removeprefix("ID=")
    if volume := _MAPPED.fullmatch(device):  # a hyphen in a name is written twice
        device = f"/dev/{volume['group'].replace('--', '-')}/{volume['volume'].replace('--', '-')}"
    tag, equals, value = device.partition("=")
    plain = value.strip('"').lower()
    return f"{tag.upper()}={plain}" if equals and tag.upper() in {"UUID", "PARTUUID"} else device


_MAPPED = re.compile(r"/dev/mapper/(?P<group>(?:[^-/]|--)+)-(?P<volume>(?:[^-/]|--)+)")
"""A logical volume as device mapper names it."""

_FOLDERS = {"id": "", "uuid": "UUID=", "partuuid": "PARTUUID=", "label": "LABEL=", "partlabel": "PARTLABEL="}
"""Folders of udev below /dev/disk, and the other way to write a name in them."""

Settings = Annotated[list[Disk], AfterValidator(distinct)]
