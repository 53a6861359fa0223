"""`eve image ls`: the images of a host, for people and for machines. Pure."""

from __future__ import annotations

from typing import Any

from novaops.errors import HostFailed
from novaops.features.eve.facts.images import Image, ImagesThere
from novaops.formats.size import human
from novaops.model.question import Facts, Missing

HEADERS = ("IMAGE", "KIND", "FILES", "SIZE", "PROBLEM")
_FIX = "others may not read {}: /opt/unetlab/wrappers/unl_wrapper -a fixpermissions"


def details(facts: Facts) -> dict[str, Any]:
    """Raises HostFailed where there is no EVE-NG."""
    found = facts[ImagesThere()]
    if found is Missing.ABSENT:
        raise HostFailed("there is no EVE-NG", why="There is no /opt/unetlab/addons.", fix="novaops eve install HOST makes one")
    return {
        "images": [
            {"image": one.name, "kind": one.kind, "files": dict(one.files), "bytes": one.size, "trouble": trouble(one)}
            for one in found.images
        ],
        "free_bytes": found.room,
        "upload_bytes": found.left,
    }


def trouble(image: Image) -> str:
    """Why nodes of it do not start; "" for nothing that is seen."""
    return image.problem or (_FIX.format(", ".join(image.unreadable)) if image.unreadable else "")


def rows(found: dict[str, Any]) -> list[list[str]]:
    return [[one["image"], one["kind"], ", ".join(sorted(one["files"])), human(one["bytes"]), one["trouble"]] for one in found["images"]]


def summary(found: dict[str, Any]) -> str:
    left = f"; {human(found['upload_bytes'])} of an upload that was cut wait for image add to go on" if found["upload_bytes"] else ""
    return f"{human(found['free_bytes'])} free{left}"
