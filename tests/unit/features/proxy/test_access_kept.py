"""What flags alone must not do to a site that is there, and who is told to gain or lose access."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from novaops.app import run
from novaops.cli import section_verb
from novaops.cli.options import Options
from novaops.engine.planner import make_plan
from novaops.errors import Refused
from novaops.facts.file import FileAt
from novaops.features.proxy import cli
from novaops.features.proxy.auth import Auth
from novaops.features.proxy.cli import AuthFlags
from novaops.features.proxy.resources.access_kept import AccessKept, pages_of, reached_by
from novaops.features.proxy.resources.nginx_files import OWN, NginxFiles, Part
from novaops.formats import htpasswd
from novaops.model.question import Facts, Missing
from novaops.secret import Secret
from tests.support.proxy_sites import API, APP, TOKEN, files, nginx, resources, text
from tests.unit.features.proxy.test_resources import SITE, file, planned

ASKS = "server {\n    location / {\n        auth_basic_user_file x;\n    }\n}\n"
NARROW = "server {\n    location / {\n        allow 192.0.2.0/24;\n        deny all;\n    }\n}\n"


@pytest.mark.parametrize(
    ("found", "asks", "narrow", "says"),
    [
        (None, False, False, ""),
        ("server { }\n", False, False, ""),
        (ASKS, False, False, "shop: it asks for passwords today, and would be open to everybody"),
        (ASKS, False, True, "shop: it asks for passwords today, and would be open to everybody"),
        (ASKS, True, False, ""),
        (NARROW, False, False, "shop: only 192.0.2.0/24 may use it today, and it would be open to others"),
        (NARROW, True, True, ""),
    ],
)
def test_flags_alone_open_nothing(found: str | None, asks: bool, narrow: bool, says: str) -> None:  # noqa: FBT001 - of the wish
    resource = AccessKept("shop", SITE, asks, ("192.0.2.0/24",) if narrow else ())
    assert refused(resource, {SITE: found}) == ([says] if says else [])


def refused(resource: AccessKept, files: Mapping[str, str | None]) -> list[str]:
    return [refusal.what for refusal in refusals(resource, files)]


def fixes(resource: AccessKept, files: Mapping[str, str | None]) -> list[str]:
    return [refusal.fix for refusal in refusals(resource, files)]


def refusals(resource: AccessKept, files: Mapping[str, str | None]) -> list[Refused]:
    answers: dict[Any, Any] = dict.fromkeys(resource.questions(), Missing.ABSENT)
    answers |= {FileAt(path): file(content) for path, content in files.items() if content is not None}
    return [refusal for _, refusal in make_plan([resource], Facts(answers, {})).refusals]


MORE = """\
map $http_origin $novaops_shop_origin {
    default "";
    "~^https\\x3a\\x2f\\x2fapp\\x2eexample\\x2ecom\\z" $http_origin;
}
server {
    server_name "shop.example.com" "www.example.com";
    allow all;
    location / {
        allow 192.0.2.0/24;
        allow 2001:db8::/32;
        deny all;
    }
}
"""
PAGE = "https://app.example.com"
BOTH = ("192.0.2.0/24", "2001:db8::/32")
LOST = "may use it today, and could not any more"


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"networks": BOTH, "pages": (PAGE,)}, ""),
        ({"networks": (*BOTH, "198.51.100.0/24"), "pages": (PAGE, "https://b.com")}, ""),
        ({"networks": ("198.51.100.0/24",), "pages": (PAGE,)}, f"shop: 192.0.2.0/24, 2001:db8::/32 {LOST}"),
        ({"networks": ("198.51.100.0/24",), "pages": (PAGE,), "without": BOTH}, ""),
        ({"networks": BOTH[:1], "pages": (PAGE,), "without": BOTH[1:]}, ""),
        ({"networks": BOTH}, f"shop: {PAGE} {LOST}"),
        ({"networks": BOTH, "pages": ("https://b.com",)}, f"shop: {PAGE} {LOST}"),
        ({"networks": BOTH, "without": (PAGE,)}, ""),
        ({"pages": (PAGE,)}, "shop: only 192.0.2.0/24, 2001:db8::/32 may use it today, and it would be open to others"),
        ({"pages": (PAGE,), "asks": True}, "shop: only 192.0.2.0/24, 2001:db8::/32 may use it today, and it would be open to others"),
        ({"pages": (PAGE,), "without": BOTH}, "shop: only 192.0.2.0/24, 2001:db8::/32 may use it today, and it would be open to others"),
        ({"pages": (PAGE,), "without": BOTH, "asks": True}, ""),
        ({"networks": BOTH[:1], "pages": (PAGE,), "without": ("2001:DB8:0::/32",)}, ""),
        ({"networks": BOTH, "without": ("https://app.example.com:443",)}, ""),
    ],
)
def test_flags_alone_take_nothing_away(wish: dict[str, Any], says: str) -> None:
    resource = AccessKept("shop", SITE, **{"asks": False, **wish})
    assert refused(resource, {SITE: MORE}) == ([says] if says else [])
    assert refused(resource, {}) == []


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize(
    ("before", "wish", "says", "keeps"),
    [
        ({"limit": "60/min"}, {"limit": "5/s"}, "", ""),
        ({}, {}, "", ""),
        ({"limit": "60/min"}, {}, "gate: a client may make 60/min requests today, and could make any number", "--rate 60/min keeps that"),
        ({"limit": "5/s"}, {}, "gate: a client may make 5/s requests today, and could make any number", "--rate 5/s keeps that"),
    ],
)
@pytest.mark.parametrize("way", [{"keys": {"laptop": "env:TOKEN"}, "inject": "env:KEY"}, {"token": {"laptop": "env:TOKEN"}}])
def test_flags_alone_take_no_limit_away(way: dict[str, Any], before: Any, wish: Any, says: str, keeps: str) -> None:
    there = text({**API, "auth": {**way, **before}})
    [resource] = kept({**API, "auth": {**way, **wish}, "others": "keep"})
    assert refused(resource, {resource.file: there}) == ([says] if says else [])
    assert all(keeps in fix for fix in fixes(resource, {resource.file: there}))
    [password] = kept({**API, "others": "keep"})
    assert refused(password, {password.file: there}) == [], "with passwords there is no limit that could be kept"


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize(
    ("before", "wish", "says"),
    [
        ("self-signed", None, ["shop: it speaks TLS today, and would not any more"]),
        ("self-signed", "off", []),
        ("self-signed", "self-signed", []),
        ("off", None, []),
    ],
)
def test_flags_alone_take_no_tls_away(before: str, wish: str | None, says: list[str]) -> None:
    there = text({**APP, "tls": before})
    [resource] = kept({**APP, "others": "keep", **({"tls": wish} if wish else {})})
    assert refused(resource, {resource.file: there}) == says


def test_what_flags_have_to_say_is_told() -> None:
    resource = AccessKept("shop", SITE, asks=True, networks=("198.51.100.0/24",), pages=(PAGE,))
    with pytest.raises(Refused) as error:
        list(resource.plan(Facts({FileAt(SITE): file(MORE)}, {})))
    assert error.value.fix == (
        "--from 192.0.2.0/24,2001:db8::/32,198.51.100.0/24 keeps that; --remove-user 192.0.2.0/24,2001:db8::/32 takes it away"
    )


HTPASSWD = f"{OWN}/shop.htpasswd"


@pytest.mark.parametrize(("without", "says"), [((), f"shop: anna, bert {LOST}"), (("anna",), f"shop: bert {LOST}"), (("anna", "bert"), "")])
def test_users_do_not_go_with_the_way_in_which_others_come(without: tuple[str, ...], says: str) -> None:
    resource = AccessKept("shop", SITE, asks=True, without=without, people=((HTPASSWD, htpasswd.users),))
    assert refused(resource, {HTPASSWD: "anna:x\nbert:y\n"}) == ([says] if says else [])
    assert refused(resource, {}) == []


TOKENS = f"{OWN}/shop.tokens"


@pytest.mark.parametrize(
    ("found", "without", "says"),
    [
        (None, (), ""),
        ('"a" "client";\n', (), ""),
        ('"b" "client";\n', (), "shop: client has another token today, which would count no more"),
        ('"b" "client";\n', ("client",), ""),
        ('"b" "laptop";\n', (), ""),
    ],
)
def test_a_second_token_is_not_put_in_the_place_of_the_first(found: str | None, without: tuple[str, ...], says: str) -> None:
    resource = AccessKept("shop", SITE, asks=True, without=without, unnamed=(TOKENS, Secret('"a" "client";')))
    assert refused(resource, {TOKENS: found}) == ([says] if says else [])


def test_from_where_and_under_which_names_a_site_is_used_is_said() -> None:
    part = Part(SITE, lambda *_: MORE.replace("www.", "w3.").replace("192.0.2", "198.51.100"), reached=reached_by)
    [step] = planned(NginxFiles("shop", (part,)), nginx(), {SITE: file(MORE)}).steps
    [change] = [change for change in step.changes if change.field == "who may use it"]
    assert change.before == f"from 192.0.2.0/24, from 2001:db8::/32, scripts of {PAGE}, as shop.example.com, as www.example.com"
    assert change.after == f"from 198.51.100.0/24, from 2001:db8::/32, scripts of {PAGE}, as shop.example.com, as w3.example.com"
    [step] = planned(NginxFiles("shop", (part,)), nginx()).steps
    assert not [change for change in step.changes if change.field == "who may use it"], "of a new site that is what was asked for"


def test_whose_secret_is_another_one_is_said() -> None:
    part = Part(HTPASSWD, lambda *_: Secret("anna:x\nbert:z\neve:e\n"), "0640", for_workers=True, who=htpasswd.users)
    [step] = planned(NginxFiles("shop", (part,)), nginx(), {HTPASSWD: file("anna:x\nbert:y\n", "0640", "www-data")}).steps
    said = [(change.field, change.before, change.after) for change in step.changes if change.field.startswith("who ")]
    assert said == [("who may use it", "anna, bert", "anna, bert, eve"), ("who has another secret", None, "bert")]
    assert "z" not in str(step.changes)


def test_who_gains_and_who_loses_access_is_said() -> None:
    path = f"{OWN}/shop.htpasswd"
    part = Part(path, lambda *_: Secret("anna:x\nbert:y\n"), "0640", for_workers=True, who=htpasswd.users)
    [step] = planned(NginxFiles("shop", (part,)), nginx(), {path: file("anna:x\neve:z\n", "0640", "www-data")}).steps
    assert [(change.before, change.after) for change in step.changes if change.field == "who may use it"] == [("anna, eve", "anna, bert")]


# -- what is asked of it ------------------------------------------------------------------------------------------------

KEYS = {"keys": {"laptop": "env:TOKEN"}, "inject": "env:KEY"}
NARROW_API = {**API, "auth": {**KEYS, "from": "192.0.2.0/24"}, "cors": PAGE, "without": "anna,198.51.100.0/24"}


@pytest.mark.parametrize(
    ("without", "notes"),
    [
        ((), []),
        (("laptop", "anna", *BOTH, PAGE, "https://app.example.com:443"), []),
        (("labtop",), [f"--remove-user: labtop is not among those whom it lets in: anna, laptop, {', '.join((*BOTH, PAGE))}"]),
    ],
)
def test_who_is_taken_away_and_is_not_there_is_said(without: tuple[str, ...], notes: list[str]) -> None:
    resource = AccessKept(
        *("shop", SITE, True, BOTH, (PAGE,), without),
        people=((HTPASSWD, htpasswd.users),),
        known=((TOKENS, lambda text: tuple(re.findall(r' "([^"]*)";', text))),),
    )
    found = {SITE: file(MORE), HTPASSWD: file("anna:x\n"), TOKENS: file('"~^x\\z" "laptop";\n')}
    assert list(resource.notes(Facts({FileAt(path): state for path, state in found.items()}, {}))) == notes


def test_a_second_removal_changes_nothing_and_says_who_is_left() -> None:
    """The host cannot tell a mistyped name from one that was taken away before."""
    resource = AccessKept("shop", SITE, asks=True, without=("laptop",), known=((HTPASSWD, htpasswd.users),))
    plan = make_plan([resource], Facts({FileAt(SITE): Missing.ABSENT, FileAt(HTPASSWD): Missing.ABSENT}, {}))
    assert not plan
    assert [note.text for note in plan.notes] == ["--remove-user: laptop is not among those whom it lets in: nobody"]


def kept(site: Mapping[str, Any]) -> list[AccessKept]:
    return [found for found in resources(site) if isinstance(found, AccessKept)]


@pytest.mark.usefixtures("secrets")
def test_a_site_of_an_api_is_kept_as_well() -> None:
    assert kept(NARROW_API) == [], "the inventory is the whole wish"
    [found] = kept({**NARROW_API, "others": "keep"})
    assert (found.asks, found.networks, found.pages, found.without) == (True, ("192.0.2.0/24",), (PAGE,), ("anna", "198.51.100.0/24"))
    assert [path for path, _ in found.people] == [f"{OWN}/gate.htpasswd", f"{OWN}/gate.tokens"]
    assert [path for path, _ in found.known] == [f"{OWN}/gate.keys"]
    [found] = kept({**API, "others": "keep", "auth": {"passthrough": "yes", "from": "192.0.2.0/24"}})
    assert (found.asks, len(found.people), found.unnamed) == (True, 3, None)


@pytest.mark.usefixtures("secrets")
def test_a_site_of_servers_is_kept_as_before() -> None:
    [found] = kept({**APP, "others": "keep", "auth": {"basic": {"nova": "env:PW"}}})
    assert (found.asks, found.people) == (True, ())
    assert f"{OWN}/shop.htpasswd" in [path for path, _ in found.known]
    [found] = kept({**APP, "others": "keep"})
    assert (found.asks, found.people) == (False, ())
    assert kept({**APP, "others": "keep", "open": "yes"}) == []


@pytest.mark.usefixtures("secrets")
def test_the_one_token_is_compared_as_it_is_written() -> None:
    [found] = kept({**TOKEN, "others": "keep", "auth": {"token": "env:TOKEN"}})
    assert found.unnamed is not None
    path, line = found.unnamed
    assert path == f"{OWN}/token.tokens"
    assert refused(found, {path: f"{line.reveal()}\n"}) == []
    assert refused(found, {path: '"~^x\\z" "client";\n'}) == ["token: client has another token today, which would count no more"]
    [found] = kept({**TOKEN, "others": "keep"})
    assert found.unnamed is None


@pytest.mark.usefixtures("secrets")
def test_what_a_site_says_is_read_back() -> None:
    pages = ("https://app.example.com", "http://localhost:3000")
    assert pages_of(text({**API, "cors": ",".join(pages)})) == pages
    assert reached_by(text({**APP, "auth": {"from": "192.0.2.0/24"}})) == ("from 192.0.2.0/24", "as shop.example.com")


@pytest.mark.parametrize(
    ("flags", "auth"),
    [
        ({"user": "phone", "token": "env:A"}, {"token": {"phone": "env:A"}}),
        ({"token": "env:A"}, {"token": "env:A"}),
        ({"user": "phone", "key": "env:A"}, {"keys": {"phone": "env:A"}}),
        ({"user": "phone", "password": "env:A"}, {"basic": {"phone": "env:A"}}),
        ({"from_": "192.0.2.0/24"}, {"from": "192.0.2.0/24", "passthrough": "otherwise"}),
        ({"token": "env:A", "from_": "192.0.2.0/24"}, {"token": "env:A", "from": "192.0.2.0/24"}),
    ],
)
def test_whom_flags_name(flags: dict[str, str], auth: dict[str, Any]) -> None:
    assert AuthFlags(**flags).given(is_api=True) == {"auth": auth}


SHOP = "--name shop --upstreams 10.0.0.1:80 --domain h.example.com --tls off"
KEYS = {"name": "openai", "provider": "openai", "domain": "a.com", "tls": "off", "auth": {"keys": {"me": "env:PW"}, "inject": "env:KEY"}}


@pytest.mark.parametrize(
    ("words", "sites", "modes"),
    [
        (SHOP, [], ("", False)),
        ("--name openai", [KEYS], ("keys", False)),
        ("--name openai --provider openai", [KEYS], ("keys", False)),
        ("--name openai --provider openai", [{**KEYS, "auth": {"token": "env:A"}}], ("token", False)),
        ("--name openai --provider openai --domain a.com --tls off", [], ("passthrough", True)),
        ("--name x --upstream https://api.example.com/v1 --domain a.com --tls off", [], ("passthrough", True)),
    ],
)
def test_networks_may_be_named_for_every_kind_of_site(
    words: str, sites: list[Any], modes: tuple[str, bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In front of servers of one's own, and of an API whose clients have keys of the site's, they are no way of their own to be let in."""
    found: list[Auth] = []

    def converge(options: Options, _: object, name: str, flags: dict[str, Any], *__: object) -> int:
        known, playbooks = options.known()
        found.extend(one.auth for one in playbooks.by_name["proxy"].overridden(known, known.hosts["p"], "name", name, flags))
        return 0

    monkeypatch.setattr(cli, "_converge", converge)
    (tmp_path / "i.yaml").write_text(json.dumps({"hosts": {"p": {"address": "192.0.2.1", "proxy": sites}}}))
    assert run(["-i", str(tmp_path / "i.yaml"), "proxy", "deploy", "p", *words.split(), "--from", "10.0.0.0/8"]) == 0
    assert [(one.mode, one.passthrough, one.addresses) for one in found] == [(*modes, ("10.0.0.0/8",))]


GATE = {**API, "tls": "off"}
NAMED: dict[str, Mapping[str, Any]] = {
    "basic": {**GATE, "auth": {"basic": {"laptop": "env:PW", "phone": "env:OTHER"}, "inject": "env:KEY"}},
    "app": {**APP, "tls": "off", "name": "gate", "auth": {"basic": {"laptop": "env:PW", "phone": "env:OTHER"}}},
    "keys": {**GATE, "auth": {"keys": {"laptop": "env:TOKEN", "phone": "env:OTHER"}, "inject": "env:KEY"}},
    "token": {**GATE, "auth": {"token": {"laptop": "env:TOKEN", "phone": "env:OTHER"}}},
    "one token": {**GATE, "auth": {"token": "env:TOKEN"}},
    "from": {**GATE, "auth": {"passthrough": "yes", "from": ["192.0.2.7", "198.51.100.0/24"]}},
    "cors": {**GATE, "cors": [PAGE]},
}
ALL = f"--provider openai --domain {API['domain']} --tls off"


@pytest.fixture
def wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secrets: None) -> Callable[..., tuple[int, list[Any]]]:
    """What `deploy` with these words wants of a host with this inventory, and its exit code. No host is asked."""
    del secrets

    def deploy(site: Mapping[str, Any] | None, words: str) -> tuple[int, list[Any]]:
        found: list[Any] = []

        def converge(options: Options, *_: object, wanted: Any, **__: object) -> int:
            known, playbooks = options.known()
            found.extend(wanted(known, playbooks, known.hosts["p"]).own)
            return 0

        monkeypatch.setattr(section_verb, "converge_hosts", converge)
        (tmp_path / "i.yaml").write_text(json.dumps({"hosts": {"p": {"address": "192.0.2.1", "proxy": [site] if site else []}}}))
        return run(["-i", str(tmp_path / "i.yaml"), "proxy", "deploy", "p", "--name", "gate", *words.split()]), found

    return deploy


@pytest.mark.parametrize(
    ("kind", "words", "says"),
    [
        ("basic", "--remove-user laptop", "laptop is in the inventory"),
        ("app", "--remove-user laptop", "laptop is in the inventory"),
        ("keys", "--remove-user laptop", "laptop is in the inventory"),
        ("keys", "--remove-user elsewhere,laptop", "laptop is in the inventory"),
        ("keys", "--user tablet --key env:PW --remove-user laptop", "laptop is in the inventory"),
        ("token", "--remove-user laptop", "laptop is in the inventory"),
        ("one token", "--remove-user client", "client is in the inventory"),
        ("from", "--remove-user 192.0.2.7", "192.0.2.7 is in the inventory"),
        ("from", "--remove-user 192.0.2.7/32", "192.0.2.7/32 is in the inventory"),
        ("cors", f"--remove-user {PAGE}:443", f"{PAGE}:443 is in the inventory"),
        ("keys", "--user tablet --key env:PW --remove-user tablet", "tablet is let in by another flag"),
        ("from", "--from 10.0.0.0/8 --remove-user 10.0.0.0/8", "10.0.0.0/8 is let in by another flag"),
        ("", f"{ALL} --user laptop --token env:PW --remove-user laptop", "laptop is let in by another flag"),
        ("", f"{ALL} --from 10.0.0.0/8 --remove-user 10.0.0.0/8", "10.0.0.0/8 is let in by another flag"),
        ("", f"{ALL} --token env:PW --cors {PAGE} --remove-user {PAGE}", f"{PAGE} is let in by another flag"),
        ("app", "--auth off --remove-user laptop", "--auth takes off, and nothing else"),
        ("keys", "--remove-user ,", "--remove-user: "),
    ],
)
def test_nobody_is_taken_away_who_is_let_in_all_the_same(
    kind: str, words: str, says: str, wanted: Callable[..., tuple[int, list[Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert wanted(NAMED.get(kind), words) == (2, [])
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "words", "without"),
    [
        *((kind, "--remove-user bert", ("bert",)) for kind in NAMED),
        ("one token", "--token env:OTHER --remove-user client", ("client",)),
        ("", f"{ALL} --token env:OTHER --remove-user client", ("client",)),
        ("", f"{ALL} --user tablet --token env:OTHER --remove-user laptop,client", ("laptop", "client")),
        ("from", "--from 198.51.100.0/24 --remove-user 192.0.2.7", ("192.0.2.7",)),
        ("cors", f"--cors https://b.com --remove-user {PAGE}", (PAGE,)),
    ],
)
def test_flags_take_away_what_only_the_host_has(
    kind: str, words: str, without: tuple[str, ...], wanted: Callable[..., tuple[int, list[Any]]]
) -> None:
    code, found = wanted(NAMED.get(kind), words)
    assert code == 0
    assert [one.without for one in found if isinstance(one, AccessKept)] == [without]


K, L = ("env:TOKEN", "env:OTHER")


@pytest.mark.parametrize("kind", ["keys", "token"])
@pytest.mark.parametrize(
    ("there", "shown", "without", "says"),
    [
        ({"laptop": K}, {"phone": L}, "", ""),
        ({"laptop": K}, {"laptop": K}, "", ""),
        ({"laptop": K}, {"laptop": L}, "laptop", ""),
        ({"laptop": K, "phone": L}, {"phone": L}, "laptop", ""),
        ({"laptop": K}, {"phone": K}, "", "phone has the key or token of laptop"),
        ({"laptop": K}, {"phone": K}, "laptop", "phone has the key or token of laptop"),
        ({"laptop": K, "phone": K}, {"tablet": L}, "laptop", "phone has the key or token of laptop"),
        ({"laptop": K, "phone": K}, {"phone": L}, "laptop", ""),
        ({"laptop": K, "phone": K}, {"tablet": L}, "laptop,phone", ""),
        ({"laptop": K, "phone": K, "eve": L}, {"eve": L}, "", ""),
    ],
)
@pytest.mark.usefixtures("secrets")
def test_no_key_goes_on_under_another_name(kind: str, there: dict[str, str], shown: dict[str, str], without: str, says: str) -> None:
    """A key that two clients have would open the site after one of them was taken away."""

    def site(clients: dict[str, str]) -> dict[str, Any]:
        return {**GATE, "auth": {kind: clients, **({"inject": "env:KEY"} if kind == "keys" else {})}}

    path = f"{OWN}/gate.{'keys' if kind == 'keys' else 'tokens'}"
    old = "# mine\n" + "".join(files(site({client: key}))[path].text for client, key in there.items())
    wish = {**site(shown), "others": "keep", **({"without": without} if without else {})}
    if says:
        with pytest.raises(Refused, match=f"gate: {says}"):
            files(wish, old={path: old})
        return
    clients = re.findall(r' "([^"]*)";', files(wish, old={path: old})[path].text)
    assert sorted(clients) == sorted({*there} - {*without.split(",")} | {*shown})


@pytest.mark.usefixtures("secrets")
def test_pages_are_named_as_browsers_name_them() -> None:
    """They leave out the port that the scheme has anyway, so that with it nobody would be served."""
    said = "https://a.example:443,http://b.example:80,https://c.example:8443,http://d.example:443"
    wanted = ["https://a.example", "http://b.example", "https://c.example:8443", "http://d.example:443"]
    assert list(pages_of(text({**API, "cors": said}))) == wanted
