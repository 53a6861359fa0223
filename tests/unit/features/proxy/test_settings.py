"""The proxy: section: what is right is read as it was meant, and what is wrong is said with its place, and never with a secret."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from novaops.app import run
from novaops.errors import InventoryError, UsageError
from novaops.features.proxy.facts.nginx import NginxFacts
from novaops.features.proxy.settings import Site, api_at
from novaops.formats import names
from novaops.providers.loader import load
from tests.support.proxy_sites import API, APP, BASES, CASES, DOMAINS, HOSTILE, PATHS, TOKEN, section

SECRET = "sk-hunter2-4711"  # noqa: S105 - what must not be repeated
WRONG = yaml.safe_load((CASES / "wrong.yaml").read_text("utf-8"))
RIGHT = yaml.safe_load((CASES / "right.yaml").read_text("utf-8"))


def written(case: Mapping[str, Any]) -> Any:
    """The whole section of a case."""
    if "proxy" in case:
        return case["proxy"]
    base = next(name for name in BASES if name in case)
    return [{key: value for key, value in {**BASES[base], **case[base]}.items() if value is not None}]


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case['says'][:60]}-{number}") for number, case in enumerate(WRONG)])
def test_what_is_wrong(case: Mapping[str, Any]) -> None:
    with pytest.raises(InventoryError) as error:
        section(written(case))
    assert error.value.what == f"inventory.yaml: hosts/canada/proxy{case['says']}"
    assert error.value.exit_code == 2
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("case", [pytest.param(case, id=str(case)) for case in RIGHT])
def test_what_is_right(case: Mapping[str, Any]) -> None:
    [site] = section(written(case))
    for key, value in case["reads"].items():
        found = getattr(site, key)
        assert (list(found) if isinstance(found, tuple) else found) == value, key


def tried(site: Mapping[str, Any]) -> Site | str:
    """The site, or what is said instead."""
    try:
        return section([site])[0]
    except InventoryError as error:
        return error.what


PLACES: Mapping[str, tuple[Mapping[str, Any], Any]] = {
    "name": (APP, names.name),
    "domain": (APP, names.server_name),
    "listen": (APP, names.ip_address),
    "http_port": (APP, names.port),
    "path": (API, None),
    "upstream_ca": (API, names.path),
    "max_body": (APP, None),
    "hsts": (APP, None),
    "email": ({**API, "tls": "letsencrypt"}, None),
    "acme": ({**API, "tls": "letsencrypt"}, None),
    "certificate": ({**API, "tls": "files", "key": "/k"}, names.path),
    "provider": (API, names.name),
}


@given(st.sampled_from(sorted(PLACES)), HOSTILE)
@example("domain", "~" + "(" * 5000)
@example("domain", "~[[a]b]")
@example("domain", "a.com\n")
@example("hsts", "max-age=1\n")
@example("path", "/v1/\n")
def test_a_value_is_taken_or_said_to_be_none(key: str, text: str) -> None:
    """Nothing is changed on the quiet, and nothing is a traceback."""
    base, check = PLACES[key]
    found = tried({**base, key: [text] if key in {"domain", "listen"} else text})
    if isinstance(found, str):
        assert found.startswith("inventory.yaml: hosts/canada/proxy/0")
    elif check is not None:
        value = getattr(found, key)
        assert (value[0] if isinstance(value, tuple) else value) == check(text)


KEYS = st.sampled_from(["basic", "keys", "inject", "token", "header", "limit", "passthrough", "from", "nova", "x"])
SHAPES = st.recursive(
    st.sampled_from([SECRET, "env:KEY", "true", "192.0.2.1", None]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@given(SHAPES, st.sampled_from(["env:KEY", SECRET, [SECRET]]))
def test_a_secret_is_not_repeated_however_it_is_written(auth: Any, test_key: Any) -> None:
    """Except where it stands in place of a network, of a header's name or of a yes: nobody puts it there."""
    if isinstance(auth, dict) and SECRET in json.dumps([auth.get("from"), auth.get("header"), auth.get("passthrough")]):
        return
    found = tried({**API, "auth": auth, "test_key": test_key})
    assert SECRET not in (found if isinstance(found, str) else "")


@given(st.lists(DOMAINS.filter(lambda name: not name.startswith(("~", "*", ".")) and not name.endswith(".*")), min_size=1, max_size=1))
def test_case_does_not_count_in_names(domain: list[str]) -> None:
    upper, lower = ([one.upper() for one in domain], [one.lower() for one in domain])
    assert section([{**APP, "domain": upper}])[0].domain == section([{**APP, "domain": lower}])[0].domain


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("a.com", "A.COM", True),
        ("a.com", "b.com", False),
        ("*.a.com", "*.A.com", True),
        ("*.a.com", "x.a.com", False),
        (".a.com", "a.com", True),
        (".a.com", "*.a.com", True),
        (".a.com", ".a.com", True),
        (".a.com", "x.a.com", False),
        (".a.com", "*.x.a.com", False),
        ("*.a.com", "a.com", False),
        ("www.*", "www.a.com", False),
        ("~^a", "~^a", True),
    ],
)
def test_names_between_which_nginx_would_have_to_choose(one: str, other: str, *, both: bool) -> None:
    assert names.covers(one, other) is both
    assert names.covers(other, one) is both


# -- what follows from it ---------------------------------------------------------------------------------------------


def test_an_api_is_served_at_its_own_path_or_at_another() -> None:
    openai, sensenova = load("openai"), load("sensenova")
    assert [endpoint.served_at for endpoint in section([API])[0].of(openai).endpoints] == ["/v1"]
    for path, served in (("/api/x/", "/api/x"), ("/", ""), ("", "")):
        [site] = section([{**API, "path": path}])
        assert [(one.path, one.served_at) for one in site.of(openai).endpoints] == [("/v1", served)]
    [site] = section([{**API, "path": "/native"}])
    assert [one.served_at for one in site.of(sensenova).endpoints] == ["/native", *(one.served_at for one in sensenova.endpoints[1:])]


def test_two_parts_of_an_api_are_not_served_at_one_place() -> None:
    sensenova = load("sensenova")
    [site] = section([{**API, "path": sensenova.endpoints[1].served_at}])
    with pytest.raises(UsageError) as error:
        site.of(sensenova)
    assert error.value.what == f"gate: path: something else of the API is served at {sensenova.endpoints[1].served_at}"


@given(st.sampled_from(["api.example.com", "API.example.com"]), st.sampled_from(["", ":8443"]), PATHS)
def test_an_upstream_is_a_provider(host: str, port: str, path: str) -> None:
    [endpoint] = api_at(f"https://{host}{port}{path}").endpoints
    assert (endpoint.host, endpoint.port, endpoint.path) == (host, 8443 if port else 443, path)


# -- the command line -------------------------------------------------------------------------------------------------


@pytest.fixture
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be contacted."""

    def contacted(*_: object, **__: object) -> None:
        raise AssertionError("the host was contacted")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("novaops.ssh.session.Session.open", contacted)
    monkeypatch.setenv("PW", "wired-Fjord-88")
    monkeypatch.setenv("KEY", "sk-wired-Fjord-88")


def inventory(*sites: Any) -> None:
    Path("inventory.yaml").write_text(json.dumps({"hosts": {"canada": {"address": "192.0.2.1", "proxy": sites}}}))


FLAGS = "--domain a.com --tls off"
CALLS = [
    ("deploy canada", {**API, "tls": "yes"}, 2, '/0/tls: "yes" is not one of off, letsencrypt, self-signed, files'),
    ("deploy canada", {**API, "auth": {"basic": {"nova": SECRET}}}, 2, "/0/auth/basic/nova: a secret is not written in plain text"),
    (f"deploy canada --name x --provider openai {FLAGS}", None, 2, "auth: is required in front of an API"),
    (f"deploy canada --name x --provider opnai {FLAGS} --token env:KEY", None, 2, "there is no provider opnai"),
    (f"deploy canada --name x --upstream http://a {FLAGS} --token env:KEY", None, 2, '"http://a" is no https:// URL'),
    (f"deploy canada --name x --provider azure {FLAGS} --token env:KEY", None, 2, "azure: each user has a host of their own there"),
    (f"deploy canada --name x --provider openai --probe /v2/x {FLAGS} --token env:KEY", None, 2, "probe: /v2/x is not below /v1"),
    (f"deploy canada --name x --provider openai --upstreams a:1 {FLAGS}", None, 2, "provider and upstreams: say one of"),
    (
        f"deploy canada --name x --provider openai {FLAGS} --user nova",
        None,
        2,
        "--user belongs together with one of --password, --key and --token",
    ),
    (
        f"deploy canada --name x --provider openai {FLAGS} --password env:PW",
        None,
        2,
        "--user belongs together with one of --password, --key and --token",
    ),
    (f"deploy canada --name x --provider openai {FLAGS} --inject env:KEY", None, 2, "inject needs keys or basic"),
    (f"deploy canada --name x --provider openai {FLAGS} --token {SECRET}", None, 2, "a secret is not written in plain text"),
    (f"deploy canada --name x --provider openai {FLAGS} --from 192.0.2.0/33", None, 2, '"192.0.2.0/33" is no address or network'),
    (f"deploy canada --name x --upstreams a {FLAGS}", None, 2, '"a" has no port: HOST:PORT'),
    ("deploy canada --name x --upstreams a:1 --tls yes --domain a.com", None, 2, '"yes" is not one of off'),
    ("deploy canada --name x --upstreams a:1 --domain a..com", None, 2, '"a..com" is no domain'),
    ("deploy canada --name a/b --upstreams a:1 --domain a.com", None, 2, '--name: "a/b" is no name'),
    ("deploy canada", None, 2, "say which: --name"),
    ("remove canada --name ../x", None, 2, '"../x" is no name'),
    ("deploy canada", {**TOKEN, "auth": {"token": "env:NONE"}}, 2, "the environment variable NONE is not set"),
    ("deploy canada", {**TOKEN, "auth": {"token": "env:BLANKS"}}, 2, "token: what env: gives is empty, or cannot stand in a header"),
    ("deploy canada", {**TOKEN, "auth": {"token": "env:LINES"}}, 2, "token: what env: gives is empty, or cannot stand in a header"),
    ("deploy canada", {**TOKEN, "auth": {"token": "env:SHORT"}}, 4, "the token of client has fewer than 12 characters"),
    ("deploy canada", {**API, "auth": {"basic": {"nova": "env:WEAK"}, "inject": "env:KEY"}}, 4, "the password of nova is a common word"),
    (
        "deploy canada",
        {**API, "auth": {"basic": {"nova": "env:LONG"}, "inject": "env:KEY"}},
        4,
        "the password of nova is longer than 72 bytes",
    ),
    ("deploy canada", {**API, "auth": {"basic": {"nova": "env:PW"}, "inject": "env:NOTHING"}}, 2, "inject: what env: gives is empty"),
    (
        "deploy canada",
        {**API, "auth": {"basic": {"nova": "env:PW"}, "inject": "env:UMLAUT"}},
        2,
        "inject: what env: gives is empty, or cannot",
    ),
]
GIVEN = {"BLANKS": "wired Fjord 88", "LINES": "wired-Fjord-88\nX-Admin: 1", "SHORT": "Xk7-Qd2", "WEAK": "password1234"}
GIVEN |= {"LONG": "wired-Fjord-" * 6 + "x", "NOTHING": "", "UMLAUT": "sk-ä-4711"}


@pytest.mark.usefixtures("_alone")
@pytest.mark.parametrize(("words", "site", "code", "said"), [pytest.param(*call, id=f"{call[3][:50]}-{n}") for n, call in enumerate(CALLS)])
def test_a_wrong_call(
    words: str, site: Any, code: int, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)
    inventory(*([site] if site else []))
    assert run(["proxy", *words.split()]) == code
    told = capsys.readouterr()
    assert said in told.err
    assert not told.out
    assert "Traceback" not in told.err
    for secret in (SECRET, "wired", "X-Admin", "password1234", "sk-"):
        assert secret not in told.err


@pytest.mark.usefixtures("_alone")
def test_the_machine_is_told_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    inventory({**API, "tls": "yes"})
    assert run(["proxy", "deploy", "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["error"]["code"] == "inventory"
    assert document["error"]["what"].startswith('inventory.yaml: hosts/canada/proxy/0/tls: "yes" is not one of ')
    assert document["hosts"] == []


def test_the_whole_program_says_it_too(tmp_path: Path) -> None:
    (tmp_path / "inventory.yaml").write_text(
        json.dumps({"hosts": {"canada": {"address": "192.0.2.1", "proxy": [{**API, "tls": ["off"]}]}}})
    )
    words = [sys.executable, "-m", "novaops", "-i", str(tmp_path / "inventory.yaml"), "proxy", "deploy"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "/inventory.yaml: hosts/canada/proxy/0/tls: a list is not one of off, letsencrypt, self-signed, files" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("_alone")
@pytest.mark.parametrize("who", ["a", "ab", "e", "client", "glass"])
def test_a_random_token_is_nobody_s_name(who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen letters, as `openssl rand -hex` gives them: any short name is in there somewhere."""
    from tests.support.proxy_sites import files, nginx

    monkeypatch.setenv("TOKEN", "ab12glasscd34client56ef78")
    on: NginxFacts = nginx()
    assert files({**TOKEN, "auth": {"token": {who: "env:TOKEN"}}}, on=on)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--token", "hunter2"], "--token: a secret is not written in plain text"),
        (["--user", "a", "--password", "hunter2"], "--password: a secret is not written in plain text"),
        (["--from", "1.2.3.4/8"], '--from: "1.2.3.4/8" is no address or network'),
        (["--token", "env:X", "--user", "a", "--password", "env:Y"], "--user belongs together with one of --password, --key and --token"),
        (["--user", "a"], "--user belongs together with one of --password, --key and --token"),
        (["--key", "env:X"], "--user belongs together with one of --password, --key and --token"),
    ],
)
def test_a_flag_that_is_wrong_is_named(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    site = ["--name", "x", "--provider", "openai", "--domain", "a.example.com", "--tls", "off"]
    assert run(["proxy", "deploy", "root@203.0.113.9", *site, *words]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "hunter2" not in shown


OF_EVERY_SECTION = {"name", "state"}
OF_FLAGS = {"others", "without", "open"}


def test_every_key_of_a_site_has_its_place_in_the_documentation() -> None:
    page = (Path(__file__).parents[4] / "docs/proxy.md").read_text("utf-8")
    assert [key for key in Site.model_fields.keys() - OF_EVERY_SECTION - OF_FLAGS if not re.search(rf"\b{key}[:`]", page)] == []


@pytest.mark.usefixtures("_alone")
def test_the_help_says_where_files_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    run(["proxy", "deploy", "--help"])
    assert "only an inventory says" in " ".join(capsys.readouterr().out.replace("│", " ").split())
