"""The one file of sshd's configuration that novaops owns: who may log in by password. Written and read. Pure.

Its name sorts first. Outside of Match blocks the first value of a keyword counts, so a drop-in that sorts last has no effect.
A Match block overrides everything outside of one, and of several blocks the first counts (sshd_config(5)). So each grant is a
Match block, and so is what is denied to everybody else.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

FOLDER = "/etc/ssh/sshd_config.d"
DROP_IN = f"{FOLDER}/00-novaops.conf"
MAIN = "/etc/ssh/sshd_config"

EVERYONE = "*"
"""Everybody but root."""

ANYBODY = "nobody"
"""The user that sshd is asked about for what holds for everyone: every host has this account, and no inventory names it."""

_NOBODYS = ("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1")
"""Addresses for documentation (RFC 5737, RFC 3849): no login comes from them."""

NAMES = {"passwordauthentication": "PasswordAuthentication", "kbdinteractiveauthentication": "KbdInteractiveAuthentication"}
KEYWORDS = tuple(NAMES)
"""Always set together: with PAM, keyboard-interactive asks for the same password. Without PAM it asks for nothing and lets nobody in, so
that it is not offered there."""

_HEAD = """\
# managed by novaops: who may log in by password (novaops login). What is changed here by hand is lost.
"""

_INCLUDE = f"""\
# novaops: its own settings first, for of several values sshd takes the first one
Include {DROP_IN}
"""


@dataclass(frozen=True)
class Grant:
    """Somebody may log in by password."""

    who: str
    """A user, or EVERYONE."""
    addresses: tuple[str, ...] = ()
    """Networks to log in from; none: from everywhere."""

    def __str__(self) -> str:
        return f"{self.name} from {', '.join(self.addresses)}" if self.addresses else self.name

    @property
    def name(self) -> str:
        return "everybody but root" if self.who == EVERYONE else self.who

    @property
    def pattern(self) -> str:
        return "*,!root" if self.who == EVERYONE else self.who

    @property
    def account(self) -> str:
        """Whom sshd is asked about."""
        return ANYBODY if self.who == EVERYONE else self.who

    @property
    def asked(self) -> tuple[str, ...]:
        """The addresses that sshd is asked about: one in each network and one in none; "" for where the question comes from."""
        if not self.addresses:
            return ("",)
        inside = [str(next(ipaddress.ip_network(network).hosts())) for network in self.addresses]
        return (*inside, *[address for address in _NOBODYS if not self.covers(address)][:1])

    def covers(self, address: str) -> bool:
        """Whether it holds for who comes from there."""
        plain = address.partition("%")[0]
        return not self.addresses or any(plain and ipaddress.ip_address(plain) in ipaddress.ip_network(n) for n in self.addresses)

    def answer(self, address: str) -> str:
        """What sshd must say to passwords from there."""
        return "yes" if self.covers(address) else "no"


@dataclass(frozen=True)
class DropIn:
    grants: tuple[Grant, ...] = ()
    others_denied: bool = False
    """Whether nobody else may."""
    pam: bool = True
    """Whether this sshd asks PAM by keyboard-interactive."""

    def over(self, before: DropIn) -> DropIn:
        """Beside what `before` has for others."""
        own = {grant.who for grant in self.grants}
        kept = tuple(grant for grant in before.grants if grant.who not in own)
        return DropIn(_ordered((*kept, *self.grants)), self.others_denied or before.others_denied, self.pam)

    def text(self) -> str:
        blocks = [_HEAD]
        if self.others_denied:
            blocks.append(_both("no", indent=""))
        for grant in _ordered(self.grants):
            addresses = f" Address {','.join(grant.addresses)}" if grant.addresses else ""
            root = "    PermitRootLogin yes\n" if grant.who == "root" else ""
            blocks.append(f"Match User {grant.pattern}{addresses}\n{_both('yes', pam=self.pam)}{root}")
            if grant.addresses:
                blocks.append(f"Match User {grant.pattern}\n{_both('no')}")
        if self.others_denied:
            blocks.append(f"Match all\n{_both('no')}")
        return "\n".join(blocks)


def answers(value: str, *, pam: bool = True) -> tuple[str, str]:
    """What each of KEYWORDS is set to, for passwords that are taken (yes) or not (no)."""
    return value, value if pam else "no"


def _both(value: str, *, indent: str = "    ", pam: bool = True) -> str:
    return "".join(f"{indent}{NAMES[keyword]} {answer}\n" for keyword, answer in zip(KEYWORDS, answers(value, pam=pam), strict=True))


def _ordered(grants: tuple[Grant, ...]) -> tuple[Grant, ...]:
    """By name, and EVERYONE last: of several blocks that match, the first counts."""
    return tuple(sorted(grants, key=lambda grant: (grant.who == EVERYONE, grant.who)))


_GRANT = re.compile(r"^Match User (\S+)(?: Address (\S+))?\n    PasswordAuthentication yes$", re.MULTILINE)


_WITHOUT_PAM = "    PasswordAuthentication yes\n    KbdInteractiveAuthentication no\n"


def read(text: str) -> DropIn:
    """The drop-in that `text` was written from; an empty one where novaops did not write it."""
    if not text.startswith(_HEAD):
        return DropIn()
    grants = (
        Grant(EVERYONE if match[1] == "*,!root" else match[1], tuple(match[2].split(",")) if match[2] else ())
        for match in _GRANT.finditer(text)
    )
    return DropIn(tuple(grants), "\nMatch all\n" in text, _WITHOUT_PAM not in text)


def included(main: str) -> str:
    """The main file with an Include of the drop-in before everything else."""
    return f"{_INCLUDE}{main}"
