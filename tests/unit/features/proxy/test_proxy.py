"""What `novaops proxy` writes for nginx, by playbooks/proxy.py: no host and no nginx is asked (tests/lab/proxy/test_nginx_syntax.py)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings

from novaops.features.proxy.facts.nginx import NginxFacts
from novaops.features.proxy.inherited import DEFAULTS
from novaops.features.proxy.resources.nginx_files import NginxFiles
from novaops.formats.nginx_conf import NginxConf
from novaops.resources.package import Package
from novaops.resources.unit import Unit
from tests.support.proxy_sites import (
    API,
    APP,
    CONF,
    ENV,
    SHARED,
    SITES,
    TOKEN,
    VERSIONS,
    directives,
    files,
    location,
    nginx,
    nginx_words,
    resources,
    text,
    without,
)

pytestmark = pytest.mark.usefixtures("secrets")

DEFAULT = f"{CONF}/novaops.conf"
OWN = "/etc/nginx/novaops"
UNITS = [f"/etc/systemd/system/novaops-proxy@.{kind}" for kind in ("service", "timer")]


# -- what differs from one nginx to another ---------------------------------------------------------------------------

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


@pytest.mark.parametrize(
    ("before", "after", "old", "wanted"),
    [
        ("server { listen 80; server_name localhost; }", "", "", ["[::]:80"]),
        ("server { listen 80; listen [::]:80; }", "", "", []),
        ("server { listen 80; }", "", "server { listen 80 default_server; return 444; }", ["80", "[::]:80"]),
        ("server { listen 80; server_name a.com; }", "", "", ["80", "[::]:80"]),
        ("server { listen 80; server_name a.com; } server { listen 80; }", "", "", ["80", "[::]:80"]),
        ("", "server { listen 80; server_name _; }", "", ["80", "[::]:80"]),
    ],
)
def test_a_server_for_any_name_that_comes_first_stays_the_default(before: str, after: str, old: str, wanted: list[str]) -> None:
    """A name that no site has must reach no site of novaops: where a site's file would be read first, the default is told."""
    main = f"http {{ {before} include {CONF}/*.conf; {after} }}"
    on = nginx(conf=NginxConf({"/etc/nginx/nginx.conf": main, **({DEFAULT: old} if old else {})}))
    found = files(APP, on=on).get(DEFAULT)
    assert [words[0] for words in directives(found.text if found else "", "listen")] == wanted
    there = {path: written.text for path, written in files(APP, on=on).items() if path.startswith(f"{CONF}/")}
    again = files(APP, on=nginx(conf=NginxConf({"/etc/nginx/nginx.conf": main, **there})))
    assert {path: written.text for path, written in again.items() if path in there} == there, "a second run changes nothing"


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


@pytest.mark.parametrize("site", [API, APP, {**APP, "locations": [{"path": "/a/", "response_headers": {"X-A": "1"}}]}])
def test_no_backend_says_which_site_answers(site: dict[str, Any]) -> None:
    """The proof of a deployment reads it, and clients get it from nobody else."""
    conf = text(site)
    passed = directives(conf, "proxy_pass")
    assert [words[0] for words in directives(conf, "proxy_hide_header")].count("X-Novaops-Site") == len(passed)


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
            said = [line.split()[0] for line in top.splitlines() if re.match(r"    [A-Za-z]", line)]
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


def test_what_default_servers_take_back_ends_once() -> None:
    """Nginx takes no second semicolon, and nothing of a site with TLS where there is one."""
    made = files(CERTIFIED, on=inheriting("large_client_header_buffers 4 16k; client_header_timeout 10s;"))[DEFAULT].text
    assert directives(made, "client_header_timeout") == [["60s"], ["60s"]]
    assert not re.search(r";\s*;", made)


def test_zones_that_count_nothing() -> None:
    shared = files(APP, on=inheriting("limit_req zone=x; limit_conn y 1;"))[SHARED].text
    assert [words[1] for name in ("limit_req_zone", "limit_conn_zone") for words in directives(shared, name)] == [
        "zone=novaops_no_requests:64k",
        "zone=novaops_wrong:2m",
        "zone=novaops_no_connections:64k",
    ]


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


def test_no_package_is_put_over_a_command_that_is_there() -> None:
    """Dpkg replaces an nginx that somebody has built, and the snap's certbot in /usr/bin; curl-minimal and curl exclude each other."""
    wanted = resources({**APP, "tls": "letsencrypt"})
    assert {each.name: each.command for each in wanted if isinstance(each, Package)} == {
        **{name: name for name in ("curl", "nginx", "certbot")},
        "ca-certificates": "",
    }
    (unit,) = (each for each in wanted if isinstance(each, Unit))
    assert unit.or_command == "nginx"


# -- what is in the way of an authority ---------------------------------------------------------------------------------

CERTIFIED = {**APP, "tls": "letsencrypt"}
OTHER = {**APP, "name": "other", "domain": "other.example.com"}


def aside(before: list[Mapping[str, Any]], now: list[Mapping[str, Any]]) -> set[str]:
    """The names of the sites' files that are there and go, before the reload after which the authority looks."""
    old = {path: file.text for path, file in files(*before).items() if path.startswith(f"{CONF}/")}
    on = nginx(conf=NginxConf({"/etc/nginx/nginx.conf": "http { include conf.d/*.conf; }", **old}))
    wanted = resources(*now)
    number = [each.id for each in wanted].index("nginx:(reload: plain http)")
    [found] = [each for each in wanted[:number] if each.id == "nginx:(sites, aside)"]
    assert isinstance(found, NginxFiles)
    contents = {part.path: part.content(on, old.get(part.path, "")) for part in found.parts}
    assert all(text in {None, old.get(path)} for path, text in contents.items()), "what is not in the way stays as it is"
    return {path.removeprefix(f"{CONF}/novaops-") for path, text in contents.items() if text is None and path in old}


def test_what_is_in_the_way_of_an_authority() -> None:
    """Of two servers with one name and port nginx ignores one, and a reload fails where the name is ours."""
    assert aside([{**APP, "tls": "off"}], [CERTIFIED]) == {"shop.conf"}, "a site that gets its certificate"
    assert aside([{**APP, "http_port": 8080, "tls": "off"}], [CERTIFIED]) == set()
    for tls, gone in (("off", {"old.conf"}), ("self-signed", {"old.http.conf"})):
        old = {**APP, "name": "old", "tls": tls}
        assert aside([old], [{"name": "old", "state": "absent"}, CERTIFIED]) == gone, "a site that got another name"
    both = {**OTHER, "tls": "off", "domain": ["other.example.com", "shop.example.com"]}
    assert aside([both], [OTHER, CERTIFIED]) == {"other.conf"}, "a name that one site leaves to another"
    assert aside([OTHER, CERTIFIED], [OTHER, CERTIFIED]) == set(), "what is as it should be"
    assert not [each for each in resources(APP) if each.id == "nginx:(sites, aside)"]
