"""Certificates as they stand in files: right ones, wrong ones, and what is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from novaops.formats.names import is_address
from novaops.formats.x509 import DAY, Chain, names_for
from tests.support.strange_certificate import KEY, SIGNATURE, strange
from tests.support.world.authority import Authority, Leaf
from tests.support.world.authority import _certificate as certificate


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), intermediates=2)


@pytest.fixture(scope="module")
def leaf(authority: Authority) -> Leaf:
    return authority.leaf("One.example", "*.two.example", "192.0.2.7", "2001:db8::7", days=90)


def pems(*files: Path) -> list[str]:
    """Every certificate in the files, each for itself."""
    texts = "".join(file.read_text() for file in files).split("-----BEGIN CERTIFICATE-----\n")[1:]
    return [f"-----BEGIN CERTIFICATE-----\n{text}" for text in texts]


def test_what_stands_in_it(leaf: Leaf) -> None:
    chain = Chain.read(leaf.certificate.read_text())
    found = chain.leaf
    assert found.names == ("one.example", "*.two.example", "192.0.2.7", "2001:db8::7")
    assert (found.common_name, found.subject, found.issuer) == ("One.example", "CN=One.example", "CN=Lab Intermediate 2")
    assert (found.lifetime, found.self_signed, len(chain.certificates)) == (91 * DAY, False, 3)
    assert [found.days_left(found.not_after - seconds) for seconds in (DAY, DAY - 1, 0, -1)] == [1, 0, 0, -1]
    assert (len(found.fingerprint), found.serial.upper(), int(found.serial, 16) > 0) == (64, found.serial, True)


def test_the_older_name_of_a_certificate(leaf: Leaf) -> None:
    text = leaf.certificate.read_text()
    assert Chain.read(text.replace(" CERTIFICATE-----", " X509 CERTIFICATE-----")) == Chain.read(text)


def test_the_path_is_found_in_any_order(authority: Authority, leaf: Leaf) -> None:
    one, lower, upper, root = pems(leaf.certificate, authority.root)
    whole = Chain.read(one + lower + upper + root)
    assert (whole.in_order, whole.missing_issuer, [c.common_name for c in whole.path][-1]) == (True, "", "Lab Root")
    assert whole.path[-1].self_signed
    mixed = Chain.read(one + upper + root + lower)
    assert (mixed.in_order, mixed.missing_issuer, mixed.path) == (False, "", whole.path)
    assert Chain.read(one + lower + upper).missing_issuer == "CN=Lab Root"
    assert Chain.read(one).missing_issuer == "CN=Lab Intermediate 2"
    assert Chain.read(one + upper + root).missing_issuer == "CN=Lab Intermediate 2"
    assert Chain.read(one).in_order
    assert Chain.read(one + lower + root + root).in_order, "what follows the path does no harm"
    assert not Chain.read(one + root + lower).in_order


def test_a_name_alone_makes_no_issuer(authority: Authority, leaf: Leaf, tmp_path: Path) -> None:
    impostor = Authority(tmp_path / "impostor", intermediates=2)
    one = pems(leaf.certificate)[0]
    theirs = pems(impostor.leaf("x.example").certificate)[1:]
    assert Chain.read(one + "".join(theirs)).path == (Chain.read(one).leaf,)
    assert Chain.read(authority.root.read_text()).leaf.self_signed


@pytest.mark.parametrize("known", [KEY, SIGNATURE])
def test_what_nobody_knows_can_be_read_and_proves_nothing(known: bytes) -> None:
    leaf = Chain.read(strange(known)).leaf
    assert (leaf.common_name, bool(leaf.public_key), leaf.self_signed, leaf.weak_hash) == ("Strange", known == SIGNATURE, False, "")


def test_two_that_issued_each_other_are_no_endless_path() -> None:
    one, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    pair = (certificate("One", one, "Other", other, authority=True), certificate("Other", other, "One", one, authority=True))
    chain = Chain.read("".join(each.public_bytes(Encoding.PEM).decode() for each in pair))
    assert (len(chain.path), chain.missing_issuer) == (2, "CN=One")


@pytest.mark.parametrize(
    ("names", "domain", "expected"),
    [
        (("a.example",), "a.example", True),
        (("a.example",), "A.Example.", True),
        (("A.example",), "a.example", True),
        (("a.example",), "b.example", False),
        (("*.example",), "a.example", True),
        (("*.example",), "example", False),
        (("*.example",), "a.b.example", False),
        (("*.example",), "*.example", True),
        (("a.example",), "*.example", False),
        (("*.b.example",), "*.example", False),
        (("*.example",), ".example", False),
        (("*.example", "example"), ".example", True),
        (("a.example", "b.example"), "~^(a|b)\\.example$", False),
        (("www.example",), "www.*", False),
        (("192.0.2.7",), "192.0.2.7", True),
        (("192.0.2.7",), "192.0.2.8", False),
        (("2001:db8::7",), "2001:DB8:0::7", True),
        (("2001:db8::7",), "[2001:db8::7]", True),
        (("*.0.2.7",), "192.0.2.7", False),
        (("xn--mnchen-3ya.example",), "münchen.example", True),
        (("a*.example",), "ab.example", False),
        (("*",), "localhost", False),
        (("*.xn--9ca.example",), "a.é.example", True),
    ],
)
def test_covers(authority: Authority, names: tuple[str, ...], domain: str, *, expected: bool) -> None:
    assert Chain.read(authority.leaf(*names).certificate.read_text()).leaf.covers(domain) is expected


def test_a_name_in_the_subject_alone_counts_for_nothing(authority: Authority) -> None:
    root = Chain.read(authority.root.read_text()).leaf
    assert (root.common_name, root.names, root.covers("Lab Root")) == ("Lab Root", (), False)


def test_a_name_that_no_certificate_can_hold_stays_as_it_is() -> None:
    too_long = "é" * 70 + ".example"
    assert names_for([too_long]) == (too_long,)


def test_names_for_server_names() -> None:
    wanted = ["A.example", ".b.example", "*.c.example", "www.*", "~^x$", "", "a.example", "192.0.2.7", "[2001:DB8::1]", ".é.example", "~é"]
    names = ("a.example", "b.example", "*.b.example", "*.c.example", "192.0.2.7", "2001:db8::1", "xn--9ca.example", "*.xn--9ca.example")
    assert names_for(wanted) == names
    assert [is_address(name) for name in names] == [False, False, False, False, True, True, False, False]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("hello", "there is no certificate in it: no line says BEGIN CERTIFICATE"),
        ("-----BEGIN EC PRIVATE KEY-----\nx", "there is no certificate in it, but a private key"),
        ("-----BEGIN CERTIFICATE REQUEST-----\nx", "there is no certificate in it, but a request for a certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA", "certificate 1 in it is cut off: no line says END CERTIFICATE"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1 in it cannot be read: "),
    ],
)
def test_what_is_none_is_said_in_words(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="it") as error:
        Chain.read(text)
    assert str(error.value).startswith(reason)


def test_the_second_one_is_counted(leaf: Leaf) -> None:
    with pytest.raises(ValueError, match=r"^certificate 2 in it cannot be read: .+"):
        Chain.read(pems(leaf.certificate)[0] + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


@given(st.data())
@settings(max_examples=200)
def test_a_broken_one_is_never_more_than_a_value_error(leaf: Leaf, data: st.DataObject) -> None:
    text = list(pems(leaf.certificate)[0])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text) - 1))
        text[place] = data.draw(st.characters())
    said = ""
    try:
        found = Chain.read("".join(text))
    except ValueError as error:
        said = str(error)
    else:
        assert found.missing_issuer or found.leaf.self_signed
        assert found.leaf.covers("x.example") in {True, False}
    assert "\n" not in said
