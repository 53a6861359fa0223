"""The site of servers of one's own: pools, locations, and what may pass. No host is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from novaops.errors import UsageError
from tests.support.proxy_sites import (
    API,
    APP,
    SHARED,
    directives,
    files,
    location,
    nginx,
    nginx_words,
    text,
    without,
)

pytestmark = pytest.mark.usefixtures("secrets")


def test_a_pool() -> None:
    conf = text(
        {
            **APP,
            "upstreams": ["127.0.0.1:1", {"address": "[::1]:2", "weight": "3", "max_fails": "0"}],
            "balance": "least_conn",
        }
    )
    assert directives(conf, "least_conn") == [[]]
    assert directives(conf, "server")[:2] == [
        ["127.0.0.1:1", "max_fails=3", "fail_timeout=10s"],
        ["[::1]:2", "weight=3", "max_fails=0", "fail_timeout=10s"],
    ]
    assert directives(conf, "keepalive") == [["32"]]
    assert directives(conf, "keepalive_timeout") == [["4s"]], "less than servers that close after 5 s"
    assert directives(text({**APP, "keepalive_timeout": "55"}), "keepalive_timeout") == [["55s"]]


@pytest.mark.parametrize("site", [API, APP])
def test_what_every_site_says_of_answers(site: Mapping[str, Any]) -> None:
    """Heads of several cookies fit; and nothing that is not idempotent is sent twice, whatever somebody says for all servers."""
    conf = text(site)
    assert directives(conf, "proxy_next_upstream") == [["error", "timeout"]]
    assert directives(conf, "proxy_buffer_size") == [["32k"]]
    wider = text({**site, "max_head": "64k"})
    said = {name: directives(wider, f"proxy_{name}") for name in ("buffer_size", "buffers", "busy_buffers_size", "temp_file_write_size")}
    assert said == {
        "buffer_size": [["64k"]],
        "buffers": [["8", "64k"]],
        "busy_buffers_size": [["128k"]],
        "temp_file_write_size": [["128k"]],
    }


def test_upstreams_with_tls() -> None:
    def at(*upstreams: str, **about: Any) -> str:
        return location(text(without(APP, upstreams=list(upstreams), **about), on=nginx((1, 29))), "/")

    checked = at("https://a.test:8443", "https://a.test:8444")
    assert "proxy_pass https://novaops_shop_0;" in checked
    assert directives(checked, "proxy_ssl_name") == [["a.test"]]
    assert directives(checked, "proxy_ssl_verify") == [["on"]]
    assert directives(checked, "proxy_ssl_trusted_certificate") == [["/etc/ssl/certs/ca-certificates.crt"]]
    assert ["https://a.test:8443/", "$scheme://$host$novaops_port/"] in directives(checked, "proxy_redirect")
    assert directives(at("https://a.test:1", verify="/my.pem"), "proxy_ssl_trusted_certificate") == [["/my.pem"]]
    off = at("https://10.0.0.1:1", "https://b.test:1", verify="off")
    assert directives(off, "proxy_ssl_verify") == [["off"]]
    assert "proxy_ssl" not in at("10.0.0.1:1")


def test_what_a_location_changes() -> None:
    api: dict[str, Any] = {"path": "/api/", "strip_prefix": "true"}
    api |= {"request_headers": {"X-Team": 'a "$b" \\', "Cookie": "", "True-Client-IP": "me"}}
    api |= {"response_headers": {"X-Frame-Options": "DENY", "X-Powered-By": ""}}
    found = location(text({**APP, "tls": "self-signed", "hsts": "max-age=1", "locations": [api]}), "/api/")
    assert directives(found, "proxy_pass") == [["http://novaops_shop_1$novaops_uri"]]
    told = [
        words for words in directives(found, "proxy_set_header") if words[0] in {"X-Team", "Cookie", "True-Client-IP", "X-Forwarded-Prefix"}
    ]
    assert told == [["X-Forwarded-Prefix", "/api"], ["X-Team", 'a "${novaops_dollar}b" \\'], ["Cookie", ""], ["True-Client-IP", "me"]]
    assert directives(found, "add_header") == [
        ["Upgrade", "$novaops_switched", "always"],
        ["X-Novaops-Site", "$novaops_shop_asked", "always"],
        ["Strict-Transport-Security", "max-age=1", "always"],
        ["X-Frame-Options", "DENY", "always"],
    ]
    assert {"X-Frame-Options", "X-Powered-By"} <= {words[0] for words in directives(found, "proxy_hide_header")}
    assert directives(found, "proxy_redirect")[:2] == [["/api/", "/api/"], ["/", "/api/"]]


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"upstreams": ["https://a.test:1", "a.test:2"]}, "some at / are https:// and some are not"),
        ({"upstreams": ["https://10.0.0.1:1"]}, "https://10.0.0.1 is an address"),
        ({"upstreams": ["https://a.test:1", "https://b.test:1"]}, "have several names"),
        ({"upstreams": ["https://a.test"]}, "has no port"),
        ({"upstreams": ["https://a.test:1/x"]}, "a.test:1/x"),
        ({"verify": "maybe"}, "on, off, or"),
        ({"locations": [{"path": "/api", "strip_prefix": "true"}]}, "ends in a slash"),
        ({"locations": [{"path": "/a/", "request_headers": {"Host": "x"}}]}, "Host: the site itself"),
        ({"locations": [{"path": "/a/", "request_headers": {"A": "1", "a": "2"}}]}, "a is there twice"),
        ({"locations": [{"path": "/a/", "request_headers": {"A": "x\ny"}}]}, "printable ASCII"),
        ({"locations": [{"path": "/a/", "response_headers": {"X y": "1"}}]}, "is no header"),
        ({"locations": [{"path": "/a/", "response_headers": {"Set-Cookie": "1"}}]}, "Set-Cookie: the site"),
        ({"locations": [{"path": "/a/", "response_headers": {"x-novaops-site": "1"}}]}, "x-novaops-site: the site"),
    ],
)
def test_what_a_location_cannot_be(about: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as found:
        text({**APP, **about})
    assert said in str(found.value) + found.value.why


PLAIN = "{endpoints: [{host: 10.0.0.5, port: 8000, path: /v1, tls: off}], probe: /v1/models}"


def test_an_api_without_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only its provider's file can say so: a key travels in the clear to it."""
    (tmp_path / "providers").mkdir()
    (tmp_path / "providers/mine.yaml").write_text(PLAIN, "utf-8")
    monkeypatch.chdir(tmp_path)
    mine = without(API, "provider", provider="mine")
    for conf, at in ((text(mine), "10.0.0.5:8000"), (text({**mine, "upstream": "http://[2001:db8::5]:81/x"}), "[2001:db8::5]:81")):
        assert not re.search("proxy_ssl|https://novaops", conf)
        assert directives(conf, "proxy_pass") == [["http://novaops_gate_0"]]
        assert ["Host", at] in directives(conf, "proxy_set_header")
        assert f"# upstream {at}\n# plain {at}\n" in conf
    located = text({**mine, "upstream": "https://llm.example.com"})
    assert "proxy_pass https://" in located
    assert "# plain" not in located
    with pytest.raises(UsageError, match="in the clear"):
        text({**API, "upstream": "http://10.0.0.5/v1"})


def test_how_long_a_provider_s_connections_are_kept() -> None:
    newer = nginx((1, 29))
    other = without(API, "provider", upstream="https://a.example.net")
    said = [directives(text(site, on=newer), "keepalive_timeout") for site in (API, other)]
    assert said == [[["60s"], ["75s"]], [["4s"], ["75s"]]], "of the API's connections, and of clients'"
    assert directives(text({**API, "keepalive": "0"}, on=newer), "keepalive") == []


def test_without_a_location_for_the_rest_the_rest_is_closed() -> None:
    """Else nginx serves the files of its own root: "Welcome to nginx!"."""
    parts = without(APP, "upstreams", locations=[{"path": "/a", "upstreams": "127.0.0.1:1"}])
    assert """return 404 "This proxy serves nothing here, but what is below /a\\n";""" in location(text(parts), "/")
    assert "return 404" not in text(APP)
    assert directives(text(APP), "location") == [["/"]]


def test_a_location_that_asks_nobody() -> None:
    conf = text(
        {
            **APP,
            "auth": {"basic": {"nova": "env:PW"}, "from": "192.0.2.0/24"},
            "locations": [{"path": "/health", "exact": "true", "auth": "off"}],
        }
    )
    assert "auth_basic" in location(conf, "/")
    assert "allow" in location(conf, "/")
    assert directives(location(conf, "= /health"), "auth_basic") == [["off"]]
    assert "auth_basic_user_file" not in location(conf, "= /health")
    assert "allow" not in location(conf, "= /health")


@pytest.mark.parametrize(
    ("locations", "places"),
    [
        ([{"path": "/public", "auth": "off"}], ["/", "= /public", "/public/"]),
        ([{"path": "/public/", "auth": "off"}], ["/", "/public/"]),
        ([{"path": "/public", "exact": "true", "auth": "off"}], ["/", "= /public"]),
        ([{"path": "/a", "auth": "off"}, {"path": "/a", "exact": "true"}, {"path": "/a/"}], ["/", "/a/", "= /a"]),
        ([{"path": "/a", "upstreams": "127.0.0.1:1"}], ["/", "= /a", "/a/"]),
        ([{"path": "/a"}, {"path": "/a/b", "auth": "off"}], ["/", "= /a", "/a/", "= /a/b", "/a/b/"]),
    ],
)
def test_a_location_is_a_path_and_what_is_below_it(locations: Any, places: list[str]) -> None:
    conf = text({**APP, "auth": {"from": "192.0.2.0/24"}, "locations": locations})
    found = [" ".join(words) for words in directives(conf, "location")]
    assert sorted(found) == sorted(places)
    assert "allow 192.0.2.0/24" in location(conf, "/")


@pytest.mark.parametrize(
    ("site", "said"),
    [
        (APP, ["# base http://shop.example.com"]),
        ({**APP, "domain": "*.a.com"}, ["# asked http://novaops.a.com"]),
        ({**APP, "domain": ["*.a.com", "b.com"]}, ["# base http://b.com"]),
        ({**APP, "domain": "www.*"}, []),
        ({**API, "domain": ".a.com"}, ["# asked https://novaops.a.com/v1"]),
    ],
)
def test_it_says_where_it_can_be_asked(site: Any, said: list[str]) -> None:
    """`proxy status` has no inventory, and asks by the site's own file."""
    assert [line for line in text(site).splitlines() if line.startswith(("# base", "# asked"))] == said


@pytest.mark.parametrize("site", [APP, API])
def test_it_says_whether_a_request_was_passed_on(site: Any) -> None:
    """That, and no status: the answer of a server that failed before is nobody's business."""
    name = site["name"]
    assert f"{name}$novaops_passed" in nginx_words(text(site))
    assert '$novaops_passed { default " passed"; "" ""; }' in files(site)[SHARED].text


CLAIMS = """
Remote-Groups Remote-Email Remote-Name X-Forwarded-Email X-Forwarded-Groups X-Forwarded-Preferred-Username X-Forwarded-Access-Token
X-Forwarded-Uri X-Forwarded-Method X-Auth-Request-Groups X-Auth-Request-Preferred-Username X-Auth-Request-Access-Token X-authentik-username
Cf-Access-Authenticated-User-Email Cf-Access-Jwt-Assertion X-Amzn-Oidc-Identity X-Amzn-Oidc-Data X-Goog-Authenticated-User-Email
X-MS-CLIENT-PRINCIPAL X-MS-CLIENT-PRINCIPAL-NAME X-SSL-Client-Verify X-SSL-Client-S-DN SSL-Client-Verify SSL-Client-Cert X-Client-Cert
X-Client-Verify WL-Proxy-Client-IP WL-Proxy-SSL Proxy-Client-IP X-Originating-IP X-Remote-IP X-Remote-Addr CF-Connecting-IPv6
X-Envoy-External-Address Remote-User X-Forwarded-User X-WebAuth-User True-Client-IP Tailscale-User-Login Client-Cert
X-Original-URL Forwarded
"""


@pytest.mark.parametrize("name", CLAIMS.split())
def test_a_backend_does_not_hear_what_a_client_claims(name: str) -> None:
    told = {words[0]: words[1] for words in directives(text(APP), "proxy_set_header")}
    assert told.get(name) == ""


@pytest.mark.parametrize("site", [APP, API])
def test_each_header_is_said_once(site: Any) -> None:
    of_one = location(text(site), "/" if site is APP else "/v1/")
    names = [words[0].lower() for words in directives(of_one, "proxy_set_header")]
    assert sorted({name for name in names if names.count(name) > 1}) == []
    assert all(re.fullmatch(r"[a-z][a-z0-9-]{2,}", name) for name in names)


@pytest.mark.parametrize("name", ["X-Originating-IP", "CF-Connecting-IPv6", "X-Cluster-Client-IP", "Fastly-Client-IP", "True-Client-IP"])
def test_an_api_does_not_hear_where_a_client_is(name: str) -> None:
    assert {words[0]: words[1] for words in directives(text(API), "proxy_set_header")}.get(name) == ""
