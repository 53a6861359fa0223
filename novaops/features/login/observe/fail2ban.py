"""What is seen of fail2ban: an address of the host's own is shut out of the host's own sshd, and let in again."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from novaops.verify.backend import output

if TYPE_CHECKING:
    from testinfra.host import Host

TRIES = 10
"""Enough for any jail worth its name, and too few for PerSourcePenalties to close the door first."""


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
    """Whether no connection came about. One that sshd itself takes and closes is none of fail2ban's work."""
    return said.startswith("ssh: connect to host") or "Connection timed out" in said


_BAN = f"""\
export LC_ALL=C
knock() {{
  echo knock
  said=$(timeout 4 ssh -F /dev/null -b "$1" -p %s -o BatchMode=yes -o ConnectTimeout=3 -o PreferredAuthentications=none \\
    -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null "novaops-nobody@$server" true 2>&1 </dev/null | tail -n 1)
}}
listed() {{ fail2ban-client get sshd banip | tr ' ' '\\n' | grep -qxF -- "$banned"; }}
let_in() {{ fail2ban-client set sshd unbanip "$banned" >/dev/null; }}
until_knock() {{ # SECONDS PATTERN: until what ssh says has it
  for _ in $(seq "$1"); do
    knock "$banned"; case $said in *$2*) break ;; esac
    sleep 1
  done
}}
server=%s banned=%s other=%s
trap let_in EXIT
trap exit HUP INT TERM
knock "$banned"; printf 'before %%s\\n' "$said"
for _ in $(seq {TRIES - 1}); do # no more than it takes: what fail2ban reads after the ban was taken off would count anew
  for _ in $(seq 10); do listed && break 2; echo wait; sleep 0.1; done
  knock "$banned"
done
for _ in $(seq 50); do listed && break; echo wait; sleep 0.2; done
listed && echo 'listed yes'
until_knock 3 'ssh: connect'; printf 'during %%s\\n' "$said"
knock "$other"; printf 'meanwhile %%s\\n' "$said"
let_in
until_knock 3 'Permission denied'; printf 'after %%s\\n' "$said"
"""
"""Every wait has an end, also ssh's own: a ban in the middle of its handshake leaves it waiting. What was done is undone however the
script ends, and it is never silent for long."""


def look(host: Host, server: str, port: str) -> Ban:
    """A real ban, of an address of the loopback that nobody else has. It is gone when this returns."""
    unit = dict(
        line.split("=", 1) for line in output(host, "systemctl show -p ActiveState,UnitFileState fail2ban.service").splitlines() if line
    )
    running, enabled = unit.get("ActiveState", ""), unit.get("UnitFileState", "")
    if not watches(host):
        return Ban(running, enabled, jail=False)
    network = f"127.77.{secrets.randbelow(256)}"
    banned, other = f"{network}.{1 + secrets.randbelow(200)}", f"{network}.222"
    if ignoring := next((word for word in ignored(host) if _covers(word, banned)), ""):
        return Ban(running, enabled, jail=True, address=banned, ignored=ignoring)
    said = dict(line.partition(" ")[::2] for line in output(host, _BAN, port, server, banned, other).splitlines())
    words = {name: said.get(name, "").strip() for name in ("before", "during", "after", "meanwhile")}
    return Ban(running, enabled, jail=True, address=banned, listed="listed" in said, **words)


def watches(host: Host) -> bool:
    """Whether fail2ban runs and has a jail for sshd."""
    return not host.run("fail2ban-client status sshd").rc


def ignored(host: Host) -> list[str]:
    """The addresses and networks that fail2ban never shuts out."""
    return [line[2:].strip() for line in output(host, "fail2ban-client get sshd ignoreip").splitlines() if line.startswith(("|-", "`-"))]


@contextmanager
def spared(host: Host, address: str) -> Iterator[None]:
    """Nothing counts against `address` meanwhile: fail2ban must not take who verifies it for a burglar."""
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
