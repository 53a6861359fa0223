"""A client's profile for OpenVPN, in one file. Its private key is made on the operator's machine, and is in that file only."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from novaops.errors import HostFailed
from novaops.features.vpn.facts.server_profile import Parts, remote
from novaops.features.vpn.facts.server_question import key_of
from novaops.features.vpn.findings import Given
from novaops.features.vpn.lint import examine
from novaops.features.vpn.profile import Profile, ProfileError
from novaops.secret import Secret

_WRITTEN = frozenset(
    (
        *("client", "dev", "remote", "resolv-retry", "nobind", "persist-key", "persist-tun", "auth-nocache", "remote-cert-tls"),
        *("verify-x509-name", "tls-version-min", "data-ciphers", "auth", "explicit-exit-notify", "verb", "ca", "cert", "key", "tls-crypt"),
    )
)
"""The options of a profile that novaops writes."""

_CERTIFICATE = re.compile(r"<cert>\s*(-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----)", re.DOTALL)


@dataclass(frozen=True)
class Asked:
    """A new private key, and the request for its certificate."""

    key: Secret
    """PKCS8 as PEM; encrypted where there is a passphrase."""
    request: str
    """The CSR, as PEM."""
    public: str
    """The sha256 of the public key, by which its certificate is known."""


def ask(name: str, passphrase: Secret | None) -> Asked:
    """`passphrase` encrypts the key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    asked = x509.CertificateSigningRequestBuilder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])).sign(key, SHA256())
    locked = serialization.BestAvailableEncryption(passphrase.reveal().encode()) if passphrase else serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, locked).decode()
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    return Asked(Secret(private), asked.public_bytes(pem).decode(), key_of(public))


def profile(server: str, client: str, parts: Parts, key: Secret) -> Secret:
    """The text of the .ovpn file. It sets no routes: its user decides what goes through the VPN.

    Raises HostFailed where a part of the host's would be read as more than that part: its user runs the file as root.
    """
    try:
        address, port, protocol = remote(parts.remote).split(" ")
    except ValueError as error:
        raise HostFailed(f"what the host says of {server} makes no profile", why=str(error)) from None
    inline = {"ca": parts.ca, "cert": parts.pem, "key": key.reveal(), "tls-crypt": parts.tls_crypt.reveal()}
    notify = "explicit-exit-notify 1\n" if protocol == "udp" else ""
    head = f"""\
# {client} of the VPN {server}, made by novaops. Whoever has this file comes in: keep it like a key.
# Nothing goes through it by itself but the VPN's own network. Say what else does: with `routes:` of novaops vpn up,
# or with lines here: `route 198.51.100.0 255.255.255.0` for a network, `redirect-gateway def1` for everything.
client
dev tun
remote {address} {port} {protocol}
resolv-retry infinite
nobind
persist-key
persist-tun
auth-nocache
remote-cert-tls server
verify-x509-name server:{server} name
tls-version-min 1.2
data-ciphers AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305
auth SHA256
{notify}verb 3
"""
    text = head + "".join(f"<{name}>\n{part.strip()}\n</{name}>\n" for name, part in inline.items())
    if wrong := [name for name, part in inline.items() if "<" in part or "\0" in part]:
        raise HostFailed(f"what the host says of {server} makes no profile", why=f"Its {wrong[0]} would end the block that it stands in.")
    return Secret(text)


def check(text: Secret, passphrase: Secret | None = None) -> None:
    """Examine a finished profile as `vpn up` examines one. Raises HostFailed where it has anything that is not kept as it is."""
    try:
        written = Profile.read(text.reveal().encode())
        found = examine(written, Given(int(time.time()), key_password=passphrase, later=True))
    except ProfileError as error:
        raise HostFailed("what the host says makes no profile", why=str(error)) from None
    wrong = [f"{one.option}: {one.what}" for one in found.findings if one.weight in {"refused", "left out"}]
    wrong += [f"{one.name}: novaops does not write that" for one in written.options if one.name not in _WRITTEN]
    if wrong:
        why = "\n".join(wrong)
        raise HostFailed("what the host says makes no profile that vpn up would take", why=why)


def certificate_in(text: str) -> str:
    """The client's certificate of a profile, as PEM; "" where it has none."""
    found = _CERTIFICATE.search(text)
    return found[1] if found else ""
