"""What a file of an image is, by its first and last bytes, and whether it is whole. Pure."""

from __future__ import annotations

import re
import struct
from typing import Literal

from novaops.shell import lines_of

Format = Literal["qcow2", "vmdk", "vpc", "vhdx", "vdi", "ova", "iso", "raw", "elf", "zip", "licence", "qed", "unknown"]
"""As qemu-img names them, where it knows them."""

HEAD = 40_960
"""Bytes of the beginning that are looked at: an ISO has its mark at 32769."""
TAIL = 512

CONVERTED = {"vmdk", "vpc", "vhdx", "vdi", "raw"}
"""What EVE-NG gets as qcow2."""

_MARKS: tuple[tuple[Format, int, bytes], ...] = (
    ("qcow2", 0, b"QFI\xfb"),
    ("vmdk", 0, b"KDMV"),
    ("vmdk", 0, b"COWD"),
    ("qed", 0, b"QED\0"),
    ("vhdx", 0, b"vhdxfile"),
    ("vdi", 64, b"\x7f\x10\xda\xbe"),
    ("vpc", 0, b"conectix"),
    ("ova", 257, b"ustar"),
    ("iso", 32769, b"CD001"),
    ("elf", 0, b"\x7fELF"),
    ("zip", 0, b"PK\x03\x04"),
    ("licence", 0, b"[license]"),
)
_DESCRIPTOR = re.compile(rb"# Disk DescriptorFile|(?:#[^\n]*\n| +\r?\n)*version=[123]\r?\n")
"""What qemu takes for a vmdk that is only text: the names of files which have its data."""
_BOOT_SIGNATURE = b"\x55\xaa"
_CLUSTERS = range(9, 22)
_ENTRY = 8


def format_of(head: bytes, tail: bytes) -> Format:
    if _DESCRIPTOR.match(head):
        return "vmdk"
    for kind, at, mark in _MARKS:
        if head[at : at + len(mark)] == mark:
            return kind
    if tail.startswith(b"conectix"):
        return "vpc"
    return "raw" if head[510:512] == _BOOT_SIGNATURE else "unknown"


def damage(kind: Format, head: bytes, size: int) -> str:
    """What is wrong with the file, as far as its header tells; "" for nothing. qemu-img looks deeper."""
    if size == 0:
        return "it is empty"
    return _qcow2_damage(head, size) if kind == "qcow2" else ""


def _qcow2_damage(head: bytes, size: int) -> str:
    try:
        _, version, _, _, bits, _, _, entries, table = struct.unpack_from(">4sIQIIQIIQ", head)
    except struct.error:
        return "its header is cut off"
    if version not in {2, 3} or bits not in _CLUSTERS:
        return "its header makes no sense"
    if table + entries * _ENTRY > size:
        return "it is cut off"
    return ""


_LAYER = "it is only a layer over another file"
_DATA_ELSEWHERE = "its data are in another file, which it names"
_DATA_FILE = 1 << 2
"""Among the incompatible features of a qcow2."""
_VMDK_TEXT = slice(512, 512 + 20 * 512)
"""Where qemu looks for the parent of a vmdk."""
_DIFFERENCING = 4
"""The type of a vpc and of a vdi that has a parent."""


def other_file(kind: Format, head: bytes, tail: bytes) -> str:
    """How the image leads to another file, which qemu would read as well; "" for none. A vhdx that does qemu refuses by itself."""
    if kind == "qcow2":
        backing, features = _big(head, 8, 8), _big(head, 72, 8) if _big(head, 4, 4) > 2 else 0  # noqa: PLR2004 - a version
        return _LAYER if backing else _DATA_ELSEWHERE if features & _DATA_FILE else ""
    if kind == "vmdk":
        capacity = head[12:20].strip(b"\0")
        if b"parentFileNameHint" in head[_VMDK_TEXT]:
            return _LAYER
        return "" if head.startswith(b"COWD") or (head.startswith(b"KDMV") and capacity) else _DATA_ELSEWHERE
    if kind == "vpc":
        return _LAYER if _DIFFERENCING in {_big(head, 60, 4), _big(tail, 60, 4)} else ""
    return _LAYER if kind == "vdi" and head[76:80] == _DIFFERENCING.to_bytes(4, "little") else ""


def _big(data: bytes, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], "big")


_LICENCE_LINE = re.compile(r"[A-Za-z0-9._-]+\s*=\s*[0-9a-fA-F]{16};")


def licence_damage(text: str) -> str:
    """What is wrong with the form of an IOL licence file; whether the licence is a right one is not looked at."""
    lines = [line.strip() for line in lines_of(text) if line.strip() and not line.strip().startswith("#")]
    if not lines or lines[0] != "[license]":
        return "it does not begin with [license]"
    wrong = [line for line in lines[1:] if not _LICENCE_LINE.fullmatch(line)]
    if len(lines) == 1 or wrong:
        return "it needs lines of the form HOSTNAME = 16 hexadecimal digits;"
    return ""
