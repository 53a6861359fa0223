"""The site of an API: what is passed on to it, as whom, and at which paths. No host is asked."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novaops.features.proxy.facts.nginx import NginxFacts
from tests.support.proxy_sites import (
    API,
    APP,
    INJECT,
    SHARED,
    TOKEN,
    VERSIONS,
    directives,
    files,
    location,
    nginx,
    nginx_words,
    text,
    without,
)

pytestmark = pytest.mark.usefixtures("secrets")

OWN = "/etc/nginx/novaops"
UNITS = [f"/etc/systemd/system/novaops-proxy@.{kind}" for kind in ("service", "timer")]


def api(**about: Any) -> str:
    return text(without(API, "provider", upstream="https://api.example.net:8443/base", **about))


def test_an_api_is_asked_as_itself() -> None:
    conf, part = api(), location(api(), "/base/")
    assert "proxy_pass https://novaops_gate_0;" in part
    for line in ("proxy_ssl_name api.example.net;", "proxy_http_version 1.1;", "proxy_buffering off;"):
        assert line in part
    for line in ("proxy_ssl_server_name on;", "proxy_ssl_verify on;"):
        assert conf.count(line) == 1
    headers = {words[0]: words[1] for words in directives(part, "proxy_set_header")}
    assert headers["Host"] == "api.example.net:8443"
    assert headers["Authorization"].startswith("Bearer $novaops_")
    for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Via", "Cookie", "Referer"):
        assert headers[name] == ""
    assert directives(location(text(API), "/v1/"), "proxy_set_header")[0] == ["Host", "api.openai.com"]


@pytest.mark.parametrize(
    ("site", "said"),
    [
        (API, ["# expects json described"]),
        (without(API, "provider", upstream="https://a.com/v1"), ["# expects json"]),
        (without(API, "provider", upstream="https://a.com/v1", probe="/v1/health"), []),
    ],
)
def test_it_says_what_is_expected_of_its_api(site: Any, said: list[str]) -> None:
    """`proxy status` has no inventory, and judges by the site's own file."""
    assert [line for line in text(site).splitlines() if line.startswith("# expects")] == said


@pytest.mark.parametrize(
    ("on", "about", "file", "folder"),
    [
        (nginx(), {}, f"{OWN}/no-authority.pem", [["VerifyCAPath", "/etc/ssl/certs"]]),
        (nginx((1, 18)), {}, "/etc/ssl/certs/ca-certificates.crt", []),
        (nginx(), {"upstream_ca": "/etc/ca.pem"}, "/etc/ca.pem", []),
    ],
)
def test_whom_it_trusts(on: NginxFacts, about: Any, file: str, folder: list[list[str]]) -> None:
    """The folder is read when it is needed; a file with all authorities once for each location, at each start."""
    site = {**API, **about}
    conf, found = text(site, on=on), files(site, on=on)
    assert directives(conf, "proxy_ssl_trusted_certificate") == [[file]]
    assert directives(conf, "proxy_ssl_conf_command") == folder
    assert (f"{OWN}/no-authority.pem" in found) == bool(folder)
    old = {f"{OWN}/no-authority.pem": "-----BEGIN CERTIFICATE-----"}
    assert f"{OWN}/no-authority.pem" in files(APP, old=old), "a site that this section does not have may refer to it"
    assert f"{OWN}/no-authority.pem" not in files({**API, "state": "absent"}, old=old)


ODD = st.sampled_from(["/", "%2f", "%2F", "%5c", "\\", ".", "%2e", "%2E", "..", ";", "%3b", "?", "v1", "a", "V1", "/v1/"])


def test_no_request_goes_elsewhere() -> None:
    """One expression says what two would: it begins as it should, and has no path that could be understood in two ways."""
    [(_, _, allowed, _)] = [words for words in directives(text(API), "if") if words[0] == "($request_uri"]
    [crooked] = [word for word in nginx_words(files(APP)[SHARED].text) if word.startswith("~*^[^?]*")]

    @given(st.sampled_from(["", "/v1", "/v1/"]), st.lists(ODD, max_size=7))
    def check(begin: str, parts: list[str]) -> None:
        asked = begin + "".join(parts)
        right = asked.startswith("/v1/") and not re.match(crooked.removeprefix("~*"), asked, re.IGNORECASE)
        assert (re.match(allowed, asked) is not None) == right

    check()


@pytest.mark.parametrize("version", VERSIONS)
def test_where_it_is_asked(version: tuple[int, ...]) -> None:
    """An older nginx has the addresses from a file of the host's; without that file it starts all the same."""
    conf = text(API, on=nginx(version))
    pool = conf.partition("\nupstream novaops_gate_0 {")[2].partition("\n}")[0]
    native = version >= (1, 27, 3)
    assert directives(pool, "include") == ([] if native else [[f"{OWN}/gate.addresses/api.openai.com:44[3]"]])
    assert directives(pool, "server") == ([["api.openai.com:443", "resolve"]] if native else [["127.0.0.1:9", "down"]])
    assert [directives(pool, f"keepalive{what}") for what in ("", "_requests", "_timeout")] == [[["32"]], [["1000"]], [["60s"]]]
    old = dict.fromkeys(("/etc/nginx/novaops/addresses.sh", *UNITS), "old")
    left = files(API, on=nginx(version), old=old)
    assert [path in left for path in old] == [not native] * 3, "a newer nginx needs none of it"
    units = {path for path in files(API, on=nginx(version)) if "novaops-proxy@" in path or path.endswith(".sh")}
    assert len(units) == (0 if native else 3)


@pytest.mark.parametrize("auth", [{"token": "env:TOKEN"}, {"passthrough": "true", "from": "192.0.2.1"}])
def test_the_client_s_own_key_goes_through(auth: Any) -> None:
    assert "Authorization" not in [words[0] for words in directives(api(auth=auth), "proxy_set_header")]


KEYS = {"keys": {"a": "env:TOKEN"}, "inject": "env:KEY"}


@pytest.mark.parametrize(
    ("auth", "said"),
    [(INJECT, [["on"]]), (KEYS, [["on"]]), ({"token": "env:TOKEN"}, [["on"]]), ({"passthrough": "true", "from": "192.0.2.1"}, [])],
)
def test_the_429_of_who_guesses_has_the_form_of_the_other_errors(auth: Any, said: list[list[str]]) -> None:
    """It comes up inside the error page of the 401, where nginx looks for no further page by itself. No page may lead to itself."""
    conf = api(auth=auth)
    assert directives(location(conf, "/base/"), "recursive_error_pages") == said
    pages = [words[-1] for words in directives(conf, "error_page")]
    assert "@novaops_429" in pages
    for page in (page.replace("_401", "_401_says") for page in pages):
        returns = directives(location(conf, page), "return")
        assert returns, page
        assert all(words[1:] for words in returns), "without a text of its own a status has its page looked up again"


def test_a_token_stays_at_the_edge() -> None:
    conf = api(auth={"token": "env:TOKEN", "header": "X-My-Key"})
    assert ["X-My-Key", ""] in directives(conf, "proxy_set_header")
    assert ["$http_x_my_key", "$novaops_gate_user"] in directives(conf, "map")


def test_networks() -> None:
    part = location(api(auth={"passthrough": "true", "from": "192.0.2.7,2001:db8::/32"}), "/base/")
    assert [words for name in ("allow", "deny") for words in directives(part, name)] == [["192.0.2.7/32"], ["2001:db8::/32"], ["all"]]


@pytest.mark.parametrize(
    ("upstream", "path", "place", "sends"),
    [
        ("https://a.example.net", None, "/", None),
        ("https://a.example.net/", None, "/", None),
        ("https://a.example.net/v1", None, "/v1/", None),
        ("https://a.example.net/v1", "/", "/", ["(?<novaops_rest>/.*)$", "/v1$novaops_rest"]),
        ("https://a.example.net/v1", "/a+b.c", "/a+b.c/", [r"/a\+b\.c(?<novaops_rest>/.*)$", "/v1$novaops_rest"]),
        ("https://a.example.net", "/x", "/x/", ["/x(?<novaops_rest>/.*)$", "$novaops_rest"]),
    ],
)
def test_where_it_is_served(upstream: str, path: str | None, place: str, sends: list[str] | None) -> None:
    conf = text(without(API, "provider", upstream=upstream, **({} if path is None else {"path": path})))
    places = [words[-1] for words in directives(conf, "location") if not words[-1].startswith("@")]
    assert places == ([place] if place == "/" else ["/", place.rstrip("/"), place]), "each place once, or nginx does not start"
    part = location(conf, place)
    if sends is None:
        assert "$novaops_uri" not in part
    else:
        assert ["($request_uri", "~", f"^{sends[0]}", ")"] in directives(part, "if")
        assert f"{{ set $novaops_uri {sends[1]}; }}" in part


def test_no_site_shares_a_zone_with_what_all_sites_share() -> None:
    """Whatever it is called: nginx tells zones apart by their names alone."""
    shared = set(re.findall(r"zone=(\w+):", files(TOKEN)[SHARED].text))
    assert shared
    for name in (zone.removeprefix("novaops_") for zone in shared):
        own = text({**TOKEN, "name": name, "auth": {**TOKEN["auth"], "limit": "60/min"}})
        assert not shared & set(re.findall(r"limit_req_zone \S+ zone=(\w+):", own)), name
