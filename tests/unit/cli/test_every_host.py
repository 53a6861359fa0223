"""A verb acts on every host that its words mean, or refuses. It never takes the first of several, and nothing done is not success."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer

from novaops.app import app, run
from novaops.engine import last_run
from novaops.errors import UsageError

ALL, ONE_ONLY = "all hosts", "one host only"

CALLS: dict[str, tuple[str, Sequence[str]]] = {
    "host ls": (ALL, ()),
    "host facts": (ALL, ()),
    "host check": (ALL, ()),
    "host trust": (ALL, ()),
    "host ssh-config": (ALL, ()),
    "host forget": (ALL, ()),
    "disk ls": (ALL, ()),
    "disk mount": (ALL, ("--path", "/mnt/data")),
    "disk grow": (ALL, ("--path", "/mnt/data")),
    "disk unmount": (ALL, ("--path", "/mnt/data")),
    "login allow": (ALL, ("--user", "jane")),
    "login deny": (ALL, ()),
    "login status": (ALL, ()),
    "proxy deploy": (ALL, ()),
    "proxy status": (ALL, ()),
    "proxy remove": (ALL, ()),
    "tunnel up": (ALL, ()),
    "tunnel status": (ALL, ()),
    "tunnel down": (ALL, ()),
    "tunnel open": (ONE_ONLY, ()),
    "vpn up": (ALL, ()),
    "vpn status": (ALL, ()),
    "vpn down": (ALL, ()),
    "vpn serve": (ALL, ("--name", "office")),
    "vpn client add": (ONE_ONLY, ("laptop",)),
    "vpn client renew": (ONE_ONLY, ("laptop",)),
    "vpn client revoke": (ALL, ("laptop",)),
    "vpn client ls": (ONE_ONLY, ()),
    "api check": (ALL, ("--no-stream",)),
    "eve check": (ALL, ()),
    "eve install": (ALL, ("--web-password", "cmd:echo wired-Fjord-8-kite")),
    "eve status": (ALL, ()),
    "eve image ls": (ALL, ()),
    "plan": (ALL, ()),
    "apply": (ALL, ()),
    "verify": (ALL, ()),
    "history": (ALL, ()),
    "undo": (ALL, ()),
}
"""Every verb that takes a HOST: what it does with a group, and the words that it needs after it."""

HOST_LAST = {"eve image add", "eve image rm"}
"""Verbs whose HOST stands behind another word, and may be left out: they are for one host."""

CONTACTS_NOBODY = {"host ls", "host ssh-config", "host forget"}

INVENTORY = """\
defaults: {{port: {port}, known_hosts: known_hosts, user: root}}
groups:
  nobody: {{}}
  pair:
    disk: [{{path: /mnt/data}}]
    proxy: [{{name: app, domain: www.example.com, tls: off, upstreams: ["10.0.0.1:8000"]}}]
    tunnel: [{{name: api, via: gate, via_address: "192.0.2.9:22", to: "api.example.com:443", listen: "127.0.0.1:8443"}}]
    vpn: [{{name: link, state: absent}}]
hosts:
  gate: {{address: 127.0.0.1}}
  first: {{address: 127.0.0.1, groups: [pair]}}
  second: {{address: 127.0.0.2, groups: [pair]}}
"""


def verbs_of_hosts(command: Any, trail: tuple[str, ...] = ()) -> Iterator[str]:
    if any(getattr(parameter, "metavar", None) == "HOST" and not parameter.opts[0].startswith("-") for parameter in command.params):
        yield " ".join(trail)
    for name, child in getattr(command, "commands", {}).items():
        yield from verbs_of_hosts(child, (*trail, name))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An inventory of two hosts whose port refuses every connection, and a group without hosts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "inventory.yaml").write_text(INVENTORY.format(port=port))
    (tmp_path / "known_hosts").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(capfd: pytest.CaptureFixture[str], verb: str, host: str) -> tuple[int, Any]:
    code = run([*verb.split(), host, *CALLS[verb][1], "--json", "--timeout", "2"])
    return code, json.loads(capfd.readouterr().out)


def test_every_verb_that_takes_a_host_is_here() -> None:
    assert set(verbs_of_hosts(typer.main.get_command(app))) - HOST_LAST == set(CALLS)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("verb", CALLS)
def test_a_group_of_two(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, document = call(capfd, verb, "pair")
    names = [host["host"] for host in document["hosts"]]
    if CALLS[verb][0] == ONE_ONLY:
        assert (code, names) == (2, [])
        assert "pair is a group" in document["error"]["what"]
    else:
        assert [name for name in names if name != "gate"] == ["first", "second"], document
        assert code == (0 if verb in CONTACTS_NOBODY else 5)


ONE_HOSTS_RUNS = [
    "vpn client add first laptop",
    "vpn client renew first laptop --out new.ovpn",
    "vpn client revoke first laptop",
    "eve image add vyos-1.4.img first --web-password env:NOVAOPS_PAGE",
    "eve image rm vyos-1.4 first",
    "eve lab up lab.yml --host first --web-password env:NOVAOPS_PAGE",
    "eve lab down lab.yml --host first --web-password env:NOVAOPS_PAGE",
]


@pytest.mark.parametrize("words", ONE_HOSTS_RUNS)
def test_what_failed_is_known_of_every_run(
    words: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also of verbs that are for one host; a check is no run."""
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.setenv("NOVAOPS_PAGE", "wired-Fjord-8-kite")
    (folder / "vyos-1.4.img").write_bytes(b"\xeb\x63" + bytes(508) + b"\x55\xaa")
    (folder / "lab.yml").write_text("name: small\nnodes: {r1: {template: vyos, image: vyos-1.4}}\n")
    assert run([*words.split(), "--check", "--timeout", "2"]) == 5, capfd.readouterr()
    with pytest.raises(UsageError):
        last_run.failed("inventory.yaml")
    assert run([*words.split(), "--timeout", "2"]) == 5
    assert last_run.failed("inventory.yaml") == ["first"]


@pytest.mark.usefixtures("folder")
def test_the_root_file_system_may_grow(capfd: pytest.CaptureFixture[str]) -> None:
    """No section has it, and `eve install` says to type this."""
    assert run(["disk", "grow", "first", "--path", "/", "--json", "--timeout", "2"]) == 5
    (host,) = json.loads(capfd.readouterr().out)["hosts"]
    assert (host["host"], host["status"]) == ("first", "unreachable")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("verb", CALLS)
def test_a_group_without_hosts(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, document = call(capfd, verb, "nobody")
    assert (code, document["hosts"]) == (2, [])
    assert "nobody" in document["error"]["what"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("verb", CALLS)
def test_an_unknown_name(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, document = call(capfd, verb, "nosuch")
    assert (code, document["hosts"]) == (2, [])
    assert document["error"]["what"] == "inventory.yaml has no host or group nosuch"


@pytest.mark.parametrize("verb", CALLS)
def test_a_bare_word_without_an_inventory(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, document = call(capfd, verb, "nosuch")
    assert (code, document["hosts"]) == (2, [])
    assert document["error"]["what"] == "there is no host nosuch"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("verb", CALLS)
def test_an_empty_word(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, document = call(capfd, verb, "")
    assert (code, document["hosts"]) == (2, [])
    assert document["error"]["what"] == f"there is an empty word after {verb.rsplit(maxsplit=1)[-1]}"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["undo", "first", ""], "there is an empty word after first"),
        (["apply", "--only", ""], "there is an empty word after --only"),
        (["apply", "--only="], "--only has an empty value"),
        (["apply", "--only", ","], '--only "," names no section'),
        (["verify", "--only", ","], '--only "," names no section'),
        (["host", "trust", "first", "--fingerprint", ""], "there is an empty word after --fingerprint"),
        (["host", "trust", "pair", "--fingerprint", "SHA256:x"], "--fingerprint is of one host's key, and 2 hosts are meant"),
        (["-i", "", "plan"], "there is an empty word after -i"),
        (["disk", "ls", " "], "there is an empty word after ls"),
        (["tunnel", "down", "--name", ""], "there is an empty word after --name"),
        (["vpn", "serve", "first", "--name", "office", "--reaches", ","], '--reaches: a list is needed here, not ","'),
        (["undo", "pair", "2026"], "run 2026 is one host's, and pair is a group of 2"),
        (["", "plan"], "there is an empty word"),
        (["api", "chat", "hi", "--temperature", "inf"], "--temperature inf is no finite number"),
        (["api", "ask", "kb", "hi", "--repetition-penalty", "1e999"], "--repetition-penalty inf is no finite number"),
        (["eve", "check", "first", "--credit", "inf"], "--credit inf is no finite number"),
    ],
)
def test_no_word_means_more_than_it_says(words: list[str], what: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*words, "--json"]) == 2
    document = json.loads(capfd.readouterr().out)
    assert (document["hosts"], document["error"]["what"]) == ([], what)


NONE_FITS = "no entry of the inventory is for this verb"


@pytest.mark.parametrize(
    ("hosts", "words", "what"),
    [
        ("{a: {}}", ["apply"], "nothing is wanted of a"),
        ("{a: {}, b: {disk: [{path: /d}]}}", ["plan", "a"], "nothing is wanted of a"),
        ("{a: {disk: []}}", ["apply", "a"], "nothing is wanted of a"),
        ("{a: {disk: [{path: /d}]}}", ["apply", "a", "--only", "login"], "nothing is wanted of a"),
        ("{a: {vpn: [{name: office, serve: true}]}}", ["vpn", "up"], NONE_FITS),
        ("{a: {vpn: [{name: office, serve: true}]}}", ["vpn", "down", "a"], NONE_FITS),
        (
            "{a: {vpn: [{name: l, profile: l.ovpn, routes: [h.example.com]}]}}",
            ["vpn", "serve"],
            "no entry of the inventory is for this verb",
        ),
        (
            "{a: {vpn: [{name: l, profile: l.ovpn, routes: [h.example.com]}]}}",
            ["vpn", "up", "a", "--name", "l", "--remove-routes", "h.example.com"],
            "--remove-routes: l is in the inventory",
        ),
        (
            "{a: {}}",
            ["vpn", "up", "a", "--name", "l", "--remove-routes", "x"],
            '--remove-routes: "x" is not a name like api.openai.com, an address or a network',
        ),
        ("{}", ["apply"], "inventory.yaml has no hosts"),
    ],
)
def test_where_nothing_is_wanted(
    hosts: str, words: list[str], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inventory.yaml").write_text(f"defaults: {{address: 192.0.2.1}}\nhosts: {hosts}\n")
    assert run([*words, "--json"]) == 2
    document = json.loads(capfd.readouterr().out)
    assert (document["hosts"], document["error"]["what"]) == ([], what)


def test_what_follows_two_hyphens_may_be_empty(capfd: pytest.CaptureFixture[str]) -> None:
    """A command for a host of the lab is somebody else's."""
    assert run(["lab", "ssh", "nosuch", "--", "echo", ""]) == 2
    assert "empty" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["vpn", "serve", "first", "--name", "office", "--days", "100"], "--days goes with --renew"),
        (["eve", "image", "add", "x.qcow2", "first", "--wait", "10"], "--wait goes with --start"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_goes_with_another_option_is_not_ignored_without_it(words: list[str], what: str, capfd: pytest.CaptureFixture[str]) -> None:
    (Path("x.qcow2")).write_bytes(b"QFI\xfb")
    assert run([*words, "--json", "--timeout", "2"]) == 2
    assert json.loads(capfd.readouterr().out)["error"]["what"] == what


@pytest.mark.parametrize("verb", [*CALLS, "eve lab status", "eve image rm x", "api models", "lab ls", "report merge"])
@pytest.mark.usefixtures("folder")
def test_a_wrong_time_is_refused_by_every_verb(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    words = [*verb.split(), *CALLS.get(verb, (None, ()))[1]]
    words += ["first"] if verb in {*CALLS, "eve image rm x", "report merge"} else []
    assert run([*words, "--persist", "nonsense", "--json"]) == 2
    assert json.loads(capfd.readouterr().out)["error"]["what"] == "--persist nonsense"


def test_a_command_to_type_has_the_inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Also where nothing was contacted."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my own.yaml").write_text("hosts: {a: {address: 192.0.2.1, vpn: [{name: office, serve: true}]}}\n")
    assert run(["-i", "my own.yaml", "vpn", "up", "a", "--name", "office"]) == 2
    assert "novaops -i 'my own.yaml' vpn serve a --name office" in capfd.readouterr().err
