"""Which routes to an API a host has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from novaops.errors import UsageError
from novaops.features.api import routes
from novaops.features.api.api import Api
from novaops.features.api.llm.protocol import sendable
from novaops.features.api.routes import ApiChoice, RouteQuery, apis, routes_of
from novaops.features.api.verdict import ApiRoute
from novaops.features.proxy.settings import Site
from novaops.features.tunnel.settings import Tunnel
from novaops.features.vpn.settings import Link
from novaops.providers import loader
from novaops.providers.loader import Provider
from novaops.secret import Secret
from tests.unit.features.api.support import ENOUGH, URL, found, line


def site(name: str, auth: Mapping[str, Any], **more: Any) -> Site:
    given = {"name": name, "provider": "openai", "domain": f"{name}.example.com", "tls": "letsencrypt", "auth": auth, **more}
    return Site.model_validate({key: value for key, value in given.items() if value is not None})


INJECT: Mapping[str, Any] = {"basic": {"nova": "env:PW"}, "inject": "env:KEY"}
TOKEN: Mapping[str, Any] = {"token": {"laptop": "env:TOKEN"}, "header": "X-Gate"}
PASSTHROUGH: Mapping[str, Any] = {"passthrough": True, "from": "192.0.2.0/24"}
SECRETS = {"env:PW": "p:w", "env:TOKEN": "t-1"}


def secret(reference: str) -> Secret:
    if reference not in SECRETS:
        raise UsageError(f"the environment variable {reference.partition(':')[2]} is not set")
    return Secret(SECRETS[reference])


def query(*sites: Site, key: str | None = None, streaming: bool = True, name: str = "openai") -> RouteQuery:
    api = Api(name, loader.load(name))
    return RouteQuery("box", api, [("canada", each) for each in sites], Secret(key) if key else None, streaming, 12, secret)


def sent(this: ApiRoute) -> tuple[list[tuple[str, str]], str | None]:
    """Headers and login, revealed."""
    assert this.probe is not None
    headers = [(name, value.reveal() if isinstance(value, Secret) else value) for name, value in this.probe.headers]
    return headers, this.probe.login.reveal() if this.probe.login else None


def test_direct() -> None:
    (this,) = routes_of(query())
    assert (this.name, this.url, this.has_key, this.unstreamed) == (
        *("direct", "https://api.openai.com/v1/models", False),
        "no key (--key env:NAME)",
    )
    assert this.probe is not None
    assert this.probe.stream_url == "https://api.openai.com/v1/chat/completions"
    assert json.loads(this.probe.stream_body)["stream"] is True
    assert sent(this) == ([], None)
    (this,) = routes_of(query(key="sk-1"))
    assert (sent(this), this.has_key, this.unstreamed) == (([("Authorization", "Bearer sk-1")], None), True, "")
    (this,) = routes_of(query(key="sk-1", streaming=False))
    assert this.probe is not None
    assert (this.probe.stream_url, this.unstreamed) == ("", "--no-stream")


@pytest.mark.parametrize(
    ("auth", "key", "headers", "login", "has_key", "unstreamed"),
    [
        (INJECT, None, [], "nova:p:w", True, ""),
        (INJECT, "sk-1", [], "nova:p:w", True, ""),
        (TOKEN, None, [("X-Gate", "t-1")], None, False, "no key (--key env:NAME)"),
        (TOKEN, "sk-1", [("X-Gate", "t-1"), ("Authorization", "Bearer sk-1")], None, True, ""),
        (PASSTHROUGH, None, [], None, False, "no key (--key env:NAME)"),
        (PASSTHROUGH, "sk-1", [("Authorization", "Bearer sk-1")], None, True, ""),
    ],
)
def test_what_is_sent_through_a_proxy(  # one column for each thing that is sent
    auth: Mapping[str, Any], key: str | None, headers: Any, login: Any, has_key: Any, unstreamed: str
) -> None:
    _, this = routes_of(query(site("gate", auth), key=key))
    assert (this.name, this.kind, this.url, this.by) == ("proxy canada/gate", "proxy", "https://gate.example.com/v1/models", "canada")
    assert sent(this) == (headers, login)
    assert (this.has_key, this.unstreamed, this.injects, this.lacks) == (has_key, unstreamed, auth is INJECT, "")


@pytest.mark.parametrize("auth", [{**INJECT, "basic": {"nova": "env:NONE"}}, {"token": "env:NONE"}])
def test_without_its_secret_nothing_else_is_sent_either(auth: Mapping[str, Any]) -> None:
    _, this = routes_of(query(site("gate", auth), key="sk-1"))
    assert (sent(this), this.lacks) == (([], None), "the environment variable NONE is not set")


def test_where_a_site_is() -> None:
    off = {"tls": "off", "http_port": 8080}
    sites = [
        site("path", TOKEN, path="/openai/v1"),
        site("plain", TOKEN, **off),
        site("two", TOKEN, domain=["*.two.example.com", "one.example.com", "two.example.com"], tls="off"),
        site("own", TOKEN, tls="self-signed"),
    ]
    _, *these = routes_of(query(*sites))
    assert [(this.url, this.advice) for this in these] == [
        ("https://path.example.com/openai/v1/models", ""),
        ("http://plain.example.com:8080/v1/models", ""),
        ("http://one.example.com/v1/models", ""),
        ("https://own.example.com/v1/models", "trust the certificate of canada: it is in /etc/nginx/novaops/own.crt"),
    ]
    assert these[0].probe is not None
    assert these[0].probe.stream_url == "https://path.example.com/openai/v1/chat/completions"


def test_sites_that_cannot_be_tried() -> None:
    pattern, local = site("pattern", TOKEN, domain="*.example.com", tls="off"), site("local", TOKEN, listen=["127.0.0.1", "::1"])
    _, *these = routes_of(query(pattern, local))
    assert [(this.probe, this.untried) for this in these] == [
        (None, "*.example.com is a pattern, and no name to ask for"),
        (None, "it listens only on 127.0.0.1, ::1 of canada"),
    ]
    there = replace(query(local), host="canada")
    assert routes_of(there)[1].probe is not None


def test_only_what_has_the_api_behind_it() -> None:
    """Secrets of other sites are not even asked for."""
    url = "https://api.example.com/v1"
    other = site("other", {"token": "env:NONE"}, provider="sensenova")
    own = site("own", {"token": "env:NONE"}, provider=None, upstream=url)
    assert [this.name for this in routes_of(query(other, own, site("gate", TOKEN)))] == ["direct", "proxy canada/gate"]
    (api,) = apis(ApiChoice(None, f"{url}/"), [], [])
    these = routes_of(replace(query(other, own, site("gate", TOKEN)), api=api))
    assert [(this.name, this.url, this.knows_probe) for this in these] == [
        ("direct", f"{url}/models", True),
        ("proxy canada/own", "https://own.example.com/v1/models", True),
    ], "it is taken to speak OpenAI's language"
    (elsewhere,) = apis(ApiChoice(None, url, "/v1/health"), [], [])
    assert [this.knows_probe for this in routes_of(replace(query(), api=elsewhere))] == [False]
    assert these[0].unstreamed == "no request that streams is known for this API"


def test_which_apis() -> None:
    sites = [
        ("a", site("one", TOKEN, provider="sensenova")),
        ("b", site("two", TOKEN, provider=None, upstream="https://api.example.com/v1/")),
        ("b", site("three", TOKEN, provider=None, upstream="https://api.example.com/v1")),
        ("b", site("four", TOKEN, provider="sensenova")),
    ]
    assert [api.name for api in apis(ApiChoice(), sites, [])] == ["sensenova", "api.example.com/v1"]
    assert [api.name for api in apis(ApiChoice("openai"), sites, [])] == ["openai"]
    assert [api.name for api in apis(ApiChoice(), [], [])] == ["openai"]
    (own,) = apis(ApiChoice("openai", "https://llm.example.com/openai/v1", "/openai/v1/engines?x=1"), [], [])
    assert (own.name, own.provider.origin, own.provider.probe) == (
        *("openai at llm.example.com/openai/v1", "https://llm.example.com"),
        "/openai/v1/engines?x=1",
    )
    for words, said in (
        ((None, "http://a/b"), "no https:// URL"),
        (("x", None), "no provider x"),
    ):
        with pytest.raises(UsageError, match=said):
            apis(ApiChoice(*words), [], [])


def test_another_kind_of_route_is_one_more_function(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_tunnel(this: RouteQuery) -> Iterator[ApiRoute]:
        yield replace(this.route("tunnel", "tunnel", "https://127.0.0.1:8443", this.api.provider, has_key=False), by="canada")

    monkeypatch.setattr(routes, "KINDS", (routes.direct, by_tunnel))
    these = routes_of(query())
    assert [(this.kind, this.url) for this in these][1:] == [("tunnel", "https://127.0.0.1:8443/v1/models")]
    details = found(these, line(ENOUGH), line(ENOUGH))
    assert details["apis"][0]["routes"][1]["verdict"] == "reachable through canada"


def tunnel(name: str = "openai", **more: Any) -> Tunnel:
    way = {} if "forwards" in more or "site" in more else {"to": "api.openai.com:443"}
    listen = {} if "forwards" in more else {"listen": 8443}
    return Tunnel.model_validate({"name": name, "via": "canada", **way, **listen, **more})


def link(name: str = "oracle", **more: Any) -> Link:
    return Link.model_validate({"name": name, "profile": "a.ovpn", "routes": ["api.openai.com"], "check": "https://a.example.com/", **more})


def test_a_tunnel_is_asked_through_its_listener_under_the_apis_own_name() -> None:
    _, this = routes_of(replace(query(key="sk-1"), tunnels=[("box", tunnel(listen="0.0.0.0:8443"))]))
    assert (this.name, this.kind, this.by, this.url) == ("tunnel openai", "tunnel", "canada", "https://api.openai.com/v1/models")
    assert this.probe is not None
    assert (this.probe.connect_to, this.probe.interface, this.probe.bypass) == ("127.0.0.1:8443", "", False)
    assert (sent(this), this.has_key) == (([("Authorization", "Bearer sk-1")], None), True)


def test_only_tunnels_that_are_entered_here_and_lead_there() -> None:
    elsewhere = [("box", tunnel("other", to="api.sensenova.cn:443")), ("box", tunnel("port", to="api.openai.com:8443"))]
    others = [("canada", tunnel("mine")), ("box", tunnel("gone", state="absent")), ("box", tunnel("out", reverse=True))]
    both = [{"to": "API.openai.com:443", "listen": listen} for listen in (8443, 8444)]
    these = [("box", tunnel("two", forwards=[*both, {"to": "db:5432", "listen": 5432}]))]
    back = [("hongkong", tunnel("back", via="box", reverse=True, listen="127.0.0.1:9443"))]
    _, *found = routes_of(replace(query(), tunnels=[*elsewhere, *others, *these, *back]))
    assert [(this.name, this.probe.connect_to, this.by) for this in found if this.probe] == [
        ("tunnel two 127.0.0.1:8443", "127.0.0.1:8443", "canada"),
        ("tunnel two 127.0.0.1:8444", "127.0.0.1:8444", "canada"),
        ("tunnel back", "127.0.0.1:9443", "hongkong"),
    ]


def test_a_tunnel_to_a_site_shows_what_the_site_wants() -> None:
    gate = site("gate", INJECT, listen=["127.0.0.1"], tls="off", http_port=8080, domain="gate.internal")
    _, by_proxy, this = routes_of(replace(query(gate), tunnels=[("box", tunnel(site="gate")), ("box", tunnel("x", site="none"))]))
    assert by_proxy.probe is None
    assert (this.name, this.kind, this.url, this.by) == ("tunnel openai", "tunnel", "http://127.0.0.1:8443/v1/models", "canada")
    assert (sent(this), this.injects) == (([], "nova:p:w"), True)
    secured = site("gate", INJECT)
    *_, this = routes_of(replace(query(secured), tunnels=[("box", tunnel(site="gate"))]))
    assert this.probe is not None
    assert (this.url, this.probe.connect_to) == ("https://gate.example.com/v1/models", "127.0.0.1:8443")


def test_a_vpn_is_asked_by_its_device() -> None:
    links = [link("a-very-long-name"), link("b", routes=["api.sensenova.cn"]), Link(name="c", state="absent")]
    _, this = routes_of(replace(query(), links=links))
    assert (this.name, this.kind, this.by) == ("vpn a-very-long-name", "vpn", "the VPN a-very-long-name")
    assert this.probe is not None
    assert (this.probe.interface, this.probe.connect_to) == ("vpn-a-very-long", "")


def test_a_vpn_with_networks_is_known_by_what_is_asked_through_it() -> None:
    networks = {"routes": ["192.0.2.0/24"]}
    links = [link("in", **networks, check="https://api.openai.com/v1/models"), link("out", **networks)]
    assert [this.name for this in routes_of(replace(query(), links=links))] == ["direct", "vpn in"]


def test_direct_is_not_where_a_proxy_serves_it() -> None:
    mine = {"endpoints": [{"host": "api.example.com", "path": "/v1", "at": "/mine/v1"}], "probe": "/v1/models"}
    this = replace(query(site("gate", TOKEN, provider="mine")), api=Api("mine", Provider.model_validate(mine)))
    assert [each.url for each in routes_of(this)] == [URL, "https://gate.example.com/mine/v1/models"]


def test_a_token_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SECRETS, "env:TOKEN", "t-1\nX-Other: 1")
    _, this = routes_of(query(site("gate", TOKEN)))
    assert (sent(this)[0], this.lacks) == ([], "the token of laptop is empty, or has characters that cannot stand in a header")


@pytest.mark.parametrize("text", ["", "a b\n", "é", "a\0b", "a\r\nX: y"])
def test_what_cannot_stand_in_a_header(text: str) -> None:
    with pytest.raises(UsageError, match="env:KEY is empty, or has characters"):
        sendable(Secret(text), "env:KEY")
