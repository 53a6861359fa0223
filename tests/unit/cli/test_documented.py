"""Every command that the documentation or a message names is there, with the options it is named with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from novaops.app import app
from tests.unit.cli.test_cli import verbs

HERE = Path(__file__).parents[3]
TOP: Any = typer.main.get_command(app)
COMMAND = re.compile(r"""\bnovaops((?: +(?:(?:\{[^}]*\}|[^\s`'"|;&()<>])+|"[^"]*"|'[^']*'))+)""")
OPTION = re.compile(r"--?[a-z][a-z-]*")
FILES = [*HERE.glob("*.md"), *HERE.glob("docs/*.md"), HERE / "scripts/demo"]
SOURCES = [path for folder in ("novaops", "templates", "playbooks") for path in (HERE / folder).rglob("*")]
NO_COMMANDS = ("novaops tunnel openai", "novaops disk wipe", "novaops lab down {name}, or")
"""The name of a resource, the seed of a UUID, and a sentence that goes on."""
NAMED_BY = {
    **dict.fromkeys(("proxy deploy", "proxy remove", "tunnel up", "tunnel down", "vpn up", "vpn down", "vpn serve"), "--name"),
    **dict.fromkeys(("disk mount", "disk grow", "disk unmount"), "--path"),
    **dict.fromkeys(("vpn client add", "vpn client renew", "vpn client revoke", "vpn client ls"), "--server"),
}
"""By what a verb is told which of a host's entries is meant. Without it the verb is for all of them, or for another one."""
TAKES_AWAY = re.compile(r"down|remove|--remove\b")


def wrong(text: str) -> str:
    """What is wrong with the words behind `novaops`; "" where nothing is, and where they are no command but prose."""
    try:
        words = shlex.split(text, comments=True)
    except ValueError:
        words = text.split()
    command, trail = TOP, "novaops"
    for word in words:
        children = getattr(command, "commands", {})
        if word == "--":
            break
        if word.startswith("-"):
            name = word.partition("=")[0].rstrip(",.:")
            known = {option for one in (command, TOP) for parameter in one.params for option in parameter.opts + parameter.secondary_opts}
            if OPTION.fullmatch(name) and name not in {*known, "--help", "-h", "-vv"}:
                return f"{trail} has no {name}"
        elif word in children:
            command, trail = children[word], f"{trail} {word}"
        elif children:
            return f"{trail} has no {word}" if command is not TOP and re.fullmatch(r"[a-z-]+", word) else ""
    return ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("disk mount HOST --path /mnt/data --check", ""),
        ("-i lab.yaml lab ssh demo -- uname -r", ""),
        ("is a toolkit", ""),
        ("disk HOST", ""),
        ("disk format HOST", "novaops disk has no format"),
        ("disk mount HOST --force", "novaops disk mount has no --force"),
    ],
)
def test_what_is_wrong_is_found(text: str, said: str) -> None:
    assert wrong(text) == said


def named() -> Iterator[tuple[str, str]]:
    for file in (*FILES, *SOURCES):
        if file.is_file() and file.suffix in {".md", ".py", ".sh", ".j2", ".yaml", ""}:
            for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
                for match in COMMAND.finditer(line):
                    if not match[0].startswith(NO_COMMANDS):
                        yield f"{file.relative_to(HERE)}:{number}", match[1]


def lacks(text: str) -> str:
    """The option that a message's command has to have, and has not: where it is for a host, or takes something away."""
    option = next((one for verb, one in NAMED_BY.items() if text.lstrip().startswith(f"{verb} ")), "")
    is_whole = " HOST" in text or " {" in text or TAKES_AWAY.search(text)
    return option if is_whole and option not in text.split() else ""


@pytest.mark.parametrize(
    ("text", "option"),
    [
        (" vpn serve HOST --remove --forget-clients", "--name"),
        (" vpn serve HOST --name {name} --remove", ""),
        (" tunnel down --via gate", "--name"),
        (" tunnel up {host}", "--name"),
        (" tunnel up lets it in again", ""),
        (" vpn client ls HOST", "--server"),
        (" disk grow HOST", "--path"),
        (" vpn status HOST", ""),
    ],
)
def test_what_a_command_lacks_is_found(text: str, option: str) -> None:
    assert lacks(text) == option


def test_a_message_says_which_entry_its_command_is_for() -> None:
    messages = [(place, text) for place, text in named() if place.startswith("novaops/")]
    assert [f"{place}: {option}" for place, text in messages if (option := lacks(text))] == []


def test_what_is_named_is_there() -> None:
    commands = list(named())
    assert len(commands) > 400
    assert [f"{place}: {said}" for place, text in commands if (said := wrong(text))] == []


def options() -> Iterator[tuple[str, set[str]]]:
    """Each verb with what it takes."""
    for words, command in verbs(TOP):
        if not hasattr(command, "commands"):
            yield " ".join(words), {option for parameter in command.params for option in parameter.opts}


def test_the_verbs_without_shard_are_those_that_are_named() -> None:
    (said,) = re.findall(r"that work on many hosts at once have it;([^.]*)have\s+not\.", (HERE / "docs/fleet.md").read_text())
    without = {verb for verb, taken in options() if "--check" in taken and "--shard" not in taken}
    named = tuple(re.findall(r"`([a-z ]+)`", said))
    assert {next((name for name in named if f"{verb} ".startswith(f"{name} ")), verb) for verb in without} == set(named)


@pytest.mark.parametrize("file", list(HERE.glob("docs/*.md")), ids=lambda file: file.name)
def test_no_line_of_yaml_has_left_its_block(file: Path) -> None:
    outside = re.sub(r"^```.*?^```", "", file.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"^[a-z_]+: *[{\[].*", outside, re.MULTILINE) == []
