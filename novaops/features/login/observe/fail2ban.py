"""What is observed of fail2ban: an address of the host's own is banned from the host's own sshd, and unbanned again."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from novaops.shell import join, lines_of, sh_file
from novaops.verify import output

if TYPE_CHECKING:
    from testinfra.host import Host

TRIES = 10
"""Failed logins: enough for any usual jail, and too few for sshd's PerSourcePenalties to refuse the address first."""


@dataclass(frozen=True)
class Ban:
    running: str
    """What systemd says of fail2ban now; "active" is right."""
    enabled: str
    """And of the next boot; "enabled" is right."""
    jail: bool
    """Whether it watches sshd."""
    address: str = ""
    """The one that failed again and again."""
    ignored: str = ""
    """What on fail2ban's list of the ignored covers that address: then no ban could be tried."""
    listed: bool = False
    before: str = ""
    """What ssh said from the address at first, while it was banned, and after the ban was taken off; from another one meanwhile."""
    during: str = ""
    after: str = ""
    meanwhile: str = ""


def served(said: str) -> bool:
    """Whether sshd answered, by what ssh said in the end: it offers methods, and none of them is `none`."""
    return "Permission denied" in said


def shut_out(said: str) -> bool:
    """Whether there was no connection at all. One that sshd accepts and closes is not fail2ban's work."""
    return said.startswith("ssh: connect to host") or "Connection timed out" in said


_BAN = sh_file(__package__, "fail2ban.sh")


def observe(host: Host, server: str, port: str) -> Ban:
    """A real ban, of an address of the loopback that nobody else uses. It is lifted when this returns."""
    unit = dict(
        line.split("=", 1) for line in lines_of(output(host, "systemctl show -p ActiveState,UnitFileState fail2ban.service")) if line
    )
    running, enabled = unit.get("ActiveState", ""), unit.get("UnitFileState", "")
    if not watches(host):
        return Ban(running, enabled, jail=False)
    network = f"127.77.{secrets.randbelow(256)}"
    banned, other = f"{network}.{1 + secrets.randbelow(200)}", f"{network}.222"
    if ignoring := next((word for word in ignored(host) if _covers(word, banned)), ""):
        return Ban(running, enabled, jail=True, address=banned, ignored=ignoring)
    arguments = join((port, server, banned, other, str(TRIES)))
    said = dict(line.partition(" ")[::2] for line in lines_of(output(host, f"set -- {arguments}\n{_BAN}")))
    words = {name: said.get(name, "").strip() for name in ("before", "during", "after", "meanwhile")}
    return Ban(running, enabled, jail=True, address=banned, listed="listed" in said, **words)


def watches(host: Host) -> bool:
    """Whether fail2ban runs and has a jail for sshd."""
    return not host.run("fail2ban-client status sshd").rc


def ignored(host: Host) -> list[str]:
    """The addresses and networks that fail2ban never bans."""
    return [line[2:].strip() for line in lines_of(output(host, "fail2ban-client get sshd ignoreip")) if line.startswith(("|-", "`-"))]


@contextmanager
def spared(host: Host, address: str) -> Iterator[None]:
    """Nothing counts against `address` meanwhile: fail2ban must not ban the verifying machine."""
    if not watches(host) or any(_covers(word, address) for word in ignored(host)):
        yield
        return
    output(host, "fail2ban-client set sshd addignoreip %s", address)
    try:
        yield
    finally:
        output(host, "fail2ban-client set sshd delignoreip %s", address)


def _covers(word: str, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(word, strict=False)
    except ValueError:  # a name
        return False
