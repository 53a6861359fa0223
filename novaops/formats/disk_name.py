"""The names that a disk has in a cloud's console, and what the kernel and udev make of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

_VIRTIO_SERIAL = 20
"""Bytes: what does not fit is cut off. A volume of OpenStack is called by the first 20 characters of its UUID."""

_BELOW_DEV = (
    *("", "disk/", "disk/by-id/", "disk/by-id/virtio-", "disk/by-id/nvme-"),
    *("disk/by-id/google-", "disk/by-id/scsi-0Google_PersistentDisk_"),
    *("disk/azure/", "disk/azure/scsi1/", "disk/azure/data/by-lun/", "disk/azure/data/by-name/", "oracleoci/"),
    *("disk/by-id/scsi-0DO_Volume_", "disk/by-id/scsi-0HC_Volume_", "disk/by-id/scsi-0Linode_Volume_"),
    "disk/by-id/scsi-0SCW_b_ssd_volume-",
)
"""Where udev's rules, and those of the clouds, put a link with a disk's name."""


def links(name: str) -> frozenset[str]:
    """The paths below /dev that a disk called `name` may have."""
    names = {name}
    if name.startswith("vol-"):
        names.add(f"Amazon_Elastic_Block_Store_vol{name[4:]}")
    if re.fullmatch("lun[0-9]+", name):
        names.add(name[3:])
    return frozenset(f"/dev/{place}{spelling}" for place in _BELOW_DEV for spelling in names)


def serials(name: str) -> frozenset[str]:
    """The serial numbers that a disk called `name` may have: vol-0abc of Amazon is vol0abc, d-bp1abc of Alibaba is bp1abc."""
    found = {name}
    if name.startswith("vol-"):
        found.add(f"vol{name[4:]}")
    if name.startswith("d-"):
        found |= {name[2:], name[2 : 2 + _VIRTIO_SERIAL]}
    if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name):
        found.add(name[:_VIRTIO_SERIAL])
    return frozenset(found)


def similar(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Of the known names those that were probably meant."""
    bare = _bare(name)
    bares = {one: _bare(one) for one in known}
    close = [one for one, its in bares.items() if min(len(bare), len(its)) > 2 and (its.endswith(bare) or bare.endswith(its))]  # noqa: PLR2004
    return tuple(close) or tuple(one for one, its in bares.items() if its in get_close_matches(bare, bares.values(), n=1, cutoff=0.75))


def _bare(name: str) -> str:
    """Letters and digits of the last part of a path or a tag."""
    return re.sub(r"[^a-z0-9]", "", re.split("[/=]", name)[-1].lower())
