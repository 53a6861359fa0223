"""The images below addons/, as EVE-NG sees them: by the names of directories and files, and by who may read them."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

TEMPLATES = {
    "c7200": "Cisco IOS 7206VXR (Dynamips)",
    "csr1000v": "Cisco CSR 1000V",
    "iol": "Cisco IOL",
    "linux": "Linux",
    "mikrotik": "MikroTik RouterOS",
    "veloorch": "VeloCloud Orchestrator",
    "vios": "Cisco vIOS Router",
    "vyos": "VyOS",
}

DISK = re.compile(r"(hd|virtio|virtide|scsi|lsi|megasas|sata)[a-z]+\.qcow2|cdrom\.iso|kernel\.img")
"""What a node is given. A file of another name is not seen, and nothing says so."""


def kind_of(template: str) -> str:
    return {"iol": "iol", "c7200": "dynamips"}.get(template, "qemu")


class Images:
    def __init__(self, root: Path) -> None:
        self.addons = root / "addons"

    def of(self, template: str) -> list[str]:
        """The names of its images: those that nodes may read. unl_wrapper -a fixpermissions makes them so."""
        kind = kind_of(template)
        if kind == "iol":
            found = [path for path in self._in("iol/bin") if path.name.endswith(".bin") and os.access(path, os.X_OK)]
        elif kind == "dynamips":
            found = [path for path in self._in("dynamips") if re.fullmatch(rf"{template}-.+\.image", path.name)]
        else:
            found = [path for path in self._in("qemu") if re.fullmatch(rf"{template}-.+", path.name) and path.is_dir()]
        return [path.name for path in found if _permitted(path)]

    def disks(self, image: str) -> list[Path]:
        """The disks a node of a qemu image is given."""
        folder = self.addons / "qemu" / image
        return sorted(path for path in folder.iterdir() if DISK.fullmatch(path.name)) if folder.is_dir() else []

    def _in(self, folder: str) -> list[Path]:
        place = self.addons / folder
        return sorted(place.iterdir()) if place.is_dir() else []


def _permitted(path: Path) -> bool:
    """Whether it and all in it are of the owner and mode that a node can read."""
    needed = 0o005 if path.is_dir() else 0o004
    found = path.stat()
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & needed != needed:
        return False
    return not path.is_dir() or all(_permitted(child) for child in path.iterdir())
