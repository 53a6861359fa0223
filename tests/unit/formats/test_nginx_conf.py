"""nginx's configuration, read for who listens where under which names: by tables, and by nginx's own rules of what a word is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from novaops.formats.nginx_conf import NginxConf, _parse
from tests.support.proxy_sites import CASES, HOSTILE, WORDS, nginx_words

ROWS = yaml.safe_load((CASES / "nginx_conf.yaml").read_text("utf-8"))
MAIN = "/etc/nginx/nginx.conf"
SAYS = f"nginx: the configuration file {MAIN} syntax is ok\nnginx: configuration file {MAIN} test is successful\n"


def dump(files: Mapping[str, str]) -> str:
    """As `nginx -T` prints them, behind what it says."""
    return SAYS + "".join(f"# configuration file {path}:\n{text}\n" for path, text in files.items())


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in ROWS])
def test_servers(case: Mapping[str, Any]) -> None:
    files = case["files"] if "files" in case else {MAIN: f"http {{\n{case['http']}\n}}\n"}
    conf = NginxConf.read(dump(files))
    found = [
        f"{server.place} {','.join(server.names)} "
        + " ".join(f"{listen.address}:{listen.port}{'!' if listen.is_default else ''}" for listen in server.listens)
        for server in conf.servers()
    ]
    assert found[: 1 if case.get("first") else None] == case["servers"]
    assert list(conf.value("user")) == case.get("user", [])
    assert list(conf.files_with("server_names_hash_bucket_size")) == case.get("table", [])
    assert list(conf.unread) == case.get("unread", [])


@pytest.mark.parametrize(
    ("http", "other", "reads"),
    [
        ("include /etc/nginx/conf.d/*.conf;", "", True),
        ("include conf.d/novaops*;", "", True),
        ("include sites-enabled/*;", "", False),
        ("include sites-enabled/*;", "include /etc/nginx/conf.d/*.conf;", True),
        ("include /etc/nginx/conf.d/*/*.conf; include conf.d/*.vhost; include /etc/nginx/*.d;", "", False),
        ("server { include conf.d/*.conf; }", "", False),
        ("include none/*;", "include conf.d/*.conf;", False),
    ],
)
def test_what_nginx_would_read(http: str, other: str, *, reads: bool) -> None:
    conf = NginxConf.read(dump({MAIN: f"include conf.d/*.conf;\n\nhttp {{ {http} }}", "/etc/nginx/sites-enabled/x": other}))
    assert conf.reads("/etc/nginx/conf.d/novaops-x.conf") is reads
    assert conf.http_place == f"{MAIN}:3"


@pytest.mark.parametrize("opened", ["[[", "[==[", "--[[", "{", '"', "--"])
def test_lua_is_read_in_linear_time(opened: str) -> None:
    text = "init_by_lua_block { " + f"{opened} [=[ " * 100_000
    began = time.process_time()
    assert NginxConf.read(dump({MAIN: f"http {{ {text} }}"})).unread
    assert time.process_time() - began < 1.5


@given(WORDS, WORDS)
@example((r'"a\"b"', 'a"b'), ("a}b", "a}b"))
def test_words_are_nginx_s(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Spelled in any way: each is the word that nginx reads."""
    text = f"x {one[0]}\n\t{other[0]} # ; }} {{\n; y {one[0]} {{ z {other[0]};}}"
    assert nginx_words(text) == ["x", one[1], other[1], ";", "y", one[1], "{", "z", other[1], ";", "}"]
    first, second = _parse(text, "f").directives
    assert first.words == ["x", one[1], other[1]]
    assert second.words == ["y", one[1]]
    assert second.block is not None
    assert [directive.words for directive in second.block] == [["z", other[1]]]


@given(st.lists(HOSTILE, max_size=4).map("\n".join), HOSTILE)
@example("listen [", "")
@example("http{server{listen :;listen 1-;listen -1;listen 99999-100000;}}", "")
def test_nothing_is_too_broken_to_be_read(text: str, other: str) -> None:
    conf = NginxConf.read(dump({MAIN: f"http {{ server {{ listen {other}; server_name {text};\n}} {text}", "/etc/nginx/x": other}))
    conf.servers()
    conf.value("user")
    NginxConf.read(text).servers()


def test_hundreds_of_sites_are_read_in_a_moment() -> None:
    site = "server {\n    listen 80;\n    server_name a.com;\n" + "    # comment\n    location /x { proxy_pass http://y; }\n" * 10 + "}\n"
    files = {MAIN: "http { include /etc/nginx/conf.d/*.conf; }", "/etc/nginx/conf.d/all.conf": site * 1000}
    began = time.process_time()
    assert len(NginxConf.read(dump(files)).servers()) == 1000
    assert time.process_time() - began < 1.5, "it must not grow with the square"


def test_what_comes_after_a_file_parses_no_other_one_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for each of many sites."""
    parsed: list[str] = []

    def parse(text: str, path: str) -> Any:
        parsed.append(path)
        return _parse(text, path)

    monkeypatch.setattr("novaops.formats.nginx_conf._parse", parse)
    files = {f"/etc/nginx/conf.d/{number}.conf": f"server {{ server_name s{number}; }}" for number in range(9)}
    conf = NginxConf({"/etc/nginx/nginx.conf": "http { include conf.d/*.conf; }", **files})
    assert len(conf.servers()) == 9
    for number in range(5):
        assert len(conf.after(f"/etc/nginx/conf.d/{number}-.conf")) == 9 - number
    assert sorted(parsed) == sorted(["/etc/nginx/nginx.conf", *files, *(f"/etc/nginx/conf.d/{number}-.conf" for number in range(5))])
