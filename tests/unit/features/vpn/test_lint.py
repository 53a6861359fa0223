"""What is said of a profile, and what is made of it: cases/vpn/lint.yaml, and certificates made here."""

from __future__ import annotations

import datetime as dt
import ssl
import subprocess
import sys
from base64 import encodebytes
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
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from novaops.features.vpn.configuration import SecretFiles, configuration
from novaops.features.vpn.credentials import checked_login, login_of
from novaops.features.vpn.findings import Examined, Given
from novaops.features.vpn.lint import examine
from novaops.features.vpn.lint_options import apply
from novaops.features.vpn.lint_parameters import examine_parameters
from novaops.features.vpn.profile import Option, Profile, text_of
from novaops.formats.x509 import Chain
from novaops.secret import Secret
from tests.support.strange_certificate import KEY, SIGNATURE, strange
from tests.support.world.authority import Authority

NOW = int(dt.datetime(2026, 11, 22, tzinfo=dt.UTC).timestamp())
CASES = yaml.safe_load((Path(__file__).parents[3] / "cases/vpn/lint.yaml").read_text("utf-8"))
NO_KEY = "nothing\n"
BARE = "client\nremote vpn.example.com\nremote-cert-tls server\n"


@cache
def key(bits: int, number: int) -> rsa.RSAPrivateKey:
    del number
    return rsa.generate_private_key(65537, bits)


@cache
def certificate(
    name: str = "client", days: int = 400, bits: int = 2048, begins: int = -10, issuer: str = "", purpose: str = ""
) -> x509.Certificate:
    subject, above = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer or name))
    now = dt.datetime.fromtimestamp(NOW, dt.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(above).public_key(key(bits, 0).public_key()).serial_number(7)
    begin = now + dt.timedelta(days=min(begins, days - 1))
    if purpose:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([getattr(ExtendedKeyUsageOID, one) for one in purpose.split()]), critical=False
        )
    return builder.not_valid_before(begin).not_valid_after(now + dt.timedelta(days=days)).sign(key(bits, 0), hashes.SHA256())


def pem(name: str = "client", **more: Any) -> str:
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
    for purpose, weight in {"SERVER_AUTH": ["cert warning"], "SERVER_AUTH CLIENT_AUTH": [], "ANY_EXTENDED_KEY_USAGE": []}.items():
        assert weights(examine(whole(*lines, cert=pem(purpose=purpose)), Given(NOW))) == weight, purpose
    assert weights(examine(whole(*lines, ca=pem("ca", bits=1024)), Given(NOW))) == ["ca refused"]
    assert weights(examine(whole(*lines, cert="none\n"), Given(NOW))) == ["cert refused"]
    assert [one.what for one in examine(whole(*lines, secret=key_pem(number=1)), Given(NOW)).findings] == [
        "the key does not belong to the certificate (cert)"
    ]
    assert "there is no private key" in examine(whole(*lines, secret=NO_KEY), Given(NOW)).findings[0].what


SHA1_ROOT = """\
-----BEGIN CERTIFICATE-----
MIIDrzCCApegAwIBAgIQCDvgVpBCRrGhdWrJWZHHSjANBgkqhkiG9w0BAQUFADBh
MQswCQYDVQQGEwJVUzEVMBMGA1UEChMMRGlnaUNlcnQgSW5jMRkwFwYDVQQLExB3
d3cuZGlnaWNlcnQuY29tMSAwHgYDVQQDExdEaWdpQ2VydCBHbG9iYWwgUm9vdCBD
QTAeFw0wNjExMTAwMDAwMDBaFw0zMTExMTAwMDAwMDBaMGExCzAJBgNVBAYTAlVT
MRUwEwYDVQQKEwxEaWdpQ2VydCBJbmMxGTAXBgNVBAsTEHd3dy5kaWdpY2VydC5j
b20xIDAeBgNVBAMTF0RpZ2lDZXJ0IEdsb2JhbCBSb290IENBMIIBIjANBgkqhkiG
9w0BAQEFAAOCAQ8AMIIBCgKCAQEA4jvhEXLeqKTTo1eqUKKPC3eQyaKl7hLOllsB
CSDMAZOnTjC3U/dDxGkAV53ijSLdhwZAAIEJzs4bg7/fzTtxRuLWZscFs3YnFo97
nh6Vfe63SKMI2tavegw5BmV/Sl0fvBf4q77uKNd0f3p4mVmFaG5cIzJLv07A6Fpt
43C/dxC//AH2hdmoRBBYMql1GNXRor5H4idq9Joz+EkIYIvUX7Q6hL+hqkpMfT7P
T19sdl6gSzeRntwi5m3OFBqOasv+zbMUZBfHWymeMr/y7vrTC0LUq7dBMtoM1O/4
gdW7jVg/tRvoSSiicNoxBN33shbyTApOB6jtSj1etX+jkMOvJwIDAQABo2MwYTAO
BgNVHQ8BAf8EBAMCAYYwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUA95QNVbR
TLtm8KPiGxvDl7I90VUwHwYDVR0jBBgwFoAUA95QNVbRTLtm8KPiGxvDl7I90VUw
DQYJKoZIhvcNAQEFBQADggEBAMucN6pIExIK+t1EnE9SsPTfrgT1eXkIoyQY/Esr
hMAtudXH/vTBH1jLuG2cenTnmCmrEbXjcKChzUyImZOMkXDiqw8cvpOp/2PV5Adg
06O/nVsJ8dWO41P0jmP6P6fbtGbfYmbW0W5BjfIttep3Sp+dWOIrWcBAI+0tKIJF
PnlUkiaY4IBIqDfv8NZ5YBberOgOzW6sRBc4L0na4UU+Krk2U886UAb3LujEV0ls
YSEY1QSteDwsOoBrp+uvFRTp2InBuThs4pFsiv9kuXclVzDAGySj4dzp30d8tbQk
CAUw7C29C79Fv1C5qfPrmAESrciIxpg0X40KPMbp1ZWVbd4=
-----END CERTIFICATE-----
"""
"""A root that many providers' profiles have (DigiCert Global Root CA), signed with SHA1 by itself."""


def test_a_root_may_be_signed_with_sha1() -> None:
    assert weights(examine(whole(*BARE.splitlines(), ca=SHA1_ROOT), Given(NOW))) == []


@pytest.mark.parametrize("known", [KEY, SIGNATURE])
def test_what_nobody_knows_here_may_be_known_on_the_host(known: bytes) -> None:
    own = strange(known)
    found = examine(whole(*BARE.splitlines(), ca=own, cert=own), Given(NOW)).findings
    assert [one.what for one in found] == ["the key does not belong to the certificate (cert)"]


def test_weak_keys_have_the_true_reason_and_a_way_round() -> None:
    (weak,) = examine(whole(*BARE.splitlines(), ca=pem("ca", bits=1024)), Given(NOW)).findings
    assert weak.what == "the certificate of ca has an RSA key of 1024 bits, which can be broken: 2048 are the least"
    assert "tls-cert-profile insecure" in weak.fix
    assert weights(
        examine(whole(*BARE.splitlines(), weak.fix.partition("; ")[2].partition(" takes")[0], ca=pem("ca", bits=1024)), Given(NOW))
    ) == ["ca warning"]


def crl(days: int, begins: int = -90) -> str:
    now = dt.datetime.fromtimestamp(NOW, dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
    builder = x509.CertificateRevocationListBuilder().issuer_name(name).last_update(now + dt.timedelta(days=begins))
    return builder.next_update(now + dt.timedelta(days=days)).sign(key(2048, 0), hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("block", "what"),
    [
        (crl(30), None),
        (crl(30, 5), "the list of revoked certificates is not valid before 2026-11-27: OpenVPN would let no server in"),
        (crl(-1), "the list of revoked certificates expired on 2026-11-21: OpenVPN would let no server in"),
        ("nonsense\n", "the list of revoked certificates cannot be read"),
    ],
    ids=["good", "early", "expired", "broken"],
)
def test_lists_of_revoked_certificates(block: str, what: str | None) -> None:
    found = examine(whole(*BARE.splitlines(), f"<crl-verify>\n{block}</crl-verify>"), Given(NOW))
    assert [one.what for one in found.refusals] == ([what] if what else [])
    assert [one.name for one in found.kept if one.name == "crl-verify"] == ["crl-verify"]


PIN = ":".join(["AB"] * 32)


@pytest.mark.parametrize("name", ["peer-fingerprint", "verify-hash"])
def test_a_pin_is_never_dropped(name: str) -> None:
    found = examine(whole("client", "remote a.example", f"<{name}>\n# one\n{PIN}\n</{name}>"), Given(NOW))
    assert not found.refusals
    assert f"<{name}>\n# one\n{PIN}\n</{name}>\n" in made(found)
    added = "remote-cert-tls server\n" in made(found)
    assert added is (name == "verify-hash"), "verify-hash names the authority, and no other certificate of its"


def test_a_pin_needs_no_authority() -> None:
    cert = f"<cert>\n{pem()}</cert>\n<key>\n{key_pem()}</key>\n"
    text = f"client\nremote a.example\n<peer-fingerprint>\n{PIN}\n</peer-fingerprint>\n{cert}"
    assert said(examine(Profile.read(text.encode()), Given(NOW))) == []


@pytest.mark.parametrize(
    "line",
    [
        "peer-fingerprint AB:CD",
        "<peer-fingerprint>\n\n</peer-fingerprint>",
        f"<peer-fingerprint>\n{PIN} x\n</peer-fingerprint>",
        "verify-hash nonsense",
        f"peer-fingerprint {PIN}\nverify-hash {PIN} SHA256",
        f"ignore-unknown-option peer-fingerprint\npeer-fingerprint {PIN} x",
        f"verify-hash {PIN} SHA256 x",
        "<verify-x509-name>\nvpn name\n</verify-x509-name>",
        "<remote-cert-tls>\nserver\n</remote-cert-tls>",
        "tls-verify /bin/verify",
    ],
)
def test_what_proves_the_server_is_kept_or_the_profile_is_refused(line: str) -> None:
    assert examine(whole(*BARE.splitlines(), line), Given(NOW)).refusals


@pytest.mark.parametrize(
    "line", ["http-proxy p.example 3128 proxy.txt basic", "http-proxy p.example 3128 proxy.txt", "socks-proxy p.example 1080 proxy.txt"]
)
def test_the_file_of_a_proxy_is_taken_along(line: str) -> None:
    profile = whole(*BARE.splitlines(), "proto tcp", line)
    found = examine(profile, Given(NOW), {"proxy.txt": b"nova\nword\n"})
    assert not found.refusals
    assert found.proxy_login is not None
    assert (found.proxy_login[0], found.proxy_login[1].reveal()) == ("nova", "word")
    text = made(found, files=SecretFiles(proxy_login="/etc/openvpn/client/x.proxy"))
    assert line.replace("proxy.txt", "/etc/openvpn/client/x.proxy") in text.splitlines()
    assert [one.option for one in examine(profile, Given(NOW)).refusals] == [line.split(maxsplit=1)[0]]
    assert examine(profile, Given(NOW), {"proxy.txt": b"nova\n"}).refusals


def test_a_password_file_elsewhere_does_not_matter_where_the_password_is_given() -> None:
    profile = whole(*BARE.splitlines(), "auth-user-pass /etc/openvpn/pass.txt", "x-unknown 1", "compress foo")
    files = {"/etc/openvpn/pass.txt": "it is not in the profile's folder: move it there"}
    assert said(examine(profile, Given(NOW, user=True), files)) == ["5 x-unknown left out", "6 compress warning", "6 compress refused"]
    (first, *rest) = examine(profile, Given(NOW), files).findings
    assert (first.line, first.weight) == (4, "refused")
    assert "/etc/openvpn/pass.txt cannot be read: it is not in the profile's folder" in first.what
    assert [one.line for one in rest] == [5, 6, 6], "it goes on to the other lines"
    assert examine(profile, Given(NOW, later=True), files).findings[0].weight == "note"


OPTIONS: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parents[3] / "cases/vpn/options.yaml").read_text("utf-8"))


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_every_option_that_openvpn_knows_has_a_rule_of_its_own(name: str) -> None:
    found = Examined()
    apply(Option((name, "x"), 4), found)
    assert not [one for one in found.findings if "does not know what it does" in one.what]


@pytest.mark.parametrize("name", sorted(name for name, about in OPTIONS.items() if about["most"] is not None))
def test_too_many_parameters_are_seen_before_openvpn_sees_them(name: str) -> None:
    """For whatever is kept: lint says no where the run would."""
    found = Examined()
    apply(Option((name, *["1"] * (OPTIONS[name]["most"] + 1)), 4), found)
    examine_parameters(found)
    assert not found.kept or found.refusals or found.kept[0].name != name


def test_encrypted_keys() -> None:
    profile = whole(*BARE.splitlines(), secret=key_pem("TestP@ssw0rd#123"))
    assert [one.weight for one in examine(profile, Given(NOW)).findings] == ["refused"]
    assert [one.weight for one in examine(profile, Given(NOW, later=True)).findings] == ["note"]
    assert "does not open" in examine(profile, Given(NOW, key_password=Secret("no"))).findings[0].what
    opened = examine(profile, Given(NOW, key_password=Secret("TestP@ssw0rd#123")))
    assert (said(opened), opened.encrypted) == ([], True)


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        ("pkcs8 -topk8 -v1 PBE-MD5-DES", True),
        ("pkcs8 -topk8 -v1 PBE-SHA1-RC2-40", True),
        ("pkcs8 -topk8 -v2 des-cbc", True),
        ("rsa -traditional -des", True),
        ("pkcs8 -topk8 -v1 PBE-SHA1-3DES", False),
        ("pkcs8 -topk8 -v2 aes-256-cbc", False),
        ("rsa -traditional -aes256", False),
    ],
)
def test_keys_encrypted_as_they_were_before_openssl_3(words: str, refused: bool) -> None:  # noqa: FBT001 - the outcome
    """OpenVPN opens none of these without OpenSSL's provider legacy, whatever the password."""
    command = ["openssl", *words.split(), "-provider", "legacy", "-provider", "default", "-passout", "pass:word"]
    made_anew = subprocess.run(command, input=key_pem(), capture_output=True, text=True, check=True).stdout
    given = Given(NOW, key_password=Secret("word"))
    found = examine(whole(*BARE.splitlines(), secret=made_anew), given)
    what = "the private key is encrypted with DES, RC2 or RC4, which OpenSSL 3 does not have"
    assert [one.what for one in found.refusals] == ([what] if refused else [])
    assert not examine(whole(*BARE.splitlines(), "providers legacy default", secret=key_pem()), given).refusals


def test_blocks_that_are_indented_are_written_as_openvpn_reads_them() -> None:
    """It finds no certificate in lines that begin with blanks, as where a profile was copied out of YAML."""
    text = text_of(whole(*BARE.splitlines()).options)
    indented = "".join(f"  {line}\n" for line in text.splitlines())
    assert text_of(Profile.read(indented.encode()).options) == text
    login = "client\n<auth-user-pass>\nuser\n  word \n</auth-user-pass>\n"
    assert "\n  word\n" in text_of(Profile.read(login.encode()).options), "a password may begin with a blank"


def bundle(*, password: bytes = b"", authority: bool = True, ours: bool = True, **more_of_it: Any) -> str:
    """A PKCS#12 file as its block."""
    how: Any = BestAvailableEncryption(password) if password else NoEncryption()
    more = [certificate("ca")] if authority else None
    private, own = (key(2048, 0), certificate(**more_of_it)) if ours else (None, None)
    return f"<pkcs12>\n{encodebytes(pkcs12.serialize_key_and_certificates(b'x', private, own, more, how)).decode()}</pkcs12>\n"


CA = f"<ca>\n{pem('ca')}</ca>\n"


@pytest.mark.parametrize("password", [b"", b"word"])
def test_pkcs12(password: bytes) -> None:
    profile = Profile.read(f"{BARE}{bundle(password=password)}".encode())
    found = examine(profile, Given(NOW, key_password=Secret("word") if password else None))
    assert (said(found), found.encrypted) == ([], bool(password))
    if password:
        assert [one.weight for one in examine(profile, Given(NOW)).findings] == ["refused"]


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (bundle(authority=False), "there is no authority in it, and no ca beside it"),
        (bundle(authority=False) + CA, ""),
        (bundle(ours=False), "there is no certificate with its key in it"),
        (f"{bundle()}<cert>\n{pem()}</cert>\n<key>\n{key_pem()}</key>\n", "pkcs12 and cert exclude each other"),
    ],
)
def test_what_has_to_be_in_pkcs12(more: str, what: str) -> None:
    refusals = examine(Profile.read(f"{BARE}{more}".encode()), Given(NOW)).refusals
    assert any(what in one.what for one in refusals) if what else not refusals


@pytest.mark.parametrize(
    ("more", "weight", "what"),
    [
        ({"days": -3}, "refused", "the certificate of client expired on"),
        ({"days": 20}, "warning", "the certificate of client expires in 20 days"),
        ({"begins": 10}, "refused", "the certificate of client is not valid before"),
        ({"bits": 2048, "purpose": "SERVER_AUTH"}, "warning", "the certificate of client is not for clients"),
    ],
)
def test_a_certificate_in_pkcs12_is_judged_like_one_in_cert(more: dict[str, Any], weight: str, what: str) -> None:
    [found] = examine(Profile.read(f"{BARE}{bundle(**more)}".encode()), Given(NOW)).findings
    assert (found.option, found.weight) == ("pkcs12", weight)
    assert found.what.startswith(what)


@pytest.mark.parametrize(("words", "refused"), [("", False), ("-legacy", True), ("-legacy -certpbe PBE-SHA1-3DES", False)])
def test_pkcs12_of_before_openssl_3(tmp_path: Path, words: str, refused: bool) -> None:  # noqa: FBT001 - the outcome
    (tmp_path / "all.pem").write_text(key_pem() + pem() + pem("ca"))
    command = ["openssl", "pkcs12", "-export", "-in", "all.pem", "-out", "me.p12", "-passout", "pass:word", *words.split()]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    text = f"{BARE}<pkcs12>\n{encodebytes((tmp_path / 'me.p12').read_bytes()).decode()}</pkcs12>\n".encode()
    given = Given(NOW, key_password=Secret("word"))
    assert ["RC2" in one.what for one in examine(Profile.read(text), given).refusals] == ([True] if refused else [])
    assert not examine(Profile.read(b"providers legacy default\n" + text), given).refusals


STATIC = f"-----BEGIN OpenVPN Static key V1-----\n{chr(10).join(['0123456789abcdef' * 2] * 16)}\n-----END OpenVPN Static key V1-----\n"
FOR_V2 = "-----{} OpenVPN tls-crypt-v2 client key-----\n"


@pytest.mark.parametrize(
    ("name", "text", "refused"),
    [
        ("tls-auth", f"# 2048 bits\n{STATIC}", False),
        ("tls-crypt", STATIC, False),
        ("tls-crypt", STATIC.replace("-----END", "----END"), True),
        ("tls-crypt", STATIC.replace("0123456789abcdef", "", 1), True),
        ("tls-crypt", STATIC.replace("0123", "x123", 1), True),
        ("tls-crypt-v2", STATIC, True),
        ("tls-crypt-v2", FOR_V2.format("BEGIN") + encodebytes(bytes(600)).decode() + FOR_V2.format("END"), False),
        ("tls-crypt-v2", FOR_V2.format("BEGIN") + encodebytes(bytes(200)).decode() + FOR_V2.format("END"), True),
    ],
)
def test_keys_that_both_ends_have(name: str, text: str, refused: bool) -> None:  # noqa: FBT001 - the outcome
    found = examine(whole(*BARE.splitlines(), f"<{name}>\n{text}</{name}>"), Given(NOW))
    assert [one.option for one in found.refusals] == ([name] if refused else [])
    assert "0123456789abcdef" not in str(found.findings)


SHA1_PIN = ":".join(["AB"] * 20)


@pytest.mark.parametrize(
    ("line", "refused"),
    [
        (f"verify-hash {PIN} SHA256", False),
        (f"verify-hash {PIN}", True),
        (f"verify-hash {SHA1_PIN}", False),
        (f"verify-hash {SHA1_PIN} SHA1", False),
        (f"verify-hash {SHA1_PIN} SHA256", True),
        (f"verify-hash {SHA1_PIN} MD5", True),
        (f"<verify-hash>\n{SHA1_PIN}\n</verify-hash>", True),
    ],
)
def test_hashes_have_the_size_of_their_kind(line: str, refused: bool) -> None:  # noqa: FBT001 - the outcome
    assert [one.option for one in examine(whole(*BARE.splitlines(), line), Given(NOW)).refusals] == (["verify-hash"] if refused else [])


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
    assert lines.index('pull-filter ignore "route "') < lines.index("pull-filter accept route"), "OpenVPN takes the first that fits"
    assert not {"redirect-gateway", "ping-restart 0"} & set(lines)
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


def test_a_negative_serial_number_makes_nobody_warn_on_stderr(tmp_path: Path) -> None:
    """Old authorities gave such numbers, and cryptography says so to whoever reads one."""
    pem = Authority(tmp_path).root.read_text()
    serial = Chain.read(pem).leaf.serial
    der = bytearray(ssl.PEM_cert_to_DER_cert(pem))
    der[der.index(bytes.fromhex(serial.zfill(len(serial) + len(serial) % 2)))] |= 0x80
    profile = tmp_path / "a.ovpn"
    profile.write_text(f"client\ndev tun\nremote a.example.com 1194\n<ca>\n{ssl.DER_cert_to_PEM_cert(bytes(der))}</ca>\n")
    done = subprocess.run([sys.executable, "-m", "novaops", "vpn", "lint", str(profile)], capture_output=True, text=True, check=False)
    assert (done.stderr, "Warning" in done.stdout) == ("", False)


def test_client_counts_for_a_server_that_stands_before_it() -> None:
    """It is no option of a <connection>: where it stands says nothing."""
    text = "<connection>\nremote a.example 443 tcp\n</connection>\nclient\ndev tun\n"
    found = examine(Profile.read(text.encode()), Given(1_800_000_000))
    assert [one.what for one in found.findings if "both ends" in one.what] == []
    without = examine(Profile.read(text.replace("client\n", "tls-client\npull\n").encode()), Given(1_800_000_000))
    assert [one.what for one in without.findings if "both ends" in one.what] == ["tcp is for both ends without `client`"]
