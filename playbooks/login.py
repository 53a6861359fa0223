"""login: who may log in over ssh by password. Keys work as before."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from novaops.engine.desired import HostView, Peers
from novaops.features.login.facts.later_jails import JAIL_FILE
from novaops.features.login.resources.jail import JailPreconditions
from novaops.features.login.resources.password import Password
from novaops.features.login.resources.password_login import PasswordLogin
from novaops.features.login.settings import Beside, Settings
from novaops.model.plan import Resource
from novaops.resources.file import File
from novaops.resources.package import Package
from novaops.resources.unit import Unit
from novaops.resources.user import User
from novaops.secret import Secret

__all__ = ["Beside", "Settings", "desired", "prepare"]

JAIL = """\
# managed by novaops (novaops login)
[sshd]
enabled = true
backend = systemd
journalmatch = _UID=0 _COMM=sshd + _UID=0 _COMM=sshd-session
banaction = nftables[type=allports]
ignoreself = true
maxretry = 5
findtime = 10m
bantime = 10m
"""
"""The journal instead of /var/log/auth.log, which Debian has no more; of it what sshd itself wrote, whatever its unit is called: with the
package's own match a program that some user named sshd could have anybody shut out. Every port, for sshd may listen anywhere."""

RESTART = 'fail2ban-client -t >/dev/null && exec systemctl restart fail2ban.service; [ ! -e "$1" ] && exec systemctl stop fail2ban.service'
"""When the file is taken away again, what is left may not start: Debian 12's own jail wants a log that is not there."""


@dataclass(frozen=True)
class Resolved:
    """The section with its passwords."""

    settings: Settings
    passwords: Mapping[str, Secret]
    """By user."""


def prepare(host: HostView, settings: Settings) -> Resolved:
    """Read the passwords where the section says they are. Raises UsageError, or Refused for one that is too weak."""
    del host
    return Resolved(settings, settings.passwords())


def desired(host: HostView, resolved: Resolved, peers: Peers) -> Iterator[Resource]:
    del host, peers
    settings, passwords = resolved.settings, resolved.passwords
    if settings.fail2ban:
        yield JailPreconditions()
        # Before passwords count, not after.
        yield from (Package("nftables"), Package("python3-systemd"), Package("fail2ban"))
        yield File(JAIL_FILE, JAIL, then=("sh", "-c", RESTART, "restart", JAIL_FILE))
        yield Unit("fail2ban.service", comes_with_package="fail2ban")
    for user, password in passwords.items():
        yield User(user)
        yield Password(user, password, secrets.token_hex(8))
    if settings.grants or settings.others == "denied":
        yield PasswordLogin(settings.grants, settings.others == "denied", settings.keeps, tuple(passwords.items()))
