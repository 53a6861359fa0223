"""The command line: help everywhere, global options before and after the verb, sentences instead of tracebacks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperCommand
from typer.testing import CliRunner, Result

from novaops.app import VERBS as VERBS_AT_THE_TOP
from novaops.app import app, run
from novaops.cli import output
from novaops.cli.options import Options, sections
from novaops.engine.report import HostReport
from novaops.formats import names
from novaops.model.plan import Note

HEAVY = ["fabric", "paramiko", "jinja2", "pydantic", "pytest", "yaml", "rich", "bcrypt", "cryptography", "invoke"]
GLOBAL = ["--inventory", "--json", "--verbose", "--parallel", "--timeout", "--limit", "--persist", "--ask-sudo-password"]


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def verbs(command: Any, trail: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with its words."""
    yield trail, command
    for name, child in getattr(command, "commands", {}).items():
        yield from verbs(child, (*trail, name))


VERBS = [pytest.param(words, command, id=" ".join(words) or "novaops") for words, command in verbs(typer.main.get_command(app))]


@pytest.mark.parametrize(("words", "command"), VERBS)
def test_every_verb_has_help(words: tuple[str, ...], command: Any) -> None:
    assert (command.help or "").strip(), "it says nothing about itself"
    for parameter in command.params:
        help_text = getattr(parameter, "help", "said in the usage line")
        assert help_text, f"{parameter.name} says nothing about itself"
    for option in ("--help", "-h"):
        result = call(*words, option)
        assert result.exit_code == 0
        assert "Usage" in result.stdout


@pytest.mark.parametrize(("words", "command"), VERBS)
def test_every_default_may_be_given(words: tuple[str, ...], command: Any) -> None:
    """A default is held against the bounds of its option: one that lies outside makes the verb fail without the option."""
    context = command.context_class(command, info_name=words[-1] if words else "novaops")
    for parameter in command.params:
        if not parameter.required:
            parameter.handle_parse_result(context, {}, [])


@pytest.mark.parametrize(("words", "command"), [case for case in VERBS if not hasattr(case.values[1], "commands")])
def test_every_verb_takes_the_global_options(words: tuple[str, ...], command: Any) -> None:
    del words
    offered = {name for parameter in command.params for name in parameter.opts}
    assert offered >= set(GLOBAL)


@pytest.mark.parametrize("name", VERBS_AT_THE_TOP)
def test_the_table_of_verbs_says_what_each_says_of_itself(name: str) -> None:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    assert command.name == name
    assert command.get_short_help_str(200) == TyperCommand(name, help=VERBS_AT_THE_TOP[name][1]).get_short_help_str(200)


def test_the_verbs_of_the_design() -> None:
    named = {" ".join(words) for words, _ in verbs(typer.main.get_command(app))}
    assert named >= {"init", "plan", "apply", "verify", "disk ls", "disk mount", "disk grow", "disk unmount"}


@pytest.mark.parametrize(
    "words",
    [
        ["-i", "none.yaml", "--json", "disk", "ls"],
        ["disk", "ls", "-i", "none.yaml", "--json"],
        ["--json", "disk", "ls", "--inventory", "none.yaml"],
        ["-i", "other.yaml", "disk", "ls", "--json", "-i", "none.yaml"],
    ],
)
def test_global_options_before_and_after_the_verb(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(*words)
    assert result.exit_code == 2
    document = json.loads(result.stdout)
    assert document["error"]["what"] == "there is no inventory none.yaml"
    assert (document["hosts"], document["exit_code"]) == ([], 2)


def test_what_stands_after_the_verb_wins() -> None:
    before = Options(inventory=Path("a"), json=True, verbose=1, parallel=2, timeout=3.0)
    after = Options(inventory=Path("b"), timeout=4.0).over(before)
    assert after == Options(inventory=Path("b"), json=True, verbose=1, parallel=2, timeout=4.0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nonsense"], "No such command"),
        (["disk", "nonsense"], "No such command"),
        (["disk", "mount"], "Missing argument"),
        (["disk", "mount", "h", "--nonsense"], "No such option"),
        (["disk", "ls", "--parallel", "0"], "Invalid value"),
        (["disk", "ls", "--timeout", "never"], "Invalid value"),
        (["disk", "ls", "--timeout", "1e300"], "Invalid value"),
        (["--timeout", "inf", "disk", "ls"], "Invalid value"),
        (["disk", "ls", "h@"], "h@ is not a host"),
        (["disk", "ls"], "no host was named, and there is no inventory"),
        (["disk", "ls", "nobody", "-i", "empty.yaml"], "empty.yaml has no host or group nobody"),
        (["disk", "ls", "-i", "empty.yaml"], "empty.yaml has no hosts"),
        (["plan", "-i", "broken.yaml"], "broken.yaml:2: this line is indented with a tab"),
        (["apply", "--only", "dsik", "root@192.0.2.1"], "there is no section dsik"),
        (["verify", "--only", "dsik", "root@192.0.2.1"], "there is no section dsik"),
        (["disk", "mount", "root@192.0.2.1"], "say which: --path"),
        (["disk", "mount", "root@192.0.2.1", "--path", "data"], '--path: "data" is not an absolute path'),
        (
            ["disk", "mount", "root@192.0.2.1", "--path", "/d", "--filesystem", "ntfs"],
            '--filesystem: "ntfs" is not one of ext4, xfs, btrfs',
        ),
        (["disk", "unmount", "one", "-i", "two.yaml", "--wipe", "x"], "No such option"),
        (["disk", "mount", "one", "-i", "two.yaml", "--label", "x"], "say which: --path"),
        (["init", "full"], "full/inventory.yaml is there already"),
        (["init", "empty.yaml"], "empty.yaml is no folder"),
        (["-i", "nosuchdir/", "plan"], "novaops init nosuchdir writes nosuchdir/inventory.yaml"),
        (["eve", "check", "root@192.0.2.1", "--credit", "1e300"], "--credit is no number to reckon with"),
        (["eve", "check", "root@192.0.2.1", "--months", "1" + 400 * "0"], "--months is no number to reckon with"),
        (["eve", "check", "root@192.0.2.1", "--nodes", "1" + 400 * "0"], "--nodes is no number to reckon with"),
    ],
)
def test_a_wrong_call_is_a_sentence(words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.yaml").write_text("hosts: {}\n")
    (tmp_path / "broken.yaml").write_text("hosts:\n\ta: {}\n")
    (tmp_path / "two.yaml").write_text("hosts: {one: {disk: [{path: /a}, {path: /b}]}}\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "inventory.yaml").touch()
    result = call(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""


@pytest.mark.parametrize("only", ["disk,login", "disk, login", " disk ,,login"])
def test_sections_may_have_blanks_between_them(only: str) -> None:
    assert sections(only, ["disk", "login", "vpn"]) == ["disk", "login"]


@pytest.mark.parametrize("value", ["a,b", "a, b", " a ,, b,"])
def test_a_list_of_any_flag_may_have_blanks_between_its_words(value: str) -> None:
    assert names.listed(value) == ["a", "b"]


def test_what_init_says_to_type_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "novaops -i 'my dir/inventory.yaml' plan" in call("init", "my dir").stdout
    Path("hosts.ini").write_text("a ansible_host=192.0.2.1\n")
    assert "novaops -i 'my own/inventory.yaml' host check" in call("init", "my own", "--from-ansible", "hosts.ini").stdout


LIST = {"server": "office", "list": {"until": None, "trouble": "x"}, "clients": [{"name": "a", "why": "x"}]}
NODES = {"lab": {}, "nodes": [{"node": "r1", "in_file": True, "state": "stopped", "template": "", "image": "", "console": ""}]}


def test_lines_to_type_have_the_inventory_and_what_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text("hosts: {a: {address: 192.0.2.1, tunnel: []}}\n")
    monkeypatch.setattr("novaops.cli.query.ask_hosts", lambda *_: ([HostReport("a", "unchanged", details={**LIST})], 0.0))
    monkeypatch.setattr("novaops.features.vpn.server_clients.rows", lambda _: [])
    assert "novaops -i my.yaml vpn serve a --name office" in call("-i", "my.yaml", "vpn", "client", "ls", "a").stdout
    monkeypatch.setattr("novaops.features.eve.cli_lab._report", lambda *_: HostReport("a", "unchanged", details={**NODES}))
    words = ("-i", "my.yaml", "eve", "lab", "status", "my lab.yml", "--host", "a")
    assert "novaops -i my.yaml eve lab up 'my lab.yml' --host a starts what does not run" in call(*words).stdout
    assert "novaops eve lab up starts what does not run" in call("eve", "lab", "status").stdout


def test_a_note_of_a_host_is_one_to_type(capfd: pytest.CaptureFixture[str]) -> None:
    noted = HostReport("a", "unchanged", notes=(Note("rest:api", "novaops tunnel down HOST --name api --via gate takes that away"),))
    output.show(Options(Path("my.yaml")), [noted], 0.0)
    assert "novaops -i my.yaml tunnel down a --name api --via gate" in capfd.readouterr().out


def test_a_wrong_call_with_json_is_a_document(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--json", "disk", "mount"]) == 2
    document = json.loads(capfd.readouterr().out)
    assert (document["exit_code"], document["error"]["code"]) == (2, "usage")
    assert "HOST" in document["error"]["what"]


@pytest.mark.parametrize(("flags", "shown"), [([], False), (["-v"], False), (["-vv"], True), (["-v", "-v"], True)])
def test_a_traceback_only_with_vv(
    flags: list[str],
    shown: bool,  # noqa: FBT001 - a column of the table
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("not foreseen")

    monkeypatch.setattr(Options, "known", broken)
    with pytest.raises(SystemExit) as ended:
        app(["disk", "ls", *flags])
    printed = capfd.readouterr()
    assert ended.value.code == 1
    assert "novaops itself went wrong: RuntimeError: not foreseen" in printed.err
    assert ("Traceback" in printed.err) == shown
    assert printed.out == ""


def test_an_inventory_to_begin_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("init", "new/folder").exit_code == 0
    written = (tmp_path / "new" / "folder" / "inventory.yaml").read_text("utf-8")
    assert "hosts:" in written
    assert call("init").exit_code == 0
    assert call("init").exit_code == 2
    assert (tmp_path / "inventory.yaml").read_text("utf-8") == written


def test_the_version() -> None:
    from novaops import __version__

    assert call("--version").stdout == f"novaops {__version__}\n"


def test_help_imports_nothing_heavy() -> None:
    script = f"""
import sys
sys.argv = ["novaops", "--help"]
from novaops.app import app, run
try:
    app()
except SystemExit as ended:
    print(ended.code, [name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == "0 []\n"
    assert "Usage" in done.stdout
