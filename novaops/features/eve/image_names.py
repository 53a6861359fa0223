"""How EVE-NG finds an image: by the names of its directory and its files. A node whose disk has another name starts without one. Pure."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from novaops.errors import UsageError
from novaops.features.eve.data import StrictModel, read

Kind = Literal["qemu", "iol", "dynamips"]

FOLDERS: dict[Kind, str] = {"qemu": "qemu", "iol": "iol/bin", "dynamips": "dynamips"}
"""Below addons/."""
LICENCE = "iourc"
"""The licence of IOL, beside the images."""
CDROM = "cdrom.iso"
DISK = re.compile(r"(?:hd|virtio|virtide|scsi|lsi|megasas|sata)[a-z]+")
_FILE = re.compile(rf"{DISK.pattern}\.qcow2|cdrom\.iso|kernel\.img")
_FIRST = re.compile(rf"{DISK.pattern.removesuffix('[a-z]+')}a\.qcow2")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,80}")
_SUFFIXES = re.compile(r"\.(qcow2|qcow|img|raw|vmdk|vhd|vhdx|vdi|ova|iso|bin|image)$", re.IGNORECASE)


class ImageData(StrictModel):
    date: object
    disks: dict[str, tuple[str, ...]]
    dynamips: tuple[str, ...]


@functools.cache
def data() -> ImageData:
    return ImageData.model_validate(read("images"))


@dataclass(frozen=True)
class ImageName:
    """Where an image goes."""

    kind: Kind
    template: str
    name: str
    """The directory of a qemu image; the file of another one."""
    files: tuple[str, ...]
    """The names of its files, in the order of those that were given."""


@dataclass(frozen=True)
class Said:
    """What the command line says of the name."""

    template: str | None = None
    version: str | None = None
    disks: tuple[str, ...] = ()


def image_name(sources: Sequence[str], said: Said) -> ImageName:
    """The name of the image that these files make, from what was said, else from the name of the first of them. Raises UsageError.

    `sources` are names of files; of a directory its own name first, as `NAME/FILE`.
    """
    folder, _, first = sources[0].rpartition("/")
    stem = _SUFFIXES.sub("", folder or first)
    if first == LICENCE:
        return _one_file("iol", "iol", LICENCE, sources)
    template = said.template or _template_of(stem)
    if template is None:
        raise UsageError(
            f"it cannot be told what {folder or first} is an image of",
            why="A name such as vyos-1.4.qcow2 says it.",
            fix="give --template NAME and --version TEXT",
        )
    version = said.version or _version_of(stem, template)
    if not _VERSION.fullmatch(version):
        raise UsageError(f'"{version}" cannot be a part of a name', fix="--version takes letters, digits and . _ + -")
    if template == "iol":
        return _one_file("iol", template, f"{version}.bin", sources)
    if template in data().dynamips:
        return _one_file("dynamips", template, f"{template}-{version}.image", sources)
    return ImageName(
        "qemu", template, f"{template}-{version}", disk_files(template, [one.rpartition("/")[2] for one in sources], said.disks)
    )


def _one_file(kind: Kind, template: str, name: str, sources: Sequence[str]) -> ImageName:
    if len(sources) > 1:
        raise UsageError(f"an image of {template} is one file, and {len(sources)} were given")
    return ImageName(kind, template, name, (name,))


def _template_of(stem: str) -> str | None:
    """The template whose name the stem begins with. A file for IOL says it in its own way."""
    known = [name for name in (*data().disks, *data().dynamips, "iol") if stem == name or stem.startswith(f"{name}-")]
    if known:
        return max(known, key=len)
    return "iol" if re.match(r"(?i)(i86bi|x86_64_crb|L[23]-ADVENTERPRISE)", stem) else None


def _version_of(stem: str, template: str) -> str:
    rest = stem.removeprefix(template).lstrip("-")
    if not rest:
        raise UsageError(f"the image of {template} needs a version", fix="give --version TEXT: the directory is named by it")
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", rest)


def disk_files(template: str, sources: Sequence[str], said: Sequence[str] = ()) -> tuple[str, ...]:
    """The name of each file in the image's directory. Raises UsageError where their number does not fit the template."""
    if bad := [name for name in said if not DISK.fullmatch(name)]:
        raise UsageError(f"--disk {bad[0]} is not a name that EVE-NG knows", fix="such as hda, virtioa, sataa, scsia, megasasa, virtidea")
    discs = [name for name in sources if not name.lower().endswith(".iso")]
    if len(sources) - len(discs) > 1:
        raise UsageError("an image has one ISO, cdrom.iso, and several were given")
    named = [name for name in discs if _FILE.fullmatch(name)]
    known = data().disks.get(template)
    if said or len(named) < len(discs) or not discs:
        wanted = tuple(said) or known or (() if not discs else None)
        if wanted is None:
            fix = "give --disk NAME for each: the template's page at EVE-NG says it, such as virtioa"
            raise UsageError(f"it is not known here how the disks of {template} are named", fix=fix)
        if discs and len(wanted) != len(discs):
            what = f"an image of {template} has {len(wanted)} disks ({', '.join(wanted)}), and {len(discs)} were given"
            raise UsageError(what, fix="give them all, in this order; or --disk NAME for each")
        names = iter([f"{name}.qcow2" for name in wanted])
    else:
        names = iter(named)
    files = tuple(CDROM if name.lower().endswith(".iso") else next(names) for name in sources)
    if len(set(files)) < len(files):
        raise UsageError(f"two files would both be {max(files, key=files.count)}")
    disks = [name for name in files if DISK.match(name)]
    if disks and not any(_FIRST.fullmatch(name) for name in disks):
        raise UsageError(
            f"no disk of it is the first one: {', '.join(disks)}", why="A node boots from the one that ends in a, as hda does."
        )
    return files


def check_template(template: str, known: Collection[str]) -> None:
    """Raises UsageError for a template that the installed EVE-NG does not have."""
    if template not in known:
        close = difflib.get_close_matches(template, known, 3)
        why = f"Did you mean {' or '.join(close)}?" if close else ""
        raise UsageError(f"this EVE-NG has no template {template}", why=why, fix=f"it has {', '.join(sorted(known))}")


def problem(kind: Kind, name: str, files: Sequence[str], templates: Collection[str]) -> str:
    """Why EVE-NG does not see an image, or starts its nodes without a disk; "" where its names are right."""
    if kind == "qemu":
        if templates and not any(name.startswith(f"{template}-") for template in templates):
            return "its name begins with no template's"
        if not any(_FILE.fullmatch(file) for file in files):
            return f"no disk has a name that EVE-NG knows: {', '.join(files) or 'it is empty'}"
        return ""
    if kind == "iol":
        return "" if name == LICENCE or name.endswith(".bin") else "its name does not end in .bin"
    return "" if re.fullmatch(rf"(?:{'|'.join(data().dynamips)})-.+\.image", name) else "it is not named c7200-VERSION.image or alike"
