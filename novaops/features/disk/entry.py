"""One entry of `disk:` as resources. Other playbooks want a disk by it too."""

from __future__ import annotations

from collections.abc import Iterator

from novaops.features.disk.resources.filesystem import Filesystem
from novaops.features.disk.resources.growth import Growth
from novaops.features.disk.resources.mount import Mount
from novaops.features.disk.resources.mount_options import missing
from novaops.features.disk.settings import Disk
from novaops.model.plan import Resource

STANDARD_OPTIONS = ("nofail", "x-systemd.device-timeout=15s")
"""Without nofail a missing disk stops the boot in emergency mode, with no ssh; the time-out keeps that boot short."""


def entry_resources(disk: Disk, growth: Growth | None = None) -> Iterator[Resource]:
    options = tuple(dict.fromkeys([*disk.options, *missing(STANDARD_OPTIONS[: 1 if disk.binds else None], disk.options)]))
    if disk.state in {"unmounted", "absent"}:
        yield Mount(disk.path, state=disk.state)
        return
    if disk.binds:
        yield Mount(disk.path, disk.device, "none", options, owner=disk.owner or "", state=disk.state)
        return
    filesystem = Filesystem(disk.device, disk.filesystem, disk.path, disk.label, disk.wipe, "ro" in disk.options)
    yield filesystem
    keeps = "options" not in disk.model_fields_set
    yield Mount(disk.path, filesystem, disk.filesystem, options, keeps, disk.owner or "", disk.state)
    if growth:
        yield growth
