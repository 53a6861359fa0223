"""Steps that are done together: which are undone when one of them fails, and that the host's script undoes just these."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from novaops.engine.guard import Guard
from novaops.engine.planner import first_undone
from novaops.engine.results import ended_badly
from novaops.engine.run import Outcome
from novaops.engine.run_script import Run, runner
from novaops.model.action import Command, WriteFile, payload
from novaops.model.journal import STATE
from novaops.model.plan import Plan, Step
from novaops.secret import Secret
from tests.unit.engine.real_runs import carry_out, journal

MINE: dict[str, Any] = {"owner": pwd.getpwuid(os.getuid()).pw_name, "group": grp.getgrgid(os.getgid()).gr_name}
SHELLS = [path for name in ("dash", "bash") if (path := shutil.which(name))]


@pytest.mark.parametrize(
    ("words", "firsts"),
    [
        ([], []),
        (["", "", ""], [0, 1, 2]),
        (["", "a", "a", ""], [0, 1, 1, 3]),
        (["a", "", "a", "b", "b"], [0, 0, 0, 3, 3]),
        (["a", "b", "a", "b"], [0, 0, 0, 0]),
        (["b", "a", "b", "a"], [0, 0, 0, 0]),
    ],
)
def test_first_undone(words: list[str], firsts: list[int]) -> None:
    """Those between two that belong together are undone with them; and ranges that overlap are one."""
    assert first_undone([Step(str(number), (), (), together=word) for number, word in enumerate(words)]) == firsts


def test_what_is_said_of_them() -> None:
    steps = tuple(Step(name, (), (), together="x" if name != "before" else "") for name in ("before", "one", "two", "after"))
    outcome = Outcome(Run("r", steps, "ana@laptop", "", guard=Guard(Secret("w"))), "failed", done={0}, failed=2, said="no", undone={1, 2})
    report = ended_badly("box", Plan(tuple(step.resource for step in steps), steps), outcome, ())
    assert [(line.resource, line.status) for line in report.lines] == [
        ("before", "changed"),
        ("one", "rolled_back"),
        ("two", "failed"),
        ("after", "skipped"),
    ]
    assert report.error is not None
    assert report.error.why == "What it and one had done was taken back. Done before it, and kept: before."


LONG = "; : 'it'\\''s' \"$(echo '$x')\" `true` \\\\ # " + "long " * 60
"""Behind a command: quotes and expansions of sh, and more than stays in each place."""


@pytest.mark.parametrize("behind", ["", LONG])
@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_undoes_all_of_them_and_nothing_before(shell: str, behind: str, tmp_path: Path) -> None:
    """The last of five steps fails. What follows each file when it is undone sees the files as they were before it."""
    files = tmp_path / "files"
    files.mkdir()

    def write(name: str) -> WriteFile:
        return WriteFile(str(files / name), name, **MINE, then=("sh", "-c", f"ls {files} | tr '\\n' ' ' >>{tmp_path}/seen{behind}"))

    steps = (
        Step("before", (), (write("before"),)),
        Step("one", (), (write("note"), write("one")), together="x"),
        Step("between", (), (write("between"),)),
        Step("two", (), (write("two"),), together="x"),
        Step("last", (), (Command(("false",)),), together="x"),
    )
    run = Run("20260203T040506Z-1f2e3d", steps, "ana@laptop", "", guard=Guard(Secret("w")))
    place = tmp_path / "state/runs" / run.id
    (place / "kept").mkdir(parents=True)
    (place / "payload").mkdir()
    (tmp_path / "state/pending").mkdir()
    for number, step in enumerate(steps):
        for index, action in enumerate(step.actions):
            if isinstance(action, WriteFile) and action.content is not None:
                (place / f"payload/{number}_{index}").write_bytes(payload(action.content))
    (place / "script").write_text(runner(run).replace(STATE, str(tmp_path / "state")), "utf-8")
    assert (place / "script").read_text("utf-8").count("long " * 60) == bool(behind)
    subprocess.run([shell, str(place / "script")], check=True, timeout=30, capture_output=True)
    events = (place / "events").read_text("utf-8").splitlines()
    assert [line for line in events if line.startswith("undone")] == [f"undone {where} 0" for where in ("4 0", "3 0", "2 0", "1 1", "1 0")]
    assert events[-1] == "end failed"
    assert [file.name for file in files.iterdir()] == ["before"]
    seen = (tmp_path / "seen").read_text("utf-8")
    assert seen.endswith("before between note one before note one before note before "), seen


def test_a_long_word_stands_once_in_the_journal_and_comes_back_in_its_places(host_state: Path) -> None:
    def write(name: str) -> WriteFile:
        return WriteFile(str(host_state / name), name, **MINE, then=("sh", "-c", f": {LONG}", name))

    events = carry_out("20260203T040506Z-1f2e3d", host_state, Step("files", (), (write("a"), write("b"))))
    assert events[-1] == "end ok"
    assert (host_state / "runs/20260203T040506Z-1f2e3d/plan.json").read_text("utf-8").count("long " * 60) == 1
    (run,) = journal()
    assert [action["then"] for action in run.manifest["steps"][0]["actions"]] == [["sh", "-c", f": {LONG}", name] for name in ("a", "b")]
