"""OpenVPN's own way to read a line, and that what novaops writes is read the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.features.vpn.profile import Option, Profile, ProfileError, line_of, quoted, text_of, words_of

WORDS = st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=20)
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,15}", fullmatch=True).filter(lambda name: name not in {"setenv", "connection"})


@given(WORDS)
def test_a_word_stays_one_word(word: str) -> None:
    assert words_of(f"x {quoted(word)} y") == ("x", word, "y")


@given(NAMES, st.lists(WORDS, max_size=3))
def test_what_is_written_is_read_again(name: str, parameters: list[str]) -> None:
    try:
        line_of((name, *parameters))
    except ValueError:
        return  # longer than OpenVPN takes
    assert [option.words for option in Profile.read(text_of([Option((name, *parameters), 1)]).encode()).options] == [(name, *parameters)]


@given(st.binary(max_size=300))
def test_anything_is_read_or_turned_down(content: bytes) -> None:
    try:
        profile = Profile.read(content)
        text_of(profile.options)
    except ValueError:
        return


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_marks_tabs_quotes_and_comments(end: str) -> None:
    lines = [
        "\ufeff# a profile",
        "; another comment",
        "\tremote\t'vpn example'  1194 # not this",
        'verify-x509-name "a \\"b\\" c" name',
        "--persist-tun",
        "setenv opt block-outside-dns",
        "<ca>",
        "one # kept",
        "</ca>",
        "<connection>",
        "remote other 443 tcp",
        "</connection>",
    ]
    profile = Profile.read(end.join(lines).encode())
    assert [(option.words, option.line) for option in profile.options] == [
        (("remote", "vpn example", "1194"), 3),
        (("verify-x509-name", 'a "b" c', "name"), 4),
        (("persist-tun",), 5),
        (("block-outside-dns",), 6),
        (("ca",), 7),
        (("remote", "other", "443", "tcp"), 11),
    ]
    assert profile.all("ca")[0].block == "one # kept\n"
    assert profile.remotes == (("vpn example", "1194", "udp"), ("other", "443", "tcp"))
    assert text_of(profile.options).endswith("<connection>\nremote other 443 tcp\n</connection>\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("client\n<ca>\nabc", "line 2: <ca> is not closed"),
        ('client\n<ca>\nabc\n</ca>.\nup "/bin/sh -c x"\n</ca>\n', "line 4: </ca> has to stand alone"),
        (f'client\n<ca>\n{"A" * 255}</ca>\nup "/bin/sh -c x"\n</ca>\n', "line 3: </ca> has to stand alone"),
        ("<connection>\nremote a 1\n</connection> x\nup y\n</connection>", "</connection> has to stand alone"),
        ("</ca>", "line 1: </ca> closes what was not opened"),
        ('remote "a', "line 1: a quotation mark is not closed"),
        ("x" * 256, "line 1: it is longer than 255 bytes"),
        ("$(reboot)", "is no option of OpenVPN's"),
        ("a " * 17, "more than 16 words"),
        ("a\0b", "NUL"),
        ("<connection>\n<connection>\n</connection>\n</connection>", "not closed|within another"),
    ],
)
def test_what_is_no_profile(text: str, says: str) -> None:
    with pytest.raises(ProfileError, match=says):
        text_of(Profile.read(text.encode()).options)


def test_files_beside_it_become_blocks() -> None:
    files = {"ca.crt": b"CA\r\n", "ta.key": b"TA\n", "me.p12": b"\x00\x01\x02"}
    profile = Profile.read(b"ca ca.crt\ntls-auth ta.key 1\npkcs12 me.p12\n").filled(files.__getitem__)
    assert text_of(profile.options) == "<ca>\nCA\n</ca>\nkey-direction 1\n<tls-auth>\nTA\n</tls-auth>\n<pkcs12>\nAAEC\n</pkcs12>\n"


def test_a_file_that_is_missing_has_its_line() -> None:
    def beside(name: str) -> bytes:
        raise FileNotFoundError(2, "No such file or directory", name)

    with pytest.raises(ProfileError, match=r"line 2: key: k\.pem cannot be read: No such file"):
        Profile.read(b"client\nkey k.pem\n").filled(beside)


def test_a_file_cannot_close_its_own_block() -> None:
    with pytest.raises(ProfileError, match="is no file of that kind"):
        Profile.read(b"ca x\n").filled(lambda _: b"a\n</ca>\nup /bin/evil\n<ca>\n")


@pytest.mark.parametrize("name", ["ca", "crl-verify", "tls-auth", "peer-fingerprint", "verify-hash"])
def test_a_block_that_is_missing_is_said(name: str) -> None:
    text = f"client\n{name} [inline]\n"
    with pytest.raises(ProfileError, match=f"line 2: {name}: there is no block <{name}>"):
        Profile.read(text.encode()).filled(lambda _: b"")
    assert Profile.read(f"{text}<{name}>\nx\n</{name}>\n".encode()).filled(lambda _: b"").last(name) is not None
