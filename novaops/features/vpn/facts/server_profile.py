"""What an OpenVPN server's host has for the profile of a client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from novaops.features.vpn.facts.revocations import Issued, recorded
from novaops.features.vpn.facts.server_clients import Clients, clients_of
from novaops.features.vpn.facts.server_question import ServerQuestion, certificate_of, key_of
from novaops.formats.x509 import Certificate
from novaops.model.question import Missing
from novaops.secret import Secret


@dataclass(frozen=True)
class Parts:
    """What the host has for a client's profile; the private key is not among it."""

    ca: str
    tls_crypt: Secret = field(repr=False)
    remote: str
    """ADDRESS PORT PROTOCOL"""
    certificate: Certificate | None
    """The client's newest; None where it never had one."""
    pem: str
    valid: Issued | None
    """The certificate of that name that is let in now."""

    @property
    def key(self) -> str:
        """The sha256 of the public key that the valid certificate is for."""
        if self.certificate is None or self.valid is None or int(self.valid.serial, 16) != int(self.certificate.serial, 16):
            return ""
        return key_of(self.certificate.public_key)


@dataclass(frozen=True)
class VpnProfile(ServerQuestion[Parts]):
    """ABSENT where there is no such server."""

    server: str
    client: str
    family: ClassVar[str] = "vpn_profile"

    @property
    def call(self) -> tuple[str, ...]:
        return ("profile", self.server, self.client)

    def read(self, said: Mapping[str, str]) -> Parts | Missing:
        if not all(name in said for name in ("ca", "remote", "tls_crypt", "index")):
            return Missing.ABSENT
        pem = said.get("certificate", "")
        valid = Clients(tuple(clients_of(recorded(said["index"], int(said["now"]))))).valid(self.client)
        return Parts(said["ca"], Secret(said["tls_crypt"]), said["remote"].strip(), certificate_of(pem), pem, valid)
