"""What is wrong with the certificates and the private key of an OpenVPN profile. Pure.

What OpenSSL 3 turns down is said by its security levels 1 and 2: https://docs.openssl.org/3.0/man3/SSL_CTX_set_security_level/
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from novaops.features.vpn.findings import Examined, Given
from novaops.features.vpn.lint_ciphers import has_legacy
from novaops.features.vpn.profile import Option, Profile
from novaops.formats.x509 import DAY, Certificate, Chain, day

SOON = 30
"""Days before its end from which a warning is given about a certificate."""

_LEAST_RSA_BITS = 2048
_KEY_PASSWORD = "settings key_password: env:NAME, file:PATH or cmd:WORDS"  # noqa: S105 - where to say it
_NEW_PROFILE = "ask for a new profile"
_LENIENT = "tls-cert-profile insecure"
"""The line of a profile that has OpenVPN take weak keys and signatures."""

_SHARED = {
    "tls-auth": "OpenVPN Static key V1",
    "tls-crypt": "OpenVPN Static key V1",
    "tls-crypt-v2": "OpenVPN tls-crypt-v2 client key",
}
"""What stands in the first and the last line of a key, by its option."""

_SHARED_SIZE = 256
"""Bytes of a static key; a client's key for tls-crypt-v2 has what the server has wrapped behind them."""

_OLD_ENCRYPTION = tuple(bytes.fromhex("2a864886f70d010c01") + bytes([kind]) for kind in (1, 2, 5, 6))
"""The numbers of RC4 and RC2 in a PKCS#12 file (RFC 7292, appendix C): `openssl pkcs12 -legacy` writes the last one."""


_OLD_KEYS = tuple(
    bytes.fromhex(one)
    for one in (*(f"2a864886f70d0105{kind}" for kind in ("01", "03", "04", "06", "0a", "0b")), "2b0e030207", "2a864886f70d0302")
)
"""The numbers of DES and RC2 with MD2, MD5 or SHA1 (RFC 8018, A.3), and of DES and RC2 by themselves."""

_HEAD = 160
"""Bytes at the beginning of an encrypted key, in which it stands how."""


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
    for option in profile.all(*_SHARED):
        if option.block is not None:
            _shared(option, option.block, found)
    key, bundle = profile.last("key"), profile.last("pkcs12")
    if key is not None and key.block is not None:
        if _is_too_old(key.block) and not has_legacy(profile):
            what = "the private key is encrypted with DES, RC2 or RC4, which OpenSSL 3 does not have"
            fix = "write it anew: openssl pkey -provider legacy -provider default -in OLD -aes256 -out NEW"
            found.encrypted = True
            found.report(key, "refused", what, fix)
        else:
            _key(key, profile.last("cert"), found, given, word)
    if bundle is not None and bundle.block is not None:
        _bundle(bundle, profile, found, given, word, lenient=lenient)


def _is_too_old(pem: str) -> bool:
    """Whether a private key is encrypted as OpenSSL before 1.1 did it, and OpenSSL 3 does only by its provider legacy."""
    if re.search("^DEK-Info: (DES-CBC|RC2)", pem, re.MULTILINE):
        return True
    inside = pem.partition("-----BEGIN ENCRYPTED PRIVATE KEY-----")[2].partition("-----END")[0]
    try:
        content = b64decode("".join(inside.split()), validate=True)[:_HEAD]
    except ValueError:
        return False
    return any(one in content for one in (*_OLD_ENCRYPTION, *_OLD_KEYS))


def _shared(option: Option, text: str, found: Examined) -> None:
    """A key that both ends have. Without a whole one OpenVPN does not start."""
    begin, end = (f"-----{one} {_SHARED[option.name]}-----" for one in ("BEGIN", "END"))
    inside = "".join(text.partition(begin)[2].partition(end)[0].split())
    if end in text and option.name != "tls-crypt-v2" and re.fullmatch(f"[0-9A-Fa-f]{{{2 * _SHARED_SIZE},}}", inside):
        return
    with suppress(ValueError):
        if end in text and option.name == "tls-crypt-v2" and len(b64decode(inside, validate=True)) > _SHARED_SIZE:
            return
    found.report(option, "refused", f"there is no whole key in it: {begin} and what follows", _NEW_PROFILE)


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
    begins = listed.last_update_utc
    if begins.timestamp() > now + DAY:
        what = f"the list of revoked certificates is not valid before {day(int(begins.timestamp()))}: OpenVPN would let no server in"
        found.report(option, "refused", what, "see whether this machine's clock is right; " + ask)


def _certificates(option: Option, pem: str, found: Examined, now: int, *, lenient: bool) -> None:
    """A client's own certificate is the first of its file. Of several authorities, one that has expired may do no harm."""
    own = option.name in {"cert", "pkcs12"}
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
        if own and not certificate.is_for_clients:
            what = f"{who} is not for clients, by the purposes that it names: a server that goes by them lets nobody in with it"
            found.report(option, "warning", what, _NEW_PROFILE)
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


def _bundle(option: Option, profile: Profile, found: Examined, given: Given, password: bytes | None, *, lenient: bool) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

    try:
        content = b64decode("".join((option.block or "").split()), validate=True)
    except ValueError:
        found.report(option, "refused", "the block is no base64", "base64 of the .p12 file")
        return
    if any(one in content for one in _OLD_ENCRYPTION) and not has_legacy(profile):
        what = "it is encrypted with RC2 or RC4, which OpenSSL 3 does not have"
        found.report(option, "refused", what, "write it anew: openssl pkcs12 -legacy -in OLD -nodes | openssl pkcs12 -export -out NEW")
        return
    for word in (None, b"", password):
        try:
            bundle = load_pkcs12(content, word)
        except Exception:  # noqa: BLE001, S112 - the next password may be the right one
            continue
        found.encrypted = bool(word)
        _parts(option, bundle, profile, found)
        if bundle.cert is not None:
            _certificates(option, bundle.cert.certificate.public_bytes(Encoding.PEM).decode(), found, given.now, lenient=lenient)
        return
    found.encrypted = True
    if password is None:
        what = "the file of certificate and key is encrypted, and its password would be asked for"
        found.report(option, given.missing_secret, what, _KEY_PASSWORD)
    else:
        what = "key_password does not open the file of certificate and key"
        found.report(option, "refused", what, "see whether it is the right one")


def _parts(option: Option, bundle: Any, profile: Profile, found: Examined) -> None:
    """What has to be in a PKCS#12 file: certificate and key, and the authority where no ca is beside it."""
    if bundle.cert is None or bundle.key is None:
        found.report(option, "refused", "there is no certificate with its key in it", _NEW_PROFILE)
    if not bundle.additional_certs and not profile.all("ca", "peer-fingerprint"):
        what = "there is no authority in it, and no ca beside it: no server could be told from a false one"
        found.report(option, "refused", what, "ask for the ca, and put it into the profile")
