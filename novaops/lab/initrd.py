"""The initial RAM disk of a lab VM: a shell, the few modules its root disk needs, and the files that make it this host.

Debian's own initrd is 20 MB of things a known machine never asks for; under software emulation unpacking it costs
seconds at every boot. This one is about 3 MB, and because the kernel reads archives one after another, the files of
one host (its ssh host keys, its name) ride behind the archive that all hosts of an image share.
"""

from __future__ import annotations

import lzma
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from novaops.shell import sh_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

ROOT_MODULES = ("virtio_pci", "virtio_blk", "virtio_net")
"""What must be there before the root disk is: Debian's cloud kernel has ext4 and nvme built in, virtio not."""

INIT = f"#!/bin/busybox sh\n{sh_file(__package__, 'init.sh')}"


@dataclass(frozen=True)
class Entry:
    """One file of an archive: path without a leading slash, permissions (octal mode bits), content."""

    path: str
    content: bytes
    mode: int = 0o644


def archive(entries: Iterable[Entry]) -> bytes:
    """A cpio archive in the kernel's `newc` format, owned by root, with every parent directory."""
    parts: list[bytes] = []
    seen: set[str] = set()
    for entry in entries:
        for parent in _parents(entry.path):
            if parent not in seen:
                seen.add(parent)
                parts.append(_member(parent, b"", stat.S_IFDIR | _directory_mode(parent)))
        parts.append(_member(entry.path, entry.content, stat.S_IFREG | entry.mode))
    parts.append(_member("TRAILER!!!", b"", 0))
    blob = b"".join(parts)
    return blob + b"\0" * (-len(blob) % 512)


def boot_entries(init: str, busybox: bytes, modules: Path) -> Iterator[Entry]:
    """The part all hosts of an image share; `modules` is a copy of the kernel's /lib/modules/VERSION."""
    yield Entry("init", init.encode(), 0o755)
    yield Entry("bin/busybox", busybox, 0o755)
    for mount_point in ("dev", "proc", "sys", "root"):
        yield Entry(f"{mount_point}/.keep", b"")
    order: list[str] = []
    for relative in _load_order(modules, ROOT_MODULES):
        name = relative.rpartition("/")[2].removesuffix(".xz")
        content = (modules / relative).read_bytes()
        order.append(name)
        yield Entry(f"modules/{name}", lzma.decompress(content) if relative.endswith(".xz") else content)
    yield Entry("modules/order", ("\n".join(order) + "\n").encode())


def host_entries(files: Iterable[Entry]) -> Iterator[Entry]:
    """The part of one host: its files, to be laid over the root file system at the first boot."""
    for file in files:
        yield Entry(f"host/{file.path}", file.content, file.mode)


def _load_order(modules: Path, names: Iterable[str]) -> list[str]:
    """The files to insert, each after the ones it depends on (modules.dep lists those last-needed first)."""
    dependencies: dict[str, list[str]] = {}
    paths: dict[str, str] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, needs = line.partition(":")
        dependencies[path] = needs.split()
        paths[path.rpartition("/")[2].partition(".")[0].replace("-", "_")] = path
    order: dict[str, None] = {}
    for name in names:
        if name in paths:  # else it is built in
            order.update(dict.fromkeys([*reversed(dependencies[paths[name]]), paths[name]]))
    return list(order)


def _parents(path: str) -> list[str]:
    words = path.split("/")[:-1]
    return ["/".join(words[: depth + 1]) for depth in range(len(words))]


def _directory_mode(path: str) -> int:
    return 0o700 if path.endswith((".ssh", "host/root")) else 0o755


def _member(path: str, content: bytes, mode: int) -> bytes:
    name = path.encode() + b"\0"
    # magic; then inode, mode, uid, gid, links, mtime, size, four device numbers, name size, checksum: 8 hex digits each
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields) + name
    return _padded(header) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
