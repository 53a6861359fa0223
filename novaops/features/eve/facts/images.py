"""The images of an EVE-NG host: their files, with sizes, owners and modes, and the names of the templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from novaops.features.eve import paths
from novaops.features.eve.image_names import FOLDERS, LICENCE, Kind, problem
from novaops.model.question import Missing, Section, Singleton
from novaops.shell import assign, lines_of

_STAGING = ".novaops-upload"
"""The directories for uploads begin so, one for each login."""
_SOURCE = "/.novaops-source"
"""What the host made an image of."""
_ROOT = "0"


@dataclass(frozen=True)
class Image:
    kind: Kind
    name: str
    files: Mapping[str, int]
    """Bytes by name."""
    unreadable: tuple[str, ...]
    """Its files and directories that are not root's, or that a node may not read."""
    problem: str
    """Why EVE-NG does not find it or its disks by their names; ""."""

    @property
    def size(self) -> int:
        return sum(self.files.values())


@dataclass(frozen=True)
class Images:
    images: tuple[Image, ...]
    left: int
    """Bytes of uploads that were cut, and wait to be continued."""
    room: int
    """Bytes that are free there."""


@dataclass(frozen=True)
class ImagesThere(Singleton[Images]):
    """ABSENT where there is no EVE-NG."""

    family: ClassVar[str] = "eve-images"

    @classmethod
    def script_one(cls) -> str:
        return (
            assign(addons=paths.ADDONS, templates=paths.TEMPLATES)
            + """\
[ -d "$addons" ] || { echo absent; exit 0; }
echo "room $(df -PB1 "$addons" | awk 'NR == 2 { print $4 }')"
for template in "$templates"/*.yml "$templates"/*/*.yml; do
  template=${template##*/}
  [ "$template" = '*.yml' ] || echo "template ${template%.yml}"
done
for folder in qemu iol/bin dynamips; do
  [ ! -d "$addons/$folder" ] || find "$addons/$folder" -mindepth 1 -maxdepth 2 ! -path '*[[:cntrl:]]*' -printf "at $folder %y %s %U %m %P\\n"
done
"""
        )

    @classmethod
    def parse_one(cls, section: Section) -> Images | Missing:
        lines = lines_of(section.stdout.strip("\n"))
        if lines == ["absent"]:
            return Missing.ABSENT
        words = [line.split(" ", 1) for line in lines if line]
        (room,) = [int(rest) for word, rest in words if word == "room"]
        templates = [rest for word, rest in words if word == "template"]
        found = [_Found(*rest.split(" ", 5)) for word, rest in words if word == "at"]
        left = sum(int(one.size) for one in found if one.type == "f" and one.path.startswith(_STAGING))
        kept = [one for one in found if not one.path.startswith(_STAGING) and not one.path.endswith(_SOURCE)]
        images = [image for kind, folder in FOLDERS.items() for image in _images(kind, [f for f in kept if f.folder == folder], templates)]
        return Images(tuple(images), left, room)


@dataclass(frozen=True)
class _Found:
    folder: str
    type: str
    size: str
    owner: str
    mode: str
    path: str

    def usable(self, *, runs: bool) -> bool:
        """Whether nodes can read it; with `runs` they start it as a program."""
        needed = 5 if runs or self.type == "d" else 4
        return self.owner == _ROOT and int(self.mode, 8) & needed == needed


def _images(kind: Kind, found: list[_Found], templates: list[str]) -> list[Image]:
    images = []
    for top in sorted((one for one in found if "/" not in one.path), key=lambda one: one.path):
        if kind == "qemu" and top.type != "d":
            continue
        within = [one for one in found if one.path == top.path or one.path.startswith(f"{top.path}/")]
        files = {one.path.rpartition("/")[2]: int(one.size) for one in within if one.type == "f"}
        wrong = tuple(one.path for one in within if not one.usable(runs=kind == "iol") and one.path != LICENCE)
        images.append(Image(kind, top.path, files, wrong, problem(kind, top.path, sorted(files), templates)))
    return images
