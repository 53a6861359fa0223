"""The programs that the lab needs on this machine, and the error that names the missing ones."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

from novaops.errors import NovaopsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from novaops.lab.recipe import Kind

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Searched beside PATH: an ordinary user's has no sbin, where mke2fs is."""

_EVERYWHERE = {"mmdebstrap": "mmdebstrap", "ssh": "openssh-client", "ssh-keygen": "openssh-client"}
_PACKAGE_OF: dict[Kind, dict[str, str]] = {
    "vm": {**_EVERYWHERE, "qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "mke2fs": "e2fsprogs"},
    "container": {**_EVERYWHERE, "systemd-nspawn": "systemd-container", "nft": "nftables", "ip": "iproute2"},
}


def program(name: str) -> str:
    """The path of a program, looked for in PATH and the system's own directories; its bare name when it is nowhere."""
    return find(name) or name


def find(name: str) -> str | None:
    """The path of a program, or None."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":" + SYSTEM_PATH)


def missing_packages(kind: Kind, which: Callable[[str], str | None] = find) -> dict[str, str]:
    """Program -> Debian package, for each program that a host of this kind needs and that is not there."""
    return {name: package for name, package in _PACKAGE_OF[kind].items() if which(name) is None}


def require(kind: Kind) -> None:
    """Raises an error that names all that this machine lacks for a host of this kind."""
    if not sys.platform.startswith("linux"):
        raise UsageError("the lab needs Linux", why="it makes its hosts with qemu and systemd-nspawn")
    missing = missing_packages(kind)
    if missing:
        raise NovaopsError(
            f"a {kind} of the lab needs {', '.join(sorted(missing))}, which this machine does not have",
            fix=f"sudo apt-get install --no-install-recommends {' '.join(sorted(set(missing.values())))}",
        )
    if kind == "container" and os.geteuid() != 0:
        raise NovaopsError(
            "containers of the lab need root",
            why="systemd-nspawn, the bridge and the overlay mounts do",
            fix="run it with sudo, or use `--kind vm`, which needs no root",
        )
