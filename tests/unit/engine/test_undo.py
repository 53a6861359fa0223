"""What undo says of a file that is not as the run left it: whose change that was."""

from __future__ import annotations

from typing import Any

import pytest

from novaops.engine.undo import undo_steps
from novaops.errors import Refused
from novaops.facts.file import FileAt, FileState
from novaops.facts.runs import PastRun
from novaops.model.question import Facts

PATH = "/etc/ssh/sshd_config.d/00-novaops.conf"


def run(name: str, undoes: str = "") -> PastRun:
    action: dict[str, Any] = {"kind": "file", "path": PATH, "before": "", "after": f"as {name}", "then": [], "kept": "0_0"}
    steps = [{"resource": "x", "risk": "none", "cannot_undo": "", "changes": [], "actions": [action]}]
    return PastRun({"id": name, "by": "ana", "undoes": undoes, "steps": steps}, ("action 0 0", "done 0", "end ok"), running=False)


def refusal(chosen: PastRun, *runs: PastRun) -> str:
    facts = Facts({FileAt(PATH): FileState("regular file", content=b"by hand")}, {})
    with pytest.raises(Refused) as error:
        [list(step.plan(facts)) for step in undo_steps(chosen, runs)]
    return error.value.what


def test_a_later_run_that_still_stands_is_named() -> None:
    first, second = run("r1"), run("r2")
    assert refusal(first, first, second) == f"{PATH} was changed again by run r2"


def test_a_later_run_that_was_taken_back_is_not_to_blame_nor_what_took_it_back() -> None:
    first = run("r1")
    assert refusal(first, first, run("r2"), run("r3", "r2")) == f"{PATH} was changed since run r1"
    again = (run("r2"), run("r3", "r2"), run("r4", "r3"))
    assert refusal(first, first, *again) == f"{PATH} was changed again by run r2"


def test_the_undoing_of_an_earlier_run_is_a_change() -> None:
    first, second = run("r1"), run("r2")
    assert refusal(second, first, second, run("r3", "r1")) == f"{PATH} was changed again by run r3"
