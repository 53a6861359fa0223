"""What an OpenVPN server's host has for the profile of a client."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from novaops.features.vpn.facts.revocations import Issued, recorded
from novaops.features.vpn.facts.server_clients import Clients, clients_of
from novaops.features.vpn.facts.server_question import ServerQuestion, certificate_of, key_of
from novaops.formats import names
from novaops.formats.x509 import Certificate, Chain
from novaops.model.question import Missing
from novaops.secret import Secret

_STATIC_KEY = re.compile(
    r"(?:(?:#.*|[ \t]*)\n)*-----BEGIN OpenVPN Static key V1-----\n((?:[0-9a-f]{32}\n){16})-----END OpenVPN Static key V1-----\s*"
)
_PROTOCOLS = ("udp", "tcp")


@dataclass(frozen=True)
class Parts:
    """What the host has for a client's profile; the private key is not among it.

    It ends in a file that a client's machine reads as root. So nothing is passed on as the host says it: `VpnProfile.read` takes each
    part by its type, and writes it anew.
    """

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
        certificate = certificate_of(said.get("certificate", ""))
        valid = Clients(tuple(clients_of(recorded(said["index"], int(said["now"]))))).valid(self.client)
        authority = "".join(one.pem for one in Chain.read(said["ca"]).certificates)
        pem = certificate.pem if certificate else ""
        return Parts(authority, static_key(said["tls_crypt"]), remote(said["remote"]), certificate, pem, valid)


def remote(text: str) -> str:
    """ADDRESS PORT PROTOCOL, each by its type. Raises ValueError."""
    words = text.strip(" \n").split(" ")
    if len(words) != 3 or words[2] not in _PROTOCOLS:  # noqa: PLR2004 - see above
        raise ValueError("its file remote has not an address, a port and udp or tcp")
    return f"{names.host(words[0])} {names.port(words[1])} {words[2]}"


def static_key(text: str) -> Secret:
    """A key as `openvpn --genkey` makes it, without the comments above it. Raises ValueError, which does not show it."""
    found = _STATIC_KEY.fullmatch(text)
    if found is None:
        raise ValueError("its tls-crypt key is no static key of OpenVPN's")
    return Secret(f"-----BEGIN OpenVPN Static key V1-----\n{found[1]}-----END OpenVPN Static key V1-----\n")
