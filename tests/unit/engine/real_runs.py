"""Runs that a shell of this machine really carries out."""

from __future__ import annotations

import subprocess
from pathlib import Path

from novaops.engine.guard import Guard
from novaops.engine.run_script import Run, start_and_follow
from novaops.facts.runs import PastRun, Runs
from novaops.model.plan import Step
from novaops.model.question import Section
from novaops.secret import Secret


def carry_out(run: str, state: Path, *steps: Step, shell: str = "sh", wait: bool = True) -> list[str]:
    """The events of a run of that id."""
    last = state / "last"
    after = last.read_text().strip() if last.exists() else ""
    made = Run(run, steps, "ana@laptop", after, wait, guard=Guard(Secret("token"), 90))
    done = subprocess.run([shell, "-c", start_and_follow(made, 0)], capture_output=True, text=True, check=False, timeout=20)
    return [line for line in done.stdout.split("\n") if line and line != "alive"]


def journal() -> tuple[PastRun, ...]:
    """The runs that are kept."""
    done = subprocess.run(["sh", "-c", Runs.script_one()], capture_output=True, text=True, check=True)
    found = Runs.parse_one(Section(done.stdout, "", 0))
    assert isinstance(found, tuple)
    return found
