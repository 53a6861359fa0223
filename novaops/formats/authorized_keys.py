"""One line of an authorized_keys file: what its options say about a login (sshd(8), AUTHORIZED_KEYS FILE FORMAT). Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from novaops.formats.sshd_config import covers, listed

_OPTION = re.compile(r'([^=,"]+)(?:="((?:\\"|[^"])*)")?(?:,|$)')


@dataclass(frozen=True)
class AuthorizedKey:
    kind: str
    """The type of the key, such as ssh-ed25519."""
    options: tuple[tuple[str, str], ...] = ()
    """Names in lower case, with what is between the quotes; "" for an option without a value."""

    def has(self, name: str) -> bool:
        return any(option == name for option, _ in self.options)

    def opens_from(self, address: str) -> bool:
        """Whether its `from` takes the address. A name of a host is not looked up, and does not match."""
        return all(listed([address], patterns, covers) for option, patterns in self.options if option == "from")

    def expired(self, today: str) -> bool:
        """Whether its `expiry-time` is over. `today` is YYYYMMDD on the host; a key that expires in the course of today is not yet over."""
        return any(_is_over(when, today) for option, when in self.options if option == "expiry-time")

    def taken(self, algorithms: Sequence[str]) -> bool:
        """Whether sshd takes signatures of this kind; `algorithms` are PubkeyAcceptedAlgorithms, empty where they are not known."""
        names = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa") if self.kind == "ssh-rsa" else (self.kind,)
        return not algorithms or any(name in algorithms for name in names)


def options(text: str) -> tuple[tuple[str, str], ...]:
    """The options before a key, as the line has them."""
    return tuple((name.lower(), value.replace(r"\"", '"')) for name, value in _OPTION.findall(text))


def _is_over(when: str, today: str) -> bool:
    day = when[:8]
    return day < today or (day == today and len(when.rstrip("Z")) == len(today))
