"""Checking a server's host key against known_hosts."""

from __future__ import annotations

from pathlib import Path

from novaops.errors import ChangedHostKey, UnknownHostKey
from novaops.shell import quote
from novaops.ssh import known_hosts
from novaops.ssh.target import Target


def known_hosts_files(target: Target, configured: str = "") -> list[Path]:
    """The known_hosts files for a target: the inventory's, else those of ssh_config, else the two defaults of ssh."""
    if target.known_hosts:
        return [Path(target.known_hosts)]
    if configured:
        return [Path(name) for name in configured.split()]
    return [known_hosts.USER_FILE, known_hosts.SYSTEM_FILE]


def check_host_key(target: Target, host: str, key_type: str, key: bytes, files: list[Path]) -> None:
    """Raises UnknownHostKey or ChangedHostKey where the key is not a known one of `host`."""
    found = known_hosts.matching(host, known_hosts.entries(files))
    revoked = next((e for e in found if e.marker == "@revoked" and e.key == key), None)
    if revoked:
        raise ChangedHostKey(
            f"the host key of {target} is revoked",
            why=f"{known_hosts.fingerprint(key)} is marked @revoked in {revoked.where}.",
            fix="do not connect to it",
        )
    plain = [entry for entry in found if not entry.marker]
    if any(entry.key == key for entry in plain):
        return
    if not plain:
        raise UnknownHostKey(
            f"the host key of {target} is not known",
            why=f"It shows {key_type} {known_hosts.fingerprint(key)}.",
            fix=f"compare that with what the provider's console prints, then: novaops host trust {target.name}",
        )
    old = next((entry for entry in plain if entry.key_type == key_type), plain[0])
    raise ChangedHostKey(
        f"the host key of {target} has changed",
        why=f"Known: {old.key_type} {known_hosts.fingerprint(old.key)} ({old.where}). "
        f"It shows: {key_type} {known_hosts.fingerprint(key)}. Either the machine was made anew, or someone is in between.",
        fix=f"if it was made anew: ssh-keygen -R {quote(host)} -f {quote(str(old.file))}, then novaops host trust {target.name}",
    )
