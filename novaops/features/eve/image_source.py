"""The files of an image on the operator's machine: looked at, checked, and made what EVE-NG takes, before anything is sent."""

from __future__ import annotations

import hashlib
import lzma
import re
import shutil
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Self, cast

from novaops.errors import Refused, UsageError
from novaops.features.eve.disk_format import CONVERTED, HEAD, TAIL, Format, damage, format_of, licence_damage, other_file
from novaops.features.eve.image_names import CDROM, LICENCE, ImageName, Said, image_name

_CHUNK = 1 << 20
_LEAKS = 3
"""qemu-img check: clusters are lost, and nothing else is wrong."""
_NOT_CHECKED = 63

_ONE_OF_BOTH = "qemu-img convert -O qcow2 FILE NEW.qcow2"

Tell = Callable[[str], None]

_DISK = re.compile(r"\.(vmdk|vhd|vhdx|vdi|qcow2|img|raw)$", re.IGNORECASE)
"""A disk in an appliance, by its name."""


@dataclass(frozen=True)
class Source:
    """One file as it was given, or as it was unpacked."""

    path: Path
    label: str
    """Its name, for messages; within a directory DIRECTORY/NAME."""
    format: Format

    @property
    def size(self) -> int:
        return self.path.stat().st_size


@dataclass(frozen=True)
class Part:
    """One file as it is sent."""

    name: str
    path: Path
    size: int
    sha256: str
    convert: Format | None
    """What the host has to convert it from; None: it is sent as it stays."""
    checked: bool
    """Whether qemu-img has looked at it here."""


@dataclass(frozen=True)
class Prepared:
    name: ImageName
    sources: Sequence[Source]


class ImageSource:
    """The files given. A context manager: what was unpacked or converted is in a directory that is gone at the end."""

    def __init__(self, files: Sequence[Path], said: Said, tell: Tell = lambda _: None) -> None:
        self.files, self.said, self._tell = files, said, tell
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def look(self) -> Prepared:
        """What the files are, and how they are to be named. Raises UsageError, and Refused for a file that is damaged."""
        sources = [source for file in self.files for source in self._unpacked(file)]
        name = image_name([source.label for source in sources], self.said)
        for source, file in zip(sources, name.files, strict=True):
            _check_kind(source, name, file)
        return Prepared(name, sources)

    def parts(self, prepared: Prepared) -> Iterator[Part]:
        """Each file, checked, converted and summed. Raises Refused for a damaged one."""
        qemu_img = shutil.which("qemu-img")
        for source, name in zip(prepared.sources, prepared.name.files, strict=True):
            path, convert, checked = source.path, None, False
            if prepared.name.kind == "qemu" and source.format in {"qcow2", *CONVERTED}:
                if qemu_img:
                    path, checked = self._as_qcow2(qemu_img, source), True
                elif source.format != "qcow2":
                    convert = source.format
            elif prepared.name.kind == "dynamips" and (source.format == "zip" or zipfile.is_zipfile(source.path)):
                path = self._unzipped(source)
            self._tell(f"summing {source.label}")
            yield Part(name, path, path.stat().st_size, _sha256(path), convert, checked)

    def _scratch(self) -> Path:
        return Path(self._stack.enter_context(TemporaryDirectory(prefix="novaops-")))

    def _unpacked(self, file: Path) -> list[Source]:
        if file.is_dir():
            inside = sorted(path for path in file.iterdir() if path.is_file() and not path.name.startswith("."))
            if not inside:
                raise UsageError(f"{file} has no files")
            return [_source(path, f"{file.resolve().name}/{path.name}") for path in inside]
        source = _source(file, file.name)
        return self._from_ova(source) if source.format == "ova" else [source]

    def _from_ova(self, source: Source) -> list[Source]:
        """The disks of an appliance, in the order in which its description names them."""
        self._tell(f"unpacking {source.label}")
        scratch = self._scratch()
        try:
            with tarfile.open(source.path) as archive:
                members = {member.name: member for member in archive.getmembers() if member.isfile()}
                described = next((name for name in members if name.lower().endswith(".ovf")), None)
                read = archive.extractfile(members[described]) if described else None
                text = read.read().decode("utf-8", "replace") if read else ""
                named = dict.fromkeys(re.findall(r'href="([^"]+)"', text))
                disks = [name for name in (*named, *sorted(set(members) - set(named))) if name in members and _DISK.search(name)]
                for number, disk in enumerate(disks):  # a name in an archive may be any path
                    with (scratch / str(number)).open("wb") as file:
                        shutil.copyfileobj(cast("IO[bytes]", archive.extractfile(members[disk])), file, _CHUNK)
        except (tarfile.TarError, *_BROKEN) as error:
            raise _not_unpacked(source, error) from error
        if not disks:
            raise Refused(f"{source.label} has no disk in it", why=f"It has {', '.join(members) or 'nothing'}.")
        stem = source.path.stem
        labels = [stem] if len(disks) == 1 else [f"{stem}/{Path(disk).name}" for disk in disks]
        return [_source(scratch / str(number), label) for number, label in enumerate(labels)]

    def _as_qcow2(self, qemu_img: str, source: Source) -> Path:
        self._tell(f"checking {source.label}")
        done = _run(qemu_img, "check", "-f", source.format, str(source.path))
        if done.returncode not in {0, _LEAKS, _NOT_CHECKED}:
            said = (done.stdout + done.stderr).strip()
            raise Refused(f"{source.label} is damaged: nothing was sent", why=said[-500:], fix="copy or download it again")
        if source.format == "qcow2":
            return source.path
        self._tell(f"converting {source.label} to qcow2")
        made = self._scratch() / "disk.qcow2"
        done = _run(qemu_img, "convert", "-f", source.format, "-O", "qcow2", str(source.path), str(made))
        if done.returncode:
            raise Refused(f"{source.label} cannot be converted: nothing was sent", why=done.stderr.strip()[-500:])
        return made

    def _unzipped(self, source: Source) -> Path:
        self._tell(f"unpacking {source.label}")
        made = self._scratch() / "image"
        try:
            with zipfile.ZipFile(source.path) as archive, made.open("wb") as file:
                names = archive.namelist()
                if len(names) != 1:
                    what = f"{source.label} has {'several files' if names else 'nothing'} in it"
                    raise Refused(what, why=f"It has {', '.join(names[:5])}." if names else "")
                with archive.open(names[0]) as packed:
                    shutil.copyfileobj(packed, file, _CHUNK)
        except (zipfile.BadZipFile, *_BROKEN) as error:
            raise _not_unpacked(source, error) from error
        return made


_BROKEN = (OSError, EOFError, RuntimeError, ValueError, struct.error, zlib.error, lzma.LZMAError)
"""What an archive raises that is cut off or damaged, has a password, or is packed in a way that Python does not know."""


def _not_unpacked(source: Source, error: Exception) -> Refused:
    what = f"{source.label} cannot be unpacked: nothing was sent"
    return Refused(what, why=str(error), fix="copy or download it again, or unpack it yourself")


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, errors="replace")


def _source(path: Path, label: str) -> Source:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
            size = path.stat().st_size
            file.seek(max(0, size - TAIL))
            tail = file.read(TAIL)
    except OSError as error:
        raise UsageError(f"the image cannot be read: {path}", why=error.strerror or str(error)) from None
    kind = format_of(head, tail)
    if why := damage(kind, head, size):
        raise Refused(f"{label} is damaged: nothing was sent", why=f"{why[0].upper()}{why[1:]}.", fix="copy or download it again")
    if why := other_file(kind, head, tail):
        what = f"{label} does not stand alone: nothing was sent"
        raise Refused(what, why=f"{why[0].upper()}{why[1:]}.", fix=f"if you trust it, {_ONE_OF_BOTH} makes one file of both")
    return Source(path.absolute(), label, kind)


def _check_kind(source: Source, name: ImageName, file: str) -> None:
    """Raises Refused for a file that cannot be what it is named. `file`: its name in the image's directory."""
    if name.name == LICENCE:
        why = licence_damage(source.path.read_text("utf-8", "replace"))
        if why:
            raise Refused(f"{source.label} is no licence file of IOL", why=f"{why[0].upper()}{why[1:]}.")
        return
    allowed = {"qemu": {"qcow2", "iso", *CONVERTED}, "iol": {"elf"}, "dynamips": {"elf", "zip", "raw", "unknown"}}[name.kind]
    if source.format not in allowed:
        what = "nothing that is known here" if source.format == "unknown" else source.format
        raise Refused(f"{source.label} is no image of {name.template}: it is {what}", fix="images are qcow2, vmdk, vhd, ova, raw or iso")
    if (source.format == "iso") != (file == CDROM) and name.kind == "qemu":
        contents = "an ISO" if source.format == "iso" else str(source.format)
        raise Refused(
            f"{source.label} is {contents}, and EVE-NG would take it for {'a disk' if file != CDROM else 'a disc'}",
            why=f"By its name it would become {file}.",
            fix="give it a name that ends as its contents are: .iso for an ISO alone",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
