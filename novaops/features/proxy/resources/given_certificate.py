"""A certificate that somebody puts on the host and renews; novaops only checks it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.errors import Refused
from novaops.features.proxy.facts.certificate import CertificateAt, CertificateFacts
from novaops.features.proxy.resources.self_signed import SOON
from novaops.formats.x509 import Chain, day
from novaops.model.plan import Resource, Step
from novaops.model.question import Facts, Missing, Question
from novaops.shell import quote

_EVERYBODY = 0o004
_BROKEN = re.compile(
    r"subtree violation|invalid CA certificate|path length constraint|unsuitable certificate purpose|revoked", re.IGNORECASE
)
"""What openssl finds wrong with a chain that has no certificate too few."""


@dataclass(frozen=True)
class GivenCertificate(Resource):
    """Its plan is empty: a certificate that would not do is refused."""

    certificate: str
    key: str
    domains: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"certificate:{self.certificate}"

    def questions(self) -> Iterable[Question[Any]]:
        yield CertificateAt(self.certificate, self.key)

    def plan(self, facts: Facts) -> Iterable[Step]:
        found = facts[CertificateAt(self.certificate, self.key)]
        if found is Missing.ABSENT:
            raise Refused(f"there is no certificate {self.certificate} on the host", fix="put it there, with its intermediates after it")
        chain = self._chain(found)
        self._refuse_key(found, chain)
        self._refuse_dates(found, chain)
        self._refuse_names(chain)
        self._refuse_purpose(chain)
        _refuse_incomplete(self.certificate, found, chain)
        return ()

    def notes(self, facts: Facts) -> Iterator[str]:
        found = facts[CertificateAt(self.certificate, self.key)]
        if found is Missing.ABSENT:
            return
        chain = self._chain(found)
        days = min(c.days_left(found.now) for c in chain.path)
        if days < SOON:
            yield f"{self.certificate} expires in {days} days, on {day(min(c.not_after for c in chain.path))}: novaops does not renew it"
        if not chain.in_order:
            yield f"{self.certificate}: the certificates are not in order, each followed by its issuer's: old clients turn that down"
        if found.key_matches is None:
            yield f"whether {self.key} is the key of {self.certificate} could not be told: there is no openssl on the host"

    def _chain(self, found: CertificateFacts) -> Chain:
        try:
            return Chain.read(found.chain)
        except ValueError as error:
            raise Refused(f"{self.certificate} cannot be used: {error}", fix="put the certificate there as PEM text") from None

    def _refuse_key(self, found: CertificateFacts, chain: Chain) -> None:
        if not found.key_there:
            raise Refused(f"there is no key {self.key} on the host", fix="put the certificate's private key there, mode 0600")
        if found.key_encrypted:
            raise Refused(
                f"the key {self.key} is encrypted",
                why="nginx would ask for its password at every start, and nobody would answer.",
                fix=f"openssl pkey -in {quote(self.key)} -out NEW writes it without a password: keep that 0600",
            )
        if found.key_grants(_EVERYBODY):
            raise Refused(f"everybody on the host can read the key {self.key} (mode {found.key_mode})", fix=f"chmod 0600 {quote(self.key)}")
        if found.key_matches is False:
            server = next((c for c in chain.certificates[1:] if any(c.covers(domain) for domain in self.domains)), None)
            first = (
                f"put the certificate for {server.names[0]} first in the file: a server's own comes before its issuers'" if server else ""
            )
            raise Refused(
                f"{self.key} is not the key of {self.certificate}",
                why=f"The first certificate in the file is for {', '.join(chain.leaf.names) or chain.leaf.subject}.",
                fix=first or "put the key there that the certificate was made with",
            )

    def _refuse_dates(self, found: CertificateFacts, chain: Chain) -> None:
        for certificate in chain.path:
            whose = self.certificate if certificate == chain.leaf else f"{certificate.subject} in {self.certificate}"
            if certificate.not_after <= found.now:
                raise Refused(f"{whose} expired on {day(certificate.not_after)}", fix="put a renewed one there")
            if certificate.not_before > found.now:
                raise Refused(
                    f"{whose} is valid only from {day(certificate.not_before)} on",
                    why=f"The host's clock says {day(found.now)}.",
                    fix="see whether the clock is right",
                )

    def _refuse_names(self, chain: Chain) -> None:
        missing = [domain for domain in self.domains if not chain.leaf.covers(domain)]
        if missing:
            held = f"It is for {', '.join(chain.leaf.names)}." if chain.leaf.names else "It names none in its subjectAltName."
            hint = f" The name {chain.leaf.common_name} in its subject counts for no client." if not chain.leaf.names else ""
            raise Refused(
                f"{self.certificate} is not for {', '.join(missing)}",
                why=held + hint,
                fix="have it issued for these names too, or leave them out",
            )

    def _refuse_purpose(self, chain: Chain) -> None:
        if not chain.leaf.serves:
            raise Refused(
                f"{self.certificate} is not for servers: every client would turn it down",
                why="Its extendedKeyUsage does not have serverAuth, as in certificates of clients.",
                fix="have one issued for a server",
            )


def _refuse_incomplete(path: str, found: CertificateFacts, chain: Chain) -> None:
    """Clients know root authorities only: the server has to send the intermediate certificates."""
    if not found.trusted:
        return
    if _BROKEN.search(found.trusted):
        raise Refused(
            f"{path} cannot be used: clients turn its chain down",
            why=f"openssl on the host: {found.trusted}.",
            fix="have it issued anew, by an authority that may issue it",
        )
    if not chain.missing_issuer:
        return
    what = "holds only the server's own certificate" if len(chain.certificates) == 1 else "does not lead to an authority"
    raise Refused(
        f"{path} {what}: clients that do not know its issuer turn the site down",
        why=f"The certificate of {chain.missing_issuer} is not in the file. openssl on the host: {found.trusted}.",
        fix="append the certificates of the intermediate authorities to the file; for a private authority append its own certificate too,"
        " or let the host trust it (update-ca-certificates)",
    )
