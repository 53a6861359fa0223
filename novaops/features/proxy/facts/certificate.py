"""A certificate and its private key, in two files. The key is only compared on the host, and never leaves it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.model.question import Missing, Question, Section
from novaops.shell import lines_of, quote, sh_file


@dataclass(frozen=True)
class CertificateFacts:
    chain: str
    """The certificate's file as text."""
    now: int
    """The host's clock, in seconds since 1970."""
    key_there: bool = True
    key_matches: bool | None = True
    """Whether the key is that of the first certificate. None: it could not be told, as without openssl, or of an encrypted key."""
    key_encrypted: bool = False
    key_permissions: tuple[str, str, str] | None = ("0600", "root", "root")
    """Mode, owner and group; None where there is no key."""
    trusted: str | None = ""
    """Why openssl on the host does not trust the chain; "" when it does. None: it could not be told, without openssl or authorities."""

    @property
    def key_mode(self) -> str:
        """Octal; "" where there is no key."""
        return self.key_permissions[0] if self.key_permissions else ""

    def key_grants(self, bits: int) -> bool:
        """Whether the key's mode has any of these bits."""
        return bool(self.key_permissions and int(self.key_mode, 8) & bits)


@dataclass(frozen=True)
class CertificateAt(Question[CertificateFacts]):
    """ABSENT when there is no file for the certificate, or a link to nothing."""

    certificate: str
    key: str
    family: ClassVar[str] = "certificate"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        looks = "".join(f"look {quote(q.certificate)} {quote(q.key)}\n" for q in questions)
        return f"{sh_file(__package__, 'certificate.sh')}date +%s\n{looks}"

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, CertificateFacts | Missing]:
        now, *lines = lines_of(section.stdout)
        found: dict[Self, CertificateFacts | Missing] = {}
        for question, line in zip(questions, lines, strict=False):
            found[question] = Missing.ABSENT if line == "absent" else _facts(line.split(" "), int(now))
        return found


def _facts(words: list[str], now: int) -> CertificateFacts | Missing:
    if words == ["unknown"]:
        return Missing.UNKNOWN
    key, permissions, encrypted, matches, trusted, chain, why = words
    if not why.endswith("."):  # the end of the line: without it the line was cut
        return Missing.UNKNOWN
    mode, owner, group = permissions.split(":") if key == "present" else ("", "", "")
    return CertificateFacts(
        chain=_text(chain),
        now=now,
        key_there=_TOLD[key],
        key_matches=_TOLD.get(matches),
        key_encrypted=encrypted == "yes",
        key_permissions=(mode.rjust(4, "0"), owner, group) if key == "present" else None,
        trusted={"yes": "", "no": _reason(_text(why[:-1]))}.get(trusted),
    )


_TOLD = {"yes": True, "no": False, "present": True, "absent": False}


def _text(encoded: str) -> str:
    return base64.b64decode(encoded, validate=True).decode("utf-8", "surrogateescape")


def _reason(said: str) -> str:
    """What openssl says is wrong, without the number and the depth around it."""
    for line in lines_of(said):
        _, found, reason = line.partition("lookup:")
        if found:
            return reason.strip()
    return lines_of(said.strip())[-1] if said.strip() else "openssl does not say why"
