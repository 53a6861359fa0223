"""A host of the inventory as ssh's own configuration knows it."""

from __future__ import annotations

import re
from pathlib import Path

from novaops.engine.inventory import Host
from novaops.engine.templates import Templates
from novaops.ssh.client_config import quoted


def block(host: Host, templates: Templates) -> str:
    """One `Host` block of ssh_config(5), without its final newline."""
    identity, known_hosts = (_quoted(file) if file else "" for file in (host.access.identity, host.access.known_hosts))
    port = host.port or host.access.port
    return templates.render("host/ssh_config.j2", host=host, port=port, identity=identity, known_hosts=known_hosts).rstrip("\n")


def _quoted(file: str) -> str:
    path = str(Path(file).expanduser().absolute())
    return path if re.fullmatch(r"[A-Za-z0-9_./+,@:-]+", path) else quoted(path)
