"""A certificate with its private key, as they stand in two files. The key stays on the host: only what it says of itself travels."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from novaops.model.question import Missing, Question, Section
from novaops.shell import quote

LARGEST = 262_144
"""Bytes. What is larger is no chain that a server would send, and is cut here."""

_LOOK = """\
look() { # CERTIFICATE KEY
  if [ ! -e "$1" ]; then
    if [ -L "$1" ] || { [ -x "${1%/*}/" ] || [ ! -e "${1%/*}/" ]; }; then echo absent; else echo unknown; fi; return
  fi
  [ -f "$1" ] && [ -r "$1" ] || { echo unknown; return; }
  chain=$(head -c LARGEST -- "$1" | base64 | tr -d '\\n') || { echo unknown; return; }
  if [ ! -f "$2" ]; then key=absent rights=- encrypted=-
  else
    key=present rights=$(stat -L -c %a:%U:%G -- "$2") encrypted=no
    ! grep -q ENCRYPTED -- "$2" || encrypted=yes
  fi
  matches=untold trusted=untold why=
  if command -v openssl >/dev/null; then
    of_certificate=$(openssl x509 -in "$1" -noout -pubkey 2>/dev/null)
    if [ $key = present ] && [ $encrypted = no ] && [ "$of_certificate" ]; then
      if [ "$(openssl pkey -in "$2" -passin pass: -pubout 2>/dev/null)" = "$of_certificate" ]; then matches=yes; else matches=no; fi
    fi
    for store in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem -; do
      [ ! -e "$store" ] || break
    done
    if [ "$store" = - ]; then :
    elif why=$(openssl verify -no_check_time -untrusted "$1" "$1" 2>&1); then trusted=yes; else trusted=no; fi
  fi
  printf '%s %s %s %s %s %s %s.\\n' "$key" "$rights" "$encrypted" "$matches" "$trusted" "$chain" "$(printf %s "$why" | base64 | tr -d '\\n')"
}
""".replace("LARGEST", str(LARGEST))
"""The test of the key compares public keys: that of an EC, RSA or Ed25519 key alike. Dates are judged elsewhere, so trust leaves them out. A host without authorities trusts none."""


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
    key_rights: tuple[str, str, str] | None = ("0600", "root", "root")
    """Mode, owner and group; None where there is no key."""
    trusted: str | None = ""
    """Why openssl on the host does not trust the chain; "" when it does. None: it could not be told, for want of openssl or of authorities."""


@dataclass(frozen=True)
class CertificateAt(Question[CertificateFacts]):
    """ABSENT when there is no file for the certificate, or a link to nothing."""

    certificate: str
    key: str
    family: ClassVar[str] = "certificate"

    @classmethod
    def script(cls, questions: Sequence[Self]) -> str:
        looks = "".join(f"look {quote(q.certificate)} {quote(q.key)}\n" for q in questions)
        return f"{_LOOK}date +%s\n{looks}"

    @classmethod
    def parse(cls, questions: Sequence[Self], section: Section) -> Mapping[Self, CertificateFacts | Missing]:
        now, *lines = section.stdout.splitlines()
        found: dict[Self, CertificateFacts | Missing] = {}
        for question, line in zip(questions, lines, strict=False):
            found[question] = Missing.ABSENT if line == "absent" else _facts(line.split(" "), int(now))
        return found


def _facts(words: list[str], now: int) -> CertificateFacts | Missing:
    if words == ["unknown"]:
        return Missing.UNKNOWN
    key, permissions, encrypted, matches, trusted, chain, why = words
    if not why.endswith("."):  # the line's last sign: without it the line was cut
        return Missing.UNKNOWN
    mode, owner, group = permissions.split(":") if key == "present" else ("", "", "")
    return CertificateFacts(
        chain=_text(chain),
        now=now,
        key_there=_TOLD[key],
        key_matches=_TOLD.get(matches),
        key_encrypted=encrypted == "yes",
        key_rights=(mode.rjust(4, "0"), owner, group) if key == "present" else None,
        trusted={"yes": "", "no": _reason(_text(why[:-1]))}.get(trusted),
    )


_TOLD = {"yes": True, "no": False, "present": True, "absent": False}


def _text(encoded: str) -> str:
    return base64.b64decode(encoded, validate=True).decode("utf-8", "surrogateescape")


def _reason(said: str) -> str:
    """What openssl says is wrong, without the number and the depth around it."""
    for line in said.splitlines():
        _, found, reason = line.partition("lookup:")
        if found:
            return reason.strip()
    return said.strip().splitlines()[-1] if said.strip() else "openssl does not say why"
