"""Which API, key and route the flags and the inventory stand for. Nothing is contacted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from novaops.cli.options import Options
from novaops.errors import InventoryError, UsageError
from novaops.features.api.access import Access, ApiFlags, choose
from novaops.features.api.llm.protocol import KeyPair
from novaops.secret import Secret

Chosen = Callable[..., Access]

HOSTS = """
  canada:
    address: 198.51.100.7
    user: ops
    groups: [gateways]
    sudo_password: "cmd:exit 1"
    proxy:
      - {name: inj, provider: openai, domain: p.example.com, tls: letsencrypt, auth: {basic: {nova: env:PW}, inject: env:K}}
      - {name: own, provider: openai, domain: o.example.com, tls: letsencrypt, auth: {keys: {me: env:PW}, inject: env:K}}
      - {name: tok, provider: openai, domain: t.example.com, tls: letsencrypt, auth: {token: env:PW}}
      - {name: loop, provider: openai, domain: l.example.com, listen: 127.0.0.1, tls: "off", http_port: 8080, auth: {token: env:PW}}
      - {name: many, provider: openai, domain: "*.example.com", tls: files, certificate: /c, key: /k, auth: {token: env:PW}}
      - {name: else, provider: anthropic, domain: e.example.com, tls: letsencrypt, auth: {token: env:PW}}
      - {name: at, provider: openai, upstream: "https://gw.example.com/v1", domain: a.example.com, tls: letsencrypt, auth: {token: env:PW}}
      - {name: web, domain: www.example.com, tls: "off", upstreams: ["10.0.0.1:80"]}
  bare: {}
"""
DEFAULTS = "api: {provider: deepseek, key: env:MINE, model: m, route: canada}"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"OPENAI_API_KEY": "sk-1", "MINE": "sk-2", "PW": "pw", "DEEPSEEK_API_KEY": "sk-3"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", "/nonexistent")
    for name in ("SENSENOVA_API_KEY", "SENSENOVA_ACCESS_KEY_ID", "SENSENOVA_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def chosen(tmp_path: Path) -> Chosen:
    def make(defaults: str = "", **flags: str) -> Access:
        file = tmp_path / "inventory.yaml"
        file.write_text(f"hosts:{HOSTS}{defaults}\n")
        return choose(Options(inventory=file), ApiFlags(**flags))

    return make


def test_nothing_said(chosen: Chosen) -> None:
    access = chosen()
    assert (access.name, access.credential, access.route.name, access.through) == ("openai", Secret("sk-1"), "direct", None)


def test_the_inventory_says(chosen: Chosen) -> None:
    access = chosen(DEFAULTS)
    assert (access.name, access.model, access.credential, access.route.name) == ("deepseek", "m", Secret("sk-2"), "canada")
    assert access.through is not None
    assert access.through.address == "198.51.100.7"
    assert access.leads == {("api.deepseek.com", 443): ("api.deepseek.com", 443)}


def test_flags_win(chosen: Chosen) -> None:
    """The inventory's key and model are those of its provider, and of no other."""
    access = chosen(DEFAULTS, provider="openai", via="direct")
    assert (access.name, access.model, access.credential, access.through) == ("openai", "", Secret("sk-1"), None)
    assert chosen(DEFAULTS, key="env:PW").credential == Secret("pw")


def test_the_route_of_the_inventory_leads_elsewhere(chosen: Chosen) -> None:
    """Not to what listens on this machine, unless a flag says so."""
    assert chosen(DEFAULTS, provider="local", key="env:PW").through is None
    assert chosen(DEFAULTS, provider="local", key="env:PW", via="canada").leads == {("127.0.0.1", 8765): ("127.0.0.1", 8765)}


def test_a_url_alone_asks_for_no_key(chosen: Chosen) -> None:
    access = chosen(upstream="https://llm.example.com/v1")
    assert (access.credential, access.route.url("/models")) == (None, "https://llm.example.com/v1/models")
    local = chosen(provider="local", upstream="http://127.0.0.1:9/v1", key="env:PW")
    assert local.route.url("/models") == "http://127.0.0.1:9/v1/models"


def test_a_pair_of_keys(chosen: Chosen, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="there is none in env:SENSENOVA_API_KEY or env:SENSENOVA_ACCESS_KEY_ID with"):
        chosen(provider="sensenova")
    monkeypatch.setenv("SENSENOVA_ACCESS_KEY_ID", "ak")
    monkeypatch.setenv("SENSENOVA_SECRET_ACCESS_KEY", "sk")
    assert chosen(provider="sensenova").credential == KeyPair("ak", Secret("sk"))
    assert chosen(provider="sensenova", key="env:PW", key_id="env:MINE").credential == KeyPair("sk-2", Secret("pw"))
    monkeypatch.setenv("SENSENOVA_API_KEY", "key")
    assert chosen(provider="sensenova").credential == Secret("key")


def test_by_a_site(chosen: Chosen) -> None:
    found = {name: chosen(via=f"proxy:canada/{name}") for name in ("inj", "own", "tok", "loop")}
    assert {name: one.route.url("/models") for name, one in found.items()} == {
        "inj": "https://p.example.com/v1/models",
        "own": "https://o.example.com/v1/models",
        "tok": "https://t.example.com/v1/models",
        "loop": "http://l.example.com:8080/v1/models",
    }
    headers = {name: {key: value.reveal() for key, value in one.route.headers.items()} for name, one in found.items()}
    assert headers["inj"] == {"Authorization": "Basic bm92YTpwdw=="}
    assert headers["own"] == {"Authorization": "Bearer pw"}
    assert headers["tok"] == headers["loop"] == {"X-Novaops-Token": "pw"}
    assert {name: one.credential for name, one in found.items()} == {
        "inj": None,
        "own": None,
        "tok": Secret("sk-1"),
        "loop": Secret("sk-1"),
    }
    assert {name: one.through is not None for name, one in found.items()} == {"inj": False, "own": False, "tok": False, "loop": True}
    assert found["loop"].leads == {("l.example.com", 8080): ("127.0.0.1", 8080)}


@pytest.mark.parametrize(
    ("flags", "defaults", "said"),
    [
        ({"via": "proxy:canada/else"}, "", "proxy:canada/else is a site before anthropic, and openai is meant"),
        ({"provider": "anthropic", "via": "proxy:canada/tok"}, "", "before openai, and anthropic is meant"),
        ({"provider": "anthropic", "via": "proxy:canada/inj"}, "", "before openai, and anthropic is meant"),
        ({"via": "proxy:canada/at"}, "", "before openai at https://gw.example.com/v1, and openai is meant"),
        ({"upstream": "https://x.example.com/v1", "via": "proxy:canada/tok"}, "", "before openai, and https://x.example.com/v1 is meant"),
        ({}, 'api: {provider: deepseek, route: "proxy:canada/tok"}', "before openai, and deepseek is meant"),
    ],
)
def test_a_key_goes_to_no_other_api(flags: dict[str, str], defaults: str, said: str, chosen: Chosen) -> None:
    """A site that passes keys on gives them to its own API, whose they are or not."""
    with pytest.raises(UsageError, match=said):
        chosen(defaults, **flags)


def test_the_site_of_the_inventory_is_for_its_own_api(chosen: Chosen, monkeypatch: pytest.MonkeyPatch) -> None:
    """As its key and model are. A host leads to every API."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-4")
    site = 'api: {provider: openai, route: "proxy:canada/tok"}'
    assert chosen(site).route.url("") == "https://t.example.com/v1"
    other = chosen(site, provider="anthropic")
    assert (other.route.name, other.route.url(""), other.credential) == ("direct", "https://api.anthropic.com/v1", Secret("sk-4"))
    assert chosen(site, upstream="https://x.example.com/v1").route.name == "direct"
    assert chosen('api: {route: "proxy:canada/tok"}', provider="openai").route.name == "proxy:canada/tok"
    assert chosen(DEFAULTS, provider="anthropic").route.name == "canada"


def test_a_site_before_an_api_at_another_place(chosen: Chosen) -> None:
    there = chosen(provider="openai", upstream="https://gw.example.com/v1/", via="proxy:canada/at")
    assert (there.route.url(""), there.credential) == ("https://a.example.com/v1", Secret("sk-1"))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"provider": "nobody"}, "there is no provider nobody"),
        ({"provider": "azure"}, "each user has a host of their own"),
        ({"upstream": "ftp://x"}, "--upstream: "),
        ({"key": "sk-plain"}, "in plain text"),
        ({"key": "env:NOT_SET_AT_ALL"}, "NOT_SET_AT_ALL is not set"),
        ({"provider": "local"}, "novaops api serve makes one"),
        ({"key_id": "env:PW"}, "--key-id is there without --key"),
        ({"via": "nowhere"}, "has no host or group nowhere"),
        ({"via": "gateways"}, "that is a group"),
        ({"via": "proxy:bare/x"}, "has no host bare with a proxy: section"),
        ({"via": "proxy:nowhere"}, "has no host nowhere with a proxy: section"),
        ({"via": "proxy:canada/nobody"}, "canada has no such site"),
        ({"via": "proxy:canada/web"}, "canada has no such site"),
        ({"via": "proxy:canada/many"}, "is a pattern"),
    ],
)
def test_wrong_words(flags: dict[str, str], said: str, chosen: Chosen) -> None:
    with pytest.raises(UsageError, match=said):
        chosen(**flags)


def test_a_key_that_cannot_stand_in_a_header(chosen: Chosen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "two\nlines")
    with pytest.raises(UsageError, match="cannot stand in a header"):
        chosen(key="env:PW")


@pytest.mark.parametrize("wrong", ["api: {colour: red}", "api: {key: sk-123}", "api: 5", "api: {provider: 'a b'}"])
def test_the_inventory_is_wrong(wrong: str, chosen: Chosen) -> None:
    with pytest.raises(InventoryError, match="api"):
        chosen(wrong)
