"""What a tunnel is called on its hosts: users, files, units. Pure."""

from __future__ import annotations

from hashlib import sha256

USER = "novaops-tunnel"
"""On the client it runs the tunnel, on the gateway it is logged in as. Nobody gets a shell as it."""

HOME = "/var/lib/novaops-tunnel"
FOLDER = "/etc/novaops/tunnel"
UNITS = "/etc/systemd/system"
DROP_IN = "/etc/ssh/sshd_config.d/01-novaops-tunnel.conf"


def own(name: str, suffix: str) -> str:
    """A file of the tunnel's on the client."""
    return f"{FOLDER}/{name}.{suffix}"


def key(name: str) -> str:
    return own(name, "key")


def unit(name: str, part: str = "", kind: str = "service") -> str:
    """Its unit, or one that goes with it: check, or the port of a listener for unchanged clients."""
    return f"novaops-tunnel-{name}{part and f'-{part}'}.{kind}"


def head(name: str) -> str:
    """The first line of each file of a tunnel's that is text. By it the files of one tunnel are found."""
    return f"# managed by novaops: tunnel {name}"


def comment(client: str, name: str) -> str:
    """The end of the tunnel's line in the gateway's authorized_keys."""
    return f"novaops:{client}/{name}"


def hosts_mark(name: str) -> str:
    """The end of the tunnel's line in the client's /etc/hosts."""
    return f"# novaops tunnel {name}"


def own_address(word: str) -> str:
    """A loopback address of its own, always the same for the same word: 127.86.x.y."""
    one, other = sha256(word.encode()).digest()[:2]
    return f"127.86.{one}.{max(1, min(other, 254))}"
