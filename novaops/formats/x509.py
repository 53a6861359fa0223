"""Certificates in PEM files: their names, validity and issuers. Pure: text in, facts out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from novaops.formats.names import is_address

if TYPE_CHECKING:  # and loaded where a certificate is read: most commands never see one
    from cryptography import x509

DAY = 86_400
"""Seconds."""

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


@dataclass(frozen=True)
class Certificate:
    names: tuple[str, ...]
    """The DNS names, in lower case, and IP addresses of its subjectAltName. Clients look at nothing else (RFC 9525)."""
    common_name: str
    """Of its subject: a hint for people, which clients ignore."""
    subject: str
    issuer: str
    serial: str
    """Hex, as openssl prints it."""
    fingerprint: str
    """The sha256 of the whole, in hex."""
    not_before: int
    not_after: int
    """Both in seconds since 1970."""
    _parsed: Any = field(repr=False, compare=False)

    @property
    def self_signed(self) -> bool:
        return self.issued_by(self)

    @property
    def lifetime(self) -> int:
        """Seconds."""
        return self.not_after - self.not_before

    @property
    def pem(self) -> str:
        """It alone, written anew from its DER: no text around it, none of the file's own lines."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return str(self._parsed.public_bytes(Encoding.PEM).decode())

    @property
    def public_key(self) -> str:
        """As PEM; "" for a kind of key that is not known here."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        try:
            return str(self._parsed.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())
        except Exception:  # noqa: BLE001 - the parser raises many kinds of errors for keys, and only when it comes to them
            return ""

    @property
    def weak_hash(self) -> str:
        """The hash of its signature where that can be forged; else ""."""
        from cryptography.exceptions import UnsupportedAlgorithm

        try:
            found = self._parsed.signature_hash_algorithm
        except (ValueError, UnsupportedAlgorithm):
            return ""
        return found.name.upper() if found is not None and found.name in {"md5", "sha1"} else ""

    @property
    def serves(self) -> bool:
        """Whether a server may show it: it names no purposes, or that one, or any."""
        return self._is_for("SERVER_AUTH")

    @property
    def is_for_clients(self) -> bool:
        """Whether a client may show it, likewise."""
        return self._is_for("CLIENT_AUTH")

    def _is_for(self, purpose: str) -> bool:
        from cryptography import x509
        from cryptography.x509.oid import ExtendedKeyUsageOID

        try:
            purposes = self._parsed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except (ValueError, x509.ExtensionNotFound):
            return True
        return bool({getattr(ExtendedKeyUsageOID, purpose), ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(purposes))

    def issued_by(self, other: Certificate) -> bool:
        """Whether the other's key signed this one."""
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

        try:
            self._parsed.verify_directly_issued_by(other._parsed)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            return False
        return True

    def covers(self, domain: str) -> bool:
        """Whether clients accept this certificate for every name that the server name `domain` stands for."""
        wanted = names_for([domain])
        return bool(wanted) and all(any(_covers(name, one) for name in self.names) for one in wanted)

    def days_left(self, now: int) -> int:
        """Whole days; negative when it has expired."""
        return (self.not_after - now) // DAY


@dataclass(frozen=True)
class Chain:
    """The certificates of one file, in its order: what a server sends."""

    certificates: tuple[Certificate, ...]

    @classmethod
    def read(cls, pem: str) -> Chain:
        """The certificates in the text, which may have other text around them. Raises ValueError that says what is wrong with it."""
        blocks = pem.replace(" X509 CERTIFICATE-----", " CERTIFICATE-----").split(_BEGIN)[1:]  # its older name
        if not blocks:
            raise ValueError(_instead(pem))
        return cls(tuple(_read(block, number) for number, block in enumerate(blocks, 1)))

    @property
    def leaf(self) -> Certificate:
        """The first one, which is the server's own."""
        return self.certificates[0]

    @property
    def path(self) -> tuple[Certificate, ...]:
        """From the leaf up, each issued by the next, as far as the file goes, in whatever order it is. Of two issuers the later one."""
        path = [self.leaf]
        while not path[-1].self_signed:
            issuers = (c for c in self.certificates if c not in path and path[-1].issued_by(c))
            issuer = max(issuers, key=lambda c: c.not_after, default=None)
            if issuer is None:
                break
            path.append(issuer)
        return tuple(path)

    @property
    def in_order(self) -> bool:
        """Whether the path stands in the file as a server has to send it, with nothing in between."""
        return self.path == self.certificates[: len(self.path)]

    @property
    def missing_issuer(self) -> str:
        """The subject of the next certificate of the path, which is not in the file; "" when the path ends in a self-signed one."""
        last = self.path[-1]
        return "" if last.self_signed else last.issuer


@dataclass(frozen=True)
class RevocationList:
    """A list of revoked certificates (CRL)."""

    serials: frozenset[int]
    since: int
    until: int
    """Both in seconds since 1970. Outside of them whoever checks by the list accepts no certificate at all."""
    _parsed: Any = field(repr=False, compare=False)

    @classmethod
    def read(cls, pem: str) -> RevocationList:
        """The list in the text. Raises ValueError where there is none, or one without an end."""
        from cryptography import x509

        try:
            parsed = x509.load_pem_x509_crl(pem.encode())
            since, until = parsed.last_update_utc, parsed.next_update_utc
            serials = frozenset(one.serial_number for one in parsed)
        except Exception as error:  # noqa: BLE001 - see _read
            raise ValueError(f"it cannot be read: {error}") from None
        if until is None:
            raise ValueError("it does not say until when it is valid")
        return cls(serials, int(since.timestamp()), int(until.timestamp()), parsed)

    def signed_by(self, authority: Certificate) -> bool:
        """Whether the authority's key signed it."""
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        try:
            return bool(self._parsed.is_signature_valid(load_pem_public_key(authority.public_key.encode())))
        except Exception:  # noqa: BLE001 - see _read
            return False


def day(seconds: int) -> str:
    """The date in UTC of a time in seconds since 1970: 2026-11-22."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def names_for(domains: Iterable[str]) -> tuple[str, ...]:
    """The names of a certificate for these server names of nginx: x and *.x for ".x"; none for "x.*" and "~…", as there are none."""
    names: list[str] = []
    for domain in map(_ascii, domains):
        if domain.startswith("~") or domain.endswith(".*") or not domain:
            continue
        names += [domain[1:], f"*{domain}"] if domain.startswith(".") else [domain]
    return tuple(dict.fromkeys(names))


def _covers(name: str, wanted: str) -> bool:
    """RFC 6125: the star stands for one label, and is the whole first one. Addresses are the same or not."""
    if name == wanted:
        return True
    star, dot, rest = name.partition(".")
    _, _, parent = wanted.partition(".")
    return star == "*" and bool(dot) and rest == parent and not is_address(wanted)


def _ascii(domain: str) -> str:
    """As it stands in a certificate: lower case, xn-- for what is not ASCII, and one way to write each address."""
    from ipaddress import ip_address

    name = domain.strip().rstrip(".").lower()
    if is_address(name.strip("[]")):
        return str(ip_address(name.strip("[]")))
    if name.startswith("~"):
        return name
    try:
        return ".".join(label if label.isascii() else label.encode("idna").decode("ascii") for label in name.split("."))
    except UnicodeError:
        return name


def _instead(text: str) -> str:
    """What the text is instead of a certificate."""
    for mark, what in (("PRIVATE KEY-----", "a private key"), ("CERTIFICATE REQUEST-----", "a request for a certificate")):
        if mark in text:
            return f"there is no certificate in it, but {what}"
    if not text.strip():
        return "it is empty"
    return "there is no certificate in it: no line says BEGIN CERTIFICATE"


def _read(block: str, number: int) -> Certificate:
    """One certificate, from what follows its first line."""
    from cryptography import x509

    body, end, _ = block.partition(_END)
    if not end:
        raise ValueError(f"certificate {number} in it is cut off: no line says END CERTIFICATE")
    try:
        parsed = x509.load_pem_x509_certificate(f"{_BEGIN}{body}{_END}\n".encode())
        return _facts(parsed)
    except Exception as error:  # noqa: BLE001 - the parser raises many kinds of errors for broken certificates
        reason, _, _ = str(error).partition("\n")
        raise ValueError(f"certificate {number} in it cannot be read: {reason}") from None


def _facts(parsed: x509.Certificate) -> Certificate:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import NameOID

    common_names = [str(a.value) for a in parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return Certificate(
        names=_names(parsed),
        common_name="".join(common_names[-1:]),
        subject=parsed.subject.rfc4514_string(),
        issuer=parsed.issuer.rfc4514_string(),
        serial=f"{parsed.serial_number:X}",
        fingerprint=parsed.fingerprint(SHA256()).hex(),
        not_before=int(parsed.not_valid_before_utc.timestamp()),
        not_after=int(parsed.not_valid_after_utc.timestamp()),
        _parsed=parsed,
    )


def _names(parsed: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509

    try:
        found = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    names = [name.lower() for name in found.get_values_for_type(x509.DNSName)]
    return tuple(dict.fromkeys([*names, *map(str, found.get_values_for_type(x509.IPAddress))]))
