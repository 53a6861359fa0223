"""What an authority's record says of its certificates, and whether the list of revoked ones, which is made from it, says the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from novaops.formats.x509 import DAY, Certificate, RevocationList, day
from novaops.shell import lines_of

_SERIAL = re.compile("[0-9A-Fa-f]{1,64}")


@dataclass(frozen=True)
class Issued:
    """A certificate that the authority has signed."""

    name: str
    serial: str
    state: Literal["valid", "revoked", "expired"]
    until: int
    """Seconds since 1970."""
    revoked: int = 0

    def days_left(self, now: int) -> int:
        """Whole days; negative when it has expired."""
        return (self.until - now) // DAY


@dataclass(frozen=True)
class Revocations:
    """The list of revoked certificates as the server finds it, beside the record that it is made from."""

    trouble: str = ""
    """Why nobody at all is let in by it; "" where that is not so."""
    until: int | None = None
    """When it expires, in seconds since 1970; None where there is no list of this authority."""
    lacking: tuple[Issued, ...] = ()
    """Revoked, and not in the list: they are let in."""
    unrecorded: tuple[str, ...] = ()
    """Serials in the list that the record does not have as revoked: it is older than the list."""


def compared(pem: str | None, ca: Certificate | None, every: Sequence[Issued], now: int) -> Revocations:
    """The list (None: there is no file) compared with the record, serial by serial."""
    revoked = {int(one.serial, 16): one for one in every if one.state == "revoked"}
    if pem is None:
        return Revocations("there is none")
    try:
        found = RevocationList.read(pem)
    except ValueError:
        return Revocations("it cannot be read")
    if ca is None or not found.signed_by(ca):
        return Revocations("this authority did not sign it")
    trouble = f"it expired on {day(found.until)}" if found.until <= now else ""
    if found.since > now:
        trouble = f"it is valid from {day(found.since)} on"
    lacking = tuple(one for serial, one in revoked.items() if serial not in found.serials)
    return Revocations(trouble, found.until, lacking, tuple(f"{serial:X}" for serial in sorted(found.serials - set(revoked))))


def recorded(index: str, now: int) -> Iterable[Issued]:
    """The certificates in openssl's database (index.txt). Raises ValueError for a line that it would not write."""
    for line in lines_of(index):
        state, until, revoked, serial, _, subject = line.split("\t")
        name = subject.removeprefix("/CN=")
        if not _SERIAL.fullmatch(serial):
            raise ValueError("a serial in its record is no hexadecimal number")
        ends = _asn1(until)
        word: Literal["valid", "revoked", "expired"] = "revoked" if state == "R" else "expired" if ends <= now else "valid"
        yield Issued(name, serial, word, ends, _asn1(revoked.partition(",")[0]) if revoked else 0)


def _asn1(text: str) -> int:
    """A date of openssl's database: YYMMDDHHMMSSZ up to 2049, YYYYMMDDHHMMSSZ after it."""
    long = len(text) == len("20500101000000Z")
    return int(datetime.strptime(text if long else f"20{text}", "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp())
