"""The lab's ssh keys: one for whoever logs in, one for each host, made here, so that nobody has to trust on first use."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from novaops.errors import NovaopsError
from novaops.lab.requirements import program

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY = "id_ed25519"
HOST_KEY = "ssh_host_ed25519_key"


def ensure_key(path: Path, comment: str) -> str:
    """The public half (one line) of the ed25519 key at `path`, made now (mode 0600) if it is not there."""
    public = path.with_name(path.name + ".pub")
    if not public.exists():
        path.unlink(missing_ok=True)  # the half of a pair that was cut short
        command = [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NovaopsError(f"ssh-keygen could not make {path}", why=(done.stderr or done.stdout).strip())
    return public.read_text().strip()


def known_hosts_line(address: str, port: int, public_key: str) -> str:
    """The line of a known_hosts file for a host; the port is part of the name unless it is 22."""
    name = address if port == 22 else f"[{address}]:{port}"  # noqa: PLR2004  # ssh's port
    kind, key = public_key.split()[:2]
    return f"{name} {kind} {key}"
