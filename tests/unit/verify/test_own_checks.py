"""People's own checks: a file `checks/NAME.py` beside the inventory verifies the section NAME."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from novaops.engine import inventory
from novaops.engine.playbooks import Playbooks
from novaops.errors import HostFailed, UsageError
from novaops.ssh.session import Session
from novaops.ssh.target import Target
from novaops.verify import claims, report, runner, selection
from novaops.verify.observed_host import ObservedHost

PLAYBOOK = "Settings = str\ndef desired(host, settings, peers): return ()\n"
CHECK = '''\
from dataclasses import dataclass

import pytest

from novaops.verify import HostFailed, applies, output

print("loaded")


@dataclass
class Seen:
    text: str


@pytest.fixture
def loud(seen):
    return seen.text.upper()


def entries(settings, folder):
    yield "today", settings
    yield "folder", folder.name


def observe(host, entries):
    return [Seen(entry) for entry in entries]


@applies(lambda entry: entry == "hello")
def test_loud(loud):
    """Can be said loudly"""
    assert loud == "HELLO"


def test_greets(seen):
    """Greets"""
    assert seen.text == "hello", f"it should greet, but it says {seen.text}"


def test_silent(seen):
    assert not seen.text
'''


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The folder of an inventory, with a playbook and a check of the user's own."""
    for kind, text in (("playbooks", PLAYBOOK), ("checks", CHECK)):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "motd.py").write_text(text)
    (tmp_path / "inventory.yaml").write_text("hosts: {box: {address: 192.0.2.1, motd: hello}}\n")
    return tmp_path


def choose(folder: Path, words: Sequence[str] = ()) -> list[selection.Chosen]:
    playbooks = Playbooks(folder)
    known = inventory.load(folder / "inventory.yaml", list(playbooks.by_name))
    return selection.choose(known, playbooks, words, ())[0]


def test_it_is_found_before_what_comes_with_novaops(own: Path) -> None:
    assert claims.known(own) == ["disk", "eve", "login", "motd", "proxy", "tunnel", "vpn"]
    (own / "checks" / "disk.py").write_text(CHECK)
    (own / "checks" / "_shared.py").write_text("")
    found = [claims.find(name, own) for name in ("disk", "login", "_shared")]
    assert [feature and feature.shipped for feature in found] == [False, True, None]
    assert "_shared" not in claims.known(own)


def test_a_run(own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It is loaded once, from wherever it is; tests that happen to be around it are left alone."""
    monkeypatch.setattr(Session, "open", lambda _: None)
    (own / "test_around.py").write_text("raise RuntimeError")
    (own / "checks" / "test_beside.py").write_text("raise RuntimeError")
    (own / "checks" / "conftest.py").write_text("raise RuntimeError")
    (chosen,) = choose(own)
    found = runner.verify([Target("box", "192.0.2.1")], {"box": chosen.entries}, lambda *_: None, parallel=1)
    assert capsys.readouterr().out == "loaded\n"
    lines = [text for _, text in report.host_lines(found[0], report.report_of(found[0], ()), 0)]
    assert lines == [
        f"✘ box  motd:folder  it should greet, but it says {own.name}",
        "✘ box  motd:folder  this is not so: folder silent [box]",
        "✓ box  motd:today  can be said loudly",
        "✓ box  motd:today  greets",
        "✘ box  motd:today  this is not so: today silent [box]",
    ]
    assert report.exit_code(found) == 3


@pytest.mark.parametrize("others", [False, True])
def test_tests_that_apply_to_nothing_are_said_to(own: Path, monkeypatch: pytest.MonkeyPatch, *, others: bool) -> None:
    """Nothing verified is not right, and why is said. What other sections have is verified all the same."""
    monkeypatch.setattr(Session, "open", lambda _: None)
    (own / "checks" / "motd.py").write_text(
        CHECK.replace("def test_silent", "def unused").replace("def test_greets", "def unused_too").replace('"hello")', '"x")')
    )
    if others:
        (own / "playbooks" / "more.py").write_text(PLAYBOOK)
        (own / "checks" / "more.py").write_text(CHECK)
        (own / "inventory.yaml").write_text("hosts: {box: {address: 192.0.2.1, motd: hello, more: hello}}\n")
    (chosen,) = choose(own)
    found = runner.verify([Target("box", "192.0.2.1")], {"box": chosen.entries}, lambda *_: None, parallel=1)
    (reported,) = [report.report_of(one, ()) for one in found]
    assert [note.text for note in reported.notes] == ["not verified: no test of the check for motd applies to what is wanted here"]
    assert (report.exit_code(found), reported.status) == ((3 if others else 1), "failed")
    if others:
        assert reported.error is None
    else:
        assert reported.error is not None
        assert reported.error.what == "nothing was verified: no test applies to what is wanted here"
        assert report.as_json(found, [reported], 1)["hosts"][0]["error"]["code"] == "failed"


@pytest.mark.parametrize(
    ("text", "what", "why"),
    [
        ("def entries(:\n", "the check {} cannot be loaded", "SyntaxError: invalid syntax (motd.py, line 1)"),
        ("import no_such_module\n", "the check {} cannot be loaded", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def observe(host, entries): ...\n", "the check {} has no entries", ""),
        ("def entries(settings): ...\n", "the check {} has no observe", ""),
        ("def entries(settings): ...\ndef observe(host, entries): ...\n", "the check {} has no test_… function", ""),
        (CHECK.replace("folder.name", "folder.nme"), "entries() of the check {} went wrong", "has no attribute 'nme'"),
        (CHECK.replace('"folder", ', ""), "entries() of the check {} went wrong", "ValueError: "),
    ],
)
def test_a_broken_one_is_an_error_of_the_operators_side(own: Path, text: str, what: str, why: str) -> None:
    file = own / "checks" / "motd.py"
    file.write_text(text)
    with pytest.raises(UsageError) as raised:
        choose(own)
    assert raised.value.what == what.format(file)
    assert why in raised.value.why


@pytest.mark.parametrize(
    ("found", "reason"),
    [("[1]", "ValueError: zip"), ("None", "TypeError"), ("host.nothing", "AttributeError")],
)
def test_one_that_breaks_on_a_host_is_said_of_that_host(own: Path, monkeypatch: pytest.MonkeyPatch, found: str, reason: str) -> None:
    monkeypatch.setattr(Session, "open", lambda _: None)
    file = own / "checks" / "motd.py"
    file.write_text(CHECK.replace("[Seen(entry) for entry in entries]", found))
    (chosen,) = choose(own)
    visit = ObservedHost(Target("box", "192.0.2.1"), chosen.entries, lambda *_: None)
    visit.observe()
    assert isinstance(visit.error, HostFailed)
    assert f"verify itself went wrong with motd: {reason}" in visit.error.what
