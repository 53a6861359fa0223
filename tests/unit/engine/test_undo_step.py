"""Which actions of a step are undone, by what the host says of each."""

from __future__ import annotations

from typing import Any

from novaops.engine.undo_step import UndoStep
from novaops.facts.succeeds import Succeeds
from novaops.model.question import Facts


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
