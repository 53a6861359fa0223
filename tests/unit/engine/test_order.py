"""The order of runs is the host's: whatever clock an operator has. The scripts really run, in a folder of their own."""

from __future__ import annotations

import os
import time
from pathlib import Path

from novaops.engine.undo import choose
from novaops.model.action import Command
from novaops.model.plan import Change, Step
from tests.unit.engine.real_runs import carry_out, journal

STEP = Step("x", (Change("x", None, "y"),), (Command(("true",)),))
IDS = ["20260203T000000Z-aa", "20260202T000000Z-bb", "20260204T000000Z-cc", "20260201T000000Z-dd", "20200101T000000Z-ee"]
"""The clocks of those who began them differ by days and years."""


def test_the_order_is_the_hosts_and_no_run_prunes_itself(host_state: Path) -> None:
    for number, run in enumerate(IDS, 1):
        assert carry_out(run, host_state, STEP)[-1] == "end ok"
        assert [one.id for one in journal()] == IDS[max(0, number - 3) : number]
        newest = choose(journal(), "", "box")
        assert newest is not None
        assert newest.id == run


def test_a_run_that_is_only_now_being_stored_is_not_pruned(host_state: Path) -> None:
    """It has no place among the others yet. One that never began goes after an hour."""
    stored = host_state / "runs/20260101T000000Z-ff"
    stored.mkdir(parents=True)
    for run in IDS:
        assert carry_out(run, host_state, STEP)[-1] == "end ok"
    assert stored.is_dir()
    hours_ago = time.time() - 2 * 3600
    os.utime(stored, (hours_ago, hours_ago))
    assert carry_out("20260205T000000Z-gg", host_state, STEP)[-1] == "end ok"
    assert not stored.exists()
