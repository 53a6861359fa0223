"""novaops login without a host: what the section and the flags mean, and what would keep somebody out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from novaops.app import run
from novaops.engine import inventory
from novaops.engine.playbooks import Playbooks
from novaops.errors import InventoryError
from novaops.facts.account import Account, Accounts, Keys, Listed
from novaops.facts.sshd import Caller, CallerFacts, Sshd, SshdState, settings_of
from novaops.features.login import status as logins
from novaops.features.login.flags import contradictions
from novaops.features.login.settings import Beside, Settings
from novaops.formats import names
from novaops.formats.authorized_keys import AuthorizedKey, options
from novaops.formats.sshd_config import Peer, SshdConfig
from novaops.formats.sshd_drop_in import Grant
from novaops.model.question import Facts
from novaops.resources.sshd_access import LoginContext, by_password, perhaps_by_password, to_password
from novaops.resources.sshd_keys import by_key, perhaps_by_key, to_key

CASES = Path(__file__).parents[3] / "cases" / "login"
PW = "wired-Fjord-88"


def rows(name: str, key: str) -> list[Any]:
    cases = yaml.safe_load((CASES / f"{name}.yaml").read_text("utf-8"))
    return [pytest.param(case, id=str(case[key])) for case in cases]


def networks(grants: tuple[Grant, ...]) -> dict[str, list[str]]:
    return {grant.who: list(grant.addresses) for grant in grants}


# -- the section ------------------------------------------------------------------------------------------------------


def section(login: Any) -> Any:
    """Read as the inventory is: every text as it was written."""
    known = inventory.parse(json.dumps({"hosts": {"x": {"login": login}}}, ensure_ascii=False), "inventory.yaml", ["login"])
    return Playbooks(Path()).by_name["login"].settings(known, known.hosts["x"])


@pytest.mark.parametrize("case", rows("settings", "login"))
def test_section(case: Mapping[str, Any]) -> None:
    if "wrong" in case:
        with pytest.raises(InventoryError) as error:
            section(case["login"])
        assert error.value.what == f"inventory.yaml: {case['wrong']}"
        return
    settings = section(case["login"])
    assert networks(settings.grants) == case["grants"]
    assert (settings.others == "denied", settings.keeps) == (case.get("denied", False), False)


def tried(login: Any) -> Any:
    """The settings, or what is said instead."""
    try:
        return section(login)
    except InventoryError as error:
        return error.what


HOSTILE = st.text(st.sampled_from("abz09-_ ,!*?@\n\r\t\"'#=\\%;$`é\0:/"), max_size=14)


@given(HOSTILE)
@example("a\nMatch all")
@example("*")
@example("!root")
@example("-rf")
def test_a_name_of_the_section_is_a_name_or_is_said_to_be_none(text: str) -> None:
    found = tried({"users": [{"name": text}]})
    if isinstance(found, str):
        assert found == f'inventory.yaml: hosts/x/login/users/0/name: "{text}" is no user name'
    else:
        assert networks(found.grants) == {names.user(text): []}


@given(HOSTILE)
@example("192.0.2.0/24\nMatch all")
@example("::/0 Match")
def test_a_network_of_the_section_is_one_or_is_said_to_be_none(text: str) -> None:
    found = tried({"users": ["ana"], "from": [text]})
    if isinstance(found, str):
        assert found.startswith(f'inventory.yaml: hosts/x/login/from/0: "{text}" is no address or network like 198.51.100.0/24: ')
    else:
        assert networks(found.grants) == {"ana": [names.network(text)]}


# -- the flags --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", rows("flags", "words"))
def test_flags(case: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The words of a command line, up to the settings: nothing is contacted."""
    access = {"address": "192.0.2.1", **({"login": case["section"]} if "section" in case else {})}
    (tmp_path / "inventory.yaml").write_text(json.dumps({"hosts": {"x": access}}))
    monkeypatch.chdir(tmp_path)
    found: list[Any] = []

    remarks: list[str] = []

    def take(_: object, words: list[str], __: object, *, wanted: Any, **options: Any) -> int:
        playbooks = Playbooks(tmp_path)
        known = inventory.load(None, list(playbooks.by_name))
        [host] = known.find(words)
        monkeypatch.setattr(playbooks, "desired", lambda *_, settings: found.append(settings["login"]))
        wanted(known, playbooks, host)
        remarks.extend(note.text for notes in options["remarks"].values() for note in notes)
        return 0

    monkeypatch.setattr("novaops.cli.section_verb.converge_hosts", take)
    if "wrong" in case:
        assert run(["login", *case["words"].split()]) == 2
        assert case["wrong"] in capsys.readouterr().err
        return
    assert run(["login", *case["words"].split()]) == 0
    [settings] = found
    assert networks(settings.grants) == case["grants"]
    assert [user.name for user in settings.users if user.password] == case.get("passwords", [])
    said = {"denied": settings.others == "denied", "fail2ban": settings.fail2ban, "keeps": settings.keeps}
    assert said == {"denied": False, "fail2ban": False, **{key: case[key] for key in said if key in case}}
    if "remark" in case:
        assert " ".join(remarks) == case["remark"]


@pytest.mark.parametrize("password", ["", "short-4711", "123456789012345", "xx-netlab-4711-yy"])
def test_a_weak_password_is_refused_before_anything_is_contacted(
    password: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def contacted(*_: object, **__: object) -> None:
        raise AssertionError("the host was contacted")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PW", password)
    monkeypatch.setattr("novaops.ssh.session.Session.open", contacted)
    assert run(["login", "allow", "root@192.0.2.1", "--user", "netlab", "--password", "env:PW", "--json"]) == 4
    said = capsys.readouterr()
    assert json.loads(said.out)["error"]["what"].startswith("the password of netlab ")
    assert not password or password not in said.out + said.err


# -- who gets in ------------------------------------------------------------------------------------------------------

KEYS = Keys((AuthorizedKey("ssh-ed25519"),), ("/home/ana/.ssh/authorized_keys", "/home/ana/.ssh/authorized_keys2"))
ANA = Account("ana", 1000, 1000, "/home/ana", "/bin/bash", ("ana",), "set", None, 50, None, None, 100, shell_works=True, keys=KEYS)
OPEN = {
    **dict.fromkeys(("passwordauthentication", "pubkeyauthentication", "usepam"), ("yes",)),
    **dict.fromkeys(("kbdinteractiveauthentication", "permitemptypasswords"), ("no",)),
    "permitrootlogin": ("without-password",),
}
MAIN = "/etc/ssh/sshd_config"


def keys(about: Mapping[str, Any] | None) -> Keys | None:
    """Lines KIND OPTIONS of a file, the bits of its RSA keys, and what else is known; ~: nothing was asked."""
    if about is None:
        return None
    pairs = (line.partition(" ")[::2] for line in about.get("lines", ["ssh-ed25519"]))
    lines = tuple(AuthorizedKey(kind, options(text), about.get("bits", 0)) for kind, text in pairs)
    barred = tuple((file, why) for file, why in about.get("barred", {}).items())
    return Keys(lines, tuple(about.get("files", KEYS.files)), barred, about.get("principals", False))


def way(case: Mapping[str, Any]) -> LoginContext:
    user = case.get("user", "ana")
    about = case.get("account", {})
    groups = tuple(case.get("groups", [user]))
    account = None if about is None else replace(ANA, name=user, groups=groups, **{**about, "keys": keys(about.get("keys", {}))})
    said = {key: value if isinstance(value, list) else [value] for key, value in case.get("sshd", {}).items()}
    given = settings_of(f"{key} {one}" for key, values in said.items() for one in values)
    peer = Peer(user, groups, case.get("address", "192.0.2.7"))
    config, pam = SshdConfig({MAIN: case.get("main", "")}), tuple(tuple(line.split(" ")) for line in case.get("pam", []))
    return LoginContext(peer, account, {**OPEN, **given}, config, case.get("nologin", False), pam)


@pytest.mark.parametrize("case", rows("obstacles", "name"))
def test_obstacles(case: Mapping[str, Any]) -> None:
    who = way(case)
    said = {
        "password": to_password(who, sets_password=case.get("sets", False)),
        "key": to_key(who),
        "perhaps_password": perhaps_by_password(who),
        "perhaps_key": perhaps_by_key(who),
    }
    assert {method: list(map(str, found)) for method, found in said.items() if method in case} == {m: case[m] for m in said if m in case}
    if "sets" in case:
        return
    for method, found in (("password", by_password(who)), ("key", by_key(who))):
        if case.get(method) == []:
            assert found.allowed is (None if case.get(f"perhaps_{method}") else True)
        elif method in case:
            assert found.allowed is False


@pytest.mark.parametrize(
    ("wanted", "declared", "lets_in"),
    [
        ({"users": ["ana"]}, {"users": ["ana"]}, None),
        ({"users": ["ana"]}, {"users": [{"name": "ana"}], "others": "as-is"}, None),
        ({"users": ["ana"], "from": "192.0.2.7"}, {"users": ["ana"], "from": ["192.0.2.7/32"]}, None),
        ({"others": "denied", "fail2ban": True}, {"others": "denied", "fail2ban": True}, None),
        ({"users": ["ana", "bo"]}, {"users": ["ana"]}, "ana"),
        ({"others": "denied"}, {"users": ["ana", "bo"]}, "ana, bo"),
        ({"users": ["ana"]}, {"everyone": True}, "everybody but root"),
        ({"users": ["ana"]}, {"others": "denied"}, "nobody"),
        ({"users": ["ana"], "from": "192.0.2.7"}, {"users": ["ana"]}, "ana"),
        ({"users": ["ana"]}, {"users": ["ana"], "others": "denied"}, "ana"),
    ],
)
@pytest.mark.parametrize("form", [Settings, Beside])
def test_what_a_verb_wants_otherwise_than_the_inventory(
    form: type[Settings], wanted: dict[str, Any], declared: dict[str, Any], lets_in: str | None
) -> None:
    said = f"the inventory says otherwise, and apply makes it so again: it lets {lets_in} in by password"
    found = contradictions(form.model_validate(wanted), Settings.model_validate(declared))
    assert [note.text for note in found] == ([said] if lets_in else [])
    assert {note.resource for note in found} <= {"login"}


def details(
    *people: tuple[Account, Mapping[str, tuple[str, ...]]], files: Mapping[str, str], complaint: str = "", more: int = 0
) -> dict[str, Any]:
    sshd = Sshd("/usr/sbin/sshd", (9, 2), complaint, files, {}, accept=False, directory=True, nologin=False)
    caller = CallerFacts("192.0.2.7", "192.0.2.1", 22, "root")
    return logins.details(Facts({SshdState(): sshd, Caller(): caller, Accounts(): Listed(people, more, ("sss",) if more else ())}, {}))


def test_the_table_of_who_gets_in() -> None:
    without = replace(ANA, password="none")  # noqa: S106 - the state of a password is none
    bo = replace(without, name="bo", groups=("bo",), keys=replace(KEYS, lines=()))
    root = replace(without, name="root", uid=0, groups=("root",), keys=replace(KEYS, lines=KEYS.lines * 2))
    off = {**OPEN, "passwordauthentication": ("no",), "forcecommand": ("internal-sftp",)}
    found = details(
        (ANA, OPEN), (bo, off), (root, OPEN), files={MAIN: "PasswordAuthentication yes\nMatch User bo\nPasswordAuthentication no"}
    )
    assert logins.rows(found) == [
        ("ana", "yes", "yes (1)", f"password: PasswordAuthentication yes ← {MAIN}:1"),
        (
            *("bo", "no", "no"),
            f"password: PasswordAuthentication no ← {MAIN}:3; password: it has no password; key: it has no key; runs only internal-sftp",
        ),
        ("root", "no", "yes (2)", "password: it has no password; password: PermitRootLogin without-password ← sshd's default"),
    ]
    assert found["from"] == "192.0.2.7"
    [ana, _, _] = found["logins"]
    assert ana == {
        "user": "ana",
        "password": {"allowed": True, "why": [f"PasswordAuthentication yes ← {MAIN}:1"]},
        "key": {"allowed": True, "why": [], "keys": 1},
        "forced": "",
    }


def test_who_was_not_looked_at_is_not_left_out() -> None:
    found = details((ANA, OPEN), files={}, more=51)
    said = ["51 more accounts were not looked at: novaops looks at 200", "users of sss that the host does not list were not looked at"]
    assert found["not_looked_at"] == said
    assert logins.rows(found)[1:] == [("", "unknown", "unknown", sentence) for sentence in said]
    assert details((ANA, OPEN), files={})["not_looked_at"] == []


def test_an_sshd_that_does_not_accept_its_configuration_is_all_that_is_said() -> None:
    found = details((ANA, OPEN), files={}, complaint="line 1: Bad")
    assert found["logins"] == []
    assert logins.rows(found) == [("", "", "", "sshd does not accept its own configuration, and would not start again: line 1: Bad")]


def test_an_account_of_which_sshd_cannot_be_asked_is_not_let_in() -> None:
    """A name with a comma: nothing is known of its settings."""
    [row] = logins.rows(details((replace(ANA, name="a,b"), {}), files={}))
    assert row[:2] == ("a,b", "no")
