"""What the words of `tunnel open` mean, and every wrong one named before anything is contacted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.errors import UsageError
from novaops.features.tunnel.local_settings import LocalForward, forwards
from novaops.providers import loader


def api(name: str) -> tuple[str, int]:
    first = loader.load(name).endpoints[0]
    return first.host, first.port


def one(to: str, *listen: str) -> LocalForward:
    (found,) = forwards([to], listen, api)
    return found


@pytest.mark.parametrize(
    ("word", "to"),
    [
        ("openai", ("api.openai.com", 443)),
        ("sensenova", ("api.sensenova.cn", 443)),
        ("eve", ("127.0.0.1", 443)),
        ("db.internal:5432", ("db.internal", 5432)),
        ("localhost:25", ("localhost", 25)),
        ("[2001:db8::7]:443", ("2001:db8::7", 443)),
    ],
)
def test_where_it_leads(word: str, to: tuple[str, int]) -> None:
    found = one(word)
    assert ((found.host, found.port), found.listens) == (to, "127.0.0.1:0")


@pytest.mark.parametrize(
    ("word", "listens"),
    [
        ("8443", "127.0.0.1:8443"),
        ("localhost:1", "127.0.0.1:1"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("0.0.0.0:8443", "0.0.0.0:8443"),
        ("[::1]:8443", "[::1]:8443"),
    ],
)
def test_where_it_is_reached(word: str, listens: str) -> None:
    assert one("openai", word).listens == listens


@pytest.mark.parametrize(
    ("to", "listen", "said"),
    [
        (["api.openai.com"], [], "--to api.openai.com has no port"),
        (["10.0.0.1"], [], "--to 10.0.0.1 has no port"),
        (["2001:db8::7"], [], "--to 2001:db8::7 has no port"),
        (["a:0"], [], '--to a:0: "0" is no port'),
        (["a:65536"], [], '--to a:65536: "65536" is no port'),
        (["a b:1"], [], '--to a b:1: "a b" is no host name'),
        (["-oProxyCommand=x:1"], [], '--to -oProxyCommand=x:1: "-oProxyCommand=x" is no host name'),
        ([""], [], '--to : "" is no host name'),
        (["opnai"], [], "--to opnai: there is no provider opnai"),
        (["openai"], ["1", "2"], "--listen is there twice, and --to once"),
        (["openai", "eve", "a:1"], ["1"], "--listen is there once, and --to 3 times"),
        (["openai", "eve"], ["8443", "127.0.0.1:8443"], "--listen 127.0.0.1:8443 is there twice"),
        (["openai"], ["65536"], "--listen 65536: it is neither a port"),
        (["openai"], ["here:1"], '--listen here:1: "here" is no IP address'),
        (["openai"], ["::1:80"], "--listen ::1:80: it is neither a port"),
        (["openai"], ["127.0.0.1:"], "--listen 127.0.0.1:: it is neither a port"),
        (["openai"], ["fe80::1%eth0"], "--listen fe80::1%eth0: it is neither a port"),
        (["openai"], ["٣"], "--listen ٣: it is neither a port"),
    ],
)
def test_a_wrong_word_is_named(to: list[str], listen: list[str], said: str) -> None:
    """T02."""
    with pytest.raises(UsageError) as wrong:
        forwards(to, listen, api)
    assert wrong.value.what.startswith(said)


@pytest.mark.parametrize(
    ("to", "listen", "use"),
    [
        ("openai", "9", "curl --connect-to api.openai.com:443:127.0.0.1:9 https://api.openai.com/"),
        ("api.lab.test:8443", "9", "curl --connect-to api.lab.test:8443:127.0.0.1:9 https://api.lab.test:8443/"),
        ("[2001:db8::7]:443", "[::1]:9", "curl --connect-to [2001:db8::7]:443:[::1]:9 https://[2001:db8::7]/"),
        ("openai", "0.0.0.0:9", "curl --connect-to api.openai.com:443:127.0.0.1:9 https://api.openai.com/"),
        ("eve", "9", "https://127.0.0.1:9/ in a browser, which warns: the certificate is EVE-NG's own"),
        ("127.0.0.1:443", "9", "curl --connect-to 127.0.0.1:443:127.0.0.1:9 https://127.0.0.1/"),
        ("db:5432", "9", ""),
    ],
)
def test_the_line_that_uses_it(to: str, listen: str, use: str) -> None:
    assert one(to, listen).usage == use


def test_eves_page_may_be_at_two_ports() -> None:
    assert [(way.port, way.usage.partition(" ")[0]) for way in one("eve", "9").ways] == [
        (443, "https://127.0.0.1:9/"),
        (80, "http://127.0.0.1:9/"),
    ]
    assert len(one("openai").ways) == 1


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_is_a_way_or_a_sentence(to: str, listen: str) -> None:
    said = ""
    try:
        found = one(to, listen)
    except UsageError as error:
        said = error.what
    else:
        assert 0 < found.port < 65536
        assert 0 <= found.listen_port < 65536
    assert not said or said.startswith(("--to ", "--listen "))
