"""Which actions of a step are undone, by what the host says of each."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from novaops.engine.undo import choose, nothing_left, refuse_what_stays, undo_steps
from novaops.engine.undo_step import UndoStep
from novaops.errors import Refused
from novaops.facts.succeeds import Succeeds
from novaops.model.action import Command, SetValue
from novaops.model.plan import Change, Step
from novaops.model.question import Facts
from tests.unit.engine.real_runs import carry_out, journal


def command(word: str) -> dict[str, Any]:
    undo = {"words": [f"un{word}"], "holds": f"no-{word}"}
    return {"kind": "command", "words": [word], "holds": f"is-{word}", "undo": undo}


def undone(**already: bool) -> list[str]:
    """What is done to undo a folder, and then a mount on it, where the tests of their undo say this."""
    step = {"resource": "mount:/data", "risk": "none", "cannot_undo": "", "actions": [command("folder"), command("mount")]}
    facts = Facts({Succeeds(f"no-{word}"): there for word, there in already.items()}, {})
    plan = list(UndoStep("run", step, (0, 1)).plan(facts))
    return [str(action) for one in plan for action in one.actions]


def test_the_last_one_is_undone_first() -> None:
    assert undone(folder=False, mount=False) == ["unmount", "unfolder"]


def test_what_is_undone_already_is_left_out() -> None:
    assert undone(folder=True, mount=True) == []
    assert undone(folder=False, mount=True) == ["unfolder"]


def test_what_follows_another_undo_is_judged_when_its_turn_comes() -> None:
    """A folder that shows a mounted disk is not empty. Without the disk it is."""
    assert undone(folder=True, mount=False) == ["unmount", "unfolder"]


def step(cannot_undo: str = "", *, undoable: bool = True) -> Step:
    undo = Command(("true",), holds="false") if undoable else None
    return Step("thing:x", (Change("x", None, "y"),), (Command(("true",), undo=undo),), cannot_undo=cannot_undo)


def test_a_run_that_only_restarted_something_is_passed_over(host_state: Path) -> None:
    carry_out("r1", host_state, step())
    carry_out("r2", host_state, step(undoable=False))
    found = choose(journal(), "", "box")
    assert found is not None
    assert found.id == "r1"


def test_a_run_of_which_nothing_can_be_undone_is_refused_and_the_one_before_it_is_named(host_state: Path) -> None:
    """Nothing done is no success, and an older run is not what was meant."""
    carry_out("r1", host_state, step())
    carry_out("r2", host_state, step("the data stays where it is"))
    carry_out("r3", host_state, step("the file system stays", undoable=False))
    runs = journal()
    for run in runs[:2]:
        refuse_what_stays(run, undo_steps(run, runs), runs, "box")
    assert [nothing_left(run, runs, "box").text for run in runs[:2]] == [
        "nothing of run r1 is left to undo",
        "nothing of run r2 is left to undo; undo the run before it: novaops undo box r1",
    ]
    with pytest.raises(Refused) as refused:
        refuse_what_stays(runs[2], undo_steps(runs[2], runs), runs, "box")
    assert (refused.value.why, refused.value.fix) == ("thing:x: the file system stays", "undo the run before it: novaops undo box r2")


def test_a_run_that_was_taken_back_is_nothing_to_refuse(host_state: Path) -> None:
    carry_out("r1", host_state, Step("thing:x", (Change("x", None, "y"),), (Command(("false",)),)))
    (run,) = runs = journal()
    refuse_what_stays(run, undo_steps(run, runs), runs, "box")


def test_a_value_that_did_harm_comes_back_when_the_step_fails_and_not_by_undo(host_state: Path, tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text("known to all")
    read = f"cat {file}"
    value = SetValue("the value", read, read, ("sh", "-c", f"cat >{file}"), "x", None, sha256(b"x").hexdigest(), undoable=False)
    fails = Step("value:x", (Change("x", None, "y"),), (value, Command(("false",))), cannot_undo="the value")
    assert carry_out("r1", host_state, fails)[-1] == "end failed"
    assert file.read_text() == "known to all"
    assert carry_out("r2", host_state, replace(fails, actions=(value,)))[-1] == "end ok"
    assert file.read_text() == "x"
    runs = journal()
    (back,) = undo_steps(runs[1], runs)
    assert (list(back.questions()), list(back.plan(Facts({}, {})))) == ([], [])
    assert list(back.notes(Facts({}, {}))) == ["cannot be undone: the value"]
