"""A directory is taken back when it is empty by then. One in which somebody put something stays, which is said, and all else is undone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from novaops.engine.planner import make_plan, questions_of
from novaops.engine.undo import undo_steps
from novaops.model.action import Command
from novaops.model.plan import Plan, Resource, Step
from novaops.model.question import Facts, Question, Section
from novaops.resources.directory import Directory
from novaops.resources.file import File
from tests.unit.engine.real_runs import carry_out, journal


def asked(*resources: Resource) -> Facts:
    """What this machine answers."""
    questions: dict[type[Question[object]], list[Question[object]]] = {}
    for question in questions_of(resources):
        questions.setdefault(type(question), []).append(question)
    answers: dict[Question[object], object] = {}
    for kind, of_it in questions.items():
        done = subprocess.run(["sh", "-c", kind.script(of_it)], capture_output=True, text=True, check=False)
        answers |= kind.parse(of_it, Section(done.stdout, done.stderr, done.returncode))
    return Facts(answers, {})


def planned(*resources: Resource) -> Plan:
    return make_plan(resources, asked(*resources))


def undo(run: str, host_state: Path) -> tuple[list[str], Plan]:
    """The end of undoing the first run, and what is left to undo after it."""
    runs = journal()
    steps = undo_steps(runs[0], runs)
    plan = planned(*steps)
    ended = carry_out(run, host_state, *plan.steps)[-1] if plan.steps else "nothing"
    return [ended, *(step.resource for step in plan.steps)], planned(*steps)


def said(plan: Plan) -> list[str]:
    """What is told of what stays, exit code 1."""
    return [failure.what for _, failure in plan.unproven]


@pytest.fixture
def made(host_state: Path, tmp_path: Path) -> Path:
    """A folder, and a file in it, that a run has made after another file."""
    folder = tmp_path / "etc" / "app"
    folder.parent.mkdir()
    wanted = (File(str(tmp_path / "first"), "one\n"), Directory(str(folder)), File(str(folder / "conf"), "two\n"))
    facts = asked(*wanted)
    steps: list[Step] = [step for one in wanted for step in one.plan(facts)]
    assert carry_out("r1", host_state, *steps)[-1] == "end ok"
    return folder


def test_one_that_is_empty_by_then_goes_with_its_files(made: Path, host_state: Path, tmp_path: Path) -> None:
    ended, left = undo("r2", host_state)
    assert ended[0] == "end ok"
    assert not left
    assert not made.exists()
    assert not (tmp_path / "first").exists()


def test_one_in_which_somebody_put_something_stays(made: Path, host_state: Path, tmp_path: Path) -> None:
    (made / "theirs").write_text("theirs\n")
    ended, left = undo("r2", host_state)
    assert ended[0] == "end ok"
    assert not left.steps
    assert said(left) == [f"{made} stays: Directory not empty"]
    assert [file.name for file in made.iterdir()] == ["theirs"]
    assert not (tmp_path / "first").exists()
    assert undo("r3", host_state)[0] == ["nothing"]


def test_it_stays_where_its_own_file_was_removed_by_hand(made: Path, host_state: Path, tmp_path: Path) -> None:
    (made / "conf").rename(made / "theirs")
    (tmp_path / "first").unlink()
    assert undo("r2", host_state)[0] == ["nothing"]
    assert made.exists()


def test_what_a_command_has_put_there_is_undone_first(host_state: Path, tmp_path: Path) -> None:
    folder, key = tmp_path / "app", tmp_path / "app" / "key"
    there = f"[ -e {key} ]"
    make = Command(("touch", str(key)), holds=there, undo=Command(("rm", str(key)), holds=f"! {there}"))
    steps = [*Directory(str(folder)).plan(asked(Directory(str(folder)))), Step("key", (), (make,))]
    assert carry_out("r1", host_state, *steps)[-1] == "end ok"
    (folder / "theirs").touch()
    ended, left = undo("r2", host_state)
    assert ended == ["end ok", "key", f"directory:{folder}"]
    assert not left.steps
    assert said(left) == [f"{folder} stays: Directory not empty"]
    (folder / "theirs").unlink()
    assert undo("r3", host_state)[0] == ["end ok", f"directory:{folder}"]
    assert not folder.exists()
