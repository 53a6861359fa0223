"""What a host printed of its routes to an API, and what is said of them; which routes there are; and the shell that asks, run here.

tests/cases/api is what curl, APIs and proxies say.
"""

from __future__ import annotations

import base64
import http.server
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from novaops.errors import HostFailed, UsageError
from novaops.features.api import routes, status
from novaops.features.api.check import resolver
from novaops.features.api.facts import NO_CURL, RouteProbe, RouteResult
from novaops.features.api.routes import Api, RouteQuery, apis, routes_of, sendable
from novaops.features.api.streaming import arrivals
from novaops.features.api.verdict import ApiRoute
from novaops.features.proxy.settings import Site
from novaops.features.tunnel.settings import Tunnel
from novaops.features.vpn.settings import Link
from novaops.model.question import Facts, Missing
from novaops.providers import loader
from novaops.providers.loader import Provider
from novaops.secret import Secret
from novaops.shell import whole
from tests.unit.facts.test_facts import framed, outcome, read

CASES = Path(__file__).parents[3] / "cases" / "api"
URL = "https://api.example.com/v1/models"
KEY = ("Authorization", Secret("Bearer sk-secret-1"))
PROBE = RouteProbe("direct to mine", URL, (KEY,), None, "https://api.example.com/v1/chat", "{}")
ENOUGH = {"status": 200, "body": "[]", "times": [0.01, 0.02, 0.05, 0.2], "address": "192.0.2.1"}


def cases(name: str) -> list[Any]:
    return [pytest.param(case, id=title) for title, case in yaml.safe_load((CASES / f"{name}.yaml").read_text("utf-8")).items()]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def line(case: Mapping[str, Any], streamed: str = "") -> str:
    """What the shell prints of a route."""
    times = [f"{float(time):.6f}" for time in case.get("times", [0.001, 0, 0, 0] if "status" not in case else ENOUGH["times"])]
    kind = case.get("content_type", "application/json" if case.get("status") else "")
    measured = "\t".join([f"{case.get('status', 0):03}", *times, case.get("address", ""), kind, case.get("redirect", "")])
    body = case.get("body", "") * case.get("repeat", 1)
    texts = [measured, case.get("error", ""), body, case.get("refusals", ""), case.get("names", "")]
    return "\t".join([str(case.get("exit_code", 0)), *map(encoded, texts), streamed, encoded(case.get("way", "")), "."])


def stream(case: Mapping[str, Any]) -> str:
    """What the shell prints of a stream."""
    begun, status = 1000.0, case.get("status", 200)
    head = (
        f"HTTP/1.1 100 Continue\nHTTP/1.1 {status} X\nContent-Type: {case.get('content_type', 'text/event-stream')}\r\n" if status else ""
    )
    times = " ".join(f"{begun + hundredths / 100:.2f}" for hundredths, _ in case["parts"])
    sizes = " ".join(str(len(text)) for _, text in case["parts"])
    fields = [str(case.get("exit_code", 0)), encoded(case.get("error", "")), encoded(head), f"{begun:.2f}", times, sizes or "0"]
    return ",".join([*fields, encoded("".join(text for _, text in case["parts"]))])


def api_route(case: Mapping[str, Any], probe: RouteProbe = PROBE) -> ApiRoute:
    probe = replace(probe, url=case.get("url", URL))
    return ApiRoute("mine", "direct", "direct", probe.url, probe, **case.get("route", {}))


def found(these: list[ApiRoute], *lines: str) -> dict[str, Any]:
    asked = list(status.questions(these))
    return status.details(these, read(asked, *framed(asked[0], "".join(f"{each}\n" for each in lines))))


def route(case: Mapping[str, Any], streamed: str = "") -> dict[str, Any]:
    details = found([api_route(case)], line(case, streamed))
    (only,) = details["apis"][0]["routes"]
    assert details["apis"][0]["works"] == only["works"] == status.all_work(details)
    return dict(only)


# -- what is said -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases("answers"))
def test_answer(case: Mapping[str, Any]) -> None:
    said = route(case)
    assert (said["works"], said["verdict"], said["fix"]) == (case["works"], case["verdict"], case.get("fix", ""))
    assert said["http_status"] == case["status"]


@pytest.mark.parametrize("case", cases("faults"))
def test_fault(case: Mapping[str, Any]) -> None:
    said = route(case)
    assert (said["verdict"], said["fix"]) == (case["verdict"], case.get("fix", ""))
    assert (said["works"], said["http_status"], said["ttfb_ms"]) == (False, None, None)


@pytest.mark.parametrize("case", cases("streams"))
def test_stream(case: Mapping[str, Any]) -> None:
    said = route({**ENOUGH, "route": {"has_key": True, **case.get("route", {})}}, stream(case))
    measured = said["stream"]
    expected = {key: case[key] for key in ("streams", "why", "events", "arrivals", "first_ms", "last_ms") if key in case}
    assert {key: measured[key] for key in expected} == expected
    assert said["works"] == (case["streams"] is not False), "what should stream and does not is of no use"
    assert said["verdict"] == case.get("verdict", said["verdict"])
    assert said["fix"] == case.get("fix", "")
    if "cell" in case:
        assert status.stream_cell(measured) == case["cell"]


def test_each_phase_has_its_own_time() -> None:
    said = route({**ENOUGH, "names": "192.0.2.1\n2001:db8::1\n"})
    assert [said[key] for key in ("dns_ms", "tcp_ms", "tls_ms", "ttfb_ms")] == [10, 10, 30, 200]
    assert (said["addresses"], said["address"]) == (["192.0.2.1", "2001:db8::1"], "192.0.2.1")


def test_an_address_needs_no_time_to_be_found() -> None:
    said = route({**ENOUGH, "times": [0, 0.02, 0, 0.2]})
    assert [said[key] for key in ("dns_ms", "tcp_ms", "tls_ms")] == [0, 20, None]


def test_the_time_of_a_second_look_is_no_refusal() -> None:
    late = {"exit_code": 28, "error": "curl: (28) Connection timed out after 8003 milliseconds", "refusals": "0.012000"}
    reached = outcome(read([PROBE], *framed(PROBE, line(late))), PROBE)
    assert (reached.connects, reached.refusals) == (True, ())


def test_the_table_and_the_fastest() -> None:
    """Of those that work; where only one does, it is not said."""
    slow, quick, broken = (replace(api_route({}), name=name, probe=replace(PROBE, name=name)) for name in ("slow", "quick", "broken"))
    never = ApiRoute("mine", "proxy a/b", "proxy", "", untried="*.b is a pattern")
    refused = {"exit_code": 6, "error": "curl: (6) Could not resolve host: api.example.com"}
    lines = [line({**ENOUGH, "times": [0.01, 0.0123, 0.05, first], "names": "192.0.2.1\n192.0.2.2\n"}) for first in (0.3, 0.1)]
    details = found([slow, quick, broken, never], *lines, line(refused))
    assert details["apis"][0]["fastest"] == "quick"
    rows = status.rows(details, several_apis=False)
    assert rows == [
        ("slow", "192.0.2.1 +1", "2.3", "38", "200", "300", "–", "✓ reachable"),
        ("quick", "192.0.2.1 +1", "2.3", "38", "200", "100", "–", "✓ reachable; the fastest"),
        ("broken", "no address", "–", "–", "–", "–", "–", f"✘ {_no_address()}"),
        ("proxy a/b", "–", "–", "–", "–", "–", "–", "  not tried: *.b is a pattern"),
    ]
    assert all(len(row) == len(status.headers(several_apis=False)) for row in rows)
    assert [row[0] for row in status.rows(details, several_apis=True)] == ["mine"] * 4
    assert len(status.headers(several_apis=True)) == len(rows[0]) + 1
    alone = found([quick, broken], lines[1], line(refused))
    assert [row[-1] for row in status.rows(alone, several_apis=False)] == ["✓ reachable", f"✘ {_no_address()}"]


def _no_address() -> str:
    return "DNS gives no address for api.example.com: there is no such name, or its name servers fail"


def test_each_api_needs_a_route_that_works() -> None:
    one, other = (replace(api_route({}), api=api, probe=replace(PROBE, name=api)) for api in ("one", "other"))
    assert status.all_work(found([one, other], line(ENOUGH), line(ENOUGH)))
    details = found([one, other], line(ENOUGH), line({"exit_code": 52}))
    assert not status.all_work(details)
    assert [(api["api"], api["works"], api["fastest"]) for api in details["apis"]] == [("one", True, "direct"), ("other", False, None)]


def test_why_no_stream_was_asked_for() -> None:
    this = replace(api_route({}), unstreamed="no key (--key env:NAME)")
    (said,) = found([this], line({"status": 401, "body": "{}"}))["apis"][0]["routes"]
    assert (said["stream"]["streams"], said["stream"]["why"]) == (None, "not tried: no key (--key env:NAME)")
    (said,) = found([this], line({"exit_code": 6}))["apis"][0]["routes"]
    assert said["stream"]["why"] == "", "that the route does not work says it already"


def test_a_host_without_curl() -> None:
    with pytest.raises(HostFailed, match="this host has no curl") as raised:
        status.details([api_route({})], read([PROBE], *framed(PROBE, "", status=NO_CURL)))
    assert raised.value.fix == "apt-get install curl, or dnf install curl"


# -- what cannot be read ----------------------------------------------------------------------------------------------


def test_a_cut_answer_is_unknown() -> None:
    whole_line = line({**ENOUGH, "names": "192.0.2.1\n"}, stream({"parts": [[1, "data: {}\n\n"]]}))
    assert isinstance(outcome(read([PROBE], *framed(PROBE, whole_line)), PROBE), RouteResult)
    for cut in range(len(whole_line)):
        assert outcome(read([PROBE], *framed(PROBE, whole_line[:cut])), PROBE) == "unknown", cut


@given(st.text(st.characters(exclude_characters="\0"), max_size=60))
def test_garbage_is_unknown(garbage: str) -> None:
    assert outcome(read([PROBE], *framed(PROBE, garbage)), PROBE) == "unknown"


def test_a_route_that_said_nothing_does_not_hide_the_others() -> None:
    other = replace(PROBE, name="other")
    facts = read([PROBE, other], *framed(PROBE, f"\n{line(ENOUGH)}\n"))
    assert outcome(facts, PROBE) == "unknown"
    assert isinstance(outcome(facts, other), RouteResult)


def test_what_could_not_be_said_shows_no_secret() -> None:
    with pytest.raises(HostFailed) as raised:
        status.details([api_route({})], Facts({PROBE: Missing.UNKNOWN}, {}))
    assert raised.value.what == "the host could not say: the route direct to mine"
    assert "sk-secret" not in repr(PROBE)


# -- which routes there are -------------------------------------------------------------------------------------------


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
    (api,) = apis(None, f"{url}/", [], [])
    these = routes_of(replace(query(other, own, site("gate", TOKEN)), api=api))
    assert [(this.name, this.url, this.knows_probe) for this in these] == [
        ("direct", url, False),
        ("proxy canada/own", "https://own.example.com/v1", False),
    ]
    assert these[0].unstreamed == "no request that streams is known for this API"


def test_which_apis() -> None:
    sites = [
        ("a", site("one", TOKEN, provider="sensenova")),
        ("b", site("two", TOKEN, provider=None, upstream="https://api.example.com/v1/")),
        ("b", site("three", TOKEN, provider=None, upstream="https://api.example.com/v1")),
        ("b", site("four", TOKEN, provider="sensenova")),
    ]
    assert [api.name for api in apis(None, None, sites, [])] == ["sensenova", "api.example.com/v1"]
    assert [api.name for api in apis("openai", None, sites, [])] == ["openai"]
    assert [api.name for api in apis(None, None, [], [])] == ["openai"]
    for words, said in (
        (("openai", "https://a/b"), "exclude each other"),
        ((None, "http://a/b"), "--upstream: .*no https"),
        (("x", None), "no provider x"),
    ):
        with pytest.raises(UsageError, match=said):
            apis(words[0], words[1], [], [])


def test_another_kind_of_route_is_one_more_function(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_tunnel(this: RouteQuery) -> Iterator[ApiRoute]:
        yield replace(this.route("tunnel", "tunnel", "https://127.0.0.1:8443", this.api.provider, has_key=False), by="canada")

    monkeypatch.setattr(routes, "KINDS", (routes.direct, by_tunnel))
    these = routes_of(query())
    assert [(this.kind, this.url) for this in these][1:] == [("tunnel", "https://127.0.0.1:8443/v1/models")]
    details = found(these, line(ENOUGH), line(ENOUGH))
    assert details["apis"][0]["routes"][1]["verdict"] == "reachable through canada"


# -- tunnels and VPNs -------------------------------------------------------------------------------------------------


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


BY_VPN_X = "by vpn-x, where this host's routes lead"


@pytest.mark.parametrize(
    ("way", "verdict"),
    [
        ("", "reachable"),
        ("device eth0\n", "reachable"),
        (
            "hosts-file 127.86.1.2 2\ndevice eth0\n",
            "reachable (past the transparent tunnel, which leads api.example.com to 127.86.1.2)",
        ),
        (
            "hosts-file 127.86.1.2 0\ndevice lo\n",
            "reachable (by the transparent tunnel: this host leads api.example.com to 127.86.1.2, and DNS tells no other address)",
        ),
        ("device vpn-oracle\n", "reachable (by vpn-oracle, where this host's routes lead)"),
        (
            "hosts-file 127.86.1.2 2\ndevice vpn-x\n",
            f"reachable (past the transparent tunnel, which leads api.example.com to 127.86.1.2, and {BY_VPN_X})",
        ),
    ],
)
def test_what_direct_really_is(way: str, verdict: str) -> None:
    assert route({**ENOUGH, "way": way})["verdict"] == verdict


@pytest.mark.parametrize(
    ("more", "answer", "verdict"),
    [
        (
            {"connect_to": "127.0.0.1:8443"},
            {"exit_code": 7, "refusals": "Connection refused"},
            "the listener 127.0.0.1:8443 refuses the connection: nothing listens there, or a firewall says so",
        ),
        (
            {"connect_to": "127.0.0.1:8443"},
            {"exit_code": 35, "error": "curl: (35) OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to api.example.com:443"},
            "the tunnel takes the connection and cuts it: canada does not reach api.example.com:443, or does not let the tunnel",
        ),
        (
            {},
            {"exit_code": 52, "error": "curl: (52) Empty reply from server"},
            "the tunnel takes the connection and cuts it: canada does not reach the site, or does not let the tunnel",
        ),
        ({"interface": "vpn-oracle"}, {"exit_code": 45, "error": "curl: (45) Failed"}, "there is no device vpn-oracle: canada is not up"),
    ],
)
def test_what_only_a_way_of_our_own_suffers_from(more: Mapping[str, Any], answer: Mapping[str, Any], verdict: str) -> None:
    probe = replace(PROBE, **more)
    this = ApiRoute("mine", "tunnel openai", "vpn" if "interface" in more else "tunnel", URL, probe, by="canada")
    (said,) = found([this], line(answer))["apis"][0]["routes"]
    assert (said["works"], said["verdict"]) == (False, verdict)


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


def test_a_secret_is_looked_up_once(tmp_path: Path) -> None:
    count = tmp_path / "count"
    resolve = resolver()
    assert {resolve(f"cmd:echo x >>{count}; echo s").reveal() for _ in range(2)} == {"s"}
    for _ in range(2):
        with pytest.raises(UsageError):
            resolve(f"cmd:echo x >>{count}; false")
    assert count.read_text() == "x\n" * 2


# -- the shell that asks ----------------------------------------------------------------------------------------------

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="this machine has no curl")


@contextmanager
def serving(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[tuple[str, list[http.server.BaseHTTPRequestHandler]]]:
    """What a server at this URL was asked, and answered so."""
    asked: list[http.server.BaseHTTPRequestHandler] = []

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self)
            answer(self)

        do_POST = do_GET  # noqa: N815 - the name is the library's

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def run(shell: str, *asked: RouteProbe) -> tuple[list[Any], str]:
    """The answers, and all that was printed."""
    done = subprocess.run(
        [shell, "-s"],
        input=whole(f"(\n{RouteProbe.script(asked)}\n)").encode(),
        capture_output=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.stderr == b""
    facts = read(list(asked), *framed(asked[0], done.stdout.decode(), status=done.returncode))
    return [outcome(facts, probe) for probe in asked], done.stdout.decode()


def says(text: bytes, kind: str = "application/json") -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", kind)
        request.end_headers()
        request.wfile.write(text)

    return answer


@needs_curl
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_secrets_come_through_as_they_are(shell: str) -> None:
    """Whatever signs they have; and they are in no word that is printed."""
    odd = "a\\\"'`$(id)$HOME;#%\\n &|<>*?{}~"
    with serving(says(b"{}")) as (url, asked):
        route = RouteProbe("r", f"{url}/v1/models", (("X-Token", Secret(odd)),), Secret(f"nova:{odd}é"), seconds=10)
        ((reached,), printed) = run(shell, route)
    assert (reached.exit_code, reached.http_status, reached.body, reached.stream) == (0, 200, "{}", None)
    (request,) = asked
    assert request.headers["X-Token"] == odd
    assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode() == f"nova:{odd}é"
    assert (request.path, request.request_version) == ("/v1/models", "HTTP/1.1")
    assert odd not in printed


@needs_curl
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_listener_is_asked_under_the_name(shell: str) -> None:
    """A name that DNS does not know; and the device of one's own loopback will do, one that is not there will not."""
    with serving(says(b"{}")) as (url, asked):
        place = url.removeprefix("http://")
        through = RouteProbe("t", "http://api.invalid:8080/v1", seconds=10, connect_to=place)
        device, missing = (
            RouteProbe("d", f"{url}/d", seconds=10, interface="lo"),
            RouteProbe("m", f"{url}/m", seconds=10, interface="vpn-none"),
        )
        direct = RouteProbe("a", f"{url}/a", seconds=10, bypass=True)
        ((tunnelled, by_device, unbound, plain), _) = run(shell, through, device, missing, direct)
    assert {request.path: request.headers["Host"] for request in asked} == {"/v1": "api.invalid:8080", "/d": place, "/a": place}
    assert (tunnelled.http_status, tunnelled.addresses, tunnelled.device) == (200, ("127.0.0.1",), "")
    assert (by_device.http_status, unbound.exit_code) == (200, 45)
    assert (plain.http_status, plain.local_address, plain.bypassed) == (200, "", False)
    assert plain.device in {"lo", ""}, "a machine without ip says nothing"


@needs_curl
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_what_a_server_sends_back_is_not_shown(shell: str) -> None:
    login = base64.b64encode(b"nova:pw-1").decode()
    with serving(says(f"Bearer sk-1 {login} pw-1 é".encode(), "text/plain")) as (url, _):
        ((reached,), _) = run(shell, RouteProbe("r", url, (("X-Key", Secret("Bearer sk-1")),), Secret("nova:pw-1"), seconds=10))
    assert reached.body == "[secret] [secret] [secret] é"


@needs_curl
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_stream_and_a_lump(shell: str) -> None:
    """The same events, apart and together; a route that refuses and an empty one beside them, all at once."""
    events = [f"data: {json.dumps({'n': n, 'x': 'y' * 300})}\n\n".encode() for n in range(15)]

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        if request.command == "GET":
            says(b"{}")(request)
            return
        assert json.loads(request.rfile.read(int(request.headers["Content-Length"]))) == {"stream": True, "say": "“'\"\\"}
        says(b"", "text/event-stream")(request)
        if request.path == "/lump":
            request.wfile.write(b"".join(events))
        for event in events[:5] if request.path == "/stream" else ():
            request.wfile.write(event)
            time.sleep(0.05)

    with serving(answer) as (url, _):
        body = json.dumps({"stream": True, "say": "“'\"\\"})
        asked = [RouteProbe(name, url, (), None, f"{url}/{name}", body, seconds=10) for name in ("stream", "lump", "empty")]
        answers, _ = run(shell, *asked, RouteProbe("refused", "http://127.0.0.1:1/", seconds=10))
    streamed, lump, empty = (answer.stream for answer in answers[:3])
    assert (len(streamed.events), arrivals(streamed.events)) == (5, 5)
    assert streamed.content_type == "text/event-stream"
    assert streamed.events[-1] - streamed.events[0] >= 150
    assert (len(lump.events), arrivals(lump.events)) == (15, 1)
    assert (empty.events, empty.status, empty.exit_code) == ((), 200, 0)
    assert (answers[3].exit_code, answers[3].refusals, answers[3].http_status) == (7, ("Connection refused",), None)


@needs_curl
@pytest.mark.parametrize("status", [401, 302, 500])
def test_no_stream_is_asked_for_where_the_first_answer_was_no_good_one(status: int) -> None:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.end_headers()

    with serving(answer) as (url, asked):
        ((reached,), _) = run("dash", RouteProbe("r", url, (), None, url, "{}", seconds=10))
    assert (reached.http_status, reached.stream, [request.command for request in asked]) == (status, None, ["GET"])


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_the_shell_says_that_there_is_no_curl(shell: str) -> None:
    script = f"command() {{ return 1; }}\n{RouteProbe.script([PROBE])}"
    done = subprocess.run([shell, "-s"], input=script.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (NO_CURL, b"", b"")
