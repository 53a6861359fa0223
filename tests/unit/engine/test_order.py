"""The order of runs is the host's: whatever clock an operator has. The scripts really run, in a folder of their own."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from novaops.engine import run_script
from novaops.engine.guard import Guard
from novaops.engine.run_script import Run, start_and_follow
from novaops.engine.undo import choose
from novaops.facts import runs as facts
from novaops.facts.runs import PastRun, Runs
from novaops.model.action import Command
from novaops.model.plan import Change, Risk, Step
from novaops.model.question import Section
from novaops.secret import Secret


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (run_script, facts):
        for name in ("RUNS", "STATE", "PENDING", "KEPT_RUNS"):
            if hasattr(module, name):
                value = {"RUNS": f"{tmp_path}/runs", "STATE": str(tmp_path), "PENDING": f"{tmp_path}/pending", "KEPT_RUNS": 3}[name]
                monkeypatch.setattr(module, name, value)
    return tmp_path


def carry_out(run: str, state: Path) -> list[str]:
    last = state / "last"
    step = Step("x", (Change("x", None, "y"),), (Command(("true",)),), Risk.NONE)
    made = Run(run, (step,), "ana@laptop", last.read_text().strip() if last.exists() else "", guard=Guard(Secret("token"), 90))
    done = subprocess.run(["sh", "-c", start_and_follow(made, 0)], capture_output=True, text=True, check=False, timeout=20)
    return [line for line in done.stdout.split("\n") if line and line != "alive"]


def journal() -> tuple[PastRun, ...]:
    done = subprocess.run(["sh", "-c", Runs.script_one()], capture_output=True, text=True, check=True)
    found = Runs.parse_one(Section(done.stdout, "", 0))
    assert isinstance(found, tuple)
    return found


IDS = ["20260203T000000Z-aa", "20260202T000000Z-bb", "20260204T000000Z-cc", "20260201T000000Z-dd", "20200101T000000Z-ee"]
"""The clocks of those who began them differ by days and years."""


def test_the_order_is_the_hosts_and_no_run_prunes_itself(state: Path) -> None:
    for number, run in enumerate(IDS, 1):
        assert carry_out(run, state)[-1] == "end ok"
        assert [one.id for one in journal()] == IDS[max(0, number - 3) : number]
        newest = choose(journal(), "", "box")
        assert newest is not None
        assert newest.id == run


def test_a_run_that_is_only_now_being_stored_is_not_pruned(state: Path) -> None:
    """It has no place among the others yet. One that never began goes after an hour."""
    stored = state / "runs/20260101T000000Z-ff"
    stored.mkdir(parents=True)
    for run in IDS:
        assert carry_out(run, state)[-1] == "end ok"
    assert stored.is_dir()
    hours_ago = time.time() - 2 * 3600
    os.utime(stored, (hours_ago, hours_ago))
    assert carry_out("20260205T000000Z-gg", state)[-1] == "end ok"
    assert not stored.exists()
