"""disk: file systems on data disks, mounted where they are wanted, and in fstab."""

from __future__ import annotations

from collections.abc import Iterator

from novaops.engine.desired import HostView, Peers
from novaops.features.disk.entry import entry_resources
from novaops.features.disk.resources.filesystem import MAKERS
from novaops.features.disk.resources.growth import growths
from novaops.features.disk.settings import Settings
from novaops.model.plan import Resource
from novaops.resources.package import Package


def desired(host: HostView, settings: Settings, peers: Peers) -> Iterator[Resource]:
    del host, peers
    for kind in sorted({disk.filesystem for disk in settings if disk.state == "mounted" and not disk.binds} - {"ext4"}):
        yield Package(MAKERS[kind])
    growing = [disk.path for disk in settings if disk.grow and disk.state in {"mounted", "defined"} and not disk.binds]
    growth_of = {growth.path: growth for growth in growths(growing, mounts_first=True)}
    # A parent is mounted before what is beneath it, whatever the order written; and the other way round for unmounting.
    for disk in sorted(settings, key=lambda d: d.path.count("/") * (1 if d.state in {"mounted", "defined"} else -1)):
        yield from entry_resources(disk, growth_of.get(disk.path))
