"""The block devices of a host: what is on each, who uses it, and what it is part of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from novaops.formats.fstab import source_name


@dataclass(frozen=True)
class Signature:
    """Something wipefs recognises: a file system, a RAID or LVM member, a partition table."""

    kind: str
    uuid: str = ""
    label: str = ""
    offset: str = ""


@dataclass(frozen=True)
class BlockDevice:
    path: str
    kind: str
    """As lsblk names it: disk, part, lvm, crypt, raid1, loop, mpath, rom."""
    size: int
    """Bytes."""
    number: str = ""
    """major:minor."""
    parents: tuple[str, ...] = ()
    read_only: bool = False
    serial: str = ""
    model: str = ""
    table_uuid: str = ""
    """The identity of its partition table, if it has one."""
    signatures: tuple[Signature, ...] = ()
    probed: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What `blkid -p` says: TYPE, UUID, LABEL, PTTYPE, …; empty for nothing."""
    blank: bool | None = None
    """True: looked everywhere a blank disk must be blank. False: something is there. None: could not look."""
    fingerprint: str = ""
    """Of a device whose content has no UUID: a hash of its two ends, an identity of last resort."""
    holders: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    """What else it is in use for, in words that go on from its name: "is part of the ZFS pool tank"."""
    links: tuple[str, ...] = ()
    """Its other paths: those below /dev/disk and its like, and /dev/dm-0 of what is called /dev/mapper/NAME."""
    tags: tuple[str, ...] = ()
    """LABEL=…, PARTLABEL=… and so on, as lsblk knows them."""

    @property
    def filesystem(self) -> str:
        """The type of the one file system on it, or ""."""
        return self.probed.get("TYPE", "") if self.probed.get("USAGE") == "filesystem" else ""

    @property
    def uuid(self) -> str:
        return self.probed.get("UUID", "")

    @property
    def label(self) -> str:
        """As wipefs says it: blkid's way of writing signs and letters that are not ASCII cannot be taken back."""
        known = [signature.label for signature in self.signatures if signature.kind == self.probed.get("TYPE")]
        return known[0] if known else self.probed.get("LABEL", "")

    @property
    def names(self) -> frozenset[str]:
        """Every source by which fstab(5) can mean this device, in the form of `fstab.source_name`."""
        values = {"UUID": self.uuid, "LABEL": self.label, "PARTUUID": self.probed.get("PART_ENTRY_UUID", "")}
        written = [*(f"{tag}={value}" for tag, value in values.items() if value), *self.tags, *filter(None, map(_tag_of, self.links))]
        return frozenset({self.path, *self.links, *map(source_name, written)})

    @property
    def identities(self) -> tuple[str, ...]:
        """What `--wipe` accepts for this device, the best first."""
        uuids = [self.uuid, *(signature.uuid for signature in self.signatures), self.table_uuid]
        return tuple(dict.fromkeys(name for name in (self.serial, *uuids, self.fingerprint) if name))

    @property
    def content(self) -> str:
        """What is on the device itself, in words; "" when nothing was found."""
        words = []
        for signature in self.signatures:
            name = f" named {signature.label}" if signature.label else ""
            uuid = f" (UUID {signature.uuid})" if signature.uuid else ""
            words.append(f"{KINDS.get(signature.kind, signature.kind)}{name}{uuid}")
        if words:
            return " and ".join(dict.fromkeys(words))
        if kind := self.probed.get("TYPE") or self.probed.get("PTTYPE"):
            return KINDS.get(kind, kind)
        return "" if self.blank else "data of no known kind" if self.blank is False else "could not be read"


def _tag_of(link: str) -> str:
    r"""PARTLABEL=my disk for /dev/disk/by-partlabel/my\x20disk: systemd looks for the tag there."""
    folder, _, name = link.rpartition("/")
    tag = _TAG_FOLDERS.get(folder)
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), name.encode("utf-8", "surrogateescape"))
    return f"{tag}={raw.decode('utf-8', 'surrogateescape')}" if tag else ""


_TAG_FOLDERS = {f"/dev/disk/by-{tag.lower()}": tag for tag in ("UUID", "LABEL", "PARTUUID", "PARTLABEL", "ID")}

KINDS = {
    "LVM2_member": "an LVM physical volume",
    "linux_raid_member": "a member of an md RAID",
    "crypto_LUKS": "LUKS encryption",
    "swap": "swap space",
    "zfs_member": "a member of a ZFS pool",
    "iso9660": "an ISO 9660 image",
    "gpt": "a GPT partition table",
    "dos": "a DOS partition table",
    "PMBR": "a protective MBR",
    **{name: f"an {name} file system" for name in ("ext2", "ext3", "ext4", "xfs", "exfat", "ntfs")},
    **{name: f"a {name} file system" for name in ("btrfs", "vfat", "minix", "f2fs", "udf", "squashfs", "jfs", "reiserfs")},
}


@dataclass(frozen=True)
class DeviceTable:
    devices: tuple[BlockDevice, ...]
    swaps: tuple[str, ...]
    """Paths of the devices the kernel swaps to."""
    fresh_uuid: str
    """A random UUID made on the host for this probe: the seed of a new file system's own."""

    def find(self, name: str) -> BlockDevice | None:
        """The device that has `name` as its path or as one of its links."""
        return next((d for d in self.devices if name == d.path or name in d.links), None)

    def named(self, source: str) -> tuple[BlockDevice, ...]:
        """The devices that a source of fstab means, such as UUID=…; two after a disk was cloned."""
        return tuple(d for d in self.devices if source_name(source) in d.names)

    def children(self, device: BlockDevice) -> Iterator[BlockDevice]:
        return (d for d in self.devices if device.path in d.parents)

    def family(self, device: BlockDevice) -> Iterator[BlockDevice]:
        """The device and everything made of it: partitions, volumes on them, and so on."""
        yield device
        for child in self.children(device):
            yield from self.family(child)
