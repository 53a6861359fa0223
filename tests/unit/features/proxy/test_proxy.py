"""What `novaops proxy` writes for nginx, by playbooks/proxy.py: no host is asked, and nginx neither (tests/lab/test_nginx_syntax.py)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novaops.errors import Refused, UsageError
from novaops.features.proxy.facts.nginx import NginxFacts
from novaops.features.proxy.inherited import DEFAULTS
from novaops.features.proxy.resources.site_answers import SiteAnswers
from novaops.features.proxy.resources.site_preconditions import SitePreconditions
from novaops.formats.nginx_conf import NginxConf
from tests.support.proxy_sites import API, APP, CONF, ENV, SHARED, SITES, TOKEN, files, nginx, nginx_words, resources, text

DEFAULT = f"{CONF}/novaops.conf"
OWN = "/etc/nginx/novaops"
UNITS = [f"/etc/systemd/system/novaops-proxy@.{kind}" for kind in ("service", "timer")]


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("novaops.formats.htpasswd.COST", 4)


def without(site: Mapping[str, Any], *keys: str, **other: Any) -> dict[str, Any]:
    return {**{key: value for key, value in site.items() if key not in keys}, **other}


def directives(conf: str, name: str) -> list[list[str]]:
    """The words after each directive of that name, as nginx reads them."""
    words, found, begun = nginx_words(conf), [], 0
    for position, word in enumerate(words):
        if word in {";", "{", "}"}:
            if words[begun:position][:1] == [name]:
                found.append(words[begun + 1 : position])
            begun = position + 1
    return found


def location(conf: str, path: str) -> str:
    """The text of a location."""
    return re.split(r"\n    }\n", conf.partition(f"    location {path} {{\n")[2])[0]


# -- what differs from one nginx to another ---------------------------------------------------------------------------

VERSIONS = [(1, 18), (1, 22, 1), (1, 24), (1, 25, 1), (1, 26, 3), (1, 27, 3), (1, 29)]
TWO = (API, {**APP, "tls": "self-signed", "upstreams": ["one.example.com:80"]})


@pytest.mark.parametrize(
    ("older", "newer", "gone", "new"),
    [
        ((1, 18), (1, 22, 1), {"ssl_certificate "}, {"ssl_reject_handshake on", "VerifyCAPath"}),
        ((1, 22, 1), (1, 24), set(), set()),
        ((1, 24), (1, 25, 1), {"ssl http2", "ssl http2 default_server"}, {"http2 on", "listen 443 ssl", "listen 443 ssl default_server"}),
        ((1, 25, 1), (1, 26, 3), set(), set()),
        ((1, 26, 3), (1, 27, 3), {"include", "down"}, {"resolve", "zone", "resolver"}),
        ((1, 27, 3), (1, 29), set(), set()),
    ],
)
def test_what_a_newer_nginx_is_told(older: tuple[int, ...], newer: tuple[int, ...], gone: set[str], new: set[str]) -> None:
    """All that differs is http2, the handshake that is refused, and names that a pool looks up."""
    before, after = (  # lines of all files
        [
            line.strip()
            for path, written in sorted(files(*TWO, on=nginx(version)).items())
            if path.startswith(CONF)
            for line in written.text.splitlines()
        ]
        for version in (older, newer)
    )
    differs = [line for line in difflib.ndiff(before, after) if line[:2] in {"- ", "+ "} and line[2:]]
    removed = [line[2:] for line in differs if line[0] == "-"]
    added = [line[2:] for line in differs if line[0] == "+"]
    for lines, wanted in ((removed, gone), (added, new)):
        assert bool(lines) == bool(wanted), lines
        for part in wanted:
            assert any(part in line for line in lines), (part, lines)
    allowed = r"(listen .*443 ssl.*|http2 on;|ssl_reject_handshake on;|# A client that asks for an address .*|ssl_certificate.*|return 444;"
    allowed += r"|set \$novaops_upstream .*|proxy_pass .*|upstream \S+ \{|zone .*|resolver(_timeout)? .*"
    allowed += r"|proxy_ssl_(trusted_certificate|conf_command) .*|# Before 1.23.1 nginx .*"
    allowed += r"|# (A timer of|The first server is) .*|server 127.0.0.1:9 down;|include .*"
    allowed += r"|server \S+ resolve.*|keepalive(_timeout)? \w+;|\})"
    for line in [*removed, *added]:
        assert re.fullmatch(allowed, line), line


@pytest.mark.parametrize("version", VERSIONS)
def test_http2(version: tuple[int, ...]) -> None:
    on, off = text(API, on=nginx(version)), text({**API, "http2": "off"}, on=nginx(version))
    modern = version >= (1, 25, 1)
    assert directives(on, "http2") == ([["on"]] if modern else [])
    assert directives(on, "listen") == (
        [["443", "ssl"], ["[::]:443", "ssl"]] if modern else [["443", "ssl", "http2"], ["[::]:443", "ssl", "http2"]]
    )
    assert "http2" not in nginx_words(off)
    assert "http2" not in nginx_words(text({**API, "tls": "off"}, on=nginx(version)))


@pytest.mark.parametrize("version", [version for version in VERSIONS if version >= (1, 27, 3)])
def test_a_pool_of_names_has_a_resolver_of_its_own(version: tuple[int, ...]) -> None:
    """The one of the server is not asked for it: nginx would not start."""
    names = without(APP, upstreams=["one.example.com:80", {"address": "two.example.com:81", "weight": "2"}])
    for conf in (text(API, on=nginx(version)), text(names, on=nginx(version))):
        pool = conf.partition("\nupstream ")[2].partition("\n}")[0]
        assert directives(pool, "resolver") == [["192.0.2.53", "[2001:db8::53]", "valid=30s", "ipv6=off"]]
        assert len(directives(pool, "zone")) == 1
        assert all(words[1] == "resolve" for words in directives(pool, "server"))


def test_addresses_are_looked_up_by_nobody() -> None:
    conf = text(without(APP, upstreams=["127.0.0.1:1", "[2001:db8::1]:2", "localhost:3", "unix:/run/x.sock"]), on=nginx((1, 29)))
    assert not re.search(r"\bresolver?\b|\bzone\b", conf)
    assert [words[0] for words in directives(conf, "server") if words] == [
        "127.0.0.1:1",
        "[2001:db8::1]:2",
        "localhost:3",
        "unix:/run/x.sock",
    ]


@pytest.mark.parametrize(("route", "said"), [(False, "ipv6=off"), (True, None)])
def test_ipv6_addresses_of_an_upstream_where_there_is_a_way_to_them(*, route: bool, said: str | None) -> None:
    [words] = directives(text(API, on=nginx((1, 29), ipv6_route=route)), "resolver")
    assert words == ["192.0.2.53", "[2001:db8::53]", "valid=30s", *([said] if said else [])]


# -- where it listens -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listen", "ipv6", "wanted"),
    [
        (None, True, ["80", "[::]:80"]),
        (None, False, ["80"]),
        ("127.0.0.1", True, ["127.0.0.1:80"]),
        ("2001:db8::1,127.0.0.1", True, ["[2001:db8::1]:80", "127.0.0.1:80"]),
        ("::", True, ["[::]:80"]),
        ("0.0.0.0", True, ["80"]),  # noqa: S104
    ],
)
def test_addresses(listen: str | None, wanted: list[str], *, ipv6: bool) -> None:
    site = {**APP, **({"listen": listen} if listen else {})}
    found = files(site, on=nginx(ipv6=ipv6))
    assert [words[0] for words in directives(found[f"{CONF}/novaops-shop.conf"].text, "listen")] == wanted
    defaults = directives(found[DEFAULT].text, "listen")
    assert sorted(words[0] for words in defaults) == sorted(wanted)
    assert all(words[1:] == ["default_server"] for words in defaults)


def test_two_ways_to_write_one_address_are_one() -> None:
    """The second one would be refused by nginx."""
    listens = [words[0] for words in directives(files(APP, {**API, "tls": "off", "listen": "0.0.0.0"})[DEFAULT].text, "listen")]  # noqa: S104
    assert sorted(listens) == ["80", "[::]:80"]


FOREIGN = "http { server { listen 80 default_server; listen 443 ssl; server_name a; } }"


def conf(foreign: str, path: str = "/etc/nginx/nginx.conf") -> NginxConf:
    return NginxConf({path: foreign})


def test_a_default_server_of_somebody_else_s_stays_the_one() -> None:
    found = files(API, on=nginx(conf=conf(FOREIGN)))[DEFAULT].text
    assert [words[0] for words in directives(found, "listen")] == ["[::]:80", "443", "[::]:443"]


def test_a_configuration_that_cannot_be_read_changes_nothing_of_what_is_shared() -> None:
    """Nothing is known of the other servers then: one more default server would be one too many."""
    old = {SHARED: "shared as it was", DEFAULT: "default as it was"}
    found = files(API, on=nginx(broken="unexpected end of file in /etc/nginx/conf.d/novaops-gate.conf:1"), old=old)
    assert {path: found[path].text for path in old} == old


def test_the_table_of_names_is_larger_where_it_has_to_be() -> None:
    long = {**APP, "domain": f"{'a' * 40}.example.com"}
    said = "server_names_hash_bucket_size"
    assert directives(files(long)[SHARED].text, said) == [["512"]]
    assert directives(files(APP)[SHARED].text, said) == []
    assert directives(files(long, on=nginx(conf=conf(f"http {{ {said} 128; }}")))[SHARED].text, said) == [], "once is enough"
    ours = NginxConf({"/etc/nginx/nginx.conf": "http { include conf.d/*; }", SHARED: f"{said} 512;"})
    assert directives(files(long, on=nginx(conf=ours))[SHARED].text, said) == [["512"]], "again and again the same"


def test_an_address_as_a_name() -> None:
    """As clients write it: an IPv6 one stands between brackets in Host."""
    assert directives(text({**APP, "domain": "192.0.2.7,2001:db8::7"}), "server_name") == [["192.0.2.7", "[2001:db8::7]"]]


# -- sites keep apart -------------------------------------------------------------------------------------------------


def test_no_two_sites_share_a_variable() -> None:
    """Case does not count in their names: the key of one site would go out through another."""
    names = ["gate", "GATE", "g-ate", "g_ate", "g.ate", "x" * 63, "X" + "x" * 62]
    sites = [{**API, "name": name, "domain": f"{number}.example.com"} for number, name in enumerate(names)]
    keys = [
        word
        for path, written in files(*sites).items()
        if path.startswith(CONF)
        for word in nginx_words(written.text)
        if word.endswith("_key")
    ]
    assert len({word.lower() for word in keys if word.startswith("$")}) == len(names)
    assert all(len(word) <= 47 for word in keys)


def test_secrets_are_in_files_of_their_own() -> None:
    found = files(API, TOKEN)
    for path, written in found.items():
        told = [value for value in ENV.values() if value in written.text]
        assert not told, path
    secrets = found[f"{OWN}/gate.inject"]
    assert (secrets.mode, secrets.for_workers) == ("0600", False)
    assert nginx_words(secrets.text) == [r"~^api\x3aapi\x2eopenai\x2ecom\x3a443\z", ENV["KEY"].replace("$", "${novaops_dollar}"), ";"]
    tokens = nginx_words(found[f"{OWN}/token.tokens"].text)
    assert tokens[1::3] == ["a", "b"]
    assert all(token.startswith("~^") and token.endswith(r"\z") for token in tokens[0::3])


def test_a_lost_secret_closes_the_site() -> None:
    """The file is included by a pattern: nginx starts without it, and the variable is empty."""
    inject, token = text(API), text(TOKEN)
    assert [f"{OWN}/gate.injec[t]"] in directives(inject, "include")
    assert '_key = "") { return 503; }' in location(inject, "/v1/")
    assert '_user = "") { return 401; }' in location(token, "/v1/")
    assert 'default "";' in token


# -- an API -----------------------------------------------------------------------------------------------------------


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


# -- servers of one's own ---------------------------------------------------------------------------------------------


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


# -- TLS --------------------------------------------------------------------------------------------------------------


def test_plain_http_leads_to_tls() -> None:
    found = files({**API, "https_port": "8443"})[f"{CONF}/novaops-gate.http.conf"].text
    assert [words[0] for words in directives(found, "listen")] == ["80", "[::]:80"]
    assert "return 301 https://$host:8443$request_uri;" in found
    assert "return 308 https://$host:8443$request_uri;" in found
    assert "acme-challenge" not in found
    closed = files({**API, "redirect": "no"})[f"{CONF}/novaops-gate.http.conf"].text
    assert "return 404;" in closed
    assert "https://" not in closed
    assert "acme-challenge" in files({**API, "tls": "letsencrypt"})[f"{CONF}/novaops-gate.http.conf"].text
    assert f"{CONF}/novaops-gate.http.conf" not in files({**API, "tls": "off"})


SWITCHED = ["Upgrade", "$novaops_switched", "always"]


def test_a_wrong_path_is_told_the_right_one() -> None:
    assert "This proxy passes nothing on at this path. The API is at /v1." in text(API)
    found = text({**API, "provider": "sensenova", "path": "/llm"})
    assert "The API is at /llm, /compatible-mode, /files/v1." in found


def test_hsts() -> None:
    def said(**about: Any) -> list[list[str]]:
        return [words for words in directives(text({**API, **about}), "add_header") if words[0] != "X-Novaops-Site"]

    assert said(tls="letsencrypt") == [SWITCHED, ["Strict-Transport-Security", "max-age=31536000", "always"]]
    assert said() == [SWITCHED]
    assert said(hsts="max-age=1; x") == [SWITCHED, ["Strict-Transport-Security", "max-age=1; x", "always"]]


@pytest.mark.parametrize("site", [API, APP])
def test_a_backends_own_connection_is_not_the_clients(site: dict[str, Any]) -> None:
    """`Upgrade: h2` of an Apache behind it is an error to clients that speak HTTP/2."""
    hidden = [words[0] for words in directives(text(site), "proxy_hide_header")]
    assert {"Upgrade", "Keep-Alive", "Proxy-Connection"} <= {*hidden}


@pytest.mark.parametrize("site", [{}, {"locations": [{"path": "/events/", "buffering": "off"}]}])
def test_where_events_pass_as_they_come(site: dict[str, Any]) -> None:
    conf = text({**APP, **site})
    assert ("proxy_buffering off" in conf) is bool(site)
    assert "proxy_buffering off" in text({**APP, "buffering": "off"})


# -- what others say for all servers ------------------------------------------------------------------------------------


def inheriting(http: str) -> NginxFacts:
    return nginx(conf=NginxConf({"/etc/nginx/nginx.conf": f"http {{ {http} }}"}))


@pytest.mark.parametrize("site", [API, APP, {**APP, "auth": {"basic": {"nova": "env:PW"}}, "tls": "self-signed"}])
def test_a_site_takes_back_what_it_inherits(site: Mapping[str, Any]) -> None:
    """Each directive is said once in a server, however often somebody has said it; and not at all where nobody has."""
    everything = NginxConf({"/etc/nginx/nginx.conf": "http {" + "".join(f"{name} x; {name} y;" for name in DEFAULTS) + "}"})
    for path, written in files(site, on=nginx(conf=everything)).items():
        if "/conf.d/novaops" not in path:
            continue
        for server in written.text.split("\nserver {\n")[1:]:
            top = re.sub(r"(?s)    location .*?\n    }\n", "", server)
            said = [line.split()[0] for line in top.splitlines() if re.match(r"    [a-z]", line)]
            twice = {name for name in said if said.count(name) > 1} - {"listen", "error_page", "add_header", "if"}
            assert not twice, path
            if "novaops.conf" not in path:
                assert {DEFAULTS[name].split()[0] for name in DEFAULTS} <= set(said)
    alone = files(site)
    assert not any(" limit_rate " in written.text or "novaops_nothing" in written.text for written in alone.values())


def test_what_novaops_says_itself_is_not_taken_back() -> None:
    ours = NginxConf({"/etc/nginx/nginx.conf": f"http {{ include {SHARED}; }}", SHARED: "limit_req zone=x; sub_filter a b;"})
    assert "limit_req zone=novaops_no_requests" not in text(APP, on=nginx(conf=ours))


def test_a_default_that_somebody_says_is_left() -> None:
    assert text(APP, on=inheriting("tcp_nodelay on; limit_rate 0;")) == text(APP)
    assert "tcp_nodelay on;" in text(APP, on=inheriting("tcp_nodelay off;"))


def test_zones_that_count_nothing() -> None:
    shared = files(APP, on=inheriting("limit_req zone=x; limit_conn y 1;"))[SHARED].text
    assert [words[1] for name in ("limit_req_zone", "limit_conn_zone") for words in directives(shared, name)] == [
        "zone=novaops_no_requests:64k",
        "zone=novaops_wrong:2m",
        "zone=novaops_no_connections:64k",
    ]


# -- secrets that cannot be used --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("site", "variable", "value", "kind"),
    [
        (API, "KEY", "", UsageError),
        (API, "KEY", "a b", UsageError),
        (API, "KEY", "a\nb", UsageError),
        (API, "KEY", "é", UsageError),
        (API, "PW", "short", Refused),
        (API, "PW", "x" * 12 + "-nova-1", Refused),
        (API, "PW", "wired-Fjord-" * 6 + "x", Refused),
        (API, "PW", "wired-Fjord-88\x85", Refused),
        (TOKEN, "TOKEN", "short", Refused),
        (TOKEN, "TOKEN", "glass Tundra 88", UsageError),
    ],
)
def test_a_secret_that_will_not_do(site: Any, variable: str, value: str, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(kind) as error:
        resources(site)
    assert not value or value not in str(error.value)


# -- the proof --------------------------------------------------------------------------------------------------------


def proof(site: Mapping[str, Any]) -> SiteAnswers:
    [found] = [resource for resource in resources(site) if isinstance(resource, SiteAnswers)]
    return found


@pytest.mark.parametrize(
    ("site", "urls", "to", "mode"),
    [
        (API, ["https://gate.example.com/v1/models"], "outside:443", "inject"),
        ({**API, "path": "/"}, ["https://gate.example.com/models"], "outside:443", "inject"),
        (TOKEN, ["https://token.example.com/v1/models"], "outside:443", "token"),
        ({**API, "tls": "off", "http_port": "81"}, ["http://gate.example.com:81/v1/models"], "outside:81", "inject"),
        (APP, ["http://shop.example.com/"], "outside:80", "open"),
        ({**APP, "listen": "192.0.2.7,::1"}, ["http://shop.example.com/"], "192.0.2.7:80", "open"),
        ({**APP, "listen": "2001:db8::7"}, ["http://shop.example.com/"], "[2001:db8::7]:80", "open"),
        ({**APP, "domain": "*.a.com,b.com,c.com"}, ["http://b.com/"], "outside:80", "open"),
        ({**APP, "domain": "*.a.com"}, [], "outside:80", "open"),
        ({**APP, "auth": {"basic": {"nova": "env:PW"}}}, ["http://shop.example.com/"], "outside:80", "basic"),
        ({**APP, "auth": {"from": "192.0.2.0/24"}}, ["http://shop.example.com/"], "127.0.0.2:80", "from"),
        (
            {**APP, "auth": {"basic": {"nova": "env:PW"}}, "locations": [{"path": "/", "auth": "off"}]},
            ["http://shop.example.com/"],
            "outside:80",
            "open",
        ),
        (
            {**APP, "auth": {"basic": {"nova": "env:PW"}}, "locations": [{"path": "/"}, {"path": "/", "exact": "yes", "auth": "off"}]},
            ["http://shop.example.com/"],
            "outside:80",
            "open",
        ),
        (
            {**APP, "auth": {"basic": {"nova": "env:PW"}}, "locations": [{"path": "/x", "auth": "off"}]},
            ["http://shop.example.com/"],
            "outside:80",
            "basic",
        ),
        (
            without(APP, "upstreams", locations=[{"path": "/a/", "upstreams": "127.0.0.1:1"}]),
            ["http://shop.example.com/a/"],
            "outside:80",
            "open",
        ),
    ],
)
def test_what_the_proof_asks(site: Any, urls: list[str], to: str, mode: str) -> None:
    found = proof(site)
    assert (list(found.urls), found.to, found.mode) == (urls, to, mode)


def test_the_claims_of_a_site() -> None:
    [claims] = [
        found
        for found in resources({**APP, "listen": "127.0.0.1", "upstreams": ["a.com:1", "127.0.0.1:2"]})
        if isinstance(found, SitePreconditions)
    ]
    assert (claims.domains, claims.ports, claims.listen) == (("shop.example.com",), (80,), ("127.0.0.1",))
    assert (claims.needs_resolver, claims.pooled_name) == (True, "a.com:1")


# -- all at once ------------------------------------------------------------------------------------------------------


@given(SITES)
@settings(max_examples=5)
def test_whatever_the_types_take_is_whole(sites: list[Mapping[str, Any]]) -> None:
    """Every file is words, blocks that close, and nothing of a secret."""
    for version in ((1, 18), (1, 29)):
        found = files(*sites, on=nginx(version))
        for path, written in found.items():
            if path.endswith((".htpasswd", ".pem", ".sh", ".service", ".timer")):
                continue
            words = nginx_words(written.text)
            assert words.count("{") == words.count("}")
            assert words[-1] in {";", "}"}
            assert path.endswith((".inject", ".tokens")) or not [value for value in ENV.values() if value in written.text]
            if path.endswith(".conf"):
                assert written.text.startswith("# managed by novaops (novaops proxy)\n")
