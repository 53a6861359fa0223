"""disk: file systems on data disks, mounted where they are wanted, and in fstab."""

from __future__ import annotations

from collections.abc import Iterator

from novaops.engine.desired import HostView, Peers
from novaops.features.disk.resources.filesystem import MAKERS, Filesystem
from novaops.features.disk.resources.growth import Growth, growths
from novaops.features.disk.resources.mount import Mount
from novaops.features.disk.resources.mount_options import missing
from novaops.features.disk.settings import Disk, Settings
from novaops.model.plan import Resource
from novaops.resources.package import Package

STANDARD_OPTIONS = ("nofail", "x-systemd.device-timeout=15s")
"""Without nofail a missing disk stops the boot in emergency mode, with no ssh; the time-out keeps that boot short."""


def desired(host: HostView, settings: Settings, peers: Peers) -> Iterator[Resource]:
    del host, peers
    for kind in sorted({disk.filesystem for disk in settings if disk.state == "mounted" and not disk.binds} - {"ext4"}):
        yield Package(MAKERS[kind])
    growing = [disk.path for disk in settings if disk.grow and disk.state in {"mounted", "defined"} and not disk.binds]
    growth_of = {growth.path: growth for growth in growths(growing, mounts_first=True)}
    # A parent is mounted before what is beneath it, whatever the order written; and the other way round for unmounting.
    for disk in sorted(settings, key=lambda d: d.path.count("/") * (1 if d.state in {"mounted", "defined"} else -1)):
        yield from _resources(disk, growth_of.get(disk.path))


def _resources(disk: Disk, growth: Growth | None) -> Iterator[Resource]:
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
