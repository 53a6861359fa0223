"""One line of an authorized_keys file: what its options say about a login (sshd(8), AUTHORIZED_KEYS FILE FORMAT). Pure."""

from __future__ import annotations

import base64
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
    rsa_bits: int = 0
    """0: it is no RSA key, or that was not seen."""

    def has(self, name: str) -> bool:
        return any(option == name for option, _ in self.options)

    def opens_from(self, address: str) -> bool:
        """Whether its `from` takes the address. A name of a host is not looked up, and does not match."""
        return all(listed([address], patterns, covers) for option, patterns in self.options if option == "from")

    def expired(self, today: str) -> bool:
        """Whether its `expiry-time` is over. `today` is YYYYMMDD on the host; a key that expires in the course of today is not yet over."""
        return any(_is_over(when, today) for option, when in self.options if option == "expiry-time")

    def taken(self, algorithms: Sequence[str]) -> bool:
        """Whether sshd takes signatures of this kind; `algorithms` are PubkeyAcceptedAlgorithms, with wildcards; empty: not known."""
        names = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa") if self.kind == "ssh-rsa" else (self.kind,)
        return not algorithms or any(listed([name], ",".join(algorithms)) for name in names)


def options(text: str) -> tuple[tuple[str, str], ...]:
    """The options before a key, as the line has them."""
    return tuple((name.lower(), value.replace(r"\"", '"')) for name, value in _OPTION.findall(text))


def rsa_bits(beginning: str) -> int:
    """The size of the RSA key whose base64 begins so; 0 for another kind.

    RFC 4253, 6.6: a name, the exponent and the modulus, each after its length.
    """
    try:
        raw = base64.b64decode(beginning[: len(beginning) // 4 * 4])
    except ValueError:
        return 0
    fields: list[bytes] = []
    while len(fields) < 2 and len(raw) > 4:  # noqa: PLR2004 - the two before the modulus, and the length of a length
        size = int.from_bytes(raw[:4])
        fields.append(raw[4 : 4 + size])
        raw = raw[4 + size :]
    if fields[:1] != [b"ssh-rsa"] or len(raw) < 6:  # noqa: PLR2004 - a length, a zero for the sign, and the first byte
        return 0
    return 8 * (int.from_bytes(raw[:4]) - 2) + int.from_bytes(raw[4:6]).bit_length()


def _is_over(when: str, today: str) -> bool:
    day = when[:8]
    return day < today or (day == today and len(when.rstrip("Z")) == len(today))
