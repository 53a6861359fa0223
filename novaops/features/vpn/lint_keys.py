"""What is wrong with the certificates and the private key of an OpenVPN profile. Pure.

What OpenSSL 3 turns down is said by its security levels 1 and 2: https://docs.openssl.org/3.0/man3/SSL_CTX_set_security_level/
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator

from novaops.features.vpn.findings import Examined, Given
from novaops.features.vpn.profile import Option, Profile
from novaops.formats.x509 import DAY, Certificate, Chain, day

SOON = 30
"""Days before its end from which a warning is given about a certificate."""

_LEAST_RSA_BITS = 2048
_KEY_PASSWORD = "settings key_password: env:NAME, file:PATH or cmd:WORDS"  # noqa: S105 - where to say it
_NEW_PROFILE = "ask for a new profile"
_LENIENT = "tls-cert-profile insecure"
"""The line of a profile that has OpenVPN take weak keys and signatures."""


def examine_keys(profile: Profile, found: Examined, given: Given) -> None:
    password = given.key_password or found.key_password
    word = None if password is None else password.reveal().encode("utf-8", "surrogateescape")
    chosen = profile.last("tls-cert-profile")
    lenient = chosen is not None and chosen.parameter == "insecure"
    for option in profile.all("crl-verify"):
        _revocations(option, found, given.now)
    for option in profile.all("ca", "cert", "extra-certs"):
        if option.block is not None:
            _certificates(option, option.block, found, given.now, lenient=lenient)
    key, bundle = profile.last("key"), profile.last("pkcs12")
    if key is not None and key.block is not None:
        _key(key, profile.last("cert"), found, given, word)
    if bundle is not None and bundle.block is not None:
        _bundle(bundle, found, given, word)


def _revocations(option: Option, found: Examined, now: int) -> None:
    """With a list that is broken or out of date OpenVPN lets no server in."""
    from cryptography import x509

    if option.block is None:
        return
    ask = "ask for a new list, or take the line out"
    try:
        listed = x509.load_pem_x509_crl(option.block.encode("utf-8", "surrogateescape"))
    except Exception:  # noqa: BLE001 - its parser raises whatever a broken list makes it stumble over
        found.report(option, "refused", "the list of revoked certificates cannot be read", ask)
        return
    until = listed.next_update_utc
    if until is not None and until.timestamp() < now:
        what = f"the list of revoked certificates expired on {day(int(until.timestamp()))}: OpenVPN would let no server in"
        found.report(option, "refused", what, ask)


def _certificates(option: Option, pem: str, found: Examined, now: int, *, lenient: bool) -> None:
    """A client's own certificate is the first of its file. Of several authorities, one that has expired may do no harm."""
    own = option.name == "cert"
    ask = _NEW_PROFILE if own else "the server's authority has to be made anew"
    try:
        chain = Chain.read(pem)
    except ValueError as error:
        found.report(option, "refused", str(error), "put the certificate there as PEM text")
        return
    for certificate in (chain.leaf,) if own else chain.certificates:
        who, until = f"the certificate of {certificate.common_name or certificate.subject}", day(certificate.not_after)
        days = certificate.days_left(now)
        if days < 0:
            found.report(option, "warning" if len(chain.certificates) > 1 and not own else "refused", f"{who} expired on {until}", ask)
        elif certificate.not_before > now + DAY:
            begin = day(certificate.not_before)
            found.report(option, "refused", f"{who} is not valid before {begin}", "see whether this machine's clock is right")
        elif days < SOON:
            found.report(option, "warning", f"{who} expires in {days} days, on {until}", ask)
        is_root = certificate.subject == certificate.issuer
        for weakness in _weaknesses(certificate, signed=not is_root):
            found.report(option, "warning" if lenient else "refused", f"{who} {weakness}", f"{ask}; {_LENIENT} takes it as it is")


def _weaknesses(certificate: Certificate, *, signed: bool) -> Iterator[str]:
    """The signature of a root is not checked by OpenSSL, so it may be a weak one."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if signed and certificate.weak_hash:
        yield f"is signed with {certificate.weak_hash}, which can be forged: OpenSSL 3 does not take it"
    try:
        key = certificate._parsed.public_key()  # noqa: SLF001 - the key's own size and kind
    except Exception:  # noqa: BLE001 - a kind of key that is not known here may be known on the host
        return
    if isinstance(key, RSAPublicKey) and key.key_size < _LEAST_RSA_BITS:
        yield f"has an RSA key of {key.key_size} bits, which can be broken: {_LEAST_RSA_BITS} are the least"


def _key(option: Option, certificate: Option | None, found: Examined, given: Given, password: bytes | None) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    pem = (option.block or "").encode("utf-8", "surrogateescape")
    found.encrypted = b"ENCRYPTED" in pem
    if found.encrypted and password is None:
        found.report(option, given.missing_secret, "the private key is encrypted, and its password would be asked for", _KEY_PASSWORD)
        return
    try:
        key = load_pem_private_key(pem, password if found.encrypted else None)
    except Exception as error:  # noqa: BLE001 - its parser raises whatever a broken key makes it stumble over
        if found.encrypted:
            found.report(option, "refused", "key_password does not open the private key", "see whether it is the right one")
        elif b"PRIVATE KEY" not in pem:
            found.report(option, "refused", "there is no private key in it", "put the key there as PEM text")
        else:
            reason = str(error).partition(".")[0][:120]
            found.report(option, "refused", f"the private key cannot be read: {reason}", _NEW_PROFILE)
        return
    try:
        leaf = Chain.read((certificate and certificate.block) or "").leaf
    except ValueError:
        return
    if leaf.public_key != key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode():
        found.report(option, "refused", "the key does not belong to the certificate (cert)", "take both from the same profile")


def _bundle(option: Option, found: Examined, given: Given, password: bytes | None) -> None:
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

    try:
        content = b64decode("".join((option.block or "").split()), validate=True)
    except ValueError:
        found.report(option, "refused", "the block is no base64", "base64 of the .p12 file")
        return
    for word in (None, b"", password):
        try:
            bundle = load_pkcs12(content, word)
        except Exception:  # noqa: BLE001, S112 - the next password may be the right one
            continue
        found.encrypted = bool(word)
        until = int(bundle.cert.certificate.not_valid_after_utc.timestamp()) if bundle.cert else given.now
        if until < given.now:
            found.report(option, "refused", f"the certificate in it expired on {day(until)}", _NEW_PROFILE)
        return
    found.encrypted = True
    if password is None:
        what = "the file of certificate and key is encrypted, and its password would be asked for"
        found.report(option, given.missing_secret, what, _KEY_PASSWORD)
    else:
        found.report(
            option,
            "refused",
            "key_password does not open the file of certificate and key",
            "see whether it is the right one; files of before 2020 may need openssl pkcs12 -legacy",
        )
