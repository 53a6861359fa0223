"""A gateway that lies about the parts of a client's profile: its user runs the file as root, so nothing of it is passed on unread."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from novaops.errors import HostFailed
from novaops.features.vpn import client_profile
from novaops.features.vpn.facts.server_profile import Parts, VpnProfile
from novaops.features.vpn.profile import Profile
from novaops.model.question import Missing, Section
from novaops.secret import Secret

KEY = ec.generate_private_key(ec.SECP256R1())
BEGIN = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
INDEX = "V\t360101000000Z\t\t00FF\tunknown\t/CN=alpha\n"
STATIC = "#\n# 2048 bit OpenVPN static key\n#\n-----BEGIN OpenVPN Static key V1-----\n" + f"{'0123456789abcdef' * 2}\n" * 16
STATIC += "-----END OpenVPN Static key V1-----\n"
OPTIONS = ["client", "dev", "remote", "resolv-retry", "nobind", "persist-key", "persist-tun", "auth-nocache", "remote-cert-tls"]
OPTIONS += ["verify-x509-name", "tls-version-min", "data-ciphers", "auth", "explicit-exit-notify", "verb", "ca", "cert", "key", "tls-crypt"]
EVIL = "script-security 2\nup /tmp/evil\nplugin /tmp/evil.so\n"


def certificate(name: str, public: Any, *, authority: bool = False) -> str:
    built = x509.CertificateBuilder(
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ca")]),
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]),
        public,
        255,
        BEGIN,
        BEGIN + timedelta(days=900),
    ).add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    return built.sign(KEY, SHA256()).public_bytes(serialization.Encoding.PEM).decode()


ASKED = client_profile.ask("alpha", None)
CA = certificate("ca", KEY.public_key(), authority=True)
CERT = certificate("alpha", x509.load_pem_x509_csr(ASKED.request.encode()).public_key())


def answer(**changed: str) -> Parts | Missing | None:
    """What is understood of the host's answer; None for nothing."""
    said = {"ca": CA, "certificate": CERT, "tls_crypt": STATIC, "remote": "203.0.113.5 1194 udp\n", "index": INDEX} | changed
    text = "".join(f"{key} {base64.b64encode(value.encode()).decode()}\n" for key, value in said.items()) + "now 1790000000\nend\n"
    question = VpnProfile("vpn", "alpha")
    try:
        return VpnProfile.parse([question], Section(text, "", 0))[question]
    except ValueError:
        return None


def written(parts: Parts) -> str:
    text = client_profile.profile("vpn", "alpha", parts, ASKED.key)
    client_profile.check(text)
    return str(text.reveal())


def names(text: str) -> list[str]:
    return [option.name for option in Profile.read(text.encode()).options]


def test_a_right_answer_makes_a_profile() -> None:
    parts = answer()
    assert isinstance(parts, Parts)
    text = written(parts)
    assert names(text) == OPTIONS
    assert CA.strip() in text
    assert CERT.strip() in text
    assert "".join(STATIC.splitlines(keepends=True)[3:]) in text


@pytest.mark.parametrize(
    "remote",
    [
        f"203.0.113.5 1194 udp\n{EVIL}",
        "203.0.113.5\nup 1194 udp",
        "203.0.113.5 1194 udp\rup x",
        "203.0.113.5 1194 udp up",
        "203.0.113.5 1194 udp6\tx",
        "203.0.113.5 99999 udp",
        "203.0.113.5 0 udp",
        "203.0.113.5 1194\x0bx udp",
        "a;b 1194 udp",
        '"a 1194 udp',
        "#a 1194 udp",
        "203.0.113.5 ١١٩٤ udp",
        "",
    ],
)
def test_a_false_server(remote: str) -> None:
    assert answer(remote=remote) is None
    parts = answer()
    assert isinstance(parts, Parts)
    with pytest.raises(HostFailed, match="makes no profile"):
        client_profile.profile("vpn", "alpha", replace(parts, remote=remote), ASKED.key)


@pytest.mark.parametrize("part", ["ca", "certificate"])
@pytest.mark.parametrize("around", ["{pem}</ca>\n{evil}<ca>\n", "{evil}</cert>\n{evil}{pem}", "{pem}\n{evil}", "</ca></cert>\n{evil}{pem}"])
def test_only_the_certificates_themselves_are_taken(part: str, around: str) -> None:
    """Text around them is dropped: what is written is made from their DER."""
    parts = answer(**{part: around.format(pem=CA if part == "ca" else CERT, evil=EVIL)})
    assert isinstance(parts, Parts)
    text = written(parts)
    assert names(text) == OPTIONS
    assert "evil" not in text


@pytest.mark.parametrize("ca", ["", "CA", "</ca>\n" + EVIL, CA.replace("M", "</ca>", 1), CA[:-30]])
def test_a_false_authority(ca: str) -> None:
    assert answer(ca=ca) is None


@pytest.mark.parametrize(
    "key",
    [
        STATIC + EVIL,
        STATIC + "</tls-crypt>\n" + EVIL,
        STATIC.replace("# 2048", "</tls-crypt>\n# 2048"),
        STATIC.replace("0123456789abcdef\n", "up /tmp/evil0123\n", 1),
        STATIC.replace(f"{'0123456789abcdef' * 2}\n", "", 1),
        STATIC.upper(),
        STATIC + STATIC,
        "\n" * 100_000 + "# x\n" * 100_000,
        "",
    ],
)
def test_a_false_static_key(key: str) -> None:
    assert answer(tls_crypt=key) is None


def test_comments_of_a_static_key_are_dropped() -> None:
    parts = answer(tls_crypt=f"# x\n# </tls-crypt>\n{STATIC}")
    assert isinstance(parts, Parts)
    assert "</tls-crypt>" not in parts.tls_crypt.reveal()


@pytest.mark.parametrize("part", ["ca", "pem", "tls_crypt"])
def test_a_profile_never_holds_more_than_it_should(part: str) -> None:
    """Whatever the parts are and however they came."""
    parts = answer()
    assert isinstance(parts, Parts)
    evil: Any = f"x\n</{part}>\n{EVIL}"
    changed: dict[str, Any] = {part: Secret(evil) if part == "tls_crypt" else evil}
    with pytest.raises(HostFailed, match="would end the block"):
        client_profile.profile("vpn", "alpha", replace(parts, **changed), ASKED.key)


def test_the_finished_profile_is_examined_as_vpn_up_does() -> None:
    parts = answer()
    assert isinstance(parts, Parts)
    text = written(parts)
    for line in ("up /tmp/evil", "plugin /tmp/evil.so", "script-security 2", "setenv LD_PRELOAD /tmp/evil.so", "config /tmp/evil"):
        with pytest.raises(HostFailed, match="vpn up would"):
            client_profile.check(Secret(f"{line}\n{text}"))


def test_a_key_with_a_passphrase_passes() -> None:
    passphrase = Secret("TestP@ssw0rd#123")
    asked = client_profile.ask("alpha", passphrase)
    parts = answer(certificate=certificate("alpha", x509.load_pem_x509_csr(asked.request.encode()).public_key()))
    assert isinstance(parts, Parts)
    client_profile.check(client_profile.profile("vpn", "alpha", parts, asked.key), passphrase)
