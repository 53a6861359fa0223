"""A host of the inventory as ssh's own configuration knows it. Pure."""

from __future__ import annotations

from pathlib import Path

from novaops.inventory import Host


def block(host: Host) -> str:
    """One `Host` block of ssh_config(5)."""
    access = host.access
    keys = {
        "HostName": host.address,
        "Port": host.port or access.port,
        "User": access.user,
        "IdentityFile": access.identity and _quoted(access.identity),
        "IdentitiesOnly": "yes" if access.identity else None,
        "UserKnownHostsFile": access.known_hosts and _quoted(access.known_hosts),
    }
    return "\n".join([f"Host {host.name}", *(f"    {key} {value}" for key, value in keys.items() if value)])


def _quoted(file: str) -> str:
    path = str(Path(file).expanduser().absolute())
    return f'"{path}"' if " " in path else path
