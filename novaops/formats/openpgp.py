"""The keys in a file of OpenPGP (RFC 9580, before it RFC 4880): enough to tell which key a repository is signed with."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator

_ARMOUR = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(?:[^\r\n]+\r?\n)*\r?\n(.*?)(?:\r?\n=[A-Za-z0-9+/]{4}\s*)?-----END", re.DOTALL
)
_PUBLIC_KEY = 6
_OLD_LENGTHS = {0: 1, 1: 2, 2: 4}


def binary(key: bytes) -> bytes:
    """The file without its armour; one that has none as it is. Raises ValueError."""
    if not (found := _ARMOUR.search(key)):
        return key
    try:
        return base64.b64decode(found[1], validate=False)
    except binascii.Error as error:
        raise ValueError(f"its armour holds no base64: {error}") from None


def fingerprints(key: bytes) -> tuple[str, ...]:
    """The fingerprint of each primary key, in hexadecimal capitals. Raises ValueError for what is no file of public keys."""
    found = tuple(_fingerprint(body) for tag, body in _packets(binary(key)) if tag == _PUBLIC_KEY)
    if not found:
        raise ValueError("it holds no public key of OpenPGP")
    return found


def _fingerprint(body: bytes) -> str:
    if body[:1] == b"\x04":
        return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()  # noqa: S324 - what the format says
    if body[:1] == b"\x06":
        return hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).hexdigest().upper()
    raise ValueError("its key has a version that novaops does not know")


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Pairs of a packet's tag and its body."""
    at = 0
    while at < len(data):
        head = data[at]
        if not head & 0x80:
            raise ValueError("it is no file of OpenPGP")
        size, length = _new_length(data, at + 1) if head & 0x40 else _old_length(data, at + 1, head & 3)
        begin = at + 1 + size
        if begin + length > len(data):
            raise ValueError("it ends in the middle of a key")
        yield (head & 0x3F if head & 0x40 else head >> 2 & 0x0F), data[begin : begin + length]
        at = begin + length


def _old_length(data: bytes, at: int, kind: int) -> tuple[int, int]:
    if kind not in _OLD_LENGTHS:
        raise ValueError("a packet of it has no length")
    size = _OLD_LENGTHS[kind]
    return size, int.from_bytes(data[at : at + size], "big")


def _new_length(data: bytes, at: int) -> tuple[int, int]:
    """Raises ValueError for a partial length, which keys do not have."""
    first = data[at] if at < len(data) else 255
    if first < 192:  # noqa: PLR2004 - the numbers of RFC 9580, section 4.2.1
        return 1, first
    if first < 224:  # noqa: PLR2004
        return 2, ((first - 192) << 8) + int.from_bytes(data[at + 1 : at + 2], "big") + 192
    if first == 255:  # noqa: PLR2004
        return 5, int.from_bytes(data[at + 1 : at + 5], "big")
    raise ValueError("a packet of it has no length")
