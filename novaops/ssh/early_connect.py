"""A TCP connection that is opened while the ssh library loads: on a link of 200 ms that saves a tenth of the time of a check."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

from novaops.ssh.target import Target

_CONFIGURATIONS = (Path("~/.ssh/config"), Path("/etc/ssh/ssh_config"))
"""The files that Fabric reads. It does not follow Include."""

_REDIRECTS = re.compile(r"^\s*(hostname|port|proxyjump|proxycommand|match)\b", re.IGNORECASE | re.MULTILINE)


def early_connect(target: Target) -> Future[socket.socket] | None:
    """A connection to the target's address, being opened; None where the configuration of ssh or Fabric might lead elsewhere."""
    if any(_redirects(file.expanduser()) for file in _CONFIGURATIONS) or any(_fabric_files()):
        return None
    early: Future[socket.socket] = Future()

    def connect() -> None:
        try:
            early.set_result(socket.create_connection((target.address, target.port or 22), target.timeout))
        except OSError as error:
            early.set_exception(error)

    threading.Thread(target=connect, name=f"connect {target.name}", daemon=True).start()
    return early


def _fabric_files() -> Iterator[Path]:
    yield from Path("/etc").glob("fabric.*")
    yield from Path.home().glob(".fabric.*")


def _redirects(file: Path) -> bool:
    try:
        return bool(_REDIRECTS.search(file.read_text("utf-8", "replace")))
    except OSError:
        return False
