"""Neighbours that one call does: each has its line in the journal, and undo leaves what was there before. The scripts really run."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from novaops.engine.desired import first_things_first
from novaops.engine.guard import Guard
from novaops.engine.run_script import Run, runner
from novaops.engine.undo import undo_steps
from novaops.facts.succeeds import Succeeds
from novaops.model.action import Command
from novaops.model.plan import Risk, Step
from novaops.model.question import Facts
from novaops.resources.file import File
from novaops.resources.package import Package
from novaops.secret import Secret
from tests.unit.engine.real_runs import carry_out, journal

SHELLS = [path for name in ("dash", "bash") if (path := shutil.which(name))]

INSTALL = """\
echo "$*" >>{calls}
for name do [ "$name" != unknown ] || exit 100; done
[ "$*" != fickle ] || exit 5
for name do case $#$name in [2-9]skipped | [2-9]fickle) ;; *) touch {there}/"$name" ;; esac; done
"""
"""As a package manager: it knows all names, or does nothing. A call for several leaves skipped and fickle out; fickle alone fails."""


@pytest.fixture
def there(tmp_path: Path) -> Path:
    folder = tmp_path / "there"
    folder.mkdir()
    return folder


def put(name: str, there: Path, program: str = "install") -> Step:
    file = shlex.quote(str(there / name))
    script = INSTALL.format(calls=there.parent / "calls", there=there)
    take = 'echo "without $*" >>"$0/../calls" && cd "$0" && rm "$@"'
    undo = Command(("sh", "-c", take, str(there), name), holds=f"[ ! -e {file} ]", batch=True)
    return Step(name, (), (Command(("sh", "-c", script, program, name), holds=f"[ -e {file} ]", undo=undo, batch=True),))


def calls(there: Path) -> list[str]:
    return (there.parent / "calls").read_text().splitlines()


@pytest.mark.parametrize("shell", SHELLS)
def test_one_call_for_all_that_is_missing(host_state: Path, there: Path, shell: str) -> None:
    (there / "b c").touch()
    steps = [put(name, there) for name in ("a", "b c", "d'e", "f")]
    events = carry_out("r1", host_state, *steps, shell=shell)
    assert calls(there) == ["a d'e f"]
    assert [line for line in events if not line.startswith("action")] == [
        *("step 0", "done 0", "step 1", "there 1 0", "done 1", "step 2", "done 2", "step 3", "done 3", "end ok")
    ]
    (run,) = journal()
    assert run.applied == ((0, 0), (2, 0), (3, 0))


def test_undo_is_one_call_too_and_leaves_what_was_there(host_state: Path, there: Path) -> None:
    (there / "b").touch()
    carry_out("r1", host_state, *(put(name, there) for name in ("a", "b", "c")))
    (run,) = journal()
    found = undo_steps(run, [run])
    questions = [question for step in found for question in step.questions()]
    steps = [one for step in found for one in step.plan(Facts(dict.fromkeys(questions, False), {}))]
    assert questions == [Succeeds(f"[ ! -e {there}/{name} ]") for name in ("c", "a")]
    assert carry_out("r2", host_state, *steps)[-1] == "end ok"
    assert [file.name for file in there.iterdir()] == ["b"]
    assert calls(there) == ["a c", "without c a"]
    assert journal()[-1].applied == ((0, 0), (1, 0))


def test_one_that_is_missing_alone_is_asked_for_once(host_state: Path, there: Path) -> None:
    (there / "a").touch()
    assert carry_out("r1", host_state, put("a", there), put("unknown", there))[-1] == "end failed"
    assert calls(there) == ["unknown"]


def test_what_the_call_does_not_do_each_does_by_itself(host_state: Path, there: Path) -> None:
    events = carry_out("r1", host_state, *(put(name, there) for name in ("a", "skipped", "c")))
    assert calls(there) == ["a skipped c", "skipped"]
    assert (events[-1], sorted(file.name for file in there.iterdir())) == ("end ok", ["a", "c", "skipped"])


def test_one_that_cannot_be_had_is_the_one_that_failed(host_state: Path, there: Path) -> None:
    events = carry_out("r1", host_state, *(put(name, there) for name in ("a", "unknown", "c")))
    assert calls(there) == ["a unknown c", "a", "unknown"]
    assert events[-4:] == ["action 1 0", "failed 1 0 100 ", "undone 1 0 0", "end failed"]
    assert [file.name for file in there.iterdir()] == ["a"]


def test_what_a_call_did_for_a_step_that_never_came_is_in_the_journal(host_state: Path, there: Path) -> None:
    events = carry_out("r1", host_state, *(put(name, there) for name in ("a", "fickle", "c")))
    assert (events[-1], sorted(file.name for file in there.iterdir())) == ("end failed", ["a", "c"])
    assert "step 2" not in events
    (run,) = journal()
    assert run.applied == ((0, 0), (2, 0))


@pytest.mark.parametrize("program", ["", "another program"])
def test_only_neighbours_are_one_call(host_state: Path, there: Path, program: str) -> None:
    between = put("x", there, program) if program else Step("x", (), (Command(("true",)),))
    carry_out("r1", host_state, put("a", there), between, put("b", there))
    assert calls(there) == ["a", *(["x"] if program else []), "b"]


@pytest.mark.parametrize("apart", [{"risk": Risk.LOCKOUT}, {"together": "x"}], ids=["under guard", "undone together"])
def test_what_may_be_taken_back_with_others_is_no_neighbour(there: Path, apart: dict[str, Any]) -> None:
    steps = (put("a", there), replace(put("b", there), **apart), put("c", there))
    assert "there_before 0_0" not in runner(Run("r1", steps, "ana@laptop", "", guard=Guard(Secret("w"))))


def test_packages_come_first_and_once() -> None:
    motd = File("/etc/motd", "")
    assert first_things_first([motd, Package("a"), Package("b"), motd, Package("a")]) == [Package("a"), Package("b"), motd, motd]
