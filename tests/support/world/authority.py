"""A certificate authority of the tests' own: a root, its intermediates, and leaves, right ones and wrong ones."""

from __future__ import annotations

import datetime as dt
import ipaddress
import itertools
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Leaf:
    """The PEM files of a server: the certificate with what is above it but the root, and the key."""

    certificate: Path
    key: Path
    names: tuple[str, ...]

    def context(self) -> ssl.SSLContext:
        """For a server that shows it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """Writes PEM files into `folder`; `root` is what clients must trust. Two intermediates make a chain of depth 2."""

    def __init__(self, folder: Path, intermediates: int = 1, name: str = "Lab") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.name = name
        self._numbers = itertools.count(1)
        key = ec.generate_private_key(ec.SECP256R1())
        root = _certificate(f"{name} Root", key, f"{name} Root", key, authority=True)
        self._signer, self._issuer = key, f"{name} Root"
        self._chain: list[x509.Certificate] = []
        for number in range(1, intermediates + 1):
            subject, own = f"{name} Intermediate {number}", ec.generate_private_key(ec.SECP256R1())
            self._chain.insert(0, _certificate(subject, own, self._issuer, self._signer, authority=True))
            self._signer, self._issuer = own, subject
        self.root = folder / "root.pem"
        self.root.write_bytes(_pem(root))

    def leaf(self, *names: str, days: float = 90, expired: bool = False, not_yet: bool = False, leaf_only: bool = False) -> Leaf:
        """A certificate for these names and addresses. `expired` ended an hour ago, `not_yet` begins tomorrow."""
        now = dt.datetime.now(dt.UTC)
        begin, end = now - _DAY, now + dt.timedelta(days=days)
        if expired:
            begin, end = now - 30 * _DAY, now - _DAY / 24
        if not_yet:
            begin = now + _DAY
        key = ec.generate_private_key(ec.SECP256R1())
        made = _certificate(names[0], key, self._issuer, self._signer, alternatives=names, begin=begin, end=end)
        stem = f"leaf-{next(self._numbers)}"
        leaf = Leaf(self.folder / f"{stem}.pem", self.folder / f"{stem}.key", names)
        leaf.certificate.write_bytes(b"".join(_pem(each) for each in (made, *([] if leaf_only else self._chain))))
        leaf.key.touch(0o600)
        leaf.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return leaf

    def context(self) -> ssl.SSLContext:
        """For a client that trusts this authority and no other."""
        return ssl.create_default_context(cafile=str(self.root))


def _certificate(  # the fields of a certificate
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    signer: ec.EllipticCurvePrivateKey,
    *,
    authority: bool = False,
    alternatives: tuple[str, ...] = (),
    begin: dt.datetime | None = None,
    end: dt.datetime | None = None,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    usage = dict.fromkeys(
        (
            *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"),
            *("encipher_only", "decipher_only"),
        ),
        False,
    )
    usage |= {"key_cert_sign": authority, "crl_sign": authority}
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin or now - 60 * _DAY)
        .not_valid_after(end or now + 3650 * _DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName([_alternative(each) for each in alternatives]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
