"""A real sshd of this machine, for the test alone: a port on 127.0.0.1, keys of its own, and nothing of the system's configuration."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from novaops.lab.process import wait_until

PROGRAM = "/usr/sbin/sshd"

CONFIGURATION = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/identity.pub
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
UsePAM no
MaxStartups 2000
PidFile none
"""


@dataclass(frozen=True)
class PrivateSshd:
    """Who logs in is root on this machine: what is run there only looks, or keeps to the test's folder."""

    folder: Path
    port: int
    address: str = "127.0.0.1"

    @property
    def identity(self) -> Path:
        return self.folder / "identity"

    @property
    def host_key(self) -> str:
        return (self.folder / "host_key.pub").read_text("utf-8")


@contextmanager
def private_sshd(folder: Path) -> Iterator[PrivateSshd]:
    for name in ("host_key", "identity"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], stdin=subprocess.DEVNULL, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    (folder / "sshd_config").write_text(CONFIGURATION.format(port=port, folder=folder), "utf-8")
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # noqa: PTH103 - sshd wants it, and only root can be here
    with (
        (folder / "sshd.log").open("wb") as log,
        subprocess.Popen([PROGRAM, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log) as sshd,
    ):
        try:
            assert wait_until(lambda: _listens(port), 30), (folder / "sshd.log").read_text("utf-8")
            yield PrivateSshd(folder, port)
        finally:
            sshd.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0
