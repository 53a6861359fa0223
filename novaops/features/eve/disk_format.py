"""What a file of an image is, by its first and last bytes, and whether it is whole. Pure."""

from __future__ import annotations

import re
import struct
from typing import Literal

from novaops.shell import lines_of

Format = Literal["qcow2", "vmdk", "vpc", "vhdx", "vdi", "ova", "iso", "raw", "elf", "zip", "licence", "unknown"]
"""As qemu-img names them, where it knows them."""

HEAD = 40_960
"""Bytes of the beginning that are looked at: an ISO has its mark at 32769."""
TAIL = 512

CONVERTED = {"vmdk", "vpc", "vhdx", "vdi", "raw"}
"""What EVE-NG gets as qcow2."""

_MARKS: tuple[tuple[Format, int, bytes], ...] = (
    ("qcow2", 0, b"QFI\xfb"),
    ("vmdk", 0, b"KDMV"),
    ("vmdk", 0, b"# Disk DescriptorFile"),
    ("vhdx", 0, b"vhdxfile"),
    ("vdi", 64, b"\x7f\x10\xda\xbe"),
    ("vpc", 0, b"conectix"),
    ("ova", 257, b"ustar"),
    ("iso", 32769, b"CD001"),
    ("elf", 0, b"\x7fELF"),
    ("zip", 0, b"PK\x03\x04"),
    ("licence", 0, b"[license]"),
)
_BOOT_SIGNATURE = b"\x55\xaa"
_CLUSTERS = range(9, 22)
_ENTRY = 8


def format_of(head: bytes, tail: bytes) -> Format:
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
        _, version, backing, _, bits, _, _, entries, table = struct.unpack_from(">4sIQIIQIIQ", head)
    except struct.error:
        return "its header is cut off"
    if version not in {2, 3} or bits not in _CLUSTERS:
        return "its header makes no sense"
    if backing:
        return "it is only a layer over another file; qemu-img convert makes one of both"
    if table + entries * _ENTRY > size:
        return "it is cut off"
    return ""


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
