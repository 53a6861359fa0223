"""The names that a tunnel has on its hosts: user, files, units. Pure."""

from __future__ import annotations

from hashlib import sha256

USER = "novaops-tunnel"
"""Runs the tunnel on the client, and is logged in to on the gateway. It has no shell."""

HOME = "/var/lib/novaops-tunnel"
FOLDER = "/etc/novaops/tunnel"
UNITS = "/etc/systemd/system"
SESSIONS_UNIT = "novaops-tunnels.service"
"""On a gateway of reverse tunnels."""

DROP_IN = "/etc/ssh/sshd_config.d/01-novaops-tunnel.conf"


def config_file(name: str, suffix: str) -> str:
    """A file of the tunnel on the client."""
    return f"{FOLDER}/{name}.{suffix}"


def key_file(name: str) -> str:
    return config_file(name, "key")


def unit(name: str, part: str = "", kind: str = "service") -> str:
    """The tunnel's unit; with `part` another one of it: check, or what tells the units of a local alias apart."""
    return f"novaops-tunnel-{name}{part and f'-{part}'}.{kind}"


def header(name: str) -> str:
    """The first line of each text file of a tunnel. The files of one tunnel are found by it."""
    return f"# managed by novaops: tunnel {name}"


def key_comment(client: str, name: str) -> str:
    """The end of the tunnel's line in the gateway's authorized_keys."""
    return f"novaops:{client}/{name}"


def hosts_comment(name: str) -> str:
    """The end of the tunnel's lines in the client's /etc/hosts."""
    return f"# novaops tunnel {name}"


def alias_address(word: str) -> str:
    """A loopback address derived from `word`, always the same for the same word: 127.86.x.y."""
    one, other = sha256(word.encode()).digest()[:2]
    return f"127.86.{one}.{max(1, min(other, 254))}"


def probe_place(word: str) -> tuple[str, int]:
    """Such an address, and a port derived from it as `word` is: who listens on all addresses of a host mostly does so at a port below, or
    at one that the kernel gives, above 32767.
    """
    return alias_address(word), 20_000 + int.from_bytes(sha256(word.encode()).digest()[2:4]) % 10_000
