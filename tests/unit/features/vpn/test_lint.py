"""What is said of a profile, and what is made of it: cases/vpn/lint.yaml, and certificates made here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat, pkcs12
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from novaops.features.vpn.configuration import configuration
from novaops.features.vpn.credentials import checked_login, login_of
from novaops.features.vpn.findings import Examined, Given
from novaops.features.vpn.lint import examine
from novaops.features.vpn.profile import Option, Profile, text_of
from novaops.secret import Secret

NOW = int(dt.datetime(2026, 11, 22, tzinfo=dt.UTC).timestamp())
CASES = yaml.safe_load((Path(__file__).parents[3] / "cases/vpn/lint.yaml").read_text("utf-8"))
NO_KEY = "nothing\n"
BARE = "client\nremote vpn.example.com\nremote-cert-tls server\n"


@cache
def key(bits: int, number: int) -> rsa.RSAPrivateKey:
    del number
    return rsa.generate_private_key(65537, bits)


@cache
def certificate(name: str = "client", days: int = 400, bits: int = 2048, begins: int = -10) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.fromtimestamp(NOW, dt.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key(bits, 0).public_key()).serial_number(7)
    begin = now + dt.timedelta(days=min(begins, days - 1))
    return builder.not_valid_before(begin).not_valid_after(now + dt.timedelta(days=days)).sign(key(bits, 0), hashes.SHA256())


def pem(name: str = "client", **more: int) -> str:
    return certificate(name, **more).public_bytes(Encoding.PEM).decode()


def key_pem(password: str = "", number: int = 0) -> str:
    how = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key(2048, number).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how).decode()


def whole(*lines: str, cert: str | None = None, secret: str | None = None, ca: str | None = None) -> Profile:
    blocks = f"<ca>\n{ca or pem('ca')}</ca>\n<cert>\n{cert or pem()}</cert>\n<key>\n{secret or key_pem()}</key>\n"
    return Profile.read(("".join(f"{line}\n" for line in lines) + blocks).encode())


def said(found: Examined) -> list[str]:
    return [f"{one.line} {one.option} {one.weight}" for one in found.findings]


def weights(found: Examined) -> list[str]:
    return [f"{one.option} {one.weight}" for one in found.findings]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_case(case: Mapping[str, Any]) -> None:
    lines = case["lines"] if case.get("bare") else ["client", "remote vpn.example.com", "remote-cert-tls server", *case["lines"]]
    found = examine(whole(*lines), Given(NOW, user=case.get("user", False)))
    assert said(found) == case["says"]
    kept = text_of([option for option in found.kept if option.block is None])
    for line in case.get("kept", []):
        assert line in kept.splitlines(), kept
    for line in case.get("gone", []):
        assert line not in kept, kept


def test_certificates() -> None:
    lines = BARE.splitlines()
    assert weights(examine(whole(*lines), Given(NOW))) == []
    assert weights(examine(whole(*lines, cert=pem(days=-3)), Given(NOW))) == ["cert refused"]
    assert weights(examine(whole(*lines, cert=pem(days=20)), Given(NOW))) == ["cert warning"]
    assert weights(examine(whole(*lines, cert=pem(days=400, begins=10)), Given(NOW))) == ["cert refused"]
    assert weights(examine(whole(*lines, ca=pem("ca", bits=1024)), Given(NOW))) == ["ca refused"]
    assert weights(examine(whole(*lines, cert="none\n"), Given(NOW))) == ["cert refused"]
    assert [one.what for one in examine(whole(*lines, secret=key_pem(number=1)), Given(NOW)).findings] == [
        "the key does not belong to the certificate (cert)"
    ]
    assert "there is no private key" in examine(whole(*lines, secret=NO_KEY), Given(NOW)).findings[0].what


def test_encrypted_keys() -> None:
    profile = whole(*BARE.splitlines(), secret=key_pem("TestP@ssw0rd#123"))
    assert [one.weight for one in examine(profile, Given(NOW)).findings] == ["refused"]
    assert [one.weight for one in examine(profile, Given(NOW, later=True)).findings] == ["note"]
    assert "does not open" in examine(profile, Given(NOW, key_password=Secret("no"))).findings[0].what
    opened = examine(profile, Given(NOW, key_password=Secret("TestP@ssw0rd#123")))
    assert (said(opened), opened.encrypted) == ([], True)


def test_pkcs12() -> None:
    from base64 import encodebytes

    for password in (b"", b"word"):
        how = BestAvailableEncryption(password) if password else NoEncryption()
        content = encodebytes(pkcs12.serialize_key_and_certificates(b"x", key(2048, 0), certificate(), None, how)).decode()
        profile = Profile.read(f"{BARE}<pkcs12>\n{content}</pkcs12>\n".encode())
        found = examine(profile, Given(NOW, key_password=Secret("word") if password else None))
        assert (said(found), found.encrypted) == ([], bool(password))
        if password:
            assert [one.weight for one in examine(profile, Given(NOW)).findings] == ["refused"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"nova\nword\n", ("nova", "word")),
        (b"nova\r\nword\r\n", ("nova", "word")),
        (b"\tnova\n\tword", ("nova", "word")),
        (b"\xef\xbb\xbfnova\nwo rd \n", ("nova", "wo rd ")),
        (b"nova\n", "the password of nova is missing"),
        (b"nova", "the password of nova is missing"),
        (b"\t\n\t\n", "the user is missing"),
        (b"", "the user is missing"),
        (b"nova\n   \n", "the password of nova is missing"),
        (b"nova\n" + b"x" * 200, "longer than 127 bytes"),
    ],
)
def test_login_files(content: bytes, expected: object) -> None:
    """V08."""
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected):
            login_of(content)
    else:
        user, password = login_of(content)
        assert (user, password.reveal()) == expected


def test_a_password_with_a_line_break_is_turned_down_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="line break") as error:
        checked_login("nova", Secret("one\ntwo"))
    assert "one" not in str(error.value)


def made(found: Examined, **more: Any) -> str:
    values: dict[str, Any] = {
        "head": ("managed by novaops",),
        "device": "vpn-x",
        "address": "/bin/sh /etc/novaops/vpn/x.sh x address",
        "up": "/bin/true",
        "login": "",
        "key_password": "",
        "persist": True,
    }
    return configuration(found, **{**values, **more}).reveal()


def test_the_configuration_takes_no_routes_and_no_dns() -> None:
    text = made(examine(whole(*BARE.splitlines(), "pull-filter accept route", "redirect-gateway", "ping-restart 0"), Given(NOW)))
    lines = text.splitlines()
    for start in ('"route "', '"route-ipv6 "', "redirect-gateway", "dhcp-option", '"dns "', "ping"):
        assert f"pull-filter ignore {start}" in lines
    assert {"route-noexec", "ifconfig-noexec", 'up "/bin/sh /etc/novaops/vpn/x.sh x address"'} <= set(lines)
    assert {"dev vpn-x", "persist-tun", "ping-restart 30", "explicit-exit-notify 1"} <= set(lines)
    assert not {"pull-filter accept route", "redirect-gateway", "ping-restart 0"} & set(lines)
    assert "explicit-exit-notify 1" not in made(examine(whole(*BARE.splitlines(), "proto tcp"), Given(NOW)))
    assert "persist-tun" not in made(examine(whole(*BARE.splitlines()), Given(NOW)), persist=False)


DANGEROUS = (
    "up",
    "down",
    "route-up",
    "plugin",
    "tls-verify",
    "ipchange",
    "script-security",
    "iproute",
    "dev",
    "route",
    "redirect-gateway",
    "log",
)


@given(
    st.lists(st.tuples(st.sampled_from([*DANGEROUS, "verb", "mssfix", "x-unknown"]), st.text("ab /\"'\\#;<>\t", max_size=12)), max_size=6)
)
def test_no_script_gets_in_whatever_is_around_it(options: list[tuple[str, str]]) -> None:
    text = text_of([Option(words, 1) for words in options])
    try:
        profile = Profile.read((BARE + text).encode())
    except ValueError:
        return
    kept = examine(profile, Given(NOW)).kept
    assert not [option.name for option in kept if option.name in DANGEROUS]
    assert [option.words for option in Profile.read(text_of(kept).encode()).options] == [option.words for option in kept]
