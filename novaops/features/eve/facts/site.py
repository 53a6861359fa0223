"""Where EVE-NG is, or would be, on a host: its package, and the room for its images and nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from novaops.features.eve.paths import ADDONS
from novaops.model.question import Missing, Section, Singleton
from novaops.shell import assign, lines_of, sh_file

_SCRIPT = assign(path=ADDONS) + sh_file(__package__, "site.sh")


_NOT_THERE = {"not-installed", "config-files"}


@dataclass(frozen=True)
class EveSite:
    package: str
    """eve-ng or eve-ng-pro, "" when neither is installed."""
    version: str
    disk_path: str
    """ADDONS, or what there is of the path to it."""
    disk_size: int
    """Bytes of the file system there."""
    disk_free: int
    mount_point: str = "/"
    """Where that file system is mounted."""
    begun: bool = False
    """Whether dpkg has it unpacked, and did not come to its end."""


class EveSiteAt(Singleton[EveSite]):
    family: ClassVar[str] = "eve-site"

    @classmethod
    def script_one(cls) -> str:
        return _SCRIPT

    @classmethod
    def parse_one(cls, section: Section) -> EveSite | Missing:
        lines = [line.split("\t") for line in lines_of(section.stdout)]
        if not lines or lines[-1] != ["end"]:
            return Missing.UNKNOWN
        package, version, path, size, free, mount_point = "", "", "", "0", "0", "/"
        begun = False
        for line in lines:
            match line:
                case ["package", package_name, "installed", found]:
                    package, version = package_name, found
                case ["package", _, state, _]:
                    begun = begun or state not in _NOT_THERE
                case ["disk", path, size, free, mount_point]:
                    pass
        return EveSite(package, version, path, int(size), int(free), mount_point, begun)
