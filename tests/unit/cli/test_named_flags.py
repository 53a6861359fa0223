"""What is wrong with a flag is said of that flag, by the name that it has on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from novaops.app import app, run
from novaops.cli.options import Flags
from novaops.engine.playbooks import Playbooks
from novaops.errors import UsageError
from tests.unit.cli.test_cli import verbs

PLAYBOOKS = Playbooks(None).by_name
HOST = "root@203.0.113.9"
WITHOUT_ERROR = {"--auth"}
"""It takes `off` alone, with which nothing can be wrong."""


def groups() -> Iterator[Any]:
    """All flags that say something of a section's entry: with the section, and what the command line calls them."""
    commands = dict(verbs(typer.main.get_command(app)))
    for group in Flags.__subclasses__():
        section = group.__module__.split(".")[2]
        for words, command in commands.items() if section in PLAYBOOKS else ():
            options = {parameter.name: parameter.opts[0] for parameter in command.params}
            if words[:1] == (section,) and {*group.names()} <= options.keys():
                yield pytest.param(section, group, {name: options[name] for name in group.names()}, id=f"{words} {group.__name__}")


def entry(group: type[Flags], options: dict[str, str], name: str) -> dict[str, Any]:
    """What an entry gets where this flag says its own name, and the one that it may not be without says that of its own."""
    for beside in ("", "user", "password"):
        try:
            return group(**{each: Path(options[each]) for each in {name, beside} - {""}}).given()
        except (UsageError, KeyError):
            continue
    return {}


def places(value: Any, where: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every place of the entry that a flag says, as pydantic names it, and that flag."""
    if isinstance(value, dict):
        for key, below in value.items():
            if str(key).startswith("--"):
                yield (*where, str(key), "[key]"), str(key)
            yield from places(below, (*where, str(key)))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from places(below, (*where, number))
    elif (flag := Path(str(value)).name).startswith("--"):
        yield where, flag


@pytest.mark.parametrize(("section", "group", "options"), list(groups()))
def test_each_place_is_said_by_its_own_flag(section: str, group: type[Flags], options: dict[str, str]) -> None:
    named = set()
    for name in group.names():
        said = entry(group, options, name)
        for where, flag in places(said):
            assert PLAYBOOKS[section].flag_of(said, where) == flag, where
            named.add(flag)
    assert named == {*options.values()} - WITHOUT_ERROR


def test_no_section_is_left_out() -> None:
    assert {case.values[0] for case in groups()} == PLAYBOOKS.keys() - {"login"}, "login's are in tests/cases/login/flags.yaml"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["eve", "install", HOST], "--web-password: this key is required"),
        (["eve", "install", HOST, "--web-password", "env:X", "--open", "0"], '--open: "0" is less than 1'),
        (["eve", "install", HOST, "--web-password", "env:X", "--data", "a b"], "--data: "),
        (["eve", "install", HOST, "--web-password", "env:X", "--fingerprint", "0"], "--fingerprint: "),
        (["vpn", "up", HOST, "--name", "l", "--when-down", "foo"], '--when-down: "foo" is not one of'),
        (["vpn", "up", HOST, "--name", "l", "--key-password", "hunter2"], "--key-password: a secret is not written in plain text"),
        (["tunnel", "up", HOST, "--name", "t", "--via-address", "a b"], "--via-address: "),
        (["tunnel", "up", HOST, "--name", "t", "--ask", "foo"], '--ask: "foo" is neither'),
        (["proxy", "deploy", HOST, "--name", "s", "--token", "env:T", "--rate", "0/min"], "--rate: "),
        (["proxy", "deploy", HOST, "--name", "s", "--user", "u=v:w", "--password", "env:P"], '--user: "u=v:w" is no user name'),
        (["proxy", "deploy", HOST, "--name", "s", "--user", "u v", "--token", "env:P"], "--user: "),
        (["proxy", "deploy", HOST, "--name", "s", "--user", "u", "--key", "hunter2"], "--key: a secret is not written in plain text"),
    ],
)
def test_the_flag_that_is_wrong_is_named(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    assert f"✘ {said}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("section", "words", "said"),
    [
        ({"eve": {"web_password": "env:X", "room": "-1"}}, ["eve", "install", "box", "--data", "auto"], "hosts/box/eve/room: "),
        ({"eve": {"room": "1"}}, ["eve", "install", "box", "--data", "auto"], "hosts/box/eve/web_password: this key is required"),
        ({"eve": {"web_password": "env:X"}}, ["eve", "install", "box", "--kernel", "foo"], '--kernel: "foo" is not one of'),
        ({"login": {"users": ["ana"], "others": "foo"}}, ["login", "allow", "box", "--user", "bob"], "hosts/box/login/others: "),
        ({"login": {"users": ["9ana"]}}, ["login", "allow", "box", "--user", "bob"], "hosts/box/login/users/0/name: "),
        ({"login": {"users": ["ana"], "fail2ban": "x"}}, ["login", "deny", "box"], "hosts/box/login/fail2ban: "),
        (
            {"proxy": [{"name": "s", "auth": {"basic": {"bob": "hunter2"}}}]},
            ["proxy", "deploy", "box", "--name", "s", "--user", "ana", "--password", "env:P"],
            "hosts/box/proxy/0/auth/basic/bob: a secret is not written in plain text",
        ),
    ],
)
def test_what_the_inventory_says_wrongly_is_no_flags(
    section: dict[str, Any], words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With flags beside it, too."""
    file = tmp_path / "inventory.yaml"
    file.write_text(json.dumps({"hosts": {"box": {"address": "203.0.113.9", **section}}}))
    assert run(["-i", str(file), *words]) == 2
    assert said in capsys.readouterr().err
